"""Tombstones: contents that were forgotten, and are refused.  An index of what is retired, without all that is not."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create ``tombstones``, and its index; make the other index anew."""
    op.create_table(
        "tombstones",
        sa.Column("commit_no", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("file_id", sa.String(64), primary_key=True),
        sa.Column("lifted_by", sa.BigInteger),
        sa.Column("erased_at", sa.BigInteger),
    )
    op.create_index("tombstones_file", "tombstones", ["file_id"])
    op.drop_index("spans_retired", "spans")
    retired = sa.text("retired_by IS NOT NULL")
    op.create_index("spans_retired", "spans", ["retired_by"], sqlite_where=retired, postgresql_where=retired)
