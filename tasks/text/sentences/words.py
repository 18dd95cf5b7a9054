"""What the words around a full stop mean in a language, asked once and remembered.

Belongs here: asking the library and the rules about a word, and the table of the answers.  Does not belong here:
finding the words (``kernel``), any other sentence (``boundaries``).

The library looks at the word before a sign and at the word behind it, each for itself; so does every rule but one
kind, which asks for two words before.  A word is asked about in a sentence of nothing else that could matter.
"""

import functools
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.text.rules import LONGEST_ABBREVIATION, Rules, load
from tasks.text.sentences import boundaries
from tasks.text.sentences.places import DEPENDS, ENDS, GOES_ON

# Whose sentences have been held against the library's, one by one; in any other it is asked about all.
LANGUAGES = ("de", "en", "fr", "es", "it", "nl", "pt", "pl", "ru", "sv", "no", "nb", "da", "fi", "cs", "ca", "und")
_FILLER = "Qqqqqqqqqq"
# Answers that are kept here, beside those in the table of ``Known``: a word stands before or behind a sign again and
# again, but new words never end, and 100,000 of each took 25 MB of a worker.
_KEPT = 8_192
_CLOSING = {'"': '"', "«": "»", "»": "«", "“": "”", "„": "“", "‘": "’", "‚": "‚", "‹": "›", "(": ")"}
# What some abbreviations look for before them, and what some do not reach beyond.
_LEFT = (_FILLER, "at 7")
_RIGHT = ("The", "He", "It", "Der", "Er", "Le", "El", "Il", "De", "Он")


@functools.cache
def number(language: str) -> int:
    """The number of a language in the compiled look; -1 where all is left to the library."""
    if language not in LANGUAGES:
        return -1
    # What the look takes for granted: 3.5 is no end.
    one = f"{_FILLER}.5 {_FILLER}"
    return LANGUAGES.index(language) if boundaries.library(one, language) == [one] else -1


@functools.lru_cache(maxsize=_KEPT)
def before(word: str, sign: str, language: str) -> int:
    """What the word before a sign says of what stands there."""
    ends = {_ends(f"{left} {word}{sign}", _FILLER, language) for left in _LEFT}
    if ends == {False}:
        ends |= {_ends(f"{left} {word}{sign}", right, language) for left in _LEFT for right in _RIGHT}
        return GOES_ON if ends == {False} else DEPENDS
    if ends != {True}:
        return DEPENDS
    if sign != ".":
        return ENDS
    rules = load(language)
    if _is_long(word, rules):
        return ENDS
    bare = boundaries.bare_word(word)
    if bare in rules.abbreviations:
        return GOES_ON
    return DEPENDS if boundaries.needs_word_before(bare, rules) else ENDS


def _ends(left: str, right: str, language: str) -> bool:
    """Whether the library ends a sentence between the two."""
    return len(boundaries.library(f"{left} {right}", language)[0]) <= len(left) + 1


def _is_long(word: str, rules: Rules) -> bool:
    longest = LONGEST_ABBREVIATION + 1
    ending = word[-longest:]
    is_long = len(ending) == longest and ending.isalpha()
    return (rules.has_short_abbreviations and is_long) or (word.isalpha() and is_long)


def pair(previous: str, word: str, language: str) -> int:
    """What two words say of the full stop behind them, where the second does not tell."""
    bare, rules = boundaries.bare_word(word), load(language)
    if not boundaries.needs_word_before(bare, rules):
        return DEPENDS
    return GOES_ON if boundaries.goes_on_behind(previous, bare, rules) else ENDS


@functools.lru_cache(maxsize=_KEPT)
def behind(word: str, language: str) -> int:
    """What the word behind a sign says: whether one can begin with it."""
    first = f"{_FILLER} {_FILLER}."
    # A quote that is not closed would be taken for one that closes.
    closing = _CLOSING.get(word[0], "")
    if not _ends(first, f"{word} {_FILLER}{closing}", language):
        return GOES_ON
    continuation: Any = load(language).continuation
    has_more_rules = word[0].isdigit() or (continuation is not None and continuation.match(word, partial=True))
    return DEPENDS if has_more_rules else ENDS


class Known:
    """The answers by key, where the compiled look finds them; emptied when it is half full."""

    _SLOTS = 1 << 18

    def __init__(self) -> None:
        self.mask = self._SLOTS - 1
        self.table: NDArray[np.uint64] = np.zeros(self._SLOTS, np.uint64)
        self._count = 0
        self._lock = threading.Lock()

    def add(self, key: int, meaning: int) -> None:
        """Remember an answer under a key of the compiled look."""
        key &= 0xFFFF_FFFF_FFFF_FFFC
        with self._lock:
            if self._count >= self._SLOTS // 2:
                self.table[:] = 0
                self._count = 0
            at = (key >> 2) & self.mask
            while (held := int(self.table[at])) and held & ~3 != key:
                at = (at + 1) & self.mask
            self._count += not held
            self.table[at] = key | meaning
