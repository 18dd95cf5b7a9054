"""The golden cases of the text core: data in ``tests/golden/text``, one case a line."""

import json
import unicodedata
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tasks.text.encoding import decode
from tasks.text.header import parse
from tasks.text.metadata import extract
from tasks.text.paragraphs import split
from tasks.text.repairs import REPAIRS, repair, repair_ungated
from tasks.text.segments import segment
from warehouse.errors import Refusal
from warehouse.vocabulary import Flag

GOLDEN = Path(__file__).parents[1] / "golden" / "text"


def cases(name: str) -> list[Any]:
    found = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    labels = [case["label"] for case in found]
    assert len(set(labels)) == len(labels), "labels have to differ"
    return [
        pytest.param(
            case,
            id=case["label"],
            marks=[pytest.mark.xfail(reason=case["fail"], strict=True)] if "fail" in case else [],
        )
        for case in found
    ]


def written(value: Any) -> str:
    """A text of a case: plain, with Python escapes for what JSON joins, or repeated pieces."""
    if isinstance(value, str):
        return value
    if "escaped" in value:
        return value["escaped"].encode().decode("unicode_escape")
    pieces = value["repeat"]
    return "".join(piece * number for piece, number in zip(pieces[::2], pieces[1::2], strict=True))


@pytest.mark.parametrize("case", cases("repairs"))
def test_repairs(case):
    text = written(case["text"])
    found = repair(text)
    assert found.text == written(case["expected"])
    assert unicodedata.is_normalized("NFC", found.text)
    if "steps" in case:
        assert [name for name, _ in found.repairs] == case["steps"]
    if "flags" in case:
        assert list(found.flags) == case["flags"]
    assert all(count > 0 for _, count in found.repairs)
    assert bool(found.repairs) == (found.text != text)
    assert repair(found.text).text == found.text
    assert repair_ungated(text) == found


@pytest.mark.parametrize("case", cases("header"))
def test_header(case):
    found = parse(case["text"])
    assert found.status == case["status"]
    assert (found.published_on and found.published_on.isoformat()) == case.get("date")
    assert found.precision == case.get("precision")
    assert case["text"][found.body_start :] == case.get("rest", case["text"])


@pytest.mark.parametrize("case", cases("encodings"))
def test_encodings(case):
    data = bytes.fromhex(case["hex"]) if "hex" in case else case["text"].encode(case["codec"])
    if "refusal" in case:
        with pytest.raises(Refusal) as refused:
            decode(data, case.get("hint"))
        assert refused.value.reason == case["refusal"]
        assert refused.value.detail
        return
    found = decode(data, case.get("hint"))
    assert found.text == case["text"]
    assert found.encoding == case.get("encoding", found.encoding)
    assert 0 < found.confidence <= 1
    if "flags" in case:
        assert list(found.flags) == case["flags"]


@pytest.mark.parametrize("case", cases("paragraphs"))
def test_paragraphs(case):
    text = "\n\n".join(block["text"] for block in case["blocks"])
    found = split(text, case["language"])
    assert [
        {"kind": paragraph.kind.value, "credit": paragraph.credit, "text": text[paragraph.start : paragraph.end]}
        for paragraph in found
    ] == [{"kind": "body", "credit": None} | block for block in case["blocks"]]


@pytest.mark.parametrize("case", cases("segments"))
def test_segments(case):
    text = case.get("join", " ").join(case["segments"])
    found = segment(text, split(text, case["language"]), case["language"])
    assert [text[one.start : one.end] for one in found] == case["segments"]


@pytest.mark.parametrize("case", cases("metadata"))
def test_metadata(case):
    header = parse(case["text"])
    found = asdict(extract(repair(case["text"][header.body_start :]).text, header, case["name"], case["language"]))
    json.dumps(found["source_metadata"])
    found["authors"] = list(found["authors"])
    found["published_on"] = found["published_on"] and found["published_on"].isoformat()
    assert {key: found[key] for key in case["expected"]} == case["expected"]
    assert list(found["source_metadata"]) == sorted(found["source_metadata"])


def test_the_page_names_every_repair_and_flag():
    page = (Path(__file__).parents[2] / "docs" / "text.md").read_text("utf-8")
    rows = [line.split("|")[1].strip(" `") for line in page.splitlines() if line.startswith("| `")]
    assert [row for row in rows if row in REPAIRS] == list(REPAIRS)
    assert {row for row in rows if row in set(Flag)} == set(Flag)
