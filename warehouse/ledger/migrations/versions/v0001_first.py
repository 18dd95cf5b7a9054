"""The first tables of the ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("flow", sa.String(32), nullable=False),
        sa.Column("orchestrator", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("pipeline_version", sa.String(64), nullable=False),
        sa.Column("settings_fingerprint", sa.String(32), nullable=False),
        sa.Column("versions", sa.Text, nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
        sa.Column("timings", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
    )
    op.create_table(
        "roots",
        sa.Column("root_id", sa.Integer, primary_key=True),
        sa.Column("location", sa.Text, nullable=False, unique=True),
    )
    op.create_table(
        "stamps",
        sa.Column("root_id", sa.Integer, primary_key=True),
        sa.Column("uri", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("file_id", sa.String(64)),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("ctime_ns", sa.BigInteger, nullable=False),
        sa.Column("inode", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "commits",
        sa.Column("commit_no", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("commit_hash", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("batch_id", sa.String(32)),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("committed_at", sa.BigInteger, nullable=False),
        sa.Column("pipeline_version", sa.String(64), nullable=False),
        sa.Column("settings_fingerprint", sa.String(32), nullable=False),
    )
    op.create_table(
        "parts",
        sa.Column("commit_no", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "spans",
        sa.Column("commit_no", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("file_id", sa.String(64), primary_key=True),
        sa.Column("first_ordinal", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last_ordinal", sa.BigInteger, nullable=False),
        sa.Column("is_last", sa.Boolean, nullable=False),
        sa.Column("encoding", sa.String(32)),
        sa.Column("encoding_confidence", sa.Float),
        sa.Column("document_count", sa.BigInteger, nullable=False),
        sa.Column("reject_count", sa.BigInteger, nullable=False),
        sa.Column("paragraph_count", sa.BigInteger, nullable=False),
        sa.Column("segment_count", sa.BigInteger, nullable=False),
        sa.Column("retired_by", sa.BigInteger),
    )
    op.create_index("spans_file", "spans", ["file_id", "first_ordinal"])
    op.create_index("spans_retired", "spans", ["retired_by"])
    op.create_table(
        "sightings",
        sa.Column("sighting_no", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("commit_no", sa.BigInteger, nullable=False),
        sa.Column("root_id", sa.Integer, nullable=False),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("file_id", sa.String(64)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("stage", sa.String(16)),
        sa.Column("reason", sa.String(32)),
        sa.Column("detail", sa.Text),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("modified_ns", sa.BigInteger, nullable=False),
        sa.Column("is_revisit", sa.Boolean, nullable=False),
    )
    op.create_index("sightings_commit", "sightings", ["commit_no"])
    op.create_index("sightings_uri", "sightings", ["root_id", "uri"])
    op.create_index("sightings_file", "sightings", ["file_id"])
