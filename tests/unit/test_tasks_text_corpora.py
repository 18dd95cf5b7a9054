"""The text core over evaluation material and samples that lie beside the repository, where they are present."""

import json
import re
from pathlib import Path

import pytest

from tasks.text.encoding import decode
from tasks.text.header import parse
from tasks.text.metadata import extract
from tasks.text.paragraphs import split
from tasks.text.repairs import repair, repair_ungated
from tasks.text.segments import segment
from warehouse.errors import Refusal
from warehouse.vocabulary import ParagraphKind, Precision

GOLDEN = Path(__file__).parents[1] / "golden" / "text"


def material(*names: str) -> Path:
    """A folder beside the repository, or a skip that says what is missing."""
    for folder in Path(__file__).resolve().parents[2].parents:
        found = folder.joinpath("shared", *names)
        if found.exists():
            return found
    pytest.skip(f"evaluation material is absent: no shared/{'/'.join(names)} beside the repository")


def reassembled(text: str, language: str) -> bool:
    segments = segment(text, split(text, language), language)
    starts = [one.start for one in segments]
    parts = [
        text[one.start : one.end] + text[one.end : following]
        for one, following in zip(segments, [*starts[1:], len(text)], strict=True)
    ]
    return not starts or (starts[0] == 0 and segments[-1].end == len(text) and "".join(parts) == text)


def test_sample_documents():
    folder = material("seeds")
    documents = {}
    for file in sorted(folder.glob("*.txt")):
        decoded = decode(file.read_bytes())
        header = parse(decoded.text)
        repaired = repair(decoded.text[header.body_start :])
        assert decoded.encoding == "utf-8"
        assert repaired.text == decoded.text[header.body_start :].strip()
        assert repaired.flags == ()
        assert header.precision is Precision.MONTH
        found = extract(repaired.text, header, file.name, "de")
        assert found.external_id == file.stem.split("_")[1]
        assert reassembled(repaired.text, "de")
        documents[found.source_metadata["sequence"]] = repaired.text
    paragraphs = {number: split(text, "de") for number, text in documents.items()}
    segments = [one for number, text in documents.items() for one in segment(text, paragraphs[number], "de")]
    assert sum(map(len, paragraphs.values())) == 14
    assert 53 <= len(segments) <= 57
    marked = {
        (paragraph.kind, paragraph.credit, documents[number][paragraph.start : paragraph.start + 9])
        for number, found in paragraphs.items()
        for paragraph in found
        if paragraph.kind is not ParagraphKind.BODY
    }
    assert marked == {
        (ParagraphKind.CAPTION, "AP/Sergei Ilnitsky", "AP/Sergei"),
        (ParagraphKind.HEADING, None, 'Kim: "Das'),
    }


def test_articles_are_changed_in_surplus_blanks_only():
    lines = material("data", "articles_de.jsonl").read_text("utf-8").splitlines()
    for line in lines:
        text = json.loads(line)["text"]
        found = repair(text)
        assert {name for name, _ in found.repairs} <= {"blanks", "blank_lines", "outer_blanks"}
        assert found.text.split() == text.split()
        assert found.flags == ()
        assert repair(found.text).repairs == ()
        assert repair_ungated(text) == found
        assert reassembled(found.text, "de")


# Folders are named by codec, some with a language behind a dash; some labels are families.
CODECS = {"GB2312": "gb18030", "SHIFT_JIS": "cp932", "TIS-620": "cp874", "MacCyrillic": "mac_cyrillic"}
EQUAL = str.maketrans(
    {"\u2015": "\u2014", "\u2225": "\u2016", "\uff0d": "\u2212", "\u301c": "\uff5e", "\u30fb": "\u00b7"}
)


def comparable(text: str) -> list[str]:
    return text.translate(EQUAL).removeprefix("\ufeff").splitlines()


def test_encodings_of_labelled_files():
    right, wrong = 0, []
    for folder in sorted(material("data", "encodings").iterdir()):
        labelled = re.match(r"(?:iso-8859-\d+|windows-\d+)|.*", folder.name)
        codec = CODECS.get(folder.name, labelled[0])
        for file in sorted(folder.iterdir()) if folder.name != "EUC-TW" else []:
            data = file.read_bytes()
            try:
                expected = data.decode(codec)
            except UnicodeError:
                continue
            try:
                found = comparable(decode(data).text)
            except Refusal:
                found = []
            if found == comparable(expected):
                right += 1
            else:
                wrong.append(f"{folder.name}/{file.name}")
    assert right + len(wrong) > 200
    assert right >= 0.985 * (right + len(wrong)), wrong


QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "‟": '"', "‘": "'", "’": "'", "‚": "'", "‛": "'", "ʼ": "'"})


def mojibake_cases():
    try:
        folder = material("data", "mojibake")
    except pytest.skip.Exception:
        return []
    return [
        pytest.param(case, id=f"{file.stem}: {case['label']}")
        for file in sorted(folder.glob("*.json"))
        for case in json.loads(file.read_text("utf-8"))
        if case["expect"] == "pass"
    ]


@pytest.mark.parametrize("case", mojibake_cases())
def test_mojibake(case):
    found = repair(case["original"])
    assert found.text.translate(QUOTES) == repair(case["fixed"]).text.translate(QUOTES)
    assert repair_ungated(case["original"]) == found
    assert repair(found.text).text == found.text


def sentences(half: str) -> list[dict]:
    return [case for case in json.loads((GOLDEN / "sentences.json").read_text("utf-8")) if case["half"] == half]


def exact(cases: list[dict]) -> list[bool]:
    results = []
    for case in cases:
        text = case.get("join", " ").join(case["segments"])
        found = segment(text, split(text, case["language"]), case["language"])
        assert reassembled(text, case["language"])
        results.append([text[one.start : one.end] for one in found] == case["segments"])
    return results


def test_hard_sentences_that_the_rules_were_tuned_on():
    assert all(exact(sentences("tuning")))


def test_hard_sentences_that_the_rules_were_not_tuned_on():
    """Nobody looks at single results of this half; the rules are extended on the other one."""
    results = exact(sentences("test"))
    assert len(results) >= 60
    assert sum(results) >= 0.88 * len(results)
