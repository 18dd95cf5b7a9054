"""The ledger's tables.

Belongs here: columns, keys and indexes as SQLAlchemy sees them.  Does not belong here: how a home of an earlier
version gets there (``migrations``); a test proves that both ways end at the same tables.

Times are microseconds since 1970 UTC; stamps are nanoseconds.  ``commits``, ``parts``, ``spans``, ``sightings`` are
only ever appended to, but for ``spans.retired_by`` and ``parts.replaced_by``, and so are ``tombstones`` but for their
last two columns; ``commits.commit_hash`` chains all five.  ``stamps``, ``runs`` and ``snapshots`` change in place.
"""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text, text

METADATA = MetaData()

RUNS = Table(
    "runs",
    METADATA,
    Column("run_id", String(64), primary_key=True),
    Column("flow", String(32), nullable=False),
    Column("orchestrator", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("pipeline_version", String(64), nullable=False),
    Column("settings_fingerprint", String(32), nullable=False),
    Column("versions", Text, nullable=False),
    Column("counts", Text, nullable=False),
    Column("timings", Text, nullable=False),
    Column("error", Text),
)

ROOTS = Table(
    "roots",
    METADATA,
    Column("root_id", Integer, primary_key=True),
    Column("location", Text, nullable=False, unique=True),
)

# What the store said of every path at the last look: an equal stamp is not read again.  Losing it costs a re-read.
STAMPS = Table(
    "stamps",
    METADATA,
    Column("root_id", Integer, primary_key=True),
    # Compared by bytes, as a walk goes.
    Column("uri", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),
    Column("source", Text, nullable=False),
    Column("state", String(16), nullable=False),  # pending, settled, deferred
    Column("file_id", String(64)),
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("ctime_ns", BigInteger, nullable=False),
    Column("inode", BigInteger, nullable=False),
)

COMMITS = Table(
    "commits",
    METADATA,
    Column("commit_no", BigInteger, primary_key=True, autoincrement=False),
    Column("commit_hash", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("batch_id", String(32)),
    Column("run_id", String(64), nullable=False),
    Column("committed_at", BigInteger, nullable=False),
    Column("pipeline_version", String(64), nullable=False),
    Column("settings_fingerprint", String(32), nullable=False),
)

# ``replaced_by`` is the compaction whose parts hold the rows now: set once, and chained by that compaction's hash.
PARTS = Table(
    "parts",
    METADATA,
    Column("commit_no", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(16), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("replaced_by", BigInteger),
    Index("parts_replaced", "replaced_by"),
)

# One file's records in one batch: a big file has several, in order, the last with is_last.  For each (file_id,
# first_ordinal) the row that nobody retired is the current one.
_RETIRED = text("retired_by IS NOT NULL")
SPANS = Table(
    "spans",
    METADATA,
    Column("commit_no", BigInteger, primary_key=True, autoincrement=False),
    Column("file_id", String(64), primary_key=True),
    Column("first_ordinal", BigInteger, primary_key=True, autoincrement=False),
    Column("last_ordinal", BigInteger, nullable=False),
    Column("is_last", Boolean, nullable=False),
    Column("encoding", String(32)),
    Column("encoding_confidence", Float),
    Column("document_count", BigInteger, nullable=False),
    Column("reject_count", BigInteger, nullable=False),
    Column("paragraph_count", BigInteger, nullable=False),
    Column("segment_count", BigInteger, nullable=False),
    Column("retired_by", BigInteger),
    Index("spans_file", "file_id", "first_ordinal"),
    # In part: asked which spans nobody retired, SQLite would take a whole index for the best way to any of them.
    Index("spans_retired", "retired_by", sqlite_where=_RETIRED, postgresql_where=_RETIRED),
)

# Every time a content was found new at a uri, or a path was put off or refused unread.  No index by content: its
# entries fall anywhere, so that a commit of a batch would write nearly all of its pages.
SIGHTINGS = Table(
    "sightings",
    METADATA,
    Column("sighting_no", BigInteger, primary_key=True, autoincrement=False),
    Column("commit_no", BigInteger, nullable=False),
    Column("root_id", Integer, nullable=False),
    Column("uri", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("file_id", String(64)),
    Column("status", String(16), nullable=False),
    Column("stage", String(16)),
    Column("reason", String(32)),
    Column("detail", Text),
    Column("size_bytes", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("is_revisit", Boolean, nullable=False),
    Index("sightings_commit", "commit_no"),
    Index("sightings_uri", "root_id", "uri"),
)

# Contents that were forgotten: nothing of them stands anywhere once ``erased_at`` is set, and the same bytes are
# refused until another commit lifts the tombstone.  A sighting of before a content's tombstone is void.
TOMBSTONES = Table(
    "tombstones",
    METADATA,
    Column("commit_no", BigInteger, primary_key=True, autoincrement=False),
    Column("file_id", String(64), primary_key=True),
    Column("lifted_by", BigInteger),
    Column("erased_at", BigInteger),
    Index("tombstones_file", "file_id"),
)

# What each published file is, so that a damaged one is known by its bytes.  Losing it costs that knowledge only.
SNAPSHOTS = Table(
    "snapshots",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)
