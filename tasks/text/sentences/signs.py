"""What signs around a full stop mean to sentencex: quotes, brackets, numbers of lists; for numba to compile.

Belongs here: telling from characters alone what opens, closes, numbers or begins.  Does not belong here: words and
what is known of them, and the pass over a text (``kernel``).

The quotes and brackets that pair up, and how far a pair reaches, are those of sentencex 1.0: a pair is opened by the
first sign that finds its counterpart anywhere behind it, and no sentence ends inside.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from tasks.text.sentences.kinds import (
    APOSTROPHE,
    BLANK,
    CLOSE,
    DIGIT,
    MARK,
    OPEN,
    OTHER,
    QUOTE,
    SIZE,
    STOP,
    UNDERSCORE,
    UPPER,
)

_ROUND_OPEN, _ROUND_CLOSE, _FULL_STOP, _BLANK_CODE = 0x28, 0x29, 0x2E, 0x20
_COPYRIGHT, _DASH, _LONG_DASH = 0xA9, 0x2013, 0x2014
# A bit a letter, from a on.
_ROMAN = sum(1 << ord(letter) - ord("a") for letter in "ivxlcdm")

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """A function that is inlined into the exported one; with numpy's error model no path is left that could raise."""
    return cast("_Function", numba.njit(error_model="numpy", fastmath=False, forceinline=True)(function))


@compiled
def kind_at(text: Any, at: Any, kind_of: Any) -> Any:
    """What kind of character stands there."""
    code = np.int64(text[at])
    return np.int64(kind_of[code]) if code < SIZE else np.int64(OTHER)


@compiled
def _counterpart(code: Any) -> Any:
    """What closes a quote: the pairs that the library knows."""
    if code == 0xAB:
        return 0xBB
    if code == 0xBB:
        return 0xAB
    if code == 0x201C:
        return 0x201D
    if code == 0x201E:
        return 0x201C
    if code == 0x2018:
        return 0x2019
    if code == 0x2039:
        return 0x203A
    return code


@compiled
def _is_roman(code: Any) -> Any:
    place = (code | 0x20) - 0x61
    return 0 <= place < 26 and (_ROMAN >> place) & 1 != 0


@compiled
def _may_number(text: Any, start: Any, end: Any, kind_of: Any) -> Any:
    """Whether these characters, less what opens and closes them, could number an item of a list."""
    if text[start] == _ROUND_OPEN:
        start += 1
    if start < end and text[end - 1] == _ROUND_CLOSE:
        end -= 1
    if start < end and text[end - 1] == _FULL_STOP:
        end -= 1
    digits = romans = 0
    for i in range(start, end):
        digits += kind_at(text, i, kind_of) == DIGIT
        romans += _is_roman(np.int64(text[i]))
    return digits == end - start or romans == end - start or end - start == 1


@compiled
def begins_item(text: Any, start: Any, end: Any, kind_of: Any) -> Any:
    """Whether the first word of a line, which begins at ``start``, could be a bullet or a number."""
    stop = start + 1
    while stop < end and kind_at(text, stop, kind_of) != BLANK:
        stop += 1
    last = np.int64(text[stop - 1])
    if stop - start == 1:
        return last == 0x2A or last == 0x2B or last == 0x2D
    return (last == _FULL_STOP or last == _ROUND_CLOSE) and _may_number(text, start, stop, kind_of)


@compiled
def _ends_item(text: Any, word: Any, at: Any, end: Any, kind_of: Any) -> Any:
    """Whether a bracket that closes could be the end of a number within a line."""
    if text[at] != _ROUND_CLOSE or (at + 1 < end and kind_at(text, at + 1, kind_of) != BLANK):
        return False
    return bool(_may_number(text, word, at + 1, kind_of))


@compiled
def _opens_quote(text: Any, start: Any, at: Any, end: Any, kind_of: Any) -> Any:
    """Whether an apostrophe could open a quote: behind no letter, before one."""
    left = kind_at(text, at - 1, kind_of) if at > start else np.int64(BLANK)
    right = kind_at(text, at + 1, kind_of) if at + 1 < end else np.int64(BLANK)
    return (left > DIGIT and left != UNDERSCORE) and (right <= DIGIT or right == UNDERSCORE)


@compiled
def behind_pair(text: Any, at: Any, end: Any, kind_of: Any) -> Any:
    """Where the pair ends that the sign at ``at`` opens; -1 where nothing closes it."""
    is_bracket = kind_at(text, at, kind_of) == OPEN
    closing = _counterpart(np.int64(text[at]))
    for i in range(at + 1, end):
        if (kind_at(text, i, kind_of) == CLOSE) if is_bracket else (np.int64(text[i]) == closing):
            return i + 1
    return -1


@compiled
def letter_behind(text: Any, at: Any, end: Any) -> Any:
    """Where the word behind a sign begins, with a blank between them or without."""
    return at + 2 if at + 1 < end and np.int64(text[at + 1]) == _BLANK_CODE else at + 1


@compiled
def can_begin(text: Any, at: Any, end: Any, is_quoted: Any, kind_of: Any) -> Any:
    """Whether it takes no more than the word at ``at``, and a sign before it, to tell whether a sentence begins."""
    kind = kind_at(text, at, kind_of)
    if kind == UPPER or kind == DIGIT:
        return True
    word = letter_behind(text, at, end)
    if word >= end or kind_at(text, word, kind_of) != UPPER:
        return False
    code = np.int64(text[at])
    if code == _COPYRIGHT or code == _DASH or code == _LONG_DASH:
        return word > at + 1
    # A quote or a bracket that is closed somewhere.
    is_opening = (kind == QUOTE and not is_quoted) or code == _ROUND_OPEN
    return is_opening and behind_pair(text, at, end, kind_of) > 0


@compiled
def after_blanks(text: Any, at: Any, end: Any, kind_of: Any) -> Any:
    """Where the blanks end that begin here."""
    while at < end and kind_at(text, at, kind_of) == BLANK:
        at += 1
    return at


@compiled
def is_sign(kind: Any) -> Any:
    """Whether a sentence could end with it."""
    return kind == STOP or kind == MARK


@compiled
def after_signs(text: Any, at: Any, end: Any, kind_of: Any) -> Any:
    """Where the signs end that begin here."""
    while at < end and is_sign(kind_at(text, at, kind_of)):
        at += 1
    return at


@compiled
def pair_at(text: Any, at: Any, end: Any, quote_end: Any, bracket_end: Any, unpaired: Any, kind_of: Any) -> Any:
    """Where the pairs at work end and which signs have no counterpart, now that a quote or a bracket stands there."""
    is_quote = kind_at(text, at, kind_of) == QUOTE
    sign = np.int64(1) << ((np.int64(text[at]) & 63) if is_quote else np.int64(0))
    if at < (quote_end if is_quote else bracket_end) or unpaired & sign:
        return quote_end, bracket_end, unpaired
    pair_end = behind_pair(text, at, end, kind_of)
    if pair_end < 0:
        return quote_end, bracket_end, unpaired | sign
    return (pair_end, bracket_end, unpaired) if is_quote else (quote_end, pair_end, unpaired)


@compiled
def is_foreign(text: Any, start: Any, word: Any, at: Any, end: Any, kind_of: Any) -> Any:
    """Whether a character is beyond this look: unknown, the end of a number in a list, a quote like an apostrophe."""
    kind = kind_at(text, at, kind_of)
    if kind == CLOSE:
        return bool(_ends_item(text, word, at, end, kind_of))
    return kind == OTHER or (kind == APOSTROPHE and _opens_quote(text, start, at, end, kind_of))
