"""The look at ends of sentences, in a form that numba compiles: a pure function over pointers.

Belongs here: where a sentence could end, between which quotes and brackets, and what is known of the two words there.
Does not belong here: what a word means (``words``), what is done where nothing is known (``cutter``).

The quotes and brackets that pair up, and how far a pair reaches, are those of sentencex 1.0: a pair is opened by the
first sign that finds its counterpart anywhere behind it, and no sentence ends inside.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from tasks.text.sentences import kinds
from tasks.text.sentences.places import COLUMNS, CUT, DEPENDS, ENDS, GOES_ON, TIGHT, UNKNOWN, UNSURE

# Of a word that is looked up, and of one and the word before it; of the word behind.
_LONGEST_WORD, _LONGEST_PAIR, _KEPT = 38, 39, 32
_BLANK_CODE = 32

SIGNATURE = """void(CPointer(uint32), CPointer(int64), int64, CPointer(uint8), CPointer(uint64), int64, CPointer(int64),
    CPointer(int64))"""

_OTHER, _UPPER, _LOWER, _DIGIT, _BLANK, _STOP, _MARK, _PLAIN, _UNDERSCORE, _QUOTE, _OPEN, _CLOSE, _APOSTROPHE = range(
    13
)
_SIZE = kinds.SIZE
_SEED, _PRIME, _MEANING = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3), np.uint64(3)
_FOLD = np.uint64(32)
_ROUND_OPEN, _ROUND_CLOSE, _FULL_STOP, _NEWLINE = 0x28, 0x29, 0x2E, 0x0A
_COPYRIGHT, _DASH, _LONG_DASH = 0xA9, 0x2013, 0x2014
# A bit a letter, from a on.
_ROMAN = sum(1 << ord(letter) - ord("a") for letter in "ivxlcdm")
# No place; a word that nobody has asked about.
_NOTHING, _UNASKED = -1, 0
# What a key is about: a word before this sign, the word behind, the word before and its word.
_BEHIND, _PAIR = 1, 2

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled(function: _Function) -> _Function:
    # Inlined into the exported function, and numpy's error model: no path is left that could raise.
    return cast("_Function", numba.njit(error_model="numpy", fastmath=False, forceinline=True)(function))


@_compiled
def _kind(text: Any, at: Any, kind_of: Any) -> Any:
    code = np.int64(text[at])
    return np.int64(kind_of[code]) if code < _SIZE else np.int64(_OTHER)


@_compiled
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


@_compiled
def _key(text: Any, start: Any, end: Any, about: Any, language: Any) -> Any:
    """A number for a word in a language; its last two bits are free."""
    key = (_SEED ^ np.uint64(about + 4096 * language)) * _PRIME
    for i in range(start, end):
        key = (key ^ np.uint64(text[i])) * _PRIME
    key = (key ^ (key >> _FOLD)) * _PRIME
    return (key ^ (key >> _FOLD)) & ~_MEANING


@_compiled
def _meaning(key: Any, known: Any, mask: Any) -> Any:
    """What is known under a key; 0 where nothing is."""
    at = np.int64(key >> np.uint64(2)) & mask
    while known[at] != np.uint64(0):
        if known[at] & ~_MEANING == key:
            return np.int64(known[at] & _MEANING)
        at = (at + 1) & mask
    return np.int64(0)


@_compiled
def _is_roman(code: Any) -> Any:
    place = (code | 0x20) - 0x61
    return 0 <= place < 26 and (_ROMAN >> place) & 1 != 0


@_compiled
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
        digits += _kind(text, i, kind_of) == _DIGIT
        romans += _is_roman(np.int64(text[i]))
    return digits == end - start or romans == end - start or end - start == 1


@_compiled
def _begins_item(text: Any, start: Any, end: Any, kind_of: Any) -> Any:
    """Whether the first word of a line, which begins at ``start``, could be a bullet or a number."""
    stop = start + 1
    while stop < end and _kind(text, stop, kind_of) != _BLANK:
        stop += 1
    last = np.int64(text[stop - 1])
    if stop - start == 1:
        return last == 0x2A or last == 0x2B or last == 0x2D
    return (last == _FULL_STOP or last == _ROUND_CLOSE) and _may_number(text, start, stop, kind_of)


@_compiled
def _ends_item(text: Any, word: Any, at: Any, end: Any, kind_of: Any) -> Any:
    """Whether a bracket that closes could be the end of a number within a line."""
    if text[at] != _ROUND_CLOSE or (at + 1 < end and _kind(text, at + 1, kind_of) != _BLANK):
        return False
    return bool(_may_number(text, word, at + 1, kind_of))


@_compiled
def _opens_quote(text: Any, start: Any, at: Any, end: Any, kind_of: Any) -> Any:
    """Whether an apostrophe could open a quote: behind no letter, before one."""
    left = _kind(text, at - 1, kind_of) if at > start else np.int64(_BLANK)
    right = _kind(text, at + 1, kind_of) if at + 1 < end else np.int64(_BLANK)
    return (left > _DIGIT and left != _UNDERSCORE) and (right <= _DIGIT or right == _UNDERSCORE)


@_compiled
def _behind_pair(text: Any, at: Any, end: Any, kind_of: Any) -> Any:
    """Where the pair ends that the sign at ``at`` opens; -1 where nothing closes it."""
    is_bracket = _kind(text, at, kind_of) == _OPEN
    closing = _counterpart(np.int64(text[at]))
    for i in range(at + 1, end):
        if (_kind(text, i, kind_of) == _CLOSE) if is_bracket else (np.int64(text[i]) == closing):
            return i + 1
    return -1


@_compiled
def _can_begin(text: Any, at: Any, end: Any, is_quoted: Any, kind_of: Any) -> Any:
    """Whether it takes no more than the word at ``at``, and a sign before it, to tell whether a sentence begins."""
    kind = _kind(text, at, kind_of)
    if kind == _UPPER or kind == _DIGIT:
        return True
    word = _letter(text, at, end)
    if word >= end or _kind(text, word, kind_of) != _UPPER:
        return False
    code = np.int64(text[at])
    if code == _COPYRIGHT or code == _DASH or code == _LONG_DASH:
        return word > at + 1
    # A quote or a bracket that is closed somewhere.
    is_opening = (kind == _QUOTE and not is_quoted) or code == _ROUND_OPEN
    return is_opening and _behind_pair(text, at, end, kind_of) > 0


@_compiled
def _letter(text: Any, at: Any, end: Any) -> Any:
    """Where the word behind a sign begins, with a blank between them or without."""
    return at + 2 if at + 1 < end and np.int64(text[at + 1]) == _BLANK_CODE else at + 1


@_compiled
def _after_blanks(text: Any, at: Any, end: Any, kind_of: Any) -> Any:
    while at < end and _kind(text, at, kind_of) == _BLANK:
        at += 1
    return at


@_compiled
def _is_sign(kind: Any) -> Any:
    return kind == _STOP or kind == _MARK


@_compiled
def _after_signs(text: Any, at: Any, end: Any, kind_of: Any) -> Any:
    while at < end and _is_sign(_kind(text, at, kind_of)):
        at += 1
    return at


@_compiled
def _after_word(text: Any, at: Any, end: Any, kind_of: Any) -> Any:
    most = min(end, at + _KEPT)
    while at < most and _kind(text, at, kind_of) != _BLANK:
        at += 1
    return at


@_compiled
def _is_word(text: Any, start: Any, word: Any, block: Any) -> Any:
    """Whether a word stands in one line with what is before it."""
    return word == block or (word > start and np.int64(text[word - 1]) == _BLANK_CODE)


@_compiled
def _ask(
    text: Any, windows: Any, w: Any, previous: Any, word: Any, stop: Any, behind: Any, is_inner: Any, kind_of: Any,
    known: Any, mask: Any, found: Any, row: Any
) -> Any:  # fmt: skip
    """What the words before and behind a sign tell; fills the row with what is unknown of them."""
    start, end, block, language = windows[4 * w], windows[4 * w + 1], windows[4 * w + 2], windows[4 * w + 3]
    length = stop - word
    if length < 1 or length > _LONGEST_WORD or not _is_word(text, start, word, block):
        return UNSURE
    # A sign is told from the other questions by its code, which is above theirs.
    key = _key(text, word, stop, np.int64(text[stop]), language)
    before = _meaning(key, known, mask)
    if before == GOES_ON:
        return _NOTHING
    is_sign = _kind(text, behind, kind_of) > _DIGIT
    word_end = _after_word(text, _letter(text, behind, end) if is_sign else behind, end, kind_of)
    key_behind = _key(text, behind, word_end, _BEHIND, language)
    after = _meaning(key_behind, known, mask)
    if after == GOES_ON:
        return _NOTHING
    # Both words, if they stand side by side.
    pair = word if word == block else previous
    key_pair = np.uint64(0)
    is_pair = word == block or (
        previous >= 0
        and stop - previous <= _LONGEST_PAIR
        and _kind(text, word - 2, kind_of) != _BLANK
        and _is_word(text, start, previous, block)
    )
    if before != ENDS and is_pair and not is_inner:
        key_pair = _key(text, pair, stop, _PAIR, language)
        if before == DEPENDS:
            before = _meaning(key_pair, known, mask)
            if before == GOES_ON:
                return _NOTHING
    if before == DEPENDS or (after == DEPENDS and before != _UNASKED):
        return UNSURE
    if before == ENDS and after == ENDS:
        return CUT
    found[row + 3], found[row + 4], found[row + 5], found[row + 6] = stop, word, pair, word_end
    found[row + 7], found[row + 8], found[row + 9] = np.int64(key), np.int64(key_behind), np.int64(key_pair)
    return UNKNOWN


@_compiled
def _sign(
    text: Any, windows: Any, w: Any, previous: Any, word: Any, stop: Any, quote_end: Any, bracket_end: Any,
    kind_of: Any, known: Any, mask: Any, found: Any, row: Any
) -> Any:  # fmt: skip
    """What stands at a sign that could end a sentence; fills the row, except where there is nothing."""
    start, end = windows[4 * w], windows[4 * w + 1]
    signs = _after_signs(text, stop + 1, end, kind_of)
    is_single = signs == stop + 1
    ends = stop + 1
    behind = _after_blanks(text, signs, end, kind_of)
    if behind >= end:
        return _NOTHING
    kind = _kind(text, behind, kind_of)
    is_tight, is_stop = behind == signs, _kind(text, stop, kind_of) == _STOP
    # Glue is looked for everywhere, between quotes and brackets, too.
    if is_single and is_tight and is_stop and kind == _UPPER:
        if stop == start or _kind(text, stop - 1, kind_of) != _LOWER:
            return _NOTHING
        found[row + 1] = found[row + 2] = behind
        return TIGHT
    is_inner = False
    if stop < quote_end or stop < bracket_end:
        # Within a pair no sentence ends, but with a quote.
        if stop >= quote_end or behind != quote_end - 1:
            return _NOTHING
        is_inner, ends = True, quote_end
        behind = _after_blanks(text, ends, end, kind_of)
        if behind >= end:
            return _NOTHING
        kind = _kind(text, behind, kind_of)
        is_tight = behind == ends
    found[row + 1], found[row + 2] = ends, behind
    if is_inner and (stop < bracket_end or is_tight or not is_single):
        return UNSURE
    # In no language does a sentence begin with a small letter, and no number has a sentence's end in it.
    if kind == _LOWER or (is_single and is_tight and is_stop and kind == _DIGIT):
        return _NOTHING
    if is_tight or not is_single:
        return UNSURE
    can_begin = kind == _UPPER if is_inner else _can_begin(text, behind, end, behind < quote_end, kind_of)
    if not can_begin:
        return UNSURE
    return _ask(text, windows, w, previous, word, stop, behind, is_inner, kind_of, known, mask, found, row)


@_compiled
def _pair(text: Any, at: Any, end: Any, quote_end: Any, bracket_end: Any, unpaired: Any, kind_of: Any) -> Any:
    """Where the pairs at work end and which signs have no counterpart, now that a quote or a bracket stands there."""
    is_quote = _kind(text, at, kind_of) == _QUOTE
    sign = np.int64(1) << ((np.int64(text[at]) & 63) if is_quote else np.int64(0))
    if at < (quote_end if is_quote else bracket_end) or unpaired & sign:
        return quote_end, bracket_end, unpaired
    pair_end = _behind_pair(text, at, end, kind_of)
    if pair_end < 0:
        return quote_end, bracket_end, unpaired | sign
    return (pair_end, bracket_end, unpaired) if is_quote else (quote_end, pair_end, unpaired)


@_compiled
def _is_foreign(text: Any, start: Any, word: Any, at: Any, end: Any, kind_of: Any) -> Any:
    """Whether a character is beyond this look: unknown, the end of a number in a list, a quote like an apostrophe."""
    kind = _kind(text, at, kind_of)
    if kind == _CLOSE:
        return bool(_ends_item(text, word, at, end, kind_of))
    return kind == _OTHER or (kind == _APOSTROPHE and _opens_quote(text, start, at, end, kind_of))


def look(text: Any, windows: Any, count: Any, kind_of: Any, known: Any, mask: Any, found: Any, places: Any) -> None:
    """For each window the places where a sentence could end, and how many; -1 where it is all the library's."""
    row = np.int64(0)
    for w in range(count):
        start, end = windows[4 * w], windows[4 * w + 1]
        first = row
        is_ours = windows[4 * w + 3] >= 0
        # Where the pair of quotes and the pair of brackets at work end; which signs have no counterpart any more.
        quote_end = bracket_end = np.int64(-1)
        unpaired = np.int64(0)
        word = previous = np.int64(-1)
        i, was_blank = start, True
        while is_ours and i < end:
            kind = _kind(text, i, kind_of)
            at = i
            i += 1
            if kind == _BLANK:
                was_blank = True
                continue
            if was_blank:
                previous, word, was_blank = word, at, False
                if at == start or np.int64(text[at - 1]) == _NEWLINE:
                    is_ours = not _begins_item(text, at, end, kind_of)
            if kind == _UPPER or kind == _LOWER:
                continue
            if _is_sign(kind):
                what = _sign(
                    text, windows, w, previous, word, at, quote_end, bracket_end, kind_of, known, mask, found, row
                )
                if what != _NOTHING:
                    found[row] = what
                    row += COLUMNS
                # Of several signs in a row only the first is looked at.
                i = _after_signs(text, i, end, kind_of)
            elif kind == _QUOTE or kind == _OPEN:
                quote_end, bracket_end, unpaired = _pair(text, at, end, quote_end, bracket_end, unpaired, kind_of)
            elif _is_foreign(text, start, word, at, end, kind_of):
                is_ours = False
        if is_ours:
            places[w] = (row - first) // COLUMNS
        else:
            row = first
            places[w] = -1
