"""Files for other tools: Parquet and JSON Lines of documents, FineWeb's columns, one self-contained DuckDB file.

Belongs here: what an export holds.  Does not belong here: arguments (``flows.cli.export``).

An export is a pure function of a snapshot and its options: rows stand in one order, and a file appears whole or not.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from warehouse import ddl, queries, snapshots, standing
from warehouse.durable import open_as_asked, rename_durably, temporary_file
from warehouse.errors import ConfigError
from warehouse.layout import Home
from warehouse.schema import quoted

FORMS = {".parquet", ".jsonl", ".duckdb"}
# Readers take a row group at a time: enough rows to compress well, few enough for a small machine.
ROWS = 20_000


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Which documents, and how: empty sets and None choose all.  Dates are days, both included.

    A document whose date is not known is left out as soon as a date is asked for.  ``is_fineweb`` gives FineWeb's
    columns instead of those of ``v_documents``.
    """

    languages: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    is_fineweb: bool = False

    @property
    def condition(self) -> str:
        """The choice as SQL over ``documents``."""
        terms = [
            f"{column} IN ({', '.join(map(quoted, words))})"
            for column, words in (("language", self.languages), ("source", self.sources))
            if words
        ]
        terms += [
            f"published_on {sign} DATE '{day.isoformat()}'"
            for sign, day in ((">=", self.since), ("<=", self.until))
            if day is not None
        ]
        return " AND ".join(terms) or "true"


def export(home: Home, target: Path, options: ExportOptions, *, is_replacing: bool = False) -> int:
    """Write ``target`` from the newest snapshot, in the form that its ending names; returns how many documents it has.

    Raises ``ConfigError`` for another ending, a folder that is not there, and a file that is there unless it
    ``is_replacing``.
    """
    form = target.suffix
    if form not in FORMS or (options.is_fineweb and form == ".duckdb"):
        known = FORMS - {".duckdb"} if options.is_fineweb else FORMS
        raise ConfigError(f"{target.name!r} does not end like a file that can be written: {', '.join(sorted(known))}")
    if target.exists() and not is_replacing:
        raise ConfigError(f"{target} is there already; choose another name, or say --replace")
    if not target.parent.is_dir():
        raise ConfigError(f"{target.parent} is no folder; make it, or choose another file")
    snapshot = queries.newest_or_error(home)
    with temporary_file(target.parent) as temporary:
        write = {".parquet": _parquet, ".jsonl": _json_lines, ".duckdb": _database}[form]
        count = write(snapshot, temporary, options)
        open_as_asked(temporary, target)
        rename_durably(temporary, target)
    return count


def _query(options: ExportOptions) -> str:
    if not options.is_fineweb:
        return f"SELECT * FROM v_documents WHERE {options.condition} ORDER BY language, published_on, document_id"  # noqa: S608 - quoted
    return (
        "SELECT v_fineweb.* FROM v_fineweb JOIN documents ON document_id = id "  # noqa: S608 - quoted
        f"WHERE {options.condition.replace('language', 'documents.language')} "
        "ORDER BY documents.language, published_on, id"
    )


def _parquet(snapshot: Path, target: Path, options: ExportOptions) -> int:
    count = 0
    with snapshots.opened(snapshot) as database:
        reader = database.sql(_query(options)).to_arrow_reader(ROWS)
        with pq.ParquetWriter(target, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
                count += batch.num_rows
    return count


def _json_lines(snapshot: Path, target: Path, options: ExportOptions) -> int:
    with snapshots.opened(snapshot) as database:
        return _count(database, f"COPY ({_query(options)}) TO {quoted(str(target))} (FORMAT json)")


def _count(database: duckdb.DuckDBPyConnection, sql: str) -> int:
    ((count,),) = database.execute(sql).fetchall()
    return int(count)


@contextlib.contextmanager
def _both(snapshot: Path, target: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that uses an empty database at ``target``, with the snapshot attached as ``warehouse``."""
    target.unlink()
    with contextlib.closing(duckdb.connect(config=dict(ddl.STORAGE))) as database:
        database.execute(f"ATTACH {quoted(str(snapshot.resolve()))} AS warehouse (READ_ONLY)")
        database.execute(f"ATTACH {quoted(str(target))} AS exported (STORAGE_VERSION 'v1.5.0')")
        database.execute("USE exported")
        yield database


def _database(snapshot: Path, target: Path, options: ExportOptions) -> int:
    """The chosen documents with all that hangs on them, under the same tables, views and macros."""
    with _both(snapshot, target) as database:
        database.execute("BEGIN")
        for statement in ddl.table_statements():
            database.execute(statement)
        database.execute(
            f"INSERT INTO documents BY NAME FROM warehouse.v_documents_current WHERE {options.condition} "
            "ORDER BY language, published_on, document_id"
        )
        tables = database.execute(
            "SELECT table_name, list(column_name) FROM duckdb_columns() "
            "WHERE database_name = 'exported' AND table_name <> 'documents' GROUP BY table_name ORDER BY table_name"
        ).fetchall()
        for table, columns in tables:
            # What hangs on a document, else on its file, else on its texts; runs and loads are history and stay whole.
            hangs_on = next((key for key in ("document_id", "file_id") if key in columns), None)
            condition = f"WHERE {hangs_on} IN (SELECT {hangs_on} FROM documents)" if hangs_on else ""  # noqa: S608
            if table == "translations":
                condition = """WHERE text_id IN (
                    SELECT text_id FROM warehouse.segments WHERE document_id IN (SELECT document_id FROM documents)
                )"""
            database.execute(f"INSERT INTO {table} BY NAME FROM warehouse.{table} {condition}")
        for statement in ddl.view_statements():
            database.execute(statement)
        standing.settle_all(database)
        database.execute("COMMIT")
        database.execute("CHECKPOINT exported")
        count = _count(database, "SELECT count(*) FROM documents")
        database.execute("USE memory")
        database.execute("DETACH exported")
    return count
