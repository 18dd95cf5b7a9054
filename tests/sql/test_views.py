"""Every view and macro, from rows in to rows out: one folder a case, `<view>/<case>/`.

A case holds `<table>.jsonl` with the rows that go in, where `segments.jsonl` becomes the texts of its documents, and
`expected.jsonl` with those that come out; `query.sql` where more is asked than `FROM <view> ORDER BY ALL`. A row
names only the columns that matter: the others get what `ROW` says, ids are filled up with zeros to their length, a
`text_id` that is not given follows from the text. Of the rows that come out only the columns that are named are
compared, but every row must be there.
"""

import datetime
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from warehouse import ddl, standing
from warehouse.schema import TABLES, note

HERE = Path(__file__).parent
CASES = sorted(path.parent for path in HERE.glob("*/*/expected.jsonl"))
WIDTHS = {
    field.name: int(match[1])
    for table in TABLES.values()
    for field in table
    if (match := re.fullmatch(r"length\(\w+\) = (\d+)", note(field, "check") or ""))
}
# Ids that stand in a view under another name.
WIDTHS |= {"id": 32, "replaced_by": 64, "example_document_id": 32}
MOMENT = "2020-01-01T00:00:00"
ROW: dict[str, dict[str, Any]] = {
    "files": {
        "file_id": "f", "root": "inbox", "uri": "a.txt", "source": "wire", "size_bytes": 1, "modified_at": MOMENT,
        "seen_at": MOMENT, "status": "ingested", "document_count": 1, "reject_count": 0, "is_current": True,
        "sighting_no": 1, "run_id": "r",
    },
    "documents": {
        "document_id": "d", "file_id": "f", "ordinal": 0, "source": "wire", "uri": "a.txt", "authors": [],
        "published_source": "header", "language": "de", "language_confidence": 1.0,
        "language_decided_by": "agreement", "text": "", "char_count": 0, "word_count": 0, "paragraph_count": 0,
        "segment_count": 0, "is_distinct": True, "copy_count": 1, "segment_places": [], "repairs": [], "flags": [],
        "source_metadata": "{}",
        "pipeline_version": "v", "batch_id": "b",
    },
    "paragraphs": {"document_id": "d", "paragraph_no": 0, "kind": "body", "char_start": 0, "char_end": 0},
    "rejects": {
        "reject_id": "j", "uri": "a.txt", "stage": "decode", "reason": "binary", "detail": "", "run_id": "r",
        "rejected_at": MOMENT,
    },
    "runs": {
        "run_id": "r", "flow": "ingest", "orchestrator": "direct", "status": "completed", "started_at": MOMENT,
        "counts": "{}", "timings": "{}", "versions": "{}", "pipeline_version": "v", "settings_fingerprint": "s",
    },
    "loads": {
        "commit_no": 1, "commit_hash": "c", "kind": "batch", "run_id": "r", "committed_at": MOMENT, "file_count": 0,
        "document_count": 0, "paragraph_count": 0, "segment_count": 0, "reject_count": 0,
    },
    "translations": {
        "source_language": "de", "target_language": "en", "engine": "e", "engine_version": "1", "text": "",
        "translated_at": MOMENT, "run_id": "r", "batch_id": "b",
    },
}  # fmt: skip


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def filled(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its ids at their full length."""
    return {
        name: value.ljust(WIDTHS[name], "0") if name in WIDTHS and isinstance(value, str) else value
        for name, value in row.items()
    }


def whole(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row of a table with every column."""
    made = {**dict.fromkeys(TABLES[table].names), **ROW[table], **row}
    if "text_id" in made and made["text_id"] is None:
        made["text_id"] = hashlib.sha256(made["text"].encode()).hexdigest()[:32]
    made = filled(made)
    for field in TABLES[table]:
        if isinstance(made[field.name], str) and field.type == pa.timestamp("us"):
            made[field.name] = datetime.datetime.fromisoformat(made[field.name])
        elif isinstance(made[field.name], str) and field.type == pa.date32():
            made[field.name] = datetime.date.fromisoformat(made[field.name])
    return made


SEGMENT = {"document_id": "d", "paragraph_no": 0, "segment_no": 0, "kind": "body", "separator": ""}


def with_segments(documents: list[dict[str, Any]], segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Documents whose texts are their segments, one after the other."""
    found = {row["document_id"]: dict(row) for row in documents}
    for one in sorted((SEGMENT | row for row in segments), key=lambda row: (row["document_id"], row["segment_no"])):
        document = found.setdefault(one["document_id"], {"document_id": one["document_id"]})
        places = document.setdefault("segment_places", [])
        text = document["text"] if places else ""
        assert one["segment_no"] == len(places), "segments count from 0"
        places.append(
            {
                "paragraph_no": one["paragraph_no"],
                "kind": one["kind"],
                "byte_start": len(text.encode()),
                "byte_count": len(one["text"].encode()),
                "separator_count": len(one["separator"].encode()),
                "char_start": len(text),
                "char_count": len(one["text"]),
            }
        )
        document["text"] = text + one["text"] + one["separator"]
    return list(found.values())


def plain(value: Any) -> Any:
    """A value as JSON writes it."""
    return value.isoformat() if isinstance(value, datetime.date | datetime.datetime) else value


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for statement in (*ddl.table_statements(), *ddl.view_statements()):
            connection.execute(statement)
        yield connection


def insert(database: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    """Rows into a table; what is not given is filled in."""
    incoming = pa.Table.from_pylist([whole(table, row) for row in rows], schema=TABLES[table])
    database.register("incoming", incoming)
    database.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")
    database.unregister("incoming")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_rows_in_rows_out(database: duckdb.DuckDBPyConnection, case: Path) -> None:
    query = case / "query.sql"
    asked = query.read_text(encoding="utf-8") if query.exists() else f"FROM {case.parent.name} ORDER BY ALL"
    expected = [filled(row) for row in lines(case / "expected.jsonl")]
    database.execute("BEGIN")
    try:
        for table in TABLES:
            given = lines(path) if (path := case / f"{table}.jsonl").exists() else []
            if table == "documents" and (segments := case / "segments.jsonl").exists():
                given = with_segments(given, lines(segments))
            if given:
                insert(database, table, given)
        standing.settle_all(database)
        cursor = database.execute(asked)
        names = [column[0] for column in cursor.description or ()]
        rows = [dict(zip(names, map(plain, row), strict=True)) for row in cursor.fetchall()]
    finally:
        database.execute("ROLLBACK")
    assert expected or rows == []
    keys = expected[0].keys() if expected else set()
    assert [{key: row[key] for key in keys} for row in rows] == expected


def test_every_view_and_macro_has_a_case_and_every_folder_is_one() -> None:
    folders = {case.parent.name for case in CASES}
    assert folders == {*ddl.VIEWS, *ddl.MACROS}
    known = {f"{table}.jsonl" for table in TABLES} | {"segments.jsonl", "expected.jsonl", "query.sql"}
    assert {path.name for case in CASES for path in case.iterdir()} <= known
    # What nothing came out of proves little: at least one case of each has rows.
    full = {case.parent.name for case in CASES if lines(case / "expected.jsonl")}
    assert full == folders


@pytest.mark.parametrize("name", ddl.VIEWS)
def test_every_view_answers_over_an_empty_warehouse(database: duckdb.DuckDBPyConnection, name: str) -> None:
    assert database.execute(f"FROM {name}").fetchall() == []


@pytest.mark.parametrize("name", ddl.VIEWS)
def test_a_header_names_every_column(database: duckdb.DuckDBPyConnection, name: str) -> None:
    header = ddl.view_header(name)
    found = [row[0] for row in database.execute(f"DESCRIBE {name}").fetchall()]
    assert list(header.columns) == found
    assert all(header.columns.values())
    comments = database.execute(
        "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = $view", {"view": name}
    ).fetchall()
    assert dict(comments) == header.columns


@pytest.mark.parametrize("name", ddl.MACROS)
def test_a_macro_says_what_it_gives(database: duckdb.DuckDBPyConnection, name: str) -> None:
    header = ddl.macro_header(name)
    assert header.question.endswith("?")
    assert name in header.example
    database.execute(header.example).fetchall()
    (comment, arguments), *more = database.execute(
        "SELECT comment, parameters FROM duckdb_functions() WHERE function_name = $macro", {"macro": name}
    ).fetchall()
    assert not more
    assert comment == header.comment
    assert arguments == [word.split(" ")[0] for word in header.arguments.split(", ")]
    if header.columns:
        needed = ", ".join("'2019-01-01'" for word in header.arguments.split(", ") if ":=" not in word)
        cursor = database.execute(f"FROM {name}({needed})")
        assert [column[0] for column in cursor.description or ()] == list(header.columns)
        cursor.fetchall()


@pytest.mark.parametrize("table", ["ref_languages", "ref_stop_words"])
def test_a_reference_table_has_each_key_once(database: duckdb.DuckDBPyConnection, table: str) -> None:
    key = "language" if table == "ref_languages" else "language, word"
    double = database.execute(f"SELECT {key} FROM {table} GROUP BY ALL HAVING count(*) > 1").fetchall()
    assert double == []
    assert database.execute(f"SELECT count(*) > 100 FROM {table}").fetchone() == (True,)


def test_every_language_that_newsmill_may_find_has_a_name(database: duckdb.DuckDBPyConnection) -> None:
    from tasks.text.language import codes

    known = {code for (code,) in database.execute("SELECT language FROM ref_languages").fetchall()}
    assert codes.KNOWN | set(codes.SETTLED.values()) - {"chr"} <= known
    wrong = database.execute(
        "SELECT * FROM ref_stop_words WHERE word <> lower(word) OR language NOT IN (SELECT language FROM ref_languages)"
    ).fetchall()
    assert wrong == []
