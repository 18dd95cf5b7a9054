"""docs/data-dictionary.md: every table, view, macro and column in words, made from the schema and the SQL files.

Belongs here: the page.  Does not belong here: the words on it, which stand in ``schema`` and the headers of
``warehouse/sql``; the answers to the examples (``docs.dictionary``).  A test fails when the page is stale.
"""

from collections.abc import Iterable, Iterator, Mapping

import duckdb

from warehouse import ddl
from warehouse.schema import REFERENCES, TABLES, description, note

_BEGIN = """# Data dictionary

Made by `make docs` from the schema and the headers of `warehouse/sql`; do not edit. The same words stand in the
warehouse:

```sql
{about}
```
{answer}
Tables and views are read in any DuckDB client; macros are called like functions, `FROM top_terms('de')`. Timestamps are
UTC, lengths and offsets count characters (Unicode code points), hashes are in hexadecimal. NULL behind a type says that
the column may be empty.
"""


_ABOUT = "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = 'v_languages'"
Shown = Mapping[str, str]


def examples() -> list[str]:
    """Every query on the page."""
    headers = [*map(ddl.view_header, ddl.VIEWS), *map(ddl.macro_header, ddl.MACROS)]
    return [_ABOUT, *(header.example for header in headers)]


def _answer(shown: Shown, example: str) -> str:
    return f"\n```text\n{shown[example]}```\n" if example in shown else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _columns(rows: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    yield "| column | type | is |"
    yield "| --- | --- | --- |"
    for name, kind, words in rows:
        yield f"| {name} | {_cell(kind)} | {_cell(words)} |"
    yield ""


def _tables() -> Iterator[str]:
    for name, table in (TABLES | REFERENCES).items():
        yield f"### {name}\n\n{description(table)}\n"
        yield from _columns(
            (field.name, ddl.type_of(field) + (", NULL" if field.nullable else ""), description(field))
            for field in table
        )
        checks = [check for field in table if (check := note(field, "check"))]
        if checks:
            yield "Holds in every row: " + "; ".join(f"`{check}`" for check in checks) + ".\n"


def _views(database: duckdb.DuckDBPyConnection, shown: Shown) -> Iterator[str]:
    for name in ddl.VIEWS:
        header = ddl.view_header(name)
        types = {row[0]: row[1] for row in database.execute(f"DESCRIBE {name}").fetchall()}
        yield f"### {name}\n\n{header.question} One row is {header.grain}.\n"
        yield f"```sql\n{header.example}\n```\n" + _answer(shown, header.example)
        yield from _columns((column, types[column], words) for column, words in header.columns.items())


def _macros(shown: Shown) -> Iterator[str]:
    for name in ddl.MACROS:
        header = ddl.macro_header(name)
        row = "One row is" if header.columns else "Gives"
        yield f"### {name}({header.arguments})\n\n{header.question} {row} {header.grain}.\n"
        yield f"```sql\n{header.example}\n```\n" + _answer(shown, header.example)
        if header.columns:
            yield "| column | is |\n| --- | --- |"
            yield from (f"| {column} | {_cell(words)} |" for column, words in header.columns.items())
            yield ""


def page(shown: Shown | None = None) -> str:
    """The whole page as Markdown; ``shown`` has the answers to its examples."""
    answers = shown or {}
    with duckdb.connect() as database:
        for statement in (*ddl.table_statements(), *ddl.view_statements()):
            database.execute(statement)
        parts = [
            _BEGIN.format(about=_ABOUT, answer=_answer(answers, _ABOUT)),
            "## Tables\n",
            *_tables(),
            "## Views\n",
            *_views(database, answers),
            "## Macros\n",
            *_macros(answers),
        ]
    return "\n".join(parts).rstrip() + "\n"
