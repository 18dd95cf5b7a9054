"""Where a document stands among equal texts: how many current ones there are, and whether it is the one for all.

Belongs here: keeping ``documents.copy_count`` and ``documents.is_distinct`` right, and looking whether they are.  Does
not belong here: which sightings are current (``loader``), what follows for a view (``warehouse/sql/views``).

A new document is taken for current and the only one of its text, which most are.  Only what commits touched is looked
at again: the whole table would cost more with every document that was ever loaded.
"""

from collections.abc import Iterable

import duckdb
import pyarrow as pa

from warehouse import ddl


class Touched:
    """What commits changed: texts of documents that came or went, contents that may be current now, or no more.

    Texts and contents are named by their ids.  ``with_texts`` is false where all documents are looked at in the end.
    """

    def __init__(self, *, with_texts: bool = True) -> None:
        self.with_texts = with_texts
        self.texts: list[pa.ChunkedArray] = []
        self.contents: set[str] = set()

    def add_texts(self, text_ids: pa.ChunkedArray | Iterable[str]) -> None:
        """Documents with these texts came or went."""
        if not self.with_texts:
            return
        is_arrow = isinstance(text_ids, pa.ChunkedArray)
        self.texts.append(text_ids if is_arrow else pa.chunked_array([list(text_ids)], pa.string()))

    def all_texts(self) -> pa.Table:
        """The texts, each as often as it was added."""
        return pa.table({"text_id": pa.chunked_array([c for some in self.texts for c in some.chunks], pa.string())})


def _look(database: duckdb.DuckDBPyConnection, texts: str, contents: str) -> None:
    """Let ``touched_texts`` and ``touched_contents`` be what these queries say.

    Texts by the hash of their ids, and as often as they come: those of a big file are millions, and whoever shares a
    hash is looked at for nothing.
    """
    database.execute(f"CREATE OR REPLACE TEMP TABLE touched_texts AS SELECT hash(text_id) AS text_hash FROM ({texts})")  # noqa: S608
    database.execute(f"""
        CREATE OR REPLACE TEMP TABLE touched_contents AS
        WITH contents AS ({contents})
        SELECT file_id, file_id IN (SELECT file_id FROM files SEMI JOIN contents USING (file_id) WHERE is_current)
            AS is_current
        FROM contents""")  # noqa: S608 - queries of ours


def _forget(database: duckdb.DuckDBPyConnection) -> None:
    for table in ("touched_texts", "touched_contents"):
        database.execute(f"DROP TABLE temp.{table}")


def _update(database: duckdb.DuckDBPyConnection) -> None:
    database.execute(f"CREATE OR REPLACE TEMP TABLE standing AS {ddl.standing_text()}")
    database.execute("""
        UPDATE documents SET copy_count = standing.copy_count, is_distinct = standing.is_distinct
        FROM standing WHERE documents.rowid = standing.row_place""")
    database.execute("DROP TABLE temp.standing")
    _forget(database)


def settle(database: duckdb.DuckDBPyConnection, touched: Touched, *, is_new: bool) -> None:
    """Bring both columns up to date after commits; ``is_new`` where all documents of the database were touched."""
    if not (is_new or touched.texts or touched.contents):
        return
    contents = pa.table({"file_id": pa.array(sorted(touched.contents), pa.string())})
    database.register("incoming_contents", contents)
    database.register("incoming_texts", touched.all_texts())
    same_file = "SELECT text_id FROM documents SEMI JOIN incoming_contents USING (file_id)"
    if is_new:  # a text that stands once is right already
        texts = f"SELECT text_id FROM documents GROUP BY text_id HAVING count(*) > 1 UNION ALL {same_file}"  # noqa: S608
    else:
        texts = "FROM incoming_texts" + (f" UNION ALL {same_file}" if touched.contents else "")
    _look(database, texts, "SELECT file_id FROM incoming_contents")
    _update(database)
    database.unregister("incoming_contents")
    database.unregister("incoming_texts")


def settle_all(database: duckdb.DuckDBPyConnection) -> None:
    """Make both columns right whatever they are."""
    _look(database, "SELECT text_id FROM documents", "SELECT DISTINCT file_id FROM documents")
    _update(database)


def wrong_count(database: duckdb.DuckDBPyConnection) -> int:
    """How many documents have not what documents and files say."""
    _look(database, "SELECT text_id FROM documents", "SELECT DISTINCT file_id FROM documents")
    ((count,),) = database.execute(f"SELECT count(*) FROM ({ddl.standing_text()}) AS wrong").fetchall()  # noqa: S608
    _forget(database)
    return int(count)
