"""Point 3: the two documents of the project's shared seeds become exactly what a person reads in them."""

import datetime
from pathlib import Path
from typing import Any

import pytest

SEEDS = Path(__file__).parents[2].parent / "shared" / "seeds"
pytestmark = pytest.mark.skipif(
    not SEEDS.is_dir(), reason=f"the two shared documents are not here ({SEEDS}); the samples stand in for them"
)
HEADER = " date 2019-04 "


@pytest.fixture(scope="module")
def milled(new_mill: Any) -> Any:
    mill = new_mill("shared", SEEDS)
    outcome = mill.ingest()
    assert outcome.counts["ingested"] == len(list(SEEDS.iterdir())) == 2
    return mill


def test_two_german_documents_of_a_month(milled: Any) -> None:
    rows = milled.rows(
        "SELECT language, published_on, published_precision, published_source, language_confidence FROM documents"
    )
    assert len(rows) == 2
    for row in rows:
        assert row["language"] == "de"
        assert row["published_on"] == datetime.date(2019, 4, 1)
        assert row["published_precision"] == "month"
        assert row["published_source"] == "header"
        assert row["language_confidence"] > 0.9


def test_the_body_is_the_file_but_for_header_and_outer_blanks(milled: Any) -> None:
    for path in SEEDS.iterdir():
        raw = path.read_bytes().decode("utf-8")
        assert raw.startswith(HEADER)
        text = milled.one("SELECT text FROM documents WHERE uri = $uri", uri=path.name)
        assert text.encode() == raw[len(HEADER) :].strip().encode()


def test_fourteen_paragraphs_and_55_segments(milled: Any) -> None:
    assert milled.one("SELECT count(*) FROM paragraphs") == 14
    assert 53 <= milled.one("SELECT count(*) FROM segments") <= 57
    assert milled.one("SELECT count(*) FROM segments WHERE text LIKE '%date 2019-04%'") == 0


def test_the_caption_and_the_subheading_are_marked(milled: Any) -> None:
    kinds = """
        SELECT kind, credit, substring(text, char_start + 1, char_end - char_start) AS block
        FROM paragraphs JOIN documents USING (document_id) WHERE kind <> 'body'"""
    found = {row["kind"]: row for row in milled.rows(kinds)}
    assert len(milled.rows(kinds)) == len(found) == 2, found
    assert found["heading"]["block"] == 'Kim: "Das ist nur der erste Schritt"'
    assert found["caption"]["block"].startswith("AP/Sergei Ilnitsky Handschlag in Wladiwostok")
    assert found["caption"]["credit"] == "AP/Sergei Ilnitsky"


def test_a_text_is_its_segments_and_separators(milled: Any) -> None:
    assert milled.problems(deep=True) == []
    for row in milled.rows("SELECT document_id, text FROM documents"):
        pieces = milled.rows(
            "SELECT text, separator FROM segments WHERE document_id = $id ORDER BY segment_no", id=row["document_id"]
        )
        assert "".join(piece["text"] + piece["separator"] for piece in pieces) == row["text"]
