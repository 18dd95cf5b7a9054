"""Read-only SQL on the newest snapshot, locked down.

Belongs here: the connection that a person's SQL runs on.  Does not belong here: how results are shown
(``flows.cli.render``), our own SQL (``warehouse/sql``).

A statement can read the tables and nothing else: no files, no network, no extensions, no settings, no variables of
this process.  Order matters: the last statement closes the door on the ones before it.  DuckDB leaves the files of
an attached database and its own folder for temporary data open to COPY, so only statements that read are let in.
"""

import contextlib
import re
import resource
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from warehouse import memory, presence, snapshots
from warehouse.errors import ConfigError, DamagedError, QueryError
from warehouse.layout import Home
from warehouse.schema import quoted

LOCK_DOWN = (
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
# What rows take on their way to a file or a terminal, and what the allocator holds back.
_BESIDE_BYTES = 1_000_000_000
_EXPLAIN = re.compile(r"\s*EXPLAIN\s+(ANALYZE\s+)?(\([^()]*\)\s*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What a statement may use; the defaults are DuckDB's own, for a person alone on a machine.

    ``memory`` is a size as DuckDB writes it (``2GB``); beyond it, data goes to a folder for temporary files that ends
    with the query.  ``seconds`` counts from the first row asked for to the last; None for no limit.  ``is_alone`` says
    that the process does nothing else: then it gets not much more memory than that in all.
    """

    memory: str | None = None
    seconds: float | None = None
    is_alone: bool = False


DEFAULTS = QueryOptions()
# What is attached to a connection before its door closes.
Attach = Callable[[duckdb.DuckDBPyConnection], None]


def _limit(connection: duckdb.DuckDBPyConnection, options: QueryOptions, spill: str) -> None:
    connection.execute(f"SET temp_directory = {quoted(spill)}")
    if options.memory is not None:
        try:
            connection.execute(f"SET memory_limit = {quoted(options.memory)}")
        except duckdb.Error as error:
            raise ConfigError(f"memory {options.memory!r} is no size; write it like 2GB or 500MB") from error


@contextlib.contextmanager
def _bounded(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let this process have what DuckDB may use, and some for all else.

    DuckDB does not count what a single value takes, and ``SELECT range(1000000000)`` is one: 22 GB in spite of a limit
    of 200 MB.  Raises ``QueryError`` where that is not enough for what is made of the rows.
    """
    held = memory.private_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    ((limit,),) = connection.execute("SELECT current_setting('memory_limit')").fetchall()
    most = (held or 0) + memory.of_setting(limit) + _BESIDE_BYTES
    if held is None or resource.RLIM_INFINITY != soft < most:
        yield
        return
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    try:
        yield
    except MemoryError as error:
        raise QueryError("the result takes more memory than it may; a higher --memory or LIMIT helps") from error
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@contextlib.contextmanager
def connected(
    path: Path, options: QueryOptions = DEFAULTS, attach: Attach | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A locked-down read-only connection to one snapshot; ``attach`` is called before the door closes."""
    with tempfile.TemporaryDirectory(prefix="newsmill-sql-") as spill, snapshots.opened(path) as connection:
        _limit(connection, options, spill)
        if attach is not None:
            attach(connection)
        for statement in LOCK_DOWN:
            connection.execute(statement)
        with _bounded(connection) if options.is_alone else contextlib.nullcontext():
            yield connection


def newest_or_error(home: Home) -> Path:
    """The newest snapshot, or a line that says how to get one."""
    path = snapshots.newest(home)
    if path is None:
        presence.check(home, None)
        raise QueryError(f"nothing is published in {home.path} yet; run `newsmill ingest PATH` first")
    return path


@contextlib.contextmanager
def newest_connected(
    home: Home, options: QueryOptions = DEFAULTS, attach: Attach | None = None
) -> Iterator[tuple[Path, duckdb.DuckDBPyConnection]]:
    """The newest snapshot and a locked-down connection to it.

    One that is taken away between looking and opening is no damage: whoever did that published the next before.
    """
    with contextlib.ExitStack() as stack:
        path = newest_or_error(home)
        while True:
            try:
                connection = stack.enter_context(connected(path, options, attach))
                break
            except DamagedError:
                newest = newest_or_error(home)
                if path.exists() or newest == path:
                    raise
                path = newest
        yield path, connection


def _kinds(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[str, str]]:
    return [(statement.type.name, statement.query) for statement in connection.extract_statements(sql)]


def check_reads(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse what is not one statement that reads: SELECT and its kin, EXPLAIN of one, PIVOT.

    Raises ``QueryError``, and ``duckdb.Error`` for what cannot be parsed.
    """
    kinds = _kinds(connection, sql)
    names = [name for name, _ in kinds]
    if names == ["EXPLAIN"]:
        names = [name for name, _ in _kinds(connection, _EXPLAIN.sub("", sql, count=1))]
    # PIVOT becomes the creation of a type of its own and a SELECT, neither of which is in the text.
    is_pivot = names == ["MULTI"] or (
        names[-1:] == ["SELECT"] and set(names) == {"CREATE", "SELECT"} and not any(text for _, text in kinds)
    )
    if not kinds:
        raise QueryError("there is no statement; newsmill sql takes one that reads, like FROM v_languages")
    if names != ["SELECT"] and not (is_pivot and "pivot" in sql.lower()):
        raise QueryError("only one statement that reads is taken: SELECT, FROM, SHOW, DESCRIBE, SUMMARIZE, EXPLAIN")


@contextlib.contextmanager
def _timed(connection: duckdb.DuckDBPyConnection, seconds: float | None) -> Iterator[None]:
    """Interrupt whatever runs on the connection when the time is over; says so as a ``QueryError``."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (duckdb.InterruptException, QueryError) as error:
        if "INTERRUPT" in str(error) or isinstance(error, duckdb.InterruptException):
            raise QueryError(f"stopped after {seconds:g} seconds; a higher limit gives it more time") from error
        raise
    finally:
        timer.cancel()
        # It may be interrupting just now, which a connection that closes meanwhile does not survive.
        timer.join()


def _batches(connection: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches of a result; what goes wrong in DuckDB meanwhile reaches Arrow as an error of input or output.

    They are fetched by a thread: whoever waits inside DuckDB hears no Ctrl-C, whoever waits for a thread does.
    """
    batches = iter(reader)
    with ThreadPoolExecutor(1) as pool:
        try:
            while (batch := pool.submit(next, batches, None).result()) is not None:
                yield batch
        except (OSError, pa.ArrowException) as error:
            raise QueryError(str(error).strip()) from error
        except KeyboardInterrupt:
            connection.interrupt()  # else the thread would be waited for
            raise


@contextlib.contextmanager
def streamed(
    home: Home,
    sql: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    is_ledger_elsewhere: bool = False,
    options: QueryOptions = DEFAULTS,
    attach: Attach | None = None,
) -> Iterator[pa.RecordBatchReader]:
    """The result of one query in batches of rows, so that a large one needs no memory for all.

    ``parameters`` are bound by name.  A lost or outdated ledger in the home stops even this, so that it is noticed;
    one that is elsewhere is looked at by the commands that open it.  Raises ``QueryError`` with DuckDB's own words.
    """
    try:
        "".join([sql, *(value for value in (parameters or {}).values() if isinstance(value, str))]).encode()
    except UnicodeEncodeError as error:
        raise QueryError("the query holds bytes that are no text") from error
    with newest_connected(home, options, attach) as (path, connection):
        about = snapshots.about_open(connection, path)
        if not is_ledger_elsewhere:
            presence.check(home, (about.commit_no, about.commit_hash))
        try:
            check_reads(connection, sql)
            with _timed(connection, options.seconds):
                relation = connection.sql(sql, params=dict(parameters) if parameters else None)
                if relation is None:
                    raise QueryError("the statement has no rows to show; newsmill sql only reads")
                reader = relation.to_arrow_reader(10_000)
                yield pa.RecordBatchReader.from_batches(reader.schema, _batches(connection, reader))
        except snapshots.DAMAGE:
            raise
        except RuntimeError as error:
            if str(error) == "Query interrupted":  # how DuckDB's client tells of Ctrl-C, while its threads go on
                connection.interrupt()
                raise KeyboardInterrupt from error
            raise
        except duckdb.Error as error:
            if type(error) is duckdb.Error:
                raise
            raise QueryError(str(error).strip()) from error


def rows(
    home: Home,
    sql: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    is_ledger_elsewhere: bool = False,
    options: QueryOptions = DEFAULTS,
    attach: Attach | None = None,
) -> list[dict[str, Any]]:
    """The result of one query as mappings, for the small questions that newsmill asks itself."""
    with streamed(
        home, sql, parameters, is_ledger_elsewhere=is_ledger_elsewhere, options=options, attach=attach
    ) as reader:
        found: list[dict[str, Any]] = reader.read_all().to_pylist()
    return found
