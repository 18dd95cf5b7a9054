"""Sightings: no index by content, whose entries fall anywhere: to keep it cost more than all else of a commit."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Drop it; who asks by content (a replay, a forgetting) reads the table once."""
    op.drop_index("sightings_file", "sightings")
