"""DuckDB's DDL and comments, made from the Arrow schema and the files of views and macros.

Belongs here: how a column, view, macro or reference table is spelt in DuckDB.  Does not belong here: which columns
there are (``schema``) or filling them (``loader``).
"""

import functools
import hashlib
from importlib import resources
from typing import NamedTuple

import pyarrow as pa

from warehouse import references
from warehouse.schema import REFERENCES, TABLES, VIEWED, description, note, quoted

# In the order of creation: a view may stand on those before it, a macro on every view.
VIEWS = (
    "segments",
    "v_documents",
    "v_documents_current",
    "v_documents_monthly",
    "v_documents_daily",
    "v_languages",
    "v_detectors",
    "v_repairs",
    "v_flags",
    "v_encodings",
    "v_rejects_by_reason",
    "v_sources",
    "v_quotes",
    "v_headings",
    "v_captions",
    "v_credits",
    "v_reading_level",
    "v_duplicates",
    "v_superseded_files",
    "v_load_history",
    "v_segments_to_translate",
    "v_fineweb",
)
MACROS = ("ngrams", "top_terms", "keyword_series", "documents_matching", "keyness")

# One row that tells newsmill what a snapshot holds; not part of the public tables.
ABOUT = """CREATE TABLE about (
    tables_fingerprint VARCHAR NOT NULL,
    views_fingerprint VARCHAR NOT NULL,
    commit_no BIGINT NOT NULL,
    commit_hash VARCHAR NOT NULL
)"""

# How DuckDB is to be told to store the tables.  By itself it tries zstd for texts of 4 KB on average only, and keeps
# shorter ones as they are where one of 16 KB is among them (docs/decisions/0017).
STORAGE = {"zstd_min_string_length": 1}

_PLAIN = {
    pa.string(): "VARCHAR",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.date32(): "DATE",
    pa.timestamp("us"): "TIMESTAMP",
}
_WORDS = ("question", "grain", "arguments", "example")


class Header(NamedTuple):
    """What the comment lines at the head of a view or macro file say.

    ``columns`` maps each column to its description, in order; those that a view takes over from a table have the
    table's.  ``arguments`` is a macro's signature; a macro without ``columns`` is an expression.
    """

    question: str
    grain: str
    example: str
    arguments: str
    columns: dict[str, str]

    @property
    def comment(self) -> str:
        """The comment of the view or macro in DuckDB."""
        return f"{self.question} One row is {self.grain}" if self.columns else f"{self.question} Gives {self.grain}"


def duckdb_type(kind: pa.DataType) -> str:
    """DuckDB's name of an Arrow type.

    >>> duckdb_type(pa.list_(pa.struct([("step", pa.string()), ("count", pa.int64())])))
    'STRUCT(step VARCHAR, count BIGINT)[]'
    """
    if pa.types.is_list(kind):
        return duckdb_type(kind.value_type) + "[]"
    if pa.types.is_struct(kind):
        return "STRUCT(" + ", ".join(f"{field.name} {duckdb_type(field.type)}" for field in kind) + ")"
    return _PLAIN[kind]


def type_of(field: pa.Field) -> str:
    """DuckDB's type of a column."""
    return note(field, "duckdb_type") or duckdb_type(field.type)


def _column(field: pa.Field) -> str:
    words = [field.name, type_of(field)]
    if not field.nullable:
        words.append("NOT NULL")
    if check := note(field, "check"):
        words.append(f"CHECK ({check})")
    return " ".join(words)


def _table(name: str, table: pa.Schema, create: str = "CREATE TABLE") -> list[str]:
    return [
        f"{create} {name} (\n    " + ",\n    ".join(map(_column, table)) + "\n)",
        f"COMMENT ON TABLE {name} IS {quoted(description(table))}",
        *(f"COMMENT ON COLUMN {name}.{field.name} IS {quoted(description(field))}" for field in table),
    ]


def table_statements() -> list[str]:
    """CREATE TABLE and COMMENT ON for every public table, and the table about the snapshot."""
    return [ABOUT, *(statement for name, table in TABLES.items() for statement in _table(name, table))]


@functools.cache
def _file(kind: str, name: str) -> str:
    return resources.files("warehouse.sql").joinpath(kind, f"{name}.sql").read_text(encoding="utf-8")


def _header(text: str) -> Header:
    found = dict.fromkeys(_WORDS, "")
    columns: dict[str, str] = {}
    for line in text.splitlines():
        if not line.startswith("-- "):
            break
        key, _, value = line.removeprefix("-- ").partition(": ")
        if key in found:
            found[key] = value
        elif key.startswith("like "):
            table = (TABLES | VIEWED)[key.removeprefix("like ")]
            names = table.names if value == "*" else value.split(", ")
            columns |= {name: description(table.field(name)) for name in names}
        else:
            columns[key] = value
    return Header(**found, columns=columns)


def view_header(name: str) -> Header:
    """Question, grain, example and columns of a view.

    >>> view_header("v_languages").grain
    'one language of distinct current texts'
    """
    return _header(_file("views", name))


def macro_header(name: str) -> Header:
    """Question, grain, example, arguments and columns of a macro.

    >>> macro_header("keyword_series").arguments
    'keyword, lang := NULL'
    """
    return _header(_file("macros", name))


# Every publish asks for all statements, to see whether they are what its base has; rows and files do not change.
@functools.cache
def _reference(name: str, table: pa.Schema) -> list[str]:
    values = ",\n".join(
        "("
        + ", ".join(str(value).lower() if isinstance(value, bool) else quoted(value) for value in row.values())
        + ")"
        for row in references.rows(name)
    )
    create, *comments = _table(name, table, "CREATE OR REPLACE TABLE")
    return [create, f"INSERT INTO {name} VALUES\n{values}", *comments]


def _view(name: str) -> list[str]:
    text = _file("views", name)
    header = _header(text)
    return [
        f"CREATE OR REPLACE VIEW {name} AS\n{text}",
        f"COMMENT ON VIEW {name} IS {quoted(description(VIEWED[name]) if name in VIEWED else header.comment)}",
        *(f"COMMENT ON COLUMN {name}.{column} IS {quoted(words)}" for column, words in header.columns.items()),
    ]


def _macro(name: str) -> list[str]:
    text = _file("macros", name)
    header = _header(text)
    table = "TABLE" if header.columns else ""
    return [
        f"CREATE OR REPLACE MACRO {name}({header.arguments}) AS {table}\n{text}",
        f"COMMENT ON MACRO {table} {name} IS {quoted(header.comment)}",
    ]


def view_statements() -> list[str]:
    """What stands on the tables and is replaced when it changes: reference tables, views, macros, their comments."""
    return [
        *(statement for name, table in REFERENCES.items() for statement in _reference(name, table)),
        *(statement for name in VIEWS for statement in _view(name)),
        *(statement for name in MACROS for statement in _macro(name)),
    ]


def standing_text() -> str:
    """The SELECT that says where ``copy_count`` and ``is_distinct`` are not what they should be."""
    return _file("derived", "standing")


def fingerprint(statements: list[str]) -> str:
    """Hash of statements: a snapshot of other tables is rebuilt, of other views gets the new ones."""
    return hashlib.sha256("\n".join(statements).encode()).hexdigest()[:16]
