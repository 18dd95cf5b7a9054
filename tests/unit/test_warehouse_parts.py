"""Parts: equal rows give equal bytes, and bytes that are not those are refused."""

import os
import stat
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse import batches, clean, parts
from warehouse.durable import TEMPORARY, hash_file
from warehouse.errors import DamagedError
from warehouse.layout import Home
from warehouse.records import FileResult, Span
from warehouse.schema import PARTS
from warehouse.vocabulary import Flag, Precision, PublishedSource

BATCH = "b" * 32
TEXTS = ["Der erste Satz.", "ελληνικά 𝔘😀", "日本語。", "a\x00b", "\U0010ffff", "x" * 5000]


@pytest.fixture
def results(make: Any) -> list[FileResult]:
    return [
        make.result(
            make.raw_file(f"{n}.txt", text),
            [
                make.document(
                    [[(text, " "), ("Ende.", "\n\n")], [(text, "")]],
                    language="de" if n % 2 else "el", published_on=date(2019, 4, 1 + n), title=None,
                    published_precision=Precision.DAY, published_source=PublishedSource.HEADER, authors=("A", "Ü"),
                    repairs=(("blanks", 3),), flags=(Flag.MULTILINGUAL,), source_metadata={"ü": 1, "a": [1, None]},
                )
            ],
            [make.reject(1, detail="zweiter", preview=None)],
        )
        for n, text in enumerate(TEXTS)
    ]  # fmt: skip


def written(home: Home, results: list[FileResult]) -> dict[str, Any]:
    rows = batches.tables(results, "1-aaaa", BATCH)
    return {kind: parts.write(home, kind, table, BATCH) for kind, table in rows.items()}


def test_the_same_rows_give_the_same_bytes_in_every_home(tmp_path: Path, results: list[FileResult]) -> None:
    one, other = Home(tmp_path / "one"), Home(tmp_path / "other")
    first, second = written(one, results), written(other, results)
    assert first == second
    assert set(first) == {"documents", "files"}
    for kind, part in first.items():
        assert one.part(kind, part.name).read_bytes() == other.part(kind, part.name).read_bytes()


def test_writing_a_part_again_changes_nothing(home: Home, results: list[FileResult]) -> None:
    first = written(home, results)
    assert written(home, results) == first
    assert [len(list((home.lake / kind).iterdir())) for kind in first] == [1, 1]


def test_a_part_is_named_by_batch_and_bytes_and_closed_to_writing(home: Home, results: list[FileResult]) -> None:
    for kind, part in written(home, results).items():
        path = home.part(kind, part.name)
        assert part.name == f"{BATCH}-{part.sha256[:16]}.parquet"
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
        assert part.size_bytes == path.stat().st_size
        assert part.kind == kind
    assert not [path for path in home.lake.rglob("*") if path.name.startswith(TEMPORARY)]


def test_what_is_read_is_what_was_written(home: Home, results: list[FileResult]) -> None:
    rows = batches.tables(results, "1-aaaa", BATCH)
    for kind, part in written(home, results).items():
        back = parts.read(home, part)
        assert back.equals(rows[kind])
        assert back.num_rows == part.row_count == len(TEXTS)
        # NOT NULL and types of the schema survive the file.
        assert back.schema.equals(PARTS[kind])


def test_descriptions_stand_in_the_part(home: Home, results: list[FileResult]) -> None:
    for kind, part in written(home, results).items():
        for field in parts.read(home, part).schema:
            assert field.metadata[b"description"] == PARTS[kind].field(field.name).metadata[b"description"]


def test_rows_do_not_depend_on_the_order_of_the_files(results: list[FileResult]) -> None:
    one, other = batches.tables(results, "v", BATCH), batches.tables(results[::-1], "v", BATCH)
    assert one["documents"].equals(other["documents"])
    assert sorted(one["files"]["uri"].to_pylist()) == sorted(other["files"]["uri"].to_pylist())


def test_documents_stand_by_language_and_date(results: list[FileResult]) -> None:
    rows = batches.tables(results, "v", BATCH)["documents"].select(["language", "published_on"]).to_pylist()
    keys = [(row["language"], row["published_on"]) for row in rows]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(TEXTS)


@pytest.mark.parametrize("kind", ["documents", "files"])
def test_every_flipped_byte_is_found(home: Home, results: list[FileResult], kind: str) -> None:
    part = written(home, results)[kind]
    path = home.part(kind, part.name)
    whole = path.read_bytes()
    for position in {0, 4, len(whole) // 3, len(whole) // 2, len(whole) - 9, len(whole) - 1}:
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.chmod(0o644)
        path.write_bytes(damaged)
        assert "altered" in (parts.problem(home, part) or "")
        with pytest.raises(DamagedError, match=r"altered") as error:
            parts.read(home, part)
        assert part.name in str(error.value)
    path.write_bytes(whole)
    assert parts.problem(home, part) is None
    parts.read(home, part)


def test_a_page_that_was_damaged_before_the_sha256_was_taken_is_found(
    home: Home, results: list[FileResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between Arrow and the hash lie memory and a disk; a text that is another there is sealed as it lies."""

    def hashed(path: Path) -> str:
        data = bytearray(path.read_bytes())
        page = pq.ParquetFile(pa.BufferReader(bytes(data))).metadata.row_group(0).column(0)
        # The end of the page: its beginning is its header, which Parquet reads as something else or not at all.
        data[page.data_page_offset + page.total_compressed_size - 1] ^= 1
        path.write_bytes(data)
        return hash_file(path)

    monkeypatch.setattr(parts, "hash_file", hashed)
    part = written(home, results)["documents"]
    monkeypatch.undo()
    assert parts.problem(home, part) is None
    with pytest.raises(
        DamagedError, match=r"page integrity, CRC checksum verification failed for page_ordinal 0"
    ) as error:
        parts.read(home, part)
    assert part.name in str(error.value)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: os.truncate(path, path.stat().st_size - 1), "bytes instead of"),
        (lambda path: os.truncate(path, 0), "has 0 bytes instead of"),
    ],
    ids=["missing", "cut", "empty"],
)
def test_a_missing_or_cut_part_is_named(
    home: Home, results: list[FileResult], damage: Callable[[Path], None], words: str
) -> None:
    part = written(home, results)["documents"]
    damage(home.part("documents", part.name))
    assert words in (parts.problem(home, part) or "")
    with pytest.raises(DamagedError, match=words):
        parts.read(home, part)


def test_a_part_of_another_name_is_not_taken_for_it(home: Home, results: list[FileResult]) -> None:
    """DuckDB and others take a name for a pattern: a part is opened as the very name that the ledger has."""
    part = written(home, results)["files"]
    path = home.part("files", part.name)
    path.rename(path.with_name(part.name.replace("b", "c", 1)))
    assert parts.problem(home, part) == "is missing"


SPAN = Span(
    file_id="f" * 64, first_ordinal=0, last_ordinal=9, is_last=False, encoding=None, encoding_confidence=None,
    document_count=10, reject_count=0, paragraph_count=10, segment_count=10,
)  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        lambda change: ([change(SPAN, file_id="e" * 64)], "v", "s"),
        lambda change: ([change(SPAN, first_ordinal=1)], "v", "s"),
        lambda change: ([change(SPAN, last_ordinal=8)], "v", "s"),
        lambda change: ([SPAN, change(SPAN, file_id="e" * 64)], "v", "s"),
        lambda change: ([], "v", "s"),
        lambda change: ([SPAN], "w", "s"),
        lambda change: ([SPAN], "v", "t"),
        # The border between two ingredients is one, too.
        lambda change: ([SPAN], "vs", ""),
    ],
)
def test_a_batch_id_depends_on_each_ingredient(other: Callable[[Any], Any], replaced: Callable[..., Any]) -> None:
    one = batches.batch_id([SPAN], "v", "s")
    assert len(one) == 32
    assert batches.batch_id(*other(replaced)) != one


def test_a_batch_id_depends_on_nothing_else(replaced: Callable[..., Any]) -> None:
    second = replaced(SPAN, file_id="e" * 64)
    assert batches.batch_id([SPAN, second], "v", "s") == batches.batch_id([second, SPAN], "v", "s")
    counted = replaced(SPAN, document_count=9, reject_count=1, encoding="cp1252", encoding_confidence=0.5, is_last=True)
    assert batches.batch_id([counted], "v", "s") == batches.batch_id([SPAN], "v", "s")


def test_spans_count_what_a_file_became(make: Any) -> None:
    whole = make.result(
        make.raw_file(first_ordinal=10),
        [make.document(ordinal=10), make.document([[("a", "b"), ("c", "")]], ordinal=12)],
        [make.reject(11)], is_last=False,
    )  # fmt: skip
    (span,) = batches.spans_of([whole])
    assert (span.first_ordinal, span.last_ordinal, span.is_last) == (10, 12, False)
    assert (span.document_count, span.reject_count, span.paragraph_count, span.segment_count) == (2, 1, 2, 4)


PIECES = st.lists(
    st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9),
                       st.text(st.characters(exclude_categories=["Cs"]), max_size=3)), min_size=1, max_size=4),
    min_size=1, max_size=3,
)  # fmt: skip


@given(blocks=PIECES)
@settings(max_examples=60)
def test_spans_measure_the_text_in_bytes(make: Any, blocks: Any) -> None:
    blocks[-1][-1] = (blocks[-1][-1][0], "")
    document = make.document(blocks)
    (row,) = batches.tables([make.result(make.raw_file(), [document])], "v", BATCH)["documents"].to_pylist()
    pieces = [(segment.encode(), separator.encode()) for block in blocks for segment, separator in block]
    assert [(s["byte_count"], s["separator_count"]) for s in row["segments"]] == [(len(a), len(b)) for a, b in pieces]
    assert [p["segment_count"] for p in row["paragraphs"]] == [len(block) for block in blocks]
    assert row["text"].encode() == b"".join(a + b for a, b in pieces)


def test_a_sweep_removes_what_killed_runs_left_and_nothing_else(home: Home, results: list[FileResult]) -> None:
    kept = written(home, results)
    for kind in kept:
        (home.lake / kind / f"{TEMPORARY}left").write_bytes(b"half a part")
    (home.path / f"{TEMPORARY}left-{home.tombstones.name}").write_bytes(b"half a copy")
    (home.path / f"{TEMPORARY}left-{home.ledger.name}").mkdir()
    (home.path / f"{TEMPORARY}left-{home.ledger.name}" / home.ledger.name).write_bytes(b"half a ledger")
    others = [home.path / f"{TEMPORARY}of an analyst", home.path / f"{TEMPORARY}1-{home.warehouse.name}", home.ledger]
    for path in others:
        path.touch()
    assert clean.sweep(home) == 4
    assert clean.sweep(home) == 0
    assert all(path.exists() for path in others)
    assert all(parts.problem(home, part) is None for part in kept.values())


def test_a_batch_without_documents_still_has_both_parts(home: Home, make: Any) -> None:
    rejected = make.result(make.raw_file(), [], [make.reject()])
    for kind, part in written(home, [rejected]).items():
        assert parts.read(home, part).num_rows == part.row_count == (kind == "files")


def test_a_row_that_breaks_the_schema_leaves_no_file(home: Home) -> None:
    broken = pa.table({"text": pa.array(["x"])})
    with pytest.raises((pa.ArrowInvalid, KeyError)):
        parts.write(home, "documents", broken.select(["nowhere"]), BATCH)
    assert list(home.lake.rglob("*.parquet")) == []
