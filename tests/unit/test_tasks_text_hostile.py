"""Inputs of a megabyte made to be slow: the text core stays linear.

The limits are several times what an idle machine needs; a quadratic step misses them by far.
"""

import contextlib
import time

import pytest

from tasks.text.encoding import decode
from tasks.text.header import parse
from tasks.text.metadata import extract
from tasks.text.paragraphs import split
from tasks.text.repairs import repair
from tasks.text.segments import segment
from warehouse.errors import Refusal

MEGABYTE = 1_000_000
SECONDS = 5.0
SECONDS_OF_MOJIBAKE = 20.0


def megabyte(piece: str) -> str:
    return piece * (MEGABYTE // len(piece.encode("utf-8", "surrogatepass")))


def misread(text: str, codec: str = "cp1252") -> str:
    return text.encode().decode(codec, "replace")


SENTENCE = "Der Präsident sagte: „Ärger“ – «für» die 5 € … über Öl. "

HOSTILE = {
    "a hundred thousand marks": "a" + "\u0301" * 100_000,
    "a megabyte of marks": megabyte("\u0301\u0323"),
    "runs of marks": megabyte("a" + "\u0301\u0323" * 15),
    "one line": megabyte(SENTENCE),
    "one word": megabyte("ä"),
    "nested ampersands": "&" + "amp;" * 249_000 + "lt;b",
    "references that appear one by one": "&" * 200_000 + "&num;38;" + "#38;" * 100_000,
    "ampersands": "&" * MEGABYTE,
    "references without an end": megabyte("&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    "escaped brackets": megabyte("&lt;"),
    "newlines": "\n" * MEGABYTE,
    "blanks": " " * MEGABYTE,
    "blanks and newlines": " \n" * 500_000,
    "no-break spaces": megabyte("\u00a0"),
    "NULs": "\0" * MEGABYTE,
    "escapes": "\x1b[" * 500_000,
    "open escapes": megabyte("\x1b[1;1;1;1"),
    "zero-width spaces": megabyte("\u200b"),
    "halves of pairs": "\ud83d" * 333_333,
    "quotes side by side": megabyte("„Ä“«»"),
    "ligatures of letters": megabyte("œ "),
    "Arabic phrases": megabyte("ﷺ"),
    "jamo": megabyte("\u1112\u1161\u11ab"),
    "Chinese with quotes": megabyte("习近平说：“中国新闻”。"),
    "open quotes": megabyte("“Ж"),
    "full stops": "." * MEGABYTE,
    "titles": megabyte("Dr. "),
    "ordinals": megabyte("am 24. "),
    "glued words": megabyte("abc.Abc"),
    "short blocks": megabyte("Kurz\n\n"),
    "suspected GBK": megabyte("閲戞"),
}
MOJIBAKE = {
    "read once": megabyte(misread(SENTENCE)),
    "read twice": megabyte(misread(misread(SENTENCE, "latin-1"), "latin-1")),
    "Russian": megabyte(misread("Привет, мир. ", "cp1251")),
    "among Han": megabyte("日Ã¼â€œЖ"),
    "nothing else": megabyte(misread("äöü", "latin-1")),
    "first halves": megabyte("Ã"),
    "C1": megabyte("a\x81 \x85ä"),
}


def work(text: str) -> float:
    start = time.process_time()
    repaired = repair(text)
    paragraphs = split(repaired.text, "de")
    segments = segment(repaired.text, paragraphs, "de")
    extract(repaired.text, parse(text), "000_ad13c6fc177309bb.txt", "de")
    spent = time.process_time() - start
    assert bool(segments) == bool(repaired.text)
    assert repair(repaired.text).text == repaired.text
    return spent


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_stays_linear(name):
    assert work(HOSTILE[name]) < SECONDS


@pytest.mark.parametrize("name", MOJIBAKE)
def test_a_megabyte_of_mojibake_stays_linear(name):
    assert work(MOJIBAKE[name]) < SECONDS_OF_MOJIBAKE


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(megabyte("ü").encode() + b"\x93", id="one stray byte"),
        pytest.param(("üüüü".encode() + b"\x93") * 100_000, id="many stray bytes"),
        pytest.param(b"+abc" * 250_000, id="nearly UTF-7"),
        pytest.param(b"~{" * 500_000, id="nearly HZ"),
        pytest.param(b"a\x00b" * 333_333, id="NULs at odd places"),
        pytest.param(megabyte(SENTENCE).encode("utf-16-le")[:MEGABYTE], id="UTF-16"),
        pytest.param(SENTENCE.encode("cp1252") * (MEGABYTE // len(SENTENCE)), id="cp1252"),
        pytest.param(b"\x1b$" * 500_000, id="escapes"),
    ],
)
def test_decoding_a_megabyte_stays_linear(data):
    start = time.process_time()
    with contextlib.suppress(Refusal):
        decode(data)
    assert time.process_time() - start < SECONDS
