"""What a commit brings into an open database.

Belongs here: which rows come, go and change.  Does not belong here: what a commit brings (``incoming``), which commits
those are and what becomes of the file (``draft``).

Applying a commit twice, or all of them to an empty database, ends at the same rows: only spans that the ledger
holds for current are inserted, and those that a commit replaced are deleted in its transaction.
"""

import duckdb
import pyarrow as pa

from warehouse.gathering import Gathered
from warehouse.incoming import CHANGES, Incoming
from warehouse.schema import TABLES
from warehouse.standing import Touched

ROW_GROUP_ROWS = 16_384


def insert(database: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Put rows into a table; none is no work."""
    if rows.num_rows == 0:
        return
    database.register("incoming", rows)
    database.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")  # noqa: S608 - a name of ours
    database.unregister("incoming")


class Store:
    """Puts rows into a database outside of transactions; documents are compressed as soon as they fill a row group.

    Left to itself DuckDB would keep them as they are until it is told to, or has been given enough; then in the middle
    of a row group, which it compresses once more when that is full.
    """

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self._database = database
        # Behind a checkpoint DuckDB begins a new row group.
        self._left = ROW_GROUP_ROWS

    def __call__(self, table: str, rows: pa.Table) -> None:
        """Put rows into a table."""
        while table == "documents" and rows.num_rows >= self._left:
            insert(self._database, table, rows.slice(0, self._left))
            self._database.execute("CHECKPOINT")
            rows, self._left = rows.slice(self._left), ROW_GROUP_ROWS
        insert(self._database, table, rows)
        if table == "documents":
            self._left -= rows.num_rows


def _delete_spans(database: duckdb.DuckDBPyConnection, touched: Touched) -> None:
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


def _delete_seen_again(database: duckdb.DuckDBPyConnection) -> None:
    # A path that could not be read is one row, which goes as soon as the path is seen again.
    database.execute("""
        DELETE FROM rejects WHERE file_id IS NULL AND reject_id IN (
            SELECT left(sha256(root || chr(10) || uri), 32) FROM revisits)""")
    database.execute("""
        DELETE FROM files USING revisits
        WHERE files.root = revisits.root AND files.uri = revisits.uri
          AND (files.file_id IS NULL OR files.file_id = revisits.file_id)""")


def _say_what_is_current(database: duckdb.DuckDBPyConnection, touched: Touched) -> None:
    database.execute("""
        UPDATE files SET
            is_current = files.file_id IS NOT NULL AND revisits.newest_no IS NOT DISTINCT FROM files.sighting_no
        FROM revisits
        WHERE files.root = revisits.root AND files.uri = revisits.uri""")
    others = database.execute("SELECT DISTINCT files.file_id FROM files SEMI JOIN revisits USING (root, uri)")
    touched.contents.update(file_id for (file_id,) in others.fetchall() if file_id is not None)


def _refresh_files(database: duckdb.DuckDBPyConnection) -> None:
    """Let every row of a content that was read again say what it is now; which one is current does not change."""
    database.execute("""
        UPDATE files SET
            encoding = contents.encoding,
            encoding_confidence = contents.encoding_confidence,
            document_count = CASE status WHEN 'duplicate' THEN 0 ELSE contents.document_count END,
            reject_count = CASE status WHEN 'duplicate' THEN 0 ELSE contents.reject_count END,
            status = CASE WHEN status = 'duplicate' THEN status
                          WHEN contents.document_count > 0 THEN 'ingested' ELSE 'rejected' END
        FROM contents WHERE files.file_id = contents.file_id""")


def _change(
    database: duckdb.DuckDBPyConnection, brought: Incoming, touched: Touched, rows: dict[str, pa.Table]
) -> None:
    """Bring rows, and change those before, in one transaction."""
    changes = {name: table for name, table in brought.items() if name in CHANGES}
    for name, table in changes.items():
        database.register(name, table)
    database.execute("BEGIN")
    if "retired" in changes:
        _delete_spans(database, touched)
    if "forgotten" in changes:
        database.execute("DELETE FROM files WHERE file_id IN (SELECT file_id FROM forgotten)")
    if "revisits" in changes:
        _delete_seen_again(database)
    for table, incoming in rows.items():
        insert(database, table, incoming)
    if "revisits" in changes:
        _say_what_is_current(database, touched)
    if "contents" in changes:
        _refresh_files(database)
    database.execute("COMMIT")
    for name in changes:
        database.unregister(name)


def apply(
    database: duckdb.DuckDBPyConnection, brought: Incoming, touched: Touched, gathered: Gathered, store: Store
) -> None:
    """Apply one commit; rows that change none of those before are held back, to come in with those of later ones.

    Where they cannot be, ``store`` takes what was held back.  ``touched`` remembers what ``standing`` must look at
    again.
    """
    if "touched" in brought:
        touched.contents.update(brought["touched"]["file_id"].to_pylist())
    if "texts" in brought:
        touched.add_texts(brought["texts"]["text_id"])
    rows = {table: brought[table] for table in TABLES if table in brought}
    if CHANGES.isdisjoint(brought):
        for table, incoming in rows.items():
            gathered.add(table, incoming)
    else:
        for table, before in gathered.released():
            store(table, before)
        documents = rows.pop("documents", None)
        _change(database, brought, touched, rows)
        if documents is not None:
            gathered.add("documents", documents)
