"""Compactions: a part knows the commit whose part took its rows over."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add ``parts.replaced_by``, and its index."""
    op.add_column("parts", sa.Column("replaced_by", sa.BigInteger))
    op.create_index("parts_replaced", "parts", ["replaced_by"])
