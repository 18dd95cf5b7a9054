"""The prompt of ``newsmill sql``: history, completion, one statement after another.

Belongs here: reading lines and the words that begin with a dot.  Does not belong here: asking (``warehouse.queries``)
and writing (``flows.cli.results``).

Python's own readline does the editing, so that the prompt costs no dependency; where Python came without it, lines
are read plainly.  Every statement asks the snapshot that is the newest by then.
"""

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import get_args

from flows.cli.render import console, visible
from flows.cli.results import Form, ResultOptions, write
from flows.settings import Settings
from warehouse import queries
from warehouse.durable import private_file
from warehouse.errors import NewsmillError
from warehouse.queries import Attach, QueryOptions

HISTORY = ".newsmill_history"
LINES = 1000
HELP = """A statement ends with a semicolon or an empty line.
.tables         tables, views and macros, with what they are for
.columns NAME   columns of one of them
.format NAME    table, csv, json or jsonl from now on
.quit           as Ctrl-D does; Ctrl-C gives up a statement"""
_TABLES = """
    SELECT name, comment AS "is for" FROM (
        SELECT table_name AS name, comment, 1 AS place FROM duckdb_tables() WHERE database_name = 'warehouse'
        UNION ALL SELECT view_name, comment, 2 FROM duckdb_views() WHERE NOT internal AND database_name = 'warehouse'
        UNION ALL SELECT function_name, comment, 3 FROM duckdb_functions()
        WHERE NOT internal AND database_name = 'warehouse'
    ) AS named WHERE comment IS NOT NULL ORDER BY place, name"""
_COLUMNS = """
    SELECT column_name, data_type, comment AS "is" FROM duckdb_columns()
    WHERE database_name = 'warehouse' AND table_name = $name ORDER BY column_index"""
_WORDS = """
    SELECT DISTINCT word FROM (
        SELECT table_name AS word FROM duckdb_tables() WHERE NOT internal
        UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal
        UNION ALL SELECT column_name FROM duckdb_columns() WHERE NOT internal
        UNION ALL SELECT function_name || '(' FROM duckdb_functions() WHERE NOT internal
        UNION ALL SELECT upper(keyword_name) FROM duckdb_keywords() WHERE keyword_category = 'reserved'
    ) AS words ORDER BY word"""
_DOTTED = (".columns", ".format", ".help", ".quit", ".tables")


def completions(words: list[str], begun: str) -> list[str]:
    """The words that go on from what was begun, capitals aside.

    >>> completions(["SELECT", "segments", "v_languages"], "se")
    ['SELECT', 'segments']
    """
    return [word for word in words if word.lower().startswith(begun.lower())] if begun else []


@contextlib.contextmanager
def _editing(words: list[str]) -> Iterator[None]:
    """Completion and history while the block runs; nothing where Python has no readline."""
    try:
        readline = importlib.import_module("readline")
    except ImportError:
        yield
        return
    history = Path.home() / HISTORY
    with contextlib.suppress(OSError):  # none yet, or not ours to read: then the prompt begins without
        readline.read_history_file(history)
    readline.set_completer(lambda begun, number: [*completions(words, begun), None][number])
    readline.set_completer_delims(" \t\n,;()=<>+-*/'\"")
    readline.parse_and_bind("tab: complete")
    try:
        yield
    finally:
        _keep(readline, history)


def _keep(readline: ModuleType, history: Path) -> None:
    with contextlib.suppress(OSError):  # a home that cannot be written to has no history
        private_file(history)
        readline.set_history_length(LINES)
        readline.write_history_file(history)


def _statements() -> Iterator[str]:
    """Statements and dotted words as they are typed, until the input ends; Ctrl-C gives up what was begun."""
    begun: list[str] = []
    while True:
        try:
            line = input("   ...> " if begun else "newsmill> ")
        except EOFError:
            return
        except KeyboardInterrupt:
            begun = []
            console().print()
            continue
        if not begun and (not line.strip() or line.startswith(".")):
            if line.strip():
                yield line.strip()
            continue
        begun.append(line)
        if line.rstrip().endswith(";") or not line.strip():
            statement, begun = "\n".join(begun), []
            yield statement


def converse(
    settings: Settings, options: QueryOptions, results: ResultOptions, output: Path | None, attach: Attach | None = None
) -> int:
    """Answer until Ctrl-D or ``.quit``; with ``output`` every answer replaces the file."""
    elsewhere = bool(settings.ledger_url)
    path = queries.newest_or_error(settings.layout)
    words = [row["word"] for row in queries.rows(settings.layout, _WORDS, is_ledger_elsewhere=elsewhere)]
    out = console()
    out.print(f"{visible(path.name)}, read-only. .help shows what the prompt knows, .tables what there is to ask.")

    def answer(statement: str, shown: ResultOptions, **values: str) -> None:
        with queries.streamed(
            settings.layout, statement, values, is_ledger_elsewhere=elsewhere, options=options, attach=attach
        ) as reader:
            write(reader, shown, output if statement not in (_TABLES, _COLUMNS) else None)

    with _editing([*words, *_DOTTED]):
        for statement in _statements():
            word, _, rest = statement.partition(" ")
            try:
                if word in (".quit", ".exit"):
                    return 0
                if word == ".help":
                    out.print(HELP)
                elif word == ".tables":
                    answer(_TABLES, ResultOptions(rows=1000))
                elif word == ".columns":
                    answer(_COLUMNS, ResultOptions(rows=1000), name=rest.strip())
                elif word == ".format" and rest.strip() in get_args(Form) and (rest.strip() != "parquet" or output):
                    results = ResultOptions(rest.strip(), results.rows, results.is_raw)  # type: ignore[arg-type]
                elif statement.startswith("."):
                    out.print(HELP)
                else:
                    answer(statement, results)
            except NewsmillError as error:
                out.print(visible(" ".join(str(error).split())), style="red")
            except KeyboardInterrupt:
                out.print("stopped")
    out.print()
    return 0
