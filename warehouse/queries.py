"""Read-only SQL on the newest snapshot, locked down.

Belongs here: the connection that a person's SQL runs on.  Does not belong here: how results are shown
(``flows.cli.render``), our own SQL (``warehouse/sql``).

A statement can read the tables and nothing else: no files, no network, no extensions, no settings, no variables of
this process.  Order matters: the last statement closes the door on the ones before it.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from warehouse import presence, snapshots
from warehouse.errors import QueryError
from warehouse.layout import Home

LOCK_DOWN = (
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


@contextlib.contextmanager
def connected(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A locked-down read-only connection to one snapshot."""
    with snapshots.opened(path) as connection:
        for statement in LOCK_DOWN:
            connection.execute(statement)
        yield connection


def newest_or_error(home: Home) -> Path:
    """The newest snapshot, or a line that says how to get one."""
    path = snapshots.newest(home)
    if path is None:
        presence.check(home, None)
        raise QueryError(f"nothing is published in {home.path} yet; run `newsmill ingest PATH` first")
    return path


@contextlib.contextmanager
def streamed(
    home: Home, sql: str, parameters: Mapping[str, Any] | None = None, *, is_ledger_elsewhere: bool = False
) -> Iterator[pa.RecordBatchReader]:
    """The result of one query in batches of rows, so that a large one needs no memory for all.

    ``parameters`` are bound by name.  A lost or outdated ledger in the home stops even this, so that it is noticed;
    one that is elsewhere is looked at by the commands that open it.  Raises ``QueryError`` with DuckDB's own words.
    """
    try:
        "".join([sql, *(value for value in (parameters or {}).values() if isinstance(value, str))]).encode()
    except UnicodeEncodeError as error:
        raise QueryError("the query holds bytes that are no text") from error
    path = newest_or_error(home)
    with connected(path) as connection:
        about = snapshots.about_open(connection, path)
        if not is_ledger_elsewhere:
            presence.check(home, (about.commit_no, about.commit_hash))
        try:
            relation = connection.sql(sql, params=dict(parameters) if parameters else None)
            if relation is None:
                raise QueryError("the statement has no rows to show; newsmill sql only reads")
            yield relation.to_arrow_reader(10_000)
        except snapshots.DAMAGE:
            raise
        except duckdb.Error as error:
            raise QueryError(str(error).strip()) from error


def rows(
    home: Home, sql: str, parameters: Mapping[str, Any] | None = None, *, is_ledger_elsewhere: bool = False
) -> list[dict[str, Any]]:
    """The result of one query as mappings, for the small questions that newsmill asks itself."""
    with streamed(home, sql, parameters, is_ledger_elsewhere=is_ledger_elsewhere) as reader:
        found: list[dict[str, Any]] = reader.read_all().to_pylist()
    return found
