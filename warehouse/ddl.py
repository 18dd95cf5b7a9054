"""DuckDB's DDL and comments, made from the Arrow schema and the view files.

Belongs here: how a column or view is spelt in DuckDB.  Does not belong here: which columns there are (``schema``)
or filling them (``loader``).
"""

import hashlib
from importlib import resources

import pyarrow as pa

from warehouse.schema import DERIVED, TABLES, description, note, quoted

# In the order of creation: a view may stand on those before it.
VIEWS = ("segments", "v_documents", "v_documents_monthly", "v_languages", "v_rejects_by_reason")

# One row that tells newsmill what a snapshot holds; not part of the public tables.
ABOUT = """CREATE TABLE about (
    tables_fingerprint VARCHAR NOT NULL,
    views_fingerprint VARCHAR NOT NULL,
    commit_no BIGINT NOT NULL,
    commit_hash VARCHAR NOT NULL
)"""

_PLAIN = {
    pa.string(): "VARCHAR",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.date32(): "DATE",
    pa.timestamp("us"): "TIMESTAMP",
}


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


def _column(field: pa.Field) -> str:
    words = [field.name, note(field, "duckdb_type") or duckdb_type(field.type)]
    if compression := note(field, "compression"):
        words.append(f"USING COMPRESSION {compression}")
    if not field.nullable:
        words.append("NOT NULL")
    if check := note(field, "check"):
        words.append(f"CHECK ({check})")
    return " ".join(words)


def table_statements() -> list[str]:
    """CREATE TABLE and COMMENT ON for every public table, and the table about the snapshot."""
    statements = [ABOUT]
    for name, table in TABLES.items():
        statements.append(f"CREATE TABLE {name} (\n    " + ",\n    ".join(map(_column, table)) + "\n)")
        statements.extend(_comments("TABLE", name, table))
    return statements


def _comments(kind: str, name: str, table: pa.Schema) -> list[str]:
    return [
        f"COMMENT ON {kind} {name} IS {quoted(description(table))}",
        *(f"COMMENT ON COLUMN {name}.{field.name} IS {quoted(description(field))}" for field in table),
    ]


def view_text(name: str) -> str:
    """The SELECT of a view with its header."""
    return resources.files("warehouse.sql").joinpath("views", f"{name}.sql").read_text(encoding="utf-8")


def view_header(name: str) -> dict[str, str]:
    """Question, grain and example of a view.

    >>> view_header("v_languages")["grain"]
    'one language of distinct current texts'
    """
    lines = (line.removeprefix("-- ") for line in view_text(name).splitlines() if line.startswith("-- "))
    return dict(line.split(": ", 1) for line in lines)


def view_statements() -> list[str]:
    """CREATE OR REPLACE VIEW and its comment for every view."""
    statements = []
    for name in VIEWS:
        header = view_header(name)
        statements.append(f"CREATE OR REPLACE VIEW {name} AS\n{view_text(name)}")
        if name in DERIVED:
            statements.extend(_comments("VIEW", name, DERIVED[name]))
            continue
        statements.append(f"COMMENT ON VIEW {name} IS {quoted(header['question'] + ' One row is ' + header['grain'])}")
    return statements


def fingerprint(statements: list[str]) -> str:
    """Hash of statements: a snapshot of other tables is rebuilt, of other views gets the new ones."""
    return hashlib.sha256("\n".join(statements).encode()).hexdigest()[:16]
