"""The look at ends of sentences, in a form that numba compiles: a pure function over pointers.

Belongs here: where a sentence could end, and what is known of the two words there.  Does not belong here: quotes,
brackets and lists (``signs``), what a word means (``words``), what is done where nothing is known (``cutter``).
"""

from typing import Any

import numpy as np

from tasks.text.sentences.kinds import BLANK, DIGIT, LOWER, OPEN, QUOTE, STOP, UPPER
from tasks.text.sentences.places import COLUMNS, CUT, DEPENDS, ENDS, GOES_ON, NOWHERE, TIGHT, UNKNOWN, UNSURE
from tasks.text.sentences.signs import (
    after_blanks,
    after_signs,
    begins_item,
    can_begin,
    compiled,
    is_foreign,
    is_sign,
    kind_at,
    letter_behind,
    pair_at,
)

# Of a word that is looked up, and of one and the word before it; of the word behind.
_LONGEST_WORD, _LONGEST_PAIR, _KEPT = 38, 39, 32
_BLANK_CODE = 0x20

SIGNATURE = """void(CPointer(uint32), CPointer(int64), int64, CPointer(uint8), CPointer(uint64), int64, CPointer(int64),
    CPointer(int64))"""

_SEED, _PRIME, _MEANING = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3), np.uint64(3)
_FOLD = np.uint64(32)
_NEWLINE = 0x0A
# A word that nobody has asked about.
_UNASKED = 0
# What a key is about: a word before this sign, the word behind, the word before and its word.
_BEHIND, _PAIR = 1, 2


@compiled
def _key(text: Any, start: Any, end: Any, about: Any, language: Any) -> Any:
    """A number for a word in a language; its last two bits are free."""
    key = (_SEED ^ np.uint64(about + 4096 * language)) * _PRIME
    for i in range(start, end):
        key = (key ^ np.uint64(text[i])) * _PRIME
    key = (key ^ (key >> _FOLD)) * _PRIME
    return (key ^ (key >> _FOLD)) & ~_MEANING


@compiled
def _meaning(key: Any, known: Any, mask: Any) -> Any:
    """What is known under a key; 0 where nothing is."""
    at = np.int64(key >> np.uint64(2)) & mask
    while known[at] != np.uint64(0):
        if known[at] & ~_MEANING == key:
            return np.int64(known[at] & _MEANING)
        at = (at + 1) & mask
    return np.int64(0)


@compiled
def _after_word(text: Any, at: Any, end: Any, kind_of: Any) -> Any:
    most = min(end, at + _KEPT)
    while at < most and kind_at(text, at, kind_of) != BLANK:
        at += 1
    return at


@compiled
def _is_word(text: Any, start: Any, word: Any, block: Any) -> Any:
    """Whether a word stands in one line with what is before it."""
    return word == block or (word > start and np.int64(text[word - 1]) == _BLANK_CODE)


@compiled
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
        return NOWHERE
    is_sign = kind_at(text, behind, kind_of) > DIGIT
    word_end = _after_word(text, letter_behind(text, behind, end) if is_sign else behind, end, kind_of)
    key_behind = _key(text, behind, word_end, _BEHIND, language)
    after = _meaning(key_behind, known, mask)
    if after == GOES_ON:
        return NOWHERE
    # Both words, if they stand side by side.
    pair = word if word == block else previous
    key_pair = np.uint64(0)
    is_pair = word == block or (
        previous >= 0
        and stop - previous <= _LONGEST_PAIR
        and kind_at(text, word - 2, kind_of) != BLANK
        and _is_word(text, start, previous, block)
    )
    if before != ENDS and is_pair and not is_inner:
        key_pair = _key(text, pair, stop, _PAIR, language)
        if before == DEPENDS:
            before = _meaning(key_pair, known, mask)
            if before == GOES_ON:
                return NOWHERE
    if before == DEPENDS or (after == DEPENDS and before != _UNASKED):
        return UNSURE
    if before == ENDS and after == ENDS:
        return CUT
    found[row + 3], found[row + 4], found[row + 5], found[row + 6] = stop, word, pair, word_end
    found[row + 7], found[row + 8] = np.int64(key) | before, np.int64(key_behind) | after
    found[row + 9] = np.int64(key_pair)
    return UNKNOWN


@compiled
def _sign(
    text: Any, windows: Any, w: Any, previous: Any, word: Any, stop: Any, quote_end: Any, bracket_end: Any,
    kind_of: Any, known: Any, mask: Any, found: Any, row: Any
) -> Any:  # fmt: skip
    """What stands at a sign that could end a sentence; fills the row, except where there is nothing."""
    start, end = windows[4 * w], windows[4 * w + 1]
    signs = after_signs(text, stop + 1, end, kind_of)
    is_single = signs == stop + 1
    ends = stop + 1
    behind = after_blanks(text, signs, end, kind_of)
    if behind >= end:
        return NOWHERE
    kind = kind_at(text, behind, kind_of)
    is_tight, is_stop = behind == signs, kind_at(text, stop, kind_of) == STOP
    # Glue is looked for everywhere, between quotes and brackets, too.
    if is_single and is_tight and is_stop and kind == UPPER:
        if stop == start or kind_at(text, stop - 1, kind_of) != LOWER:
            return NOWHERE
        found[row + 1] = found[row + 2] = behind
        return TIGHT
    is_inner = False
    if stop < quote_end or stop < bracket_end:
        # Within a pair no sentence ends, but with a quote.
        if stop >= quote_end or behind != quote_end - 1:
            return NOWHERE
        is_inner, ends = True, quote_end
        behind = after_blanks(text, ends, end, kind_of)
        if behind >= end:
            return NOWHERE
        kind = kind_at(text, behind, kind_of)
        is_tight = behind == ends
    found[row + 1], found[row + 2] = ends, behind
    if is_inner and (stop < bracket_end or is_tight or not is_single):
        return UNSURE
    # In no language does a sentence begin with a small letter, and no number has a sentence's end in it.
    if kind == LOWER or (is_single and is_tight and is_stop and kind == DIGIT):
        return NOWHERE
    if is_tight or not is_single:
        return UNSURE
    is_capital = kind == UPPER if is_inner else can_begin(text, behind, end, behind < quote_end, kind_of)
    if not is_capital:
        return UNSURE
    return _ask(text, windows, w, previous, word, stop, behind, is_inner, kind_of, known, mask, found, row)


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
            kind = kind_at(text, i, kind_of)
            at = i
            i += 1
            if kind == BLANK:
                was_blank = True
                continue
            if was_blank:
                previous, word, was_blank = word, at, False
                if at == start or np.int64(text[at - 1]) == _NEWLINE:
                    is_ours = not begins_item(text, at, end, kind_of)
            if kind == UPPER or kind == LOWER:
                continue
            if is_sign(kind):
                what = _sign(
                    text, windows, w, previous, word, at, quote_end, bracket_end, kind_of, known, mask, found, row
                )
                if what != NOWHERE:
                    found[row] = what
                    row += COLUMNS
                # Of several signs in a row only the first is looked at.
                i = after_signs(text, i, end, kind_of)
            elif kind == QUOTE or kind == OPEN:
                quote_end, bracket_end, unpaired = pair_at(text, at, end, quote_end, bracket_end, unpaired, kind_of)
            elif is_foreign(text, start, word, at, end, kind_of):
                is_ours = False
        if is_ours:
            places[w] = (row - first) // COLUMNS
        else:
            row = first
            places[w] = -1
