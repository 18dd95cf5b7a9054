"""Segments by the quick looks are those that every rule asked about every sentence gives."""

import itertools

import pytest
import sentencex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.text import segments
from tasks.text.paragraphs import split
from tasks.text.rules import load
from tasks.text.segments import segment

LANGUAGES = ["de", "en", "fr", "ja", "zh", "ru", "es", "fi", "kk", "und"]
PIECES = [
    *("Dr. ", "z. B. ", "Nr. ", "und ", "Er kam. ", "haben. ", "Präsident. ", "am 3. Mai ", "2019. ", "an.Er "),
    *("www.a.de ", "?\n", "  ", "\n\n", "“ ", "„", ".“ ", "»", "«", "(", ") ", "и ", "Он. ", "。", "中国", "”と", "é"),
    *("! ", "É", "St. ", " - "),
]  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=2)), max_size=20).map("".join)


def expected(text: str, language: str) -> list[tuple[int, int, int]]:
    """Every cut by the rules alone, then blanks taken off both sides of each piece."""
    found: list[tuple[int, int, int]] = []
    rules = load(language)
    for number, paragraph in enumerate(split(text, language)):
        block = text[paragraph.start : paragraph.end]
        glued = segments._glued(block, rules)
        cuts, at = set(glued), 0
        sentences = segments._windowed(block, language)
        for sentence in sentences[:-1]:
            at += len(sentence)
            if not segments._goes_on(block, sentence, at, glued, rules):
                cuts.add(at)
        edges = [0, *sorted(cuts), len(block)]
        pieces = [(start, block[start:end]) for start, end in itertools.pairwise(edges)]
        spans = [
            (start + len(piece) - len(piece.lstrip(" \n")), start + len(piece.rstrip(" \n")))
            for start, piece in pieces
            if piece.strip(" \n")
        ]
        found += [(number, paragraph.start + start, paragraph.start + end) for start, end in spans or [(0, len(block))]]
    return found


@given(TEXTS, st.sampled_from(LANGUAGES))
@example("Er hat drei haben. Die Minister. und. 4. Mai. Das z. B. Er.Sie kam", "de")
@settings(max_examples=500)
def test_quick_looks_decide_as_the_rules_do(text: str, language: str) -> None:
    assert list(segment(text, split(text, language), language)) == expected(text, language)


@given(st.text(st.sampled_from("aéДक中 ,„“–-1()'\"/_2)b.A!?"), max_size=30), st.sampled_from(LANGUAGES))
@example("1) eins 2) zwei.", "kk")
@settings(max_examples=1000)
def test_a_block_that_is_one_at_sight_is_one_for_the_library(block: str, language: str) -> None:
    if block.endswith((".", "!", "?")) and segments._is_one(block):
        assert sentencex.segment(language, block) == [block]


def test_a_panic_of_the_library_leaves_one_segment() -> None:
    """No repaired text has that blank."""
    text = "B\u3000."
    with pytest.raises(BaseException, match="byte index") as panic:
        sentencex.segment("ja", text)
    assert not isinstance(panic.value, Exception)
    assert [text[one.start : one.end] for one in segment(text, split(text, "ja"), "ja")] == [text]


def test_what_is_no_panic_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sentencex, "segment", interrupted)
    with pytest.raises(KeyboardInterrupt):
        segment("Er kam. Sie ging.", split("Er kam. Sie ging.", "de"), "de")
