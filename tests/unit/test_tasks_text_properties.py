"""What holds for every input of the text core, tried on hostile strings built from pieces and on random bytes."""

import json
import string
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.text import characters, mojibake, scan
from tasks.text.encoding import decode
from tasks.text.header import parse
from tasks.text.metadata import extract
from tasks.text.paragraphs import split
from tasks.text.repairs import REPAIRS, repair, repair_ungated
from tasks.text.scan import Scan
from tasks.text.segments import segment
from warehouse.errors import Refusal
from warehouse.vocabulary import Flag

LANGUAGES = ["de", "en", "fr", "es", "it", "ru", "zh", "ar", "ja", "und", "", "xx", "../../etc"]

# Pieces that repairs look for, and what can stand between them.
PIECES = [
    "für", "Ã¼", "Ã", "Â", "¼", "â€œ", "â€", "\u009d", "Ð¿Ñ€", "РџСЂ", "ÔÇô", "閲戞", "锛", "Ã\u00ad", "Ã ",
    "œ", "œ.", "Ä“", "„Ä", "«é»", "&amp;", "&", "amp;", "lt;", "&lt;", "&#60;", "&#x3c;", "script>",
    "&eacute;", "&num;", "#38;", "38;", "&semi;", "&nbsp;", ";", "\u200b", "\u200e", "\u202e", "\u2060",
    "\ufeff", "\ufffc", "\u180e", "\u061c", "\u00ad", "\u200d", "\u200c", " ", "  ", "\u00a0", "\u3000",
    "\t", "\n", "\n\n\n", "\r\n", "\r", "\u2028", "\v", "\f", "\u001c", "\u0085", "\u0081", "\u0080",
    "\u0000", "\u0001", "\u001b[31m", "\u001b", "[0m", "\u001a", "\u0301", "\u0308", "\u0338", "a", "e",
    "A", "<", "\u0301" * 40, "ﬁ", "ŉ", "ﷺ", "ﹰ", "\ufee3", "𝒥", "ＡＢ", "１", "，", "\ue000", "\uf8ff",
    "\ufdd0", "\uffff", "\U0010ffff", "\ufffd", "\ud83d", "\ude00", "\ud800", "한", "\u1112", "\u1161",
    "\u11ab", "\u0374", "\u037e", "\u2126", "क़", "😀", ".", "Bei", "Dr.",
]  # fmt: skip

hostile = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=14).map("".join)
anything = st.text(st.characters(codec=None, exclude_categories=[]), max_size=40)
texts = st.one_of(hostile, anything)
quick = settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
thorough = settings(max_examples=50_000, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def _looks_by_pattern(monkeypatch):
    """The compiled look has its own tests; whether another test loaded it must not matter here."""
    monkeypatch.setattr(scan, "_scanner", None)


def check_repair(text):
    found = repair(text)
    assert found == repair_ungated(text)
    again = repair(found.text)
    assert again.text == found.text
    assert again.repairs == ()
    assert bool(found.repairs) == (found.text != text)
    assert all(name in REPAIRS and count > 0 for name, count in found.repairs)
    assert unicodedata.is_normalized("NFC", found.text)
    assert found.text == found.text.strip(" \n")
    assert "  " not in found.text
    assert "\n\n\n" not in found.text
    found.text.encode()


def check_spans(text, language):
    paragraphs = split(text, language)
    at = 0
    for paragraph in paragraphs:
        assert paragraph.start < paragraph.end
        assert set(text[at : paragraph.start]) <= {"\n"}
        assert "\n\n" not in text[paragraph.start : paragraph.end]
        assert paragraph.credit is None or paragraph.credit in text[paragraph.start : paragraph.end]
        at = paragraph.end
    assert set(text[at:]) <= {"\n"}
    segments = segment(text, paragraphs, language)
    assert sorted({one.paragraph_no for one in segments}) == list(range(len(paragraphs)))
    for one in segments:
        paragraph = paragraphs[one.paragraph_no]
        assert paragraph.start <= one.start < one.end <= paragraph.end
    if not segments:
        assert text.strip("\n") == ""
        return
    ends = [one.end for one in segments]
    starts = [one.start for one in segments]
    assert starts == sorted(starts)
    joined = "".join(
        text[one.start : one.end] + text[one.end : following]
        for one, following in zip(segments, [*starts[1:], len(text)], strict=True)
    )
    for end, following in zip(ends, starts[1:], strict=False):
        assert text[end:following].strip(" \n") == ""
    if text and text == text.strip():
        assert joined == text
        assert starts[0] == 0
        assert ends[-1] == len(text)


@given(texts)
@quick
def test_repairs_are_stable_and_the_cheap_way_equals_the_dear_one(text):
    check_repair(text)


@pytest.mark.long
@given(texts)
@thorough
def test_repairs_at_length(text):
    check_repair(text)


@given(texts, st.sampled_from(LANGUAGES))
@quick
def test_segments_are_the_text(text, language):
    check_spans(text, language)
    check_spans(repair(text).text, language)


@given(texts, st.text(max_size=30), st.sampled_from(LANGUAGES))
@quick
def test_metadata_is_total_and_fits_into_json(text, name, language):
    header = parse(text)
    assert 0 <= header.body_start <= len(text)
    assert (header.published_on is None) == (header.status != "valid")
    found = extract(text, header, name, language)
    assert json.loads(json.dumps(found.source_metadata)) == found.source_metadata


CODECS = ["utf-8", "cp1252", "cp1251", "utf-16", "utf-16-le", "utf-32", "gb18030", "utf-7"]
STARTS = [b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xff\xfe\0\0", b"\x1b$", b"~{"]
HINTS = [None, None, "utf-8", "cp1252", "utf-16", "gb18030", "utf-7", "unicode_escape", "idna", "hex", "x\0", ""]
data_of_any_kind = st.one_of(
    st.binary(max_size=60),
    st.tuples(texts, st.sampled_from(CODECS)).map(lambda pair: pair[0].encode(pair[1], "ignore")),
    st.tuples(st.sampled_from(STARTS), st.binary(max_size=20)).map(b"".join),
)


@given(data_of_any_kind, st.sampled_from(HINTS))
@quick
def test_decoding_gives_text_or_a_refusal(data, hint):
    try:
        found = decode(data, hint)
    except Refusal:
        return
    found.text.encode()
    assert found.text
    assert 0 <= found.confidence <= 1
    assert decode(data, hint) == found
    if hint is None and "\ufffd" in found.text and Flag.REPLACEMENT_CHARACTERS not in found.flags:
        # Only bytes that say so themselves may give a replacement character without a flag.
        assert found.text.encode(found.encoding).count("\ufffd".encode(found.encoding)) == found.text.count("\ufffd")


def test_every_clean_character_is_left_alone_by_every_repair():
    look = Scan("".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)])))
    odd = set(look.odd)
    clean = [char for char in look.text if char not in odd]
    assert len(clean) > 80_000
    assert set(string.printable[:95] + "\n") <= set(clean)
    for char in clean:
        assert unicodedata.category(char)[0] != "M"
        assert unicodedata.combining(char) == 0
        # Neither alone nor behind a letter or a syllable may composition change it.
        assert unicodedata.is_normalized("NFC", char)
        assert unicodedata.is_normalized("NFC", f"e{char}가{char}")
    text = "x" + "x".join(char for char in clean if char not in " \n&ÃÂŒœ") + "x"
    for name, step in REPAIRS.items():
        if name != "mojibake":
            assert step.apply(text) == (text, 0), name


def test_the_search_for_mojibake_misses_nothing_that_ftfy_finds():
    """Each of ftfy's telling characters beside each other, in a word and at both ends."""
    from ftfy.badness import MOJIBAKE_CATEGORIES, is_bad

    telling = sorted({
        char
        for name, written in MOJIBAKE_CATEGORIES.items()
        if name not in {"upper_common", "lower_common"}
        for char in written
        if char != "-"
    } | set("ВГРСЂвЎўΒΓβāа√≈‚×° "))  # fmt: skip
    missed = [
        text
        for first in telling
        for second in telling
        for text in (f"a{first}{second}b", f"{first}{second} ", f" {first}{second}1")
        if is_bad(text) and not mojibake.is_suspicious(text)
    ]
    assert missed == []


def test_tables_of_characters_do_not_contradict_each_other():
    groups = {
        "zero_width": characters.ZERO_WIDTH,
        "bidi": characters.BIDI_CONTROLS,
        "line_ends": characters.LINE_ENDS,
        "blanks": characters.BLANKS,
        "controls": characters.CONTROLS,
        "arabic": "".join(map(chr, characters.ARABIC_FORMS)),
        "mathematical": "".join(map(chr, characters.MATHEMATICAL)),
        "full_width": "".join(map(chr, characters.FULL_WIDTH)),
    }
    seen: dict[str, str] = {}
    for name, members in groups.items():
        for char in members:
            assert seen.setdefault(char, name) == name
    blanks = {chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Zs"}
    assert blanks - {" "} <= set(characters.BLANKS)
