"""Apply committed batches to a copy of the newest snapshot and publish it as the next.

Belongs here: from parts and ledger to rows in DuckDB.  Does not belong here: the shape of the tables (``schema``,
``ddl``), names of snapshots (``snapshots``).

Applying a commit twice, or all of them to an empty database, ends at the same rows: only spans that the ledger
holds for current are inserted, and those that a commit replaced are deleted in its transaction.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from warehouse import ddl, ledger, snapshots
from warehouse.durable import copy_file, lock, temporary_file, uninterrupted
from warehouse.errors import DamagedError, TransientError
from warehouse.held import HeldRows
from warehouse.layout import Home
from warehouse.projection import LIVE, content_table, document_tables, reject_table, sighting_rejects, sighting_table
from warehouse.records import Commit
from warehouse.schema import TABLES, quoted

ROW_GROUP_ROWS = 16_384

# What DuckDB may hold while it applies commits one by one; without it the memory of a publish grows with the warehouse.
MEMORY = "256MB"


@dataclass(frozen=True, slots=True)
class Published:
    """What a publish did; ``path`` is None where there was nothing new."""

    path: Path | None
    commits: int
    seconds: float


def _insert(database: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    if rows.num_rows == 0:
        return
    database.register("incoming", rows)
    database.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")  # noqa: S608 - a name of ours
    database.unregister("incoming")


def _delete_spans(database: duckdb.DuckDBPyConnection, spans: Sequence[Any]) -> None:
    retired = pa.Table.from_pylist(
        [{key: getattr(span, key) for key in ("file_id", "first_ordinal", "last_ordinal")} for span in spans]
    )
    database.register("retired", retired)
    database.execute("""
        CREATE OR REPLACE TEMP TABLE gone AS
        SELECT document_id FROM documents JOIN retired USING (file_id)
        WHERE ordinal BETWEEN first_ordinal AND last_ordinal""")
    for table in ("paragraphs", "documents"):
        database.execute(f"DELETE FROM {table} WHERE document_id IN (SELECT document_id FROM gone)")  # noqa: S608
    database.execute("""
        DELETE FROM rejects USING retired
        WHERE rejects.file_id = retired.file_id
          AND coalesce(rejects.ordinal, first_ordinal) BETWEEN first_ordinal AND last_ordinal""")
    database.execute("DROP TABLE gone")
    database.unregister("retired")


def _apply_sightings(database: duckdb.DuckDBPyConnection, commit: Commit, sightings: Sequence[Any]) -> None:
    revisits = [row for row in sightings if row.is_revisit]
    if revisits:
        seen = [{"root": r.location, "uri": r.uri, "file_id": r.file_id} for r in revisits]
        database.register("revisits", pa.Table.from_pylist(seen, schema=pa.schema(
            [("root", pa.string()), ("uri", pa.string()), ("file_id", pa.string())]
        )))  # fmt: skip
        # A path that could not be read is one row, which goes as soon as the path is seen again.
        database.execute("""
            DELETE FROM rejects WHERE file_id IS NULL AND reject_id IN (
                SELECT left(sha256(root || chr(10) || uri), 32) FROM revisits)""")
        database.execute("""
            DELETE FROM files USING revisits
            WHERE files.root = revisits.root AND files.uri = revisits.uri
              AND (files.file_id IS NULL OR files.file_id = revisits.file_id)""")
    _insert(database, "files", sighting_table(commit, [s for s in sightings if s.status != ledger.GONE]))
    _insert(database, "rejects", sighting_rejects(commit, sightings))
    if revisits:
        database.execute("""
            UPDATE files SET is_current = newest.sighting_no IS NOT DISTINCT FROM files.sighting_no
            FROM (
                SELECT root, uri, max(sighting_no) FILTER (file_id IS NOT NULL) AS sighting_no
                FROM files SEMI JOIN revisits USING (root, uri) GROUP BY root, uri
            ) AS newest
            WHERE files.root = newest.root AND files.uri = newest.uri""")
        database.unregister("revisits")


def _refresh_files(database: duckdb.DuckDBPyConnection, contents: list[dict[str, Any]]) -> None:
    """Let every row of a content that was read again say what it is now; which one is current does not change."""
    database.register("contents", content_table(contents))
    database.execute("""
        UPDATE files SET
            encoding = contents.encoding,
            encoding_confidence = contents.encoding_confidence,
            document_count = CASE status WHEN 'duplicate' THEN 0 ELSE contents.document_count END,
            reject_count = CASE status WHEN 'duplicate' THEN 0 ELSE contents.reject_count END,
            status = CASE WHEN status = 'duplicate' THEN status
                          WHEN contents.document_count > 0 THEN 'ingested' ELSE 'rejected' END
        FROM contents WHERE files.file_id = contents.file_id""")
    database.unregister("contents")


def _apply(database: duckdb.DuckDBPyConnection, held: HeldRows, book: ledger.Ledger, commit: Commit) -> None:
    rows = ledger.load_rows(book, commit.commit_no)
    database.execute("BEGIN")
    if rows.retired:
        _delete_spans(database, rows.retired)
    live = {(span.file_id, span.first_ordinal): span.last_ordinal for span in rows.spans if span.retired_by is None}
    if live:
        counting: LIVE = live if len(live) < len(rows.spans) else None
        part = held.of(commit)
        for table, incoming in document_tables(part["documents"], part["files"], counting).items():
            _insert(database, table, incoming)
        _insert(database, "rejects", reject_table(commit, part["files"], counting))
    _apply_sightings(database, commit, rows.sightings)
    if rows.retired:
        _refresh_files(database, ledger.contents(book, {span.file_id for span in (*rows.spans, *rows.retired)}))
    counts = {
        name: sum(getattr(span, name) for span in rows.spans)
        for name in ("document_count", "paragraph_count", "segment_count", "reject_count")
    }
    load = {
        "commit_no": commit.commit_no,
        "commit_hash": commit.commit_hash,
        "kind": commit.kind,
        "batch_id": commit.batch_id,
        "run_id": commit.run_id,
        "committed_at": commit.committed_at,
        "file_count": len(rows.sightings),
        **counts,
    }
    _insert(database, "loads", pa.Table.from_pylist([load], schema=TABLES["loads"]))
    database.execute("COMMIT")


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
    _insert(database, "runs", pa.Table.from_pylist(rows, schema=TABLES["runs"]))


def _opened(database: duckdb.DuckDBPyConnection, target: Path, tables: Sequence[str]) -> snapshots.About:
    """Attach the file, with these tables made in it, and say what it holds."""
    # Nobody opens the file before it is checkpointed, closed and renamed: a log of it would be written for nothing.
    # Small row groups, because the last one is written anew by every checkpoint, and threads share work by them.
    database.execute(
        f"ATTACH {quoted(str(target))} AS warehouse"
        f" (STORAGE_VERSION 'v1.5.0', RECOVERY_MODE no_wal_writes, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
    )
    database.execute("USE warehouse")
    if tables:
        database.execute("BEGIN")  # one for all: each alone would be flushed alone
        for statement in tables:
            database.execute(statement)
        database.execute("INSERT INTO about VALUES (?, '', 0, '')", [ddl.fingerprint(list(tables))])
        database.execute("COMMIT")
    return snapshots.about_open(database, target)


def _finish(
    database: duckdb.DuckDBPyConnection,
    book: ledger.Ledger,
    last: tuple[int, str],
    new_views: Sequence[str],
    views: list[str],
) -> None:
    """What follows the last commit: runs, views where they are new, derived tables, what the file says of itself."""
    database.execute("BEGIN")
    _write_runs(database, book, last[0])
    for statement in (*new_views, *ddl.derived_statements()):
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
    on_commit: Callable[[int, int], None] | None = None,
) -> int:
    """Bring a database at ``target`` to the ledger's last commit; returns how many commits were applied.

    ``base`` is the snapshot to start from, None for an empty one.  ``on_commit(done, of)`` reports progress.
    """
    if base is not None:
        copy_file(base, target)
        target.chmod(0o600)
    else:
        target.unlink()
    tables, views = ddl.table_statements(), ddl.view_statements()
    # What does not fit into memory goes beside the file, not into the folder that the command was given in.
    database = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": f"{target}.tmp"})
    try:
        with uninterrupted():
            known = _opened(database, target, tables if base is None else ())
        pending, held = ledger.commits_above(book, known.commit_no), HeldRows(home)
        for done, commit in enumerate(pending, start=1):
            with uninterrupted():
                _apply(database, held, book, commit)
            if on_commit is not None:
                on_commit(done, len(pending))
        last = (pending[-1].commit_no, pending[-1].commit_hash) if pending else (known.commit_no, known.commit_hash)
        with uninterrupted():
            _finish(database, book, last, views if known.views_fingerprint != ddl.fingerprint(views) else (), views)
    except (duckdb.IOException, duckdb.FatalException) as error:
        raise TransientError(
            f"the snapshot could not be built ({str(error).splitlines()[0]}); what is committed is safe, "
            "run `newsmill publish` when that is mended"
        ) from error
    finally:
        database.close()
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
    on_commit: Callable[[int, int], None] | None = None,
) -> Published:
    """Publish every commit that the newest snapshot lacks; with ``rebuild``, or after a change of the tables, all.

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
            commits = build(home, book, target, base=base, on_commit=on_commit)
            ledger.note_snapshot(book, *snapshots.identity(home, target))
            path = snapshots.publish_file(home, target)
        snapshots.prune(home, ledger.snapshot_sums(book) if rebuild else {})
        return Published(path, commits, time.monotonic() - started)
