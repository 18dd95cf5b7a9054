"""Words, counted.

Belongs here: what counts as a word.  Does not belong here: sentences (``segments``).

Two patterns say what a word is; for many texts at once a table of what they say of each character is looked up
instead, which takes an eighth of the time.  A test holds both equal.
"""

import re
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tasks.text.rules import compile_pattern

# Scripts whose words Python's own \w cuts at vowel signs, or does not cut at all; punctuation is not among them.
_OTHER = re.compile("[\u0300-\u036f\u0590-\u1dff\u2c00-\U0010ffff]")
_WORDS = re.compile(r"[^\W_]+")
_ANY_WORDS = compile_pattern(
    r"(?V1)[\p{Han}\p{Hiragana}\p{Katakana}]|[[\p{L}\p{N}\p{M}]--[\p{Han}\p{Hiragana}\p{Katakana}]]+"
)
_ALONE = compile_pattern(r"[\p{Han}\p{Hiragana}\p{Katakana}]")

# To build the table takes as long as to count so many characters without it.
_FEW_CHARACTERS = 3_000_000
# What a batch needs stays in the processor's cache: with more at once it takes twice as long.
_BATCH = 30_000
_PLAIN_WORD, _ANY_WORD, _WORD_ALONE, _IS_OTHER = 1, 2, 4, 8


def count_words(text: str) -> int:
    """Runs of letters and digits; each Han or Kana character counts as one.

    >>> count_words("Kim: „Das ist’s“"), count_words("新华社北京"), count_words("प्रधान मंत्री")
    (4, 5, 2)
    """
    return len((_ANY_WORDS if _OTHER.search(text) else _WORDS).findall(text))


def count_words_of_many(texts: Sequence[str]) -> list[int]:
    """``count_words`` of each text, in order."""
    if not _table.cache_info().currsize and sum(map(len, texts)) < _FEW_CHARACTERS:
        return list(map(count_words, texts))
    counts: list[int] = []
    start = size = 0
    for end, text in enumerate(texts, start=1):
        size += len(text)
        if size >= _BATCH or end == len(texts):
            counts += _looked_up(texts[start:end])
            start, size = end, 0
    return counts


def preload() -> None:
    """Build the table now, for instance before a process forks."""
    _table()


def _looked_up(texts: Sequence[str]) -> list[int]:
    # A blank behind each text keeps words apart, and every text has a character.
    codes = np.array([" ".join(texts) + " "]).view(np.uint32)
    classes = _table()[np.minimum(codes, 0x10000)]
    starts = np.zeros(len(texts), np.int64)
    np.cumsum([len(text) + 1 for text in texts[:-1]], out=starts[1:])
    kinds = np.bitwise_or.reduceat(classes, starts)
    plain = classes & _PLAIN_WORD
    # A word begins where a letter stands behind none.
    begins = plain.copy()
    begins[1:] &= ~plain[:-1]
    counts: list[int] = np.add.reduceat(begins, starts, dtype=np.int64).tolist()
    for number in np.flatnonzero(kinds & _IS_OTHER).tolist():
        text, start = texts[number], starts[number]
        counts[number] = _looked_up_alone(text, classes[start : start + len(text)])
    return counts


def _looked_up_alone(text: str, classes: NDArray[np.uint8]) -> int:
    if text and max(text) > "\uffff":
        return count_words(text)
    word = (classes & _ANY_WORD) != 0
    begins = int(word[:1].sum()) + int(np.count_nonzero(word[1:] & ~word[:-1]))
    return begins + int(np.count_nonzero(classes & _WORD_ALONE))


@cache
def _table() -> NDArray[np.uint8]:
    """What the patterns say of each character up to U+FFFF; one entry more stands for all beyond."""
    table = np.zeros(0x10001, np.uint8)
    plane = "".join(map(chr, range(0x10000)))
    for found in _WORDS.finditer(plane):
        table[found.start() : found.end()] |= _PLAIN_WORD
    for found in _ANY_WORDS.finditer(plane):
        table[found.start() : found.end()] |= _ANY_WORD
    for found in _ALONE.finditer(plane):
        table[found.start()] = table[found.start()] & ~np.uint8(_ANY_WORD) | _WORD_ALONE
    for found in _OTHER.finditer(plane):
        table[found.start()] |= _IS_OTHER
    table[0x10000] = _IS_OTHER
    return table
