"""Segments by the quick looks are those that every rule asked about every sentence gives."""

import itertools

import pytest
import sentencex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.text import segments
from tasks.text.language import detector
from tasks.text.paragraphs import split
from tasks.text.rules import load
from tasks.text.segments import Cuttable, segment, segment_many
from tasks.text.sentences import boundaries, glue, words
from tasks.text.sentences.cutter import Cutter

LANGUAGES = ["de", "en", "fr", "ja", "zh", "ru", "es", "fi", "kk", "und"]
PIECES = [
    *("Dr. ", "z. B. ", "Nr. ", "und ", "Er kam. ", "haben. ", "Präsident. ", "am 3. Mai ", "2019. ", "an.Er "),
    *("www.a.de ", "?\n", "  ", "\n\n", "“ ", "„", ".“ ", "»", "«", "(", ") ", "и ", "Он. ", "。", "中国", "”と", "é"),
    *("! ", "É", "St. ", " - "),
]  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=2)), max_size=20).map("".join)


# What the compiled look has to tell apart: pairs of quotes and brackets, numbers of lists, runs of signs, initials.
TELLING = [
    *("3.5 ", "3. ", "24. April ", "1) ", "(a) ", "(1) ", "- ", "* ", "...", "?!", ". . ", "usw. ", "S. 5 ", "7 p.m. "),
    *("The end. ", "Inc. ", "Mr. ", "J. R. ", "U.S. ", "No. ", "5 ft. ", "St. Pölten. ", "Yahoo! ", "¿Qué? ", "№ 5. "),
    *(
        '"Ja." ',
        "„Ja.“ ",
        "„Nein!“ ",
        "»So.« ",
        "«Да.» ",
        "‚So.‘ ",
        "‘So.’ ",
        "“So.” ",
        "(Ja. Nein.) ",
        "[1] ",
        "{",
        "]",
    ),
    *(
        "'Ja.' ",
        "don't ",
        "d’une ",
        "'tis ",
        "`",
        "a@b.de ",
        "A.B",
        "a.B",
        "a.b",
        "1.A",
        "© ",
        "© Anna ",
        "« Le ",
        "– Er ",
        "— 5 ",
        "– er ",
        "« le ",
        "» ",
        "\n",
        "\nB. ",
        "\\",
        "•",
    ),
    *(
        "November. ",
        "Er ging. Sie kam. ",
        "das ist wahr. ",
        "Süd-Nord-Bahn. ",
        "x" * 45 + ". ",
        "ist gut",
        "-C. ",
        "Ⅳ. ",
    ),
]
CUT_TEXTS = st.lists(st.one_of(st.sampled_from(PIECES + TELLING), st.text(max_size=2)), max_size=25).map("".join)


@pytest.fixture(scope="module")
def cutter(tmp_path_factory: pytest.TempPathFactory) -> Cutter:
    """The compiled look, which no other test of this run is to meet."""
    detector.configure(tmp_path_factory.getbasetemp() / "language-cache")
    detector.preload()
    found = detector._state.replay
    assert found is not None
    return Cutter(found.parts.sentences, found.parts.arrays["kinds"])


def cuttable(text: str, language: str) -> Cuttable:
    return Cuttable(text, split(text, language), language)


def assert_the_same(cutter: Cutter, items: list[Cuttable]) -> None:
    """Each text cut by compiled code, all of them together, ends as it does alone and by the rules."""
    before = segments._cutter
    try:
        segments.use(cutter)
        found = segment_many(items)
        segments.use(None)
        assert [list(one) for one in found] == [list(one) for one in segment_many(items)]
    finally:
        segments.use(before)


@given(st.lists(st.builds(cuttable, CUT_TEXTS, st.sampled_from([*words.LANGUAGES, "ja", "el"])), max_size=4))
@example([cuttable("Er sagt „Ja.“ Nein. „Das“ (Dr. Er.) am 3. Mai. Am 4. Spieltag.Er", "de")])
@example([cuttable("It sets at 7 p.m. The man left. He met Dr. Who. The U.S. The end.", "en")])
@example([cuttable("Eins. 1) Zwei. 2) Drei. „Offen. Er ging. Sie kam.", "de"), cuttable("", "de")])
@settings(max_examples=500, deadline=None)
def test_compiled_code_cuts_as_the_library_and_the_rules_do(cutter: Cutter, items: list[Cuttable]) -> None:
    assert_the_same(cutter, items)


@given(st.lists(st.sampled_from(PIECES + TELLING), min_size=40, max_size=200).map("".join), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_compiled_code_cuts_long_blocks_in_the_same_windows(cutter: Cutter, piece: str, times: int) -> None:
    assert_the_same(cutter, [cuttable(piece.replace("\n\n", "\n") * times, "de"), cuttable(piece, "en")])


def test_a_full_table_of_words_is_emptied_and_nothing_changes(cutter: Cutter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words.Known, "_SLOTS", 16)
    small = Cutter(detector._state.replay.parts.sentences, detector._state.replay.parts.arrays["kinds"])
    text = "".join(f"Er sah Haus{chr(97 + i % 26) * (i // 26 + 1)}. " for i in range(200))
    assert_the_same(small, [cuttable(text, "de")])


def test_nothing_is_asked_about_twice(cutter: Cutter, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [cuttable("Am 24. April kam Dr. Maier. Er ging am 3. Spieltag. Sie sah 7. Haus usw. Nein.", "de")]
    assert_the_same(cutter, items)
    for name in ("all_before", "all_behind", "pair"):
        monkeypatch.setattr(words, name, lambda *_: pytest.fail("asked again"))
    assert_the_same(cutter, items)


ASKED = st.one_of(
    st.text(st.sampled_from("aàbBcmnpPrsStTДéß"), min_size=1, max_size=12),
    st.sampled_from([word for language in words.LANGUAGES for word in sorted(load(language).abbreviations)]),
    st.sampled_from(["pm", "Inc", "Co", "Abb", "In", "Gal", "No", "IV", "projektass", "Yahoo"]),
    st.sampled_from(["The", "Der", "Mai", "März", "Juni", "mai"]),
).flatmap(lambda word: st.sampled_from([word, f"{word}-Straße", f"Nord-{word}", word.capitalize(), word.upper()]))


@given(st.lists(st.tuples(ASKED, st.sampled_from(".!?")), max_size=60), st.sampled_from(words.LANGUAGES))
@example([(word, ".") for word in ("Dr", "Haus", "pm", "B-C", "Haus", "S")], "en")
@settings(max_examples=300, deadline=None)
def test_words_asked_about_together_mean_what_each_means_alone(asked: list[tuple[str, str]], language: str) -> None:
    together = words.all_before([word + sign for word, sign in asked], language)
    assert together == [words.before(word, sign, language) for word, sign in asked]
    behind = [word if sign == "." else f"{word}," for word, sign in asked]
    assert words.all_behind(behind, language) == [words.behind(word, language) for word in behind]


def expected(text: str, language: str) -> list[tuple[int, int, int]]:
    """Every cut by the rules alone, then blanks taken off both sides of each piece."""
    found: list[tuple[int, int, int]] = []
    rules = load(language)
    for number, paragraph in enumerate(split(text, language)):
        block = text[paragraph.start : paragraph.end]
        glued = glue.glued(block, rules)
        cuts, at = set(glued), 0
        sentences = boundaries.library(block, language)
        for sentence in sentences[:-1]:
            at += len(sentence)
            if not boundaries.goes_on(block, at, glued, rules):
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
    if block.endswith((".", "!", "?")) and boundaries._is_one(block):
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
        boundaries.library("Er kam. Sie ging.", "de")
