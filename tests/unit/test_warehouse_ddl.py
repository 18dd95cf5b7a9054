"""The tables as DuckDB has them: described, checked, and known again by their fingerprint."""

import hashlib
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from warehouse import ddl, schema
from warehouse.schema import PARTS, REFERENCES, TABLES, VIEWED, description, note
from warehouse.vocabulary import (
    CommitKind,
    DecidedBy,
    FileStatus,
    ParagraphKind,
    Precision,
    PublishedSource,
    RunStatus,
    Stage,
)


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for statement in (*ddl.table_statements(), *ddl.view_statements()):
            connection.execute(statement)
        yield connection


@pytest.fixture
def clean(database: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    database.execute("BEGIN")
    yield database
    database.execute("ROLLBACK")


HASH = "0123456789abcdef" * 4
ROWS: dict[str, dict[str, Any]] = {
    "files": {
        "file_id": HASH, "root": "inbox", "uri": "a.txt", "source": "wire", "size_bytes": 7,
        "modified_at": datetime(2019, 4, 25), "seen_at": datetime(2019, 4, 25), "status": "ingested", "reason": None,
        "encoding": "utf-8", "encoding_confidence": 1.0, "document_count": 1, "reject_count": 0, "is_current": True,
        "sighting_no": 1, "run_id": "r",
    },
    "documents": {
        "document_id": HASH[:32], "file_id": HASH, "ordinal": 0, "source": "wire", "uri": "a.txt", "external_id": None,
        "url": None, "title": None, "authors": ["A"], "published_on": date(2019, 4, 1), "published_precision": "month",
        "published_source": "header", "language": "de", "language_confidence": 0.99,
        "language_decided_by": "agreement", "detector_label": "de", "detector_probability": 0.99,
        "second_language": "de", "script": "Latn", "text": "Text.", "text_id": HASH[:32], "char_count": 5,
        "word_count": 1, "paragraph_count": 1, "segment_count": 1, "repairs": [{"step": "blanks", "count": 1}],
        "flags": ["multilingual"], "source_metadata": "{}", "pipeline_version": "1-a", "batch_id": HASH[:32],
        "is_distinct": True, "copy_count": 1, "segment_places": [
            {"paragraph_no": 0, "kind": "body", "byte_start": 0, "byte_count": 5, "separator_count": 0,
             "char_start": 0, "char_count": 5},
        ],
    },
    "paragraphs": {
        "document_id": HASH[:32], "paragraph_no": 0, "kind": "body", "credit": None, "language": None,
        "language_confidence": None, "char_start": 0, "char_end": 5,
    },
    "rejects": {
        "reject_id": HASH[:32], "uri": "a.txt", "file_id": HASH, "ordinal": 0, "stage": "decode", "reason": "binary",
        "detail": "junk", "preview": None, "run_id": "r", "rejected_at": datetime(2019, 4, 25),
    },
    "runs": {
        "run_id": "r", "flow": "ingest", "orchestrator": "direct", "status": "completed",
        "started_at": datetime(2019, 4, 25), "finished_at": None, "counts": "{}", "timings": "{}", "versions": "{}",
        "pipeline_version": "1-a", "settings_fingerprint": "s",
    },
    "loads": {
        "commit_no": 1, "commit_hash": HASH, "kind": "batch", "batch_id": HASH[:32], "run_id": "r",
        "committed_at": datetime(2019, 4, 25), "file_count": 1, "document_count": 1, "paragraph_count": 1,
        "segment_count": 1, "reject_count": 0,
    },
    "translations": {
        "text_id": HASH[:32], "source_language": "de", "target_language": "en", "engine": "glossary",
        "engine_version": "1", "text": "Text.", "quality": 0.5, "translated_at": datetime(2019, 4, 25), "run_id": "r",
        "batch_id": HASH[:32],
    },
}  # fmt: skip
# What the views that stand for tables make of those rows.
SEEN: dict[str, dict[str, Any]] = {
    "segments": {
        "segment_id": HASH[:32] + "-00000", "document_id": HASH[:32], "paragraph_no": 0, "segment_no": 0,
        "kind": "body", "text": "Text.", "separator": "", "char_start": 0, "char_end": 5,
        "text_id": hashlib.sha256(b"Text.").hexdigest()[:32], "language": "de", "published_on": date(2019, 4, 1),
    },
}  # fmt: skip
PUBLIC = {**TABLES, **VIEWED, **REFERENCES}


def insert(connection: duckdb.DuckDBPyConnection, table: str, **changes: Any) -> None:
    row = {**ROWS[table], **changes}
    incoming = pa.table({
        field.name: pa.array([row[field.name]], field.type) for field in TABLES[table]
    })  # fmt: skip
    connection.register("incoming", incoming)
    try:
        connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")
    finally:
        connection.unregister("incoming")


def test_the_public_tables_are_those_of_the_design(database: duckdb.DuckDBPyConnection) -> None:
    found = database.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    assert {name for (name,) in found} == {
        "files", "documents", "paragraphs", "rejects", "runs", "loads", "translations", "about",
        "ref_languages", "ref_stop_words",
    }  # fmt: skip
    found = database.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    assert {name for (name,) in found} >= set(VIEWED) == {"segments"}


def test_every_table_and_column_is_described(database: duckdb.DuckDBPyConnection) -> None:
    tables = database.execute("""
        SELECT table_name, comment FROM duckdb_tables() WHERE table_name <> 'about'
        UNION ALL SELECT view_name, comment FROM duckdb_views() WHERE NOT internal AND NOT starts_with(view_name, 'v_')
    """).fetchall()
    assert dict(tables) == {name: description(table) for name, table in PUBLIC.items()}
    assert all(comment for _, comment in tables)
    columns = database.execute(
        "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE table_name IN (SELECT unnest($tables))",
        {"tables": list(PUBLIC)},
    ).fetchall()
    assert len(columns) == sum(len(table) for table in PUBLIC.values())
    for table, column, comment in columns:
        assert comment == description(PUBLIC[table].field(column)) != "", f"{table}.{column}"


@pytest.mark.parametrize("table", PUBLIC)
def test_columns_have_the_types_and_the_order_of_the_schema(database: duckdb.DuckDBPyConnection, table: str) -> None:
    found = database.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index", [table]
    ).fetchall()
    wanted = [(field.name, note(field, "duckdb_type") or ddl.duckdb_type(field.type)) for field in PUBLIC[table]]
    # DuckDB quotes the names of fields that are words of SQL elsewhere.
    assert [(name, kind.replace('"', "")) for name, kind in found] == wanted


def test_a_view_that_is_replaced_keeps_its_comments() -> None:
    with duckdb.connect() as connection:
        for statement in (*ddl.table_statements(), *ddl.view_statements(), *ddl.view_statements()):
            connection.execute(statement)
        test_every_table_and_column_is_described(connection)
        test_every_view_is_there_with_a_comment(connection)


def test_a_description_is_one_line(database: duckdb.DuckDBPyConnection) -> None:
    for table in (*PUBLIC.values(), *PARTS.values()):
        for item in (table, *table):
            assert description(item)
            assert "\n" not in description(item)


def test_every_view_is_there_with_a_comment(database: duckdb.DuckDBPyConnection) -> None:
    found = dict(database.execute("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal").fetchall())
    assert set(found) == set(ddl.VIEWS) >= {"v_documents", "v_documents_monthly", "v_languages", "v_rejects_by_reason"}
    for name, comment in found.items():
        header = ddl.view_header(name)
        said = description(VIEWED[name]) if name in VIEWED else f"{header.question} One row is {header.grain}"
        assert comment == said


@pytest.mark.parametrize("name", ddl.VIEWS)
def test_a_views_example_runs(database: duckdb.DuckDBPyConnection, name: str) -> None:
    header = ddl.view_header(name)
    assert header.question.endswith("?")
    assert header.grain
    assert name in header.example
    database.execute(header.example)


def test_every_view_file_is_a_view() -> None:
    from importlib import resources

    for kind, names in (("views", ddl.VIEWS), ("macros", ddl.MACROS)):
        files = {path.name for path in resources.files("warehouse.sql").joinpath(kind).iterdir()}
        assert files - {"__pycache__", "__init__.py"} == {f"{name}.sql" for name in names}


def test_what_may_not_be_null_cannot_be(database: duckdb.DuckDBPyConnection) -> None:
    found = database.execute("SELECT table_name, column_name, is_nullable FROM duckdb_columns()").fetchall()
    nullable = {(table, column): is_nullable for table, column, is_nullable in found}
    for table, columns in TABLES.items():
        for field in columns:
            assert nullable[table, field.name] == field.nullable, f"{table}.{field.name}"


@pytest.mark.parametrize("table", TABLES)
def test_a_good_row_passes(clean: duckdb.DuckDBPyConnection, table: str) -> None:
    insert(clean, table)
    optional = {field.name: None for field in TABLES[table] if field.nullable}
    insert(clean, table, **optional)


def test_a_good_row_is_seen_through_the_view(clean: duckdb.DuckDBPyConnection) -> None:
    insert(clean, "documents")
    assert clean.execute("FROM segments").to_arrow_table().to_pylist() == [SEEN["segments"]]


BAD = [
    ("files", "file_id", "abc"),
    ("files", "size_bytes", -1),
    ("files", "status", "pending"),
    ("files", "encoding_confidence", 1.5),
    ("files", "document_count", -1),
    ("files", "root", None),
    ("documents", "document_id", HASH),
    ("documents", "file_id", None),
    ("documents", "ordinal", -1),
    ("documents", "published_precision", "week"),
    ("documents", "published_source", "guess"),
    ("documents", "language_confidence", -0.1),
    ("documents", "language_decided_by", "coin"),
    ("documents", "detector_probability", 2.0),
    ("documents", "text", None),
    ("documents", "text_id", "x"),
    ("documents", "char_count", -5),
    ("documents", "source_metadata", "no json"),
    ("documents", "batch_id", ""),
    ("paragraphs", "kind", "footnote"),
    ("paragraphs", "char_end", -1),
    ("documents", "segment_places", None),
    ("documents", "language", None),
    ("rejects", "stage", "publish"),
    ("rejects", "reject_id", "x"),
    ("runs", "status", "done"),
    ("runs", "counts", "{"),
    ("loads", "kind", "merge"),
    ("loads", "commit_hash", "x"),
    ("loads", "reject_count", -1),
    ("translations", "text_id", "x"),
    ("translations", "quality", 1.5),
    ("translations", "text", None),
]


@pytest.mark.parametrize(("table", "column", "value"), BAD)
def test_a_bad_value_is_refused(clean: duckdb.DuckDBPyConnection, table: str, column: str, value: Any) -> None:
    with pytest.raises(duckdb.Error):
        insert(clean, table, **{column: value})


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [
        ("files", "status", FileStatus), ("documents", "published_precision", Precision),
        ("documents", "published_source", PublishedSource), ("documents", "language_decided_by", DecidedBy),
        ("paragraphs", "kind", ParagraphKind), ("rejects", "stage", Stage),
        ("runs", "status", RunStatus), ("loads", "kind", CommitKind),
    ],
)  # fmt: skip
def test_every_word_of_a_closed_set_passes(
    clean: duckdb.DuckDBPyConnection, table: str, column: str, words: Any
) -> None:
    for word in words:
        insert(clean, table, **{column: str(word)})


def test_there_are_no_keys_and_no_indexes(database: duckdb.DuckDBPyConnection) -> None:
    """They double size and cost; the ledger guarantees uniqueness and verify checks it."""
    kinds = database.execute("SELECT DISTINCT constraint_type FROM duckdb_constraints()").fetchall()
    assert {kind for (kind,) in kinds} == {"NOT NULL", "CHECK"}
    assert database.execute("SELECT count(*) FROM duckdb_indexes()").fetchone() == (0,)


class TestFingerprint:
    def test_it_is_stable(self) -> None:
        assert ddl.fingerprint(ddl.table_statements()) == ddl.fingerprint(ddl.table_statements())
        assert len(ddl.fingerprint([])) == 16
        assert ddl.fingerprint(ddl.table_statements()) != ddl.fingerprint(ddl.view_statements())

    @pytest.mark.parametrize(
        "change",
        [
            lambda fields: [*fields, pa.field("more", pa.string())],
            lambda fields: fields[:-1],
            lambda fields: fields[::-1],
            lambda fields: [fields[0].with_name("renamed"), *fields[1:]],
            lambda fields: [fields[0].with_type(pa.int64()), *fields[1:]],
            lambda fields: [fields[0].with_nullable(not fields[0].nullable), *fields[1:]],
            lambda fields: [
                fields[0].with_metadata({**fields[0].metadata, b"description": b"other words"}),
                *fields[1:],
            ],
            lambda fields: [fields[0].with_metadata({**fields[0].metadata, b"check": b"true"}), *fields[1:]],
        ],
        ids=["added", "removed", "order", "renamed", "type", "nullable", "description", "check"],
    )
    def test_it_changes_with_a_column(self, monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
        before = ddl.fingerprint(ddl.table_statements())
        table = TABLES["paragraphs"]
        monkeypatch.setitem(TABLES, "paragraphs", pa.schema(change(list(table)), metadata=table.metadata))
        assert ddl.fingerprint(ddl.table_statements()) != before

    def test_it_changes_with_a_table(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = ddl.fingerprint(ddl.table_statements())
        monkeypatch.setattr(ddl, "TABLES", {name: table for name, table in TABLES.items() if name != "paragraphs"})
        assert ddl.fingerprint(ddl.table_statements()) != before

    def test_it_changes_with_a_view(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = ddl.fingerprint(ddl.view_statements())
        monkeypatch.setattr(ddl, "VIEWS", ddl.VIEWS[:-1])
        assert ddl.fingerprint(ddl.view_statements()) != before

    def test_it_changes_with_the_description_of_a_views_column(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = ddl.fingerprint(ddl.view_statements())
        first, *others = VIEWED["segments"]
        first = first.with_metadata({b"description": b"other words"})
        monkeypatch.setitem(VIEWED, "segments", pa.schema([first, *others], metadata=VIEWED["segments"].metadata))
        assert ddl.fingerprint(ddl.view_statements()) != before


@pytest.mark.parametrize("text", ["", "'", "''", "a'b'", "\\'", "\n; DROP TABLE documents; --", "ü😀"])
def test_a_quoted_text_comes_back(database: duckdb.DuckDBPyConnection, text: str) -> None:
    assert database.execute(f"SELECT {ddl.quoted(text)}").fetchone() == (text,)


@pytest.mark.parametrize("table", [*PUBLIC.values(), *PARTS.values()])
def test_every_column_has_a_type_in_duckdb(table: pa.Schema) -> None:
    for field in table:
        spelt = note(field, "duckdb_type") or ddl.duckdb_type(field.type)
        duckdb.sql(f"SELECT NULL::{spelt}").fetchall()


def test_a_part_shares_its_columns_with_its_table() -> None:
    """A column that is in both has one type and one check, and is NULL in the same cases."""
    for part, table in ((PARTS["documents"], TABLES["documents"]), (PARTS["files"], TABLES["files"])):
        for field in part:
            # Only what was read is in a part; a path that could not be has a row in the table.
            if field.name in table.names and field.name != "file_id":
                assert field.equals(table.field(field.name)), field.name
                assert note(field, "check") == note(table.field(field.name), "check"), field.name


def test_the_dictionary_knows_every_column_of_the_schema_module() -> None:
    """A table that is declared but not listed would have neither DDL nor description."""
    declared = [value for value in vars(schema).values() if isinstance(value, pa.Schema)]
    listed = [*PUBLIC.values(), *PARTS.values()]
    assert [table for table in declared if not any(table is one for one in listed)] == []
