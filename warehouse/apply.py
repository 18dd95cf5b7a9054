"""One commit into an open database, in one transaction.

Belongs here: which rows come, go and change with a commit.  Does not belong here: from a part to rows (``projection``),
which commits those are and what becomes of the file (``loader``).

Applying a commit twice, or all of them to an empty database, ends at the same rows: only spans that the ledger
holds for current are inserted, and those that a commit replaced are deleted in its transaction.
"""

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

from warehouse import ledger
from warehouse.gathering import Gathered
from warehouse.held import HeldRows
from warehouse.projection import LIVE, content_table, document_tables, reject_table, sighting_rejects, sighting_table
from warehouse.records import Commit
from warehouse.schema import TABLES
from warehouse.standing import Touched


def insert(database: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Put rows into a table; none is no work."""
    if rows.num_rows == 0:
        return
    database.register("incoming", rows)
    database.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")  # noqa: S608 - a name of ours
    database.unregister("incoming")


def _delete_spans(database: duckdb.DuckDBPyConnection, spans: Sequence[Any], touched: Touched) -> None:
    retired = pa.Table.from_pylist(
        [{key: getattr(span, key) for key in ("file_id", "first_ordinal", "last_ordinal")} for span in spans]
    )
    database.register("retired", retired)
    database.execute("""
        CREATE OR REPLACE TEMP TABLE gone AS
        SELECT document_id, text_id FROM documents JOIN retired USING (file_id)
        WHERE ordinal BETWEEN first_ordinal AND last_ordinal""")
    touched.add_texts(text_id for (text_id,) in database.execute("SELECT DISTINCT text_id FROM gone").fetchall())
    for table in ("paragraphs", "documents"):
        database.execute(f"DELETE FROM {table} WHERE document_id IN (SELECT document_id FROM gone)")  # noqa: S608
    database.execute("""
        DELETE FROM rejects USING retired
        WHERE rejects.file_id = retired.file_id
          AND coalesce(rejects.ordinal, first_ordinal) BETWEEN first_ordinal AND last_ordinal""")
    database.execute("DROP TABLE gone")
    database.unregister("retired")


def _apply_sightings(
    database: duckdb.DuckDBPyConnection, commit: Commit, sightings: Sequence[Any], touched: Touched
) -> None:
    revisits = [row for row in sightings if row.is_revisit]
    if revisits:
        seen = [{"root": r.location, "uri": r.uri, "file_id": r.file_id, "newest_no": r.newest_no} for r in revisits]
        database.register("revisits", pa.Table.from_pylist(seen, schema=pa.schema(
            [("root", pa.string()), ("uri", pa.string()), ("file_id", pa.string()), ("newest_no", pa.int64())]
        )))  # fmt: skip
        # A path that could not be read is one row, which goes as soon as the path is seen again.
        database.execute("""
            DELETE FROM rejects WHERE file_id IS NULL AND reject_id IN (
                SELECT left(sha256(root || chr(10) || uri), 32) FROM revisits)""")
        database.execute("""
            DELETE FROM files USING revisits
            WHERE files.root = revisits.root AND files.uri = revisits.uri
              AND (files.file_id IS NULL OR files.file_id = revisits.file_id)""")
    insert(database, "files", sighting_table(commit, [s for s in sightings if s.status != ledger.GONE]))
    insert(database, "rejects", sighting_rejects(commit, sightings))
    if revisits:
        database.execute("""
            UPDATE files SET
                is_current = files.file_id IS NOT NULL AND revisits.newest_no IS NOT DISTINCT FROM files.sighting_no
            FROM revisits
            WHERE files.root = revisits.root AND files.uri = revisits.uri""")
        others = database.execute("SELECT DISTINCT files.file_id FROM files SEMI JOIN revisits USING (root, uri)")
        touched.contents.update(file_id for (file_id,) in others.fetchall() if file_id is not None)
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


def _touch(touched: Touched, live: Sequence[Any], sightings: Sequence[Any]) -> None:
    """Every content whose documents and sighting did not come together, and whole: it may be current, or not."""
    seen = {sighting.file_id for sighting in sightings if sighting.file_id is not None}
    whole = {span.file_id for span in live if not span.first_ordinal and span.is_last}
    touched.contents.update(seen ^ whole, (span.file_id for span in live if span.file_id not in whole))


def apply(
    database: duckdb.DuckDBPyConnection,
    held: HeldRows,
    book: ledger.Ledger,
    commit: Commit,
    touched: Touched,
    gathered: Gathered,
) -> None:
    """Apply one commit in a transaction of its own; its documents may come into the database with those of later ones.

    ``touched`` remembers what ``standing`` must look at again.
    """
    rows = ledger.load_rows(book, commit.commit_no)
    if rows.retired:
        gathered.release()
    database.execute("BEGIN")
    if rows.retired:
        _delete_spans(database, rows.retired, touched)
    live = {(span.file_id, span.first_ordinal): span.last_ordinal for span in rows.spans if span.retired_by is None}
    if live:
        counting: LIVE = live if len(live) < len(rows.spans) else None
        part = held.of(commit)
        for table, incoming in document_tables(part["documents"], part["files"], counting).items():
            if table == "documents":
                gathered.add(incoming)
                touched.add_texts(incoming["text_id"])
            else:
                insert(database, table, incoming)
        insert(database, "rejects", reject_table(commit, part["files"], counting))
    if rows.forgotten:
        database.execute("DELETE FROM files WHERE file_id IN (SELECT unnest($1::VARCHAR[]))", [list(rows.forgotten)])
    valid = [row for row in rows.sightings if not row.is_void]
    _apply_sightings(database, commit, valid, touched)
    _touch(touched, [span for span in rows.spans if span.retired_by is None], valid)
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
    insert(database, "loads", pa.Table.from_pylist([load], schema=TABLES["loads"]))
    database.execute("COMMIT")
    if gathered.is_enough:
        # Beside the transaction: DuckDB would hold all of them twice.
        gathered.release()
