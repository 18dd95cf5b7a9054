"""From a part's rows to the public rows: nothing of a text is lost, added or moved."""

import functools
import hashlib
from collections import namedtuple
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from warehouse import batches, ddl
from warehouse.errors import DamagedError
from warehouse.projection import document_tables, reject_table, sighting_rejects, sighting_table
from warehouse.records import Commit, FileResult
from warehouse.schema import TABLES, VIEWED
from warehouse.vocabulary import CommitKind, ParagraphKind, Precision

BATCH = "b" * 32
COMMIT = Commit(
    commit_no=3, commit_hash="c" * 64, kind=CommitKind.BATCH, batch_id=BATCH, run_id="run-1",
    committed_at=1_556_150_400_000_000, parts=(),
)  # fmt: skip

# Every length in UTF-8, marks that join to the letter before them, line ends and NUL.
CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs"]), st.sampled_from("aä語😀\U0010ffff\u0301\u200d\n\r\t \x00\ufeff")
)
BLOCKS = st.lists(
    st.lists(
        st.tuples(st.text(CHARACTERS, min_size=1, max_size=8), st.text(CHARACTERS, max_size=3)), min_size=1, max_size=4
    ),
    min_size=1,
    max_size=3,
)


def both_parts(results: list[FileResult]) -> tuple[pa.Table, pa.Table]:
    rows = batches.tables(results, "v", BATCH)
    return rows["documents"], rows["files"]


def all_live(results: list[FileResult]) -> dict[tuple[str, int], int]:
    return {(span.file_id, span.first_ordinal): span.last_ordinal for span in batches.spans_of(results)}


@functools.cache
def warehouse() -> duckdb.DuckDBPyConnection:
    """Empty tables with their views."""
    connection = duckdb.connect()
    for statement in (*ddl.table_statements(), *ddl.view_statements()):
        connection.execute(statement)
    return connection


def segments_of(documents: pa.Table) -> pa.Table:
    """What the view shows of the documents."""
    connection = warehouse()
    connection.execute("BEGIN")
    try:
        connection.register("incoming", documents)
        connection.execute("INSERT INTO documents BY NAME SELECT * FROM incoming")
        return connection.execute("SELECT * FROM segments ORDER BY segment_id").to_arrow_table()
    finally:
        connection.execute("ROLLBACK")
        connection.unregister("incoming")


def projected(
    results: list[FileResult], live: dict[tuple[str, int], int] | None = None
) -> dict[str, list[dict[str, Any]]]:
    tables = document_tables(*both_parts(results), all_live(results) if live is None else live)
    if tables:
        tables["segments"] = segments_of(tables["documents"])
    return {name: table.to_pylist() for name, table in tables.items()}


@given(documents=st.lists(BLOCKS, min_size=1, max_size=4))
@example(documents=[[[("😀", ""), ("𝔘", "")]], [[("e\u0301", "")], [("語", " ")]]])
@settings(max_examples=80)
def test_every_text_is_its_segments_and_separators(make: Any, documents: Any) -> None:
    results = []
    for number, blocks in enumerate(documents):
        # A text ends with its last segment.
        blocks[-1][-1] = (blocks[-1][-1][0], "")
        results.append(make.result(make.raw_file(f"{number}.txt", str(number)), [make.document(blocks)]))
    rows = projected(results)
    assert len(rows["documents"]) == len(documents)
    for result, blocks in zip(results, documents, strict=True):
        text = result.documents[0].text
        key = batches.document_id(result.file.file_id, 0)
        (document,) = (row for row in rows["documents"] if row["document_id"] == key)
        segments = [row for row in rows["segments"] if row["document_id"] == key]
        paragraphs = [row for row in rows["paragraphs"] if row["document_id"] == key]
        assert document["text"] == text
        assert document["char_count"] == len(text)
        assert document["text_id"] == hashlib.sha256(text.encode()).hexdigest()[:32]
        assert (document["paragraph_count"], document["segment_count"]) == (len(paragraphs), len(segments))
        assert "".join(row["text"] + row["separator"] for row in segments) == text
        assert [(row["text"], row["separator"]) for row in segments] == [piece for block in blocks for piece in block]
        # Offsets are in characters, whatever the characters weigh.
        assert [text[row["char_start"] : row["char_end"]] for row in segments] == [row["text"] for row in segments]
        assert [row["segment_no"] for row in segments] == list(range(len(segments)))
        assert [row["segment_id"] for row in segments] == [f"{key}-{n:05d}" for n in range(len(segments))]
        assert [row["text_id"] for row in segments] == [
            hashlib.sha256(row["text"].encode()).hexdigest()[:32] for row in segments
        ]
        assert [row["paragraph_no"] for row in paragraphs] == list(range(len(blocks)))
        expected = ["".join(a + b for a, b in block)[: -len(block[-1][1]) or None] for block in blocks]
        assert [text[row["char_start"] : row["char_end"]] for row in paragraphs] == expected
        assert [row["paragraph_no"] for row in segments] == [n for n, block in enumerate(blocks) for _ in block]
        assert [(row["kind"], row["language"]) for row in segments] == [
            (paragraphs[row["paragraph_no"]]["kind"], document["language"]) for row in segments
        ]
        never = [field.name for field in VIEWED["segments"] if not field.nullable]
        assert not [row for row in segments if any(row[name] is None for name in never)]


def test_rows_have_exactly_the_public_columns(make: Any) -> None:
    results = [make.result(make.raw_file())]
    tables = document_tables(*both_parts(results), all_live(results))
    assert {name: table.schema for name, table in tables.items()} == {
        name: TABLES[name] for name in ("documents", "paragraphs")
    }
    seen = segments_of(tables["documents"])
    assert [(field.name, field.type) for field in seen.schema] == [
        (field.name, field.type) for field in VIEWED["segments"]
    ]


def test_more_segments_than_five_digits_number(make: Any) -> None:
    rows = projected([make.result(make.raw_file(), [make.document([[("ü", "")] * 100_002])])])
    (document,) = rows["documents"]
    last = max(rows["segments"], key=lambda row: row["segment_no"])
    assert last["segment_id"] == f"{document['document_id']}-100001"
    assert (last["char_start"], last["char_end"], last["text"]) == (100_001, 100_002, "ü")
    assert len({row["segment_id"] for row in rows["segments"]}) == 100_002


def test_without_live_spans_all_of_a_part_counts(make: Any) -> None:
    blocks = [[("Ärger.", " "), ("語", "\n\n")], [("😀", "")]]
    results = [
        make.result(make.raw_file(f"{n}.txt", str(n)), [make.document(blocks[n % 2 :])], [make.reject(1)])
        for n in range(3)
    ]
    documents, files = both_parts(results)
    assert document_tables(documents, files, None) == document_tables(documents, files, all_live(results))
    assert reject_table(COMMIT, files, None) == reject_table(COMMIT, files, all_live(results))
    # Rows of a longer table, whose buffers begin before them.
    of_the_rest = document_tables(documents.slice(1), files, None)["documents"]
    assert of_the_rest == document_tables(documents, files, None)["documents"].slice(1)


def test_what_a_part_leaves_out_comes_from_its_file(make: Any, replaced: Callable[..., Any]) -> None:
    blocks = [[("Titel", "\n\n")], [("Eins.", " "), ("Zwei.", "")]]
    document = make.document(blocks, language="fr", published_on=date(2019, 4, 1), published_precision=Precision.MONTH)
    kinds = (ParagraphKind.HEADING, ParagraphKind.CAPTION)
    document = replaced(
        document,
        paragraphs=tuple(
            paragraph._replace(kind=kind, credit=credit, language="en", language_confidence=0.5)
            for paragraph, kind, credit in zip(document.paragraphs, kinds, (None, "dpa"), strict=True)
        ),
    )
    file = make.raw_file("wire/a.txt", source="wire")
    rows = projected([make.result(file, [document])])
    assert [(row["uri"], row["source"]) for row in rows["documents"]] == [("wire/a.txt", "wire")]
    assert [(row["kind"], row["credit"]) for row in rows["paragraphs"]] == [("heading", None), ("caption", "dpa")]
    assert [row["kind"] for row in rows["segments"]] == ["heading", "caption", "caption"]
    assert {(row["language"], row["published_on"]) for row in rows["segments"]} == {("fr", date(2019, 4, 1))}
    assert {(row["language"], row["language_confidence"]) for row in rows["paragraphs"]} == {("en", 0.5)}


def test_only_live_spans_count(make: Any) -> None:
    cuts = [
        make.cut("big", 0, 4),
        make.cut("big", 5, 9),
        make.cut("big", 10, 12, is_last=True),
        make.cut("other", 0, 0),
    ]
    key = make.content("big")
    rows = projected(cuts, {(key, 5): 9})
    assert sorted(row["ordinal"] for row in rows["documents"]) == [5, 6, 7, 8, 9]
    kept = {row["document_id"] for row in rows["documents"]}
    assert {row["document_id"] for row in rows["segments"]} == kept
    assert {row["document_id"] for row in rows["paragraphs"]} == kept
    assert {row["file_id"] for row in rows["documents"]} == {key}


def test_live_spans_that_are_no_neighbours(make: Any) -> None:
    cuts = [make.cut("big", 0, 1), make.cut("big", 2, 3), make.cut("big", 4, 5, is_last=True)]
    key = make.content("big")
    rows = projected(cuts, {(key, 0): 1, (key, 4): 5})
    assert sorted(row["ordinal"] for row in rows["documents"]) == [0, 1, 4, 5]


def test_a_batch_of_which_nothing_is_live_adds_nothing(make: Any) -> None:
    assert projected([make.result(make.raw_file())], {}) == {}
    assert projected([make.result(make.raw_file(), [], [make.reject()])]) == {}


def changed(documents: pa.Table, change: Callable[[dict[str, Any]], None]) -> pa.Table:
    rows = documents.to_pylist()
    change(rows[0])
    return pa.Table.from_pylist(rows, schema=documents.schema)


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row["segments"][0].update(byte_count=row["segments"][0]["byte_count"] + 1),
        lambda row: row["segments"][0].update(separator_count=0),
        lambda row: row["segments"].pop(),
        lambda row: row["segments"].append({"byte_count": 1, "separator_count": 0}),
        lambda row: row.update(text=row["text"] + "!"),
        lambda row: row.update(text=row["text"][1:]),
        lambda row: row["paragraphs"][0].update(segment_count=row["paragraphs"][0]["segment_count"] + 1),
        lambda row: row["paragraphs"].pop(),
        lambda row: row["segments"][0].update(byte_count=12, separator_count=-1),
        lambda row: row["segments"][0].update(byte_count=6, separator_count=5),
    ],
    ids=[
        "longer", "glued", "fewer", "more", "text-longer", "text-shorter", "paragraph-longer", "paragraph-gone",
        "negative", "inside-a-character",
    ],
)  # fmt: skip
def test_spans_that_do_not_add_up_are_damage(make: Any, change: Callable[[dict[str, Any]], None]) -> None:
    blocks = [[("Ein Sätz.", " "), ("Noch einer.", "\n\n")], [("Ende.", "")]]
    results = [make.result(make.raw_file(f"{n}.txt", str(n)), [make.document(blocks)]) for n in range(2)]
    documents, files = both_parts(results)
    with pytest.raises(DamagedError):
        document_tables(changed(documents, change), files, all_live(results))


def test_damage_that_evens_out_between_two_documents_is_damage(make: Any) -> None:
    """One document a byte longer, the next a byte shorter: the sum alone would not tell."""
    results = [
        make.result(make.raw_file(f"{n}.txt", str(n)), [make.document([[("aa", ""), ("bb", "")]])]) for n in range(2)
    ]
    documents, files = both_parts(results)
    rows = documents.to_pylist()
    rows[0]["segments"][1]["byte_count"] += 1
    rows[1]["segments"][0]["byte_count"] -= 1
    with pytest.raises(DamagedError):
        document_tables(pa.Table.from_pylist(rows, schema=documents.schema), files, all_live(results))


def test_rejects_of_live_spans_become_rows(make: Any) -> None:
    results = [
        make.result(make.raw_file("a.txt", "a"), [], [make.reject(0, preview="\\x00"), make.reject(1)]),
        make.result(make.raw_file("b.txt", "b"), [], [make.reject(None)]),
        make.result(make.raw_file("c.txt", "c"), [], [make.reject(0)]),
    ]
    _, files = both_parts(results)
    live = all_live(results)
    del live[(make.content("c"), 0)]
    rows = reject_table(COMMIT, files, live).to_pylist()
    assert [(row["uri"], row["ordinal"], row["reason"]) for row in rows] == [
        ("a.txt", 0, "binary"), ("a.txt", 1, "binary"), ("b.txt", None, "binary"),
    ]  # fmt: skip
    assert len({row["reject_id"] for row in rows}) == 3
    assert rows[0]["file_id"] == make.content("a")
    assert rows[0]["preview"] == "\\x00"
    assert {(row["run_id"], row["rejected_at"]) for row in rows} == {("run-1", datetime(2019, 4, 25))}


def ledger_row(**changes: Any) -> Any:
    given = {
        "sighting_no": 5, "location": "inbox", "uri": "a.txt", "source": "wire", "file_id": "f" * 64,
        "status": "ingested", "stage": None, "reason": None, "detail": None, "size_bytes": 7,
        "modified_ns": 1_556_150_400_123_456_789, "encoding": "utf-8", "encoding_confidence": 1.0, "document_count": 2,
        "reject_count": 1,
    }  # fmt: skip
    return namedtuple("Row", given)(**{**given, **changes})  # noqa: PYI024 - as the ledger's rows: names by data


@pytest.mark.parametrize(
    ("status", "file_id", "counts", "is_current"),
    [("ingested", "f" * 64, (2, 1), True), ("rejected", "f" * 64, (2, 1), True), ("duplicate", "f" * 64, (0, 0), True),
     ("deferred", None, (0, 0), False)],
)  # fmt: skip
def test_a_sighting_becomes_a_row_of_files(
    status: str, file_id: str | None, counts: tuple[int, int], is_current: bool
) -> None:
    (row,) = sighting_table(COMMIT, [ledger_row(status=status, file_id=file_id)]).to_pylist()
    assert (row["document_count"], row["reject_count"], row["is_current"]) == (*counts, is_current)
    assert (row["root"], row["uri"], row["source"], row["sighting_no"]) == ("inbox", "a.txt", "wire", 5)
    assert row["modified_at"] == datetime(2019, 4, 25, 0, 0, 0, 123456)
    assert row["seen_at"] == datetime(2019, 4, 25)


def test_counts_that_nothing_gave_are_zero() -> None:
    (row,) = sighting_table(COMMIT, [ledger_row(document_count=None, reject_count=None)]).to_pylist()
    assert (row["document_count"], row["reject_count"]) == (0, 0)


def test_only_paths_refused_unread_are_rejects_without_content() -> None:
    unread = {"file_id": None, "stage": "discover"}
    rows = sighting_rejects(
        COMMIT,
        [
            ledger_row(),
            ledger_row(status="deferred", reason="permission", **unread),
            ledger_row(status="rejected", reason="symlink", detail=None, **unread),
            ledger_row(status="rejected", reason="symlink", location="other", **unread),
        ],
    ).to_pylist()
    assert [(row["reason"], row["file_id"], row["detail"]) for row in rows] == [("symlink", None, "")] * 2
    # The same uri below two roots is two paths.
    assert rows[0]["reject_id"] != rows[1]["reject_id"]
