"""What `inspect` shows is what an ingest stores."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SAME = (
    "document_id", "ordinal", "external_id", "url", "title", "authors", "published_precision", "published_source",
    "language", "language_confidence", "language_decided_by", "detector_label", "detector_probability",
    "second_language", "script", "text", "word_count", "flags",
)  # fmt: skip


@pytest.fixture(scope="module")
def both(new_mill: Any, samples: Path) -> tuple[Any, list[dict[str, Any]]]:
    mill = new_mill("inspected", samples)
    answer = mill.newsmill("inspect", *sorted(samples.iterdir()), "--format", "jsonl")
    assert answer.code == 0, answer.err
    assert not mill.home.exists(), "inspect needs no home and makes none"
    mill.ingest()
    return mill, [json.loads(line) for line in answer.out.splitlines()]


def test_every_file_is_shown(both: Any, samples: Path) -> None:
    _, records = both
    assert {record["uri"] for record in records} == {path.name for path in samples.iterdir()}


def test_documents_are_those_that_are_stored(both: Any) -> None:
    mill, records = both
    shown = {record["uri"]: record for record in records if "reject" not in record}
    stored = mill.rows("SELECT * REPLACE (CAST(published_on AS VARCHAR) AS published_on) FROM documents")
    assert len(stored) == len(shown) - 1, "a duplicate is shown and not stored"
    for row in stored:
        record = shown[row["uri"]]
        assert {name: record[name] for name in SAME} == {name: row[name] for name in SAME}, row["uri"]
        assert record["published_on"] == row["published_on"]
        assert record["repairs"] == {repair["step"]: repair["count"] for repair in row["repairs"]}
        assert len(record["segments"]) == row["segment_count"]


def test_paragraphs_and_segments_are_those_that_are_stored(both: Any) -> None:
    mill, records = both
    paragraphs = mill.rows("SELECT * FROM paragraphs ORDER BY document_id, paragraph_no")
    segments = mill.rows("SELECT * FROM segments ORDER BY segment_id")
    for record in records:
        if "reject" in record:
            continue
        own = [row for row in paragraphs if row["document_id"] == record["document_id"]]
        assert [(p["kind"], p["credit"], p["start"], p["end"]) for p in record["paragraphs"]] == [
            (row["kind"], row["credit"], row["char_start"], row["char_end"]) for row in own
        ]
        assert [(s["paragraph_no"], s["start"], s["end"], s["text"]) for s in record["segments"]] == [
            (row["paragraph_no"], row["char_start"], row["char_end"], row["text"])
            for row in segments
            if row["document_id"] == record["document_id"]
        ]


def test_rejects_are_those_that_are_stored(both: Any) -> None:
    mill, records = both
    shown = {record["uri"]: record["reject"] for record in records if "reject" in record}
    stored = {row["uri"]: row for row in mill.rows("SELECT * FROM rejects")}
    assert shown.keys() == stored.keys()
    for uri, reject in shown.items():
        for name in ("ordinal", "stage", "reason", "detail", "preview"):
            assert reject[name] == stored[uri][name], (uri, name)


def test_the_decoded_text_is_shown_before_any_repair(both: Any, samples: Path) -> None:
    _, records = both
    (record,) = [record for record in records if record["uri"] == "068_313a0cd2607a9f11.txt"]
    assert record["decoded"] == (samples / record["uri"]).read_bytes().decode("utf-8")
    assert "\r\n" in record["decoded"]
    assert "\r" not in record["text"]


def test_encodings_are_those_that_are_stored(both: Any) -> None:
    mill, records = both
    shown = {record["uri"]: (record["encoding"], record["encoding_confidence"]) for record in records}
    for row in mill.rows("SELECT * FROM files WHERE status = 'ingested'"):
        assert shown[row["uri"]] == (row["encoding"], row["encoding_confidence"])


def test_encoding_language_and_reader_can_be_forced(mill: Any) -> None:
    path = mill.put("letter.dat", " date 2019-04 Příliš žluťoučký kůň úpěl ďábelské ódy.".encode("cp1250")).decode()
    refused = mill.cli("inspect", path, "--format", "json").json()
    assert refused[0]["reject"]["reason"] == "unknown_format"
    forced = ("--reader", "plain", "--encoding", "cp1250", "--language", "cs")
    (record,) = mill.cli("inspect", path, *forced, "--format", "json").json()
    assert record["text"] == "Příliš žluťoučký kůň úpěl ďábelské ódy."
    assert record["encoding"] == "cp1250"
    assert (record["language"], record["language_decided_by"]) == ("cs", "hint")


@pytest.mark.parametrize(
    "arguments", [["--reader", "tea-leaves"], ["--encoding", "no-such-codec"], ["--encoding", "rot13"]]
)
def test_what_cannot_be_forced_is_a_matter_of_usage(
    mill: Any, write_news: Callable[[int], str], arguments: list[str]
) -> None:
    path = mill.put("a.txt", write_news(1)).decode()
    answer = mill.cli("inspect", path, *arguments)
    assert answer.code == 2, answer
    assert arguments[1] in answer.err
    assert len(answer.err.splitlines()) == 1


def test_the_table_shows_texts_and_never_moves_the_cursor(mill: Any) -> None:
    path = mill.put("a.txt", " date 2019-04 Erster Satz. Zweiter \x1b[2J Satz.\n\nDPA/Foto \u202e Das Bild.").decode()
    answer = mill.cli("inspect", path)
    assert answer.code == 0
    assert "| Erster Satz." in answer.out
    assert [c for c in answer.out if not c.isprintable() and c != "\n"] == []
