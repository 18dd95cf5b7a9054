"""An opening turns away only what its pattern would."""

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from tasks.text.rules import Opening, load


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
