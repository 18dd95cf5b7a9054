"""Tombstones: contents that were forgotten, and are refused."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create ``tombstones``, and its index."""
    op.create_table(
        "tombstones",
        sa.Column("commit_no", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("file_id", sa.String(64), primary_key=True),
        sa.Column("lifted_by", sa.BigInteger),
        sa.Column("erased_at", sa.BigInteger),
    )
    op.create_index("tombstones_file", "tombstones", ["file_id"])
