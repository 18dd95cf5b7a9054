"""Many at once: asking for thousands of words, and adding thousands of rows.

Belongs here: statements that stay the same however many they are asked for, so that they are compiled once.  Does not
belong here: which words and rows those are.
"""

import functools
import json
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from warehouse.ledger.chain import Rows

# By position: rows are tuples.
_STYLES = {"sqlite": "qmark", "postgresql": "format"}


class _Words(sa.sql.functions.GenericFunction[str]):
    """The words of a JSON array as rows: one parameter, where ``IN`` would have one a word."""

    type = sa.Text()
    inherit_cache = True


@compiles(_Words, "sqlite")
def _json_each(element: _Words, compiler: SQLCompiler, **more: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **more)})"


@compiles(_Words, "postgresql")
def _json_array(element: _Words, compiler: SQLCompiler, **more: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **more)} AS JSON))"


def one_of(column: sa.Column[Any], words: Iterable[str]) -> sa.ColumnElement[bool]:
    """Whether a column holds one of these words."""
    every = _Words(sa.bindparam(None, json.dumps(list(words)), sa.Text)).table_valued("value")
    return column.in_(sa.select(every.c.value))


def rows(result: sa.CursorResult[Any]) -> list[tuple[Any, ...]]:
    """All rows of a result as the driver has them, for columns whose values need no conversion."""
    cursor = result.cursor
    assert cursor is not None
    found = list(cursor.fetchall())
    result.close()
    return found


@functools.lru_cache(maxsize=16)
def _statement(dialect: str, table: sa.Table, names: tuple[str, ...], *, replaces: bool) -> str:
    module: Any = {"sqlite": sqlite, "postgresql": postgresql}[dialect]
    made = module.insert(table)
    if replaces:
        keys = [column.name for column in table.primary_key]
        changed = {name: made.excluded[name] for name in names if name not in keys}
        made = made.on_conflict_do_update(index_elements=keys, set_=changed)
    return str(made.compile(dialect=module.dialect(paramstyle=_STYLES[dialect]), column_keys=list(names)))


def insert(connection: sa.Connection, table: sa.Table, rows: Rows, *, replaces: bool = False) -> None:
    """Add rows to a table; with ``replaces`` whole rows take the place of those with equal keys.

    They go to the driver as they are: what SQLAlchemy does for each row costs more than SQLite does.
    """
    if rows.rows:
        statement = _statement(connection.dialect.name, table, rows.names, replaces=replaces)
        connection.exec_driver_sql(statement, list(rows.rows))
