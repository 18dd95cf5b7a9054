"""One look by compiled code tells nothing else than the patterns do, and no text ends otherwise because of it."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.text import mojibake, scan
from tasks.text.language import detector
from tasks.text.paragraphs import split
from tasks.text.repairs import repair_many, repair_ungated
from tasks.text.scan import bits
from tasks.text.scan.scanner import Scanner
from tasks.text.segments import segment
from tasks.text.words import count_words

PIECES = [
    *" \n.&aZé_漢か가Œœ”„“ÃÂ°Ð\u0080\u009d\u00a0\u00ad\u200b\u0301\u0308١٣’-𠀀ⅷ²\ud800\udc00\ufeff",
    *("  ", " \n", "\n\n\n", "\n \n", "Œ ", "Œ.", "œu", "“”", "Ã¼", "&amp;", "an.Er", "fÃ¼r", "“Ж", "\u200b \u00ad"),
]
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.characters(codec=None)), max_size=12).map("".join)


@pytest.fixture(scope="module")
def scanner(tmp_path_factory: pytest.TempPathFactory) -> Scanner:
    """The compiled look, which no other test of this run is to meet."""
    detector.configure(tmp_path_factory.getbasetemp() / "language-cache")
    detector.preload()
    found = detector._state.replay
    assert found is not None
    return Scanner(found.parts.scan, found.parts.arrays["marks"])


@pytest.fixture(autouse=True)
def _looks_compiled(scanner: Scanner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_scanner", scanner)


def expected(text: str) -> int:
    """The bits by pattern, in groups as the steps ask for them."""
    found = 0
    for bit, pattern in {
        bits.ODD: scan._ODD,
        bits.REFERENCE: "&",
        bits.MOJIBAKE: mojibake._CANDIDATES,
        bits.BLANKS: "  | \n|\n ",
        bits.NEWLINES: "\n\n",
        bits.EDGES: r"\A[ \n]|[ \n]\Z",
        bits.GLUE: r"\.[^\W\d_]",
    }.items():
        if re.search(pattern, text):
            found |= bit
    return found


def groups(could: int) -> int:
    """The same with all bits of a group set where one is."""
    for group in (bits.MOJIBAKE, bits.BLANKS, bits.EDGES):
        could |= group if could & group else 0
    return could & bits.EVERYTHING


@given(st.lists(TEXTS, max_size=6))
@example(["", "Œ", "œ", "a", "", "“", " ", "\n"])
@example(["a", " a", "“", "“", "\u0301", "a\u0301b c", "𠀀a 𠀀", "か漢 b"])
@settings(max_examples=600)
def test_a_look_tells_what_the_patterns_tell(texts: list[str]) -> None:
    for look, text in zip(scan.look(texts), texts, strict=True):
        assert look.text == text
        assert groups(look.could) == expected(text)
        assert look.word_count == count_words(text)


def test_every_character_has_what_the_patterns_say_of_it() -> None:
    """Each alone, behind a letter and before one: tables are made in runs, and runs could be cut wrongly."""
    every = [chr(code) for code in (*range(0x3100), *range(0xD700, 0x10400), *range(0x1F000, 0x20100))]
    for text in (f"a{char}“{char}.{char} " for char in every):
        (look,) = scan.look([text])
        assert (groups(look.could), look.word_count) == (expected(text), count_words(text)), ascii(text)


@given(st.lists(TEXTS, max_size=4))
@settings(max_examples=600)
def test_repairs_end_the_same(texts: list[str]) -> None:
    found = repair_many(texts)
    assert found == [repair_ungated(text) for text in texts]
    for repaired in found:
        assert repaired.scan.text == repaired.text
        assert repaired.scan.word_count == count_words(repaired.text)
        blocks = split(repaired.text, "de")
        may_be_glued = bool(repaired.scan.could & bits.GLUE)
        assert segment(repaired.text, blocks, "de", may_be_glued=may_be_glued) == segment(repaired.text, blocks, "de")


def test_texts_are_cut_into_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["eins zwei", "drei", "", "vier fünf  sechs", "七八"]
    whole = [(look.could, look.word_count) for look in scan.look(texts)]
    monkeypatch.setattr("tasks.text.scan.scanner._BATCH", 7)
    assert [(look.could, look.word_count) for look in scan.look(texts)] == whole
    assert [words for _, words in whole] == [2, 1, 0, 3, 2]


def test_without_compiled_code_anything_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_scanner", None)
    (look,) = scan.look(["clean"])
    assert (look.could, look.word_count, look.odd, look.is_suspicious) == (bits.EVERYTHING, None, "", False)
