"""Words are counted alike by patterns and by table; an opening turns away only what its pattern would."""

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.text import words
from tasks.text.rules import Opening, load
from tasks.text.words import count_words, count_words_of_many

MIXED = st.text(
    st.one_of(st.sampled_from(" aé_漢か가\u0301१٣’-\n𠀀ⅷ²"), st.characters(codec=None)),
    max_size=40,
)


@pytest.fixture(autouse=True)
def _always_by_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_FEW_CHARACTERS", 0)


@given(st.lists(MIXED, max_size=8))
@example(["", "a", "", "か漢 b"])
@example(["\u0301", "a\u0301b c", "𠀀a 𠀀"])
def test_the_table_counts_as_the_patterns_do(texts):
    assert count_words_of_many(texts) == [count_words(text) for text in texts]


def test_batches_are_cut_between_texts(monkeypatch):
    monkeypatch.setattr(words, "_BATCH", 7)
    texts = ["eins zwei", "drei", "", "vier fünf sechs", "七八"]
    assert count_words_of_many(texts) == [2, 1, 0, 3, 2]


@pytest.mark.parametrize("language", ["und", "de", "en", "fr", "zh"])
@pytest.mark.parametrize("kind", ["caption", "boilerplate", "byline"])
@given(data=st.data())
def test_an_opening_matches_as_its_pattern(language, kind, data):
    opening = getattr(load(language), kind)
    if opening is None:
        return
    beginnings = [
        "Foto: A. Muster",
        "AP/Jane Doe",
        "© X",
        "Lesen Sie auch: Y",
        "Von Anna Muster",
        "By Jane Doe",
        "Par Jean Petit",
        "Read more",
        "ALLE RECHTE VORBEHALTEN",
        "(Photo: ",
        "图：某",
        "console.log(1)",
        "责任编辑:张",
        "张三 摄",
        "Der",
        "B",
        "",
    ]
    text = data.draw(st.sampled_from(beginnings)) + data.draw(st.text(max_size=12))
    expected = opening._pattern.match(text)
    assert (opening.match(text) is None) == (expected is None)


def test_an_opening_forgets_nothing_it_needs():
    opening = Opening(r"\Aab(?:c|\Z)")
    assert [opening.match(text) is not None for text in ("ab", "abc", "abd", "ab", "b", "")] == [
        True,
        True,
        False,
        True,
        False,
        False,
    ]
    assert isinstance(opening._pattern, type(regex.compile("")))
