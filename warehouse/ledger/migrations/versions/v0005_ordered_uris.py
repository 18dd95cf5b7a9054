"""Stamps: uris compare by their bytes, so that they are read in the order of a walk."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """SQLite compares by bytes already; PostgreSQL by the language that the database was made for."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute('ALTER TABLE stamps ALTER COLUMN uri TYPE TEXT COLLATE "C"')
