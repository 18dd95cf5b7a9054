"""Apply committed batches to a copy of the newest snapshot and publish it as the next.

Belongs here: from commits to a database file, and from that to a snapshot.  Does not belong here: what one commit
does to the rows (``apply``), the shape of the tables (``schema``, ``ddl``), names of snapshots (``snapshots``).
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from warehouse import ddl, ledger, snapshots
from warehouse.apply import apply, insert
from warehouse.durable import copy_file, lock, temporary_file, uninterrupted
from warehouse.errors import DamagedError, TransientError
from warehouse.held import HeldRows
from warehouse.layout import Home
from warehouse.schema import TABLES, quoted
from warehouse.standing import Touched, settle

ROW_GROUP_ROWS = 16_384

# What DuckDB may hold while it applies commits one by one, which it does in the order of columns and needs little for:
# rebuilding 200,000 documents took 30 s of CPU and 335 MB above the start with 256 MB and two threads, 24 s and 188 MB
# with these.
LOAD_MEMORY = "96MB"

# What it may hold while it compares all documents; without a limit a publish would grow with the warehouse.
MEMORY = "256MB"

# What it may hold while it puts all documents in order: a sort of whole texts cannot do with less.
ORDER_MEMORY = "1GB"

# From how many documents on their order is worth a copy: fewer are read whole in a few milliseconds.
ORDERED_FROM = 2 * ROW_GROUP_ROWS


@dataclass(frozen=True, slots=True)
class Published:
    """What a publish did; ``path`` is None where there was nothing new."""

    path: Path | None
    commits: int
    seconds: float


def _write_runs(database: duckdb.DuckDBPyConnection, book: ledger.Ledger, commit_no: int) -> None:
    rows = [
        {
            "run_id": run.run_id,
            "flow": run.flow,
            "orchestrator": run.orchestrator,
            "status": run.status,
            "started_at": run.started_at,
            "finished_at": run.finished_at,
            "counts": json.dumps(run.counts, sort_keys=True),
            "timings": json.dumps(run.timings, sort_keys=True),
            "versions": json.dumps(run.versions, sort_keys=True),
            "pipeline_version": run.pipeline_version,
            "settings_fingerprint": run.settings_fingerprint,
        }
        for run in ledger.runs_up_to(book, commit_no)
    ]
    database.execute("DELETE FROM runs")
    insert(database, "runs", pa.Table.from_pylist(rows, schema=TABLES["runs"]))


def _attach(database: duckdb.DuckDBPyConnection, target: Path) -> None:
    # Nobody opens the file before it is checkpointed, closed and renamed: a log of it would be written for nothing.
    # Small row groups, because the last one is written anew by every checkpoint, and threads share work by them.
    database.execute(
        f"ATTACH {quoted(str(target))} AS warehouse"
        f" (STORAGE_VERSION 'v1.5.0', RECOVERY_MODE no_wal_writes, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
    )
    database.execute("USE warehouse")


def _create(database: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> None:
    database.execute("BEGIN")  # one for all: each alone would be flushed alone
    for statement in tables:
        database.execute(statement)
    database.execute("COMMIT")


def _opened(database: duckdb.DuckDBPyConnection, target: Path, tables: Sequence[str]) -> snapshots.About:
    """Attach the file, with these tables made in it, and say what it holds."""
    _attach(database, target)
    if tables:
        _create(database, tables)
        database.execute("INSERT INTO about VALUES (?, '', 0, '')", [ddl.fingerprint(list(tables))])
    return snapshots.about_open(database, target)


def put_in_order(database: duckdb.DuckDBPyConnection, source: Path, target: Path, tables: Sequence[str]) -> None:
    """Copy the tables into a new file, where documents stand in the order of most questions, and use that one.

    Commits come in the order of time, each in an order of its own; then a question about one month or language must
    unpack nearly every text.  Texts that are too large for the memory of a sort stay in the order of time.
    """
    database.execute("CHECKPOINT")
    database.execute("USE memory")
    database.execute("DETACH warehouse")
    database.execute(f"ATTACH {quoted(str(source))} AS unordered (READ_ONLY)")
    _attach(database, target)
    _create(database, tables)
    database.execute(f"SET memory_limit = '{ORDER_MEMORY}'")
    try:
        for table in ("about", *TABLES):
            order = "ORDER BY language, published_on, document_id" if table == "documents" else ""
            database.execute(f"INSERT INTO {table} BY NAME SELECT * FROM unordered.{table} {order}")  # noqa: S608
    except duckdb.OutOfMemoryException:
        database.execute("RESET memory_limit; USE memory")
        database.execute("DETACH warehouse")
        copy_file(source, target)
        _attach(database, target)
    database.execute("DETACH unordered")
    database.execute(f"SET memory_limit = '{MEMORY}'")


def _finish(
    database: duckdb.DuckDBPyConnection,
    book: ledger.Ledger,
    last: tuple[int, str],
    new_views: Sequence[str],
    views: list[str],
) -> None:
    """What follows the last commit: runs, views where they are new, what the file says of itself."""
    database.execute("BEGIN")
    _write_runs(database, book, last[0])
    for statement in new_views:
        database.execute(statement)
    database.execute(
        "UPDATE about SET commit_no = ?, commit_hash = ?, views_fingerprint = ?", [*last, ddl.fingerprint(views)]
    )
    database.execute("COMMIT")
    database.execute("CHECKPOINT")


def build(
    home: Home,
    book: ledger.Ledger,
    target: Path,
    *,
    base: Path | None,
    is_ordered: bool = False,
    on_commit: Callable[[int, int], None] | None = None,
) -> int:
    """Bring a database at ``target`` to the ledger's last commit; returns how many commits were applied.

    ``base`` is the snapshot to start from, None for an empty one.  ``is_ordered`` puts all documents in order, which
    takes time that grows with the warehouse.  ``on_commit(done, of)`` reports progress.
    """
    is_ordered &= sum(counts["documents"] for counts in ledger.batch_counts(book).values()) >= ORDERED_FROM
    first = target.with_name(f"{target.name}.unordered") if is_ordered else target
    target.unlink()
    if base is not None:
        first.touch()
        copy_file(base, first)
        first.chmod(0o600)
    tables, views = ddl.table_statements(), ddl.view_statements()
    # What does not fit into memory goes beside the file, not into the folder that the command was given in.
    # One thread: several would each hold the texts they work on, beside the workers that hold theirs.
    database = duckdb.connect(config={"memory_limit": LOAD_MEMORY, "threads": 1, "temp_directory": f"{target}.tmp"})
    try:
        with uninterrupted():
            known = _opened(database, first, tables if base is None else ())
        pending, held, touched = ledger.commits_above(book, known.commit_no), HeldRows(home), Touched()
        for done, commit in enumerate(pending, start=1):
            with uninterrupted():
                apply(database, held, book, commit, touched)
            if on_commit is not None:
                on_commit(done, len(pending))
        last = (pending[-1].commit_no, pending[-1].commit_hash) if pending else (known.commit_no, known.commit_hash)
        with uninterrupted():
            database.execute(f"SET memory_limit = '{MEMORY}'")
            settle(database, touched, is_new=base is None)
            if is_ordered:
                put_in_order(database, first, target, tables)
            is_same = known.views_fingerprint == ddl.fingerprint(views) and not is_ordered
            _finish(database, book, last, () if is_same else views, views)
    except (duckdb.IOException, duckdb.FatalException, duckdb.OutOfMemoryException) as error:
        raise TransientError(
            f"the snapshot could not be built ({str(error).splitlines()[0]}); what is committed is safe, "
            "run `newsmill publish` when that is mended"
        ) from error
    finally:
        database.close()
        if is_ordered:
            first.unlink(missing_ok=True)
    wal = target.with_name(target.name + ".wal")
    if wal.exists():
        wal.unlink()
        raise DamagedError(f"{target} was not checkpointed; nothing was published, run `newsmill publish` again")
    return len(pending)


def _is_current(book: ledger.Ledger, base: Path, found: snapshots.About) -> bool:
    if found.views_fingerprint != ddl.fingerprint(ddl.view_statements()):
        return False
    if found.commit_no != ledger.last_commit(book)[0]:
        return False
    with snapshots.opened(base) as database:
        shown = database.execute("SELECT run_id, status FROM runs ORDER BY run_id").fetchall()
    return shown == sorted((run.run_id, run.status) for run in ledger.runs_up_to(book, found.commit_no))


def check_rebuildable(home: Home, book: ledger.Ledger) -> None:
    """Refuse to rebuild from a ledger that ends below what was published: commits would be lost for good."""
    try:
        published = snapshots.last_published(home)
    except DamagedError:
        return  # a snapshot that cannot be opened is what a rebuild is for
    ledger.check_beside(book, home, published)


def publish(
    home: Home,
    book: ledger.Ledger,
    *,
    rebuild: bool = False,
    is_ordered: bool = False,
    on_commit: Callable[[int, int], None] | None = None,
) -> Published:
    """Publish every commit that the newest snapshot lacks; with ``rebuild``, or after a change of the tables, all.

    ``is_ordered`` also puts the documents in order, as every rebuild does.

    One publish at a time a home; a second waits.
    """
    with lock(home.lock("loader")):
        started = time.monotonic()
        snapshots.sweep(home)
        base = None if rebuild else snapshots.newest(home)
        if base is not None:
            found = snapshots.about(base)
            if found.tables_fingerprint != ddl.fingerprint(ddl.table_statements()):
                base = None
            else:
                with uninterrupted():
                    is_current = _is_current(book, base, found)
                if is_current:
                    snapshots.point(home)
                    return Published(None, 0, 0.0)
        with temporary_file(home.versions) as target:
            commits = build(home, book, target, base=base, is_ordered=is_ordered or rebuild, on_commit=on_commit)
            ledger.note_snapshot(book, *snapshots.identity(home, target))
            path = snapshots.publish_file(home, target)
        snapshots.prune(home, ledger.snapshot_sums(book) if rebuild else {})
        return Published(path, commits, time.monotonic() - started)
