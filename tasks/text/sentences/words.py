"""What the words around a full stop mean in a language, asked once and remembered.

Belongs here: asking the library and the rules about a word, and the table of the answers.  Does not belong here:
finding the words (``kernel``), any other sentence (``boundaries``).

The library looks at the word before a sign and at the word behind it, each for itself; so does every rule but one
kind, which asks for two words before.  A word is asked about in a sentence of nothing else that could matter: most
in one text with others, in sentences one after the other, and alone only what does not end or begin one there.
"""

import functools
import threading
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.text.rules import LONGEST_ABBREVIATION, Rules, load
from tasks.text.sentences import boundaries
from tasks.text.sentences.places import DEPENDS, ENDS, GOES_ON

# Whose sentences have been held against the library's, one by one; in any other it is asked about all.
LANGUAGES = ("de", "en", "fr", "es", "it", "nl", "pt", "pl", "ru", "sv", "no", "nb", "da", "fi", "cs", "ca", "und")
_FILLER = "Qqqqqqqqqq"
# Words of one text, which stays far below what the library is given at once.
_TOGETHER = 50
_CLOSING = {'"': '"', "«": "»", "»": "«", "“": "”", "„": "“", "‘": "’", "‚": "‚", "‹": "›", "(": ")"}
# A key of 64 bits leaves its last two to the answer.
_KEY = 0xFFFF_FFFF_FFFF_FFFC
# What some abbreviations look for before them, and what some do not reach beyond.
_LEFT = (_FILLER, f"{_FILLER} at 7")
_RIGHT = ("The", "He", "It", "Der", "Er", "Le", "El", "Il", "De", "Он")


@functools.cache
def number(language: str) -> int:
    """The number of a language in the compiled look; -1 where all is left to the library."""
    if language not in LANGUAGES:
        return -1
    # What the look takes for granted: 3.5 is no end.
    one = f"{_FILLER}.5 {_FILLER}"
    return LANGUAGES.index(language) if boundaries.library(one, language) == [one] else -1


def all_before(words: Sequence[str], language: str) -> list[int]:
    """What each word before a sign, its last character, says of what stands there."""
    ends: set[str] = set()
    for some in _texts([word for word in dict.fromkeys(words) if _is_plain(word[:-1])]):
        # Only a word as short as a unit can depend on a number before it.
        short = [word for word in some if len(word) <= LONGEST_ABBREVIATION]
        asked = [(f"{left} {word} ", word) for left, those in zip(_LEFT, (some, short), strict=True) for word in those]
        found = _ends_behind([sentence for sentence, _ in asked], _FILLER, language)
        ends.update(some)
        ends.difference_update(word for (_, word), is_end in zip(asked, found, strict=True) if not is_end)
    return [_by_rules(word, language) if word in ends else before(word[:-1], word[-1], language) for word in words]


def all_behind(words: Sequence[str], language: str) -> list[int]:
    """What each word behind a sign says: whether a sentence can begin with it."""
    begins: set[str] = set()
    for some in _texts([word for word in dict.fromkeys(words) if _is_plain(word.removesuffix(","))]):
        sentences = [f"{_FILLER} {_FILLER}. ", *(f"{word} {_FILLER}. " for word in some)]
        ends = _ends_behind(sentences, "", language)
        begins.update(word for word, is_end in zip(some, ends, strict=False) if is_end)
    return [_begins_by_rules(word, language) if word in begins else behind(word, language) for word in words]


def _is_plain(word: str) -> bool:
    """Whether a word has nothing that could matter beyond it: no stop, quote, bracket or number."""
    return word.replace("-", "").isalpha()


def _texts(words: list[str]) -> list[list[str]]:
    return [words[low : low + _TOGETHER] for low in range(0, len(words), _TOGETHER)]


def _ends_behind(pieces: list[str], last: str, language: str) -> list[bool]:
    """Whether a sentence ends with each piece of a text, of which each has a blank behind it."""
    ends = set(accumulate(map(len, boundaries.library("".join([*pieces, last]), language))))
    return [end in ends or end - 1 in ends for end in accumulate(map(len, pieces))]


def before(word: str, sign: str, language: str) -> int:
    """What one word before a sign says of what stands there, asked about alone."""
    ends = {_ends(f"{left} {word}{sign}", _FILLER, language) for left in _LEFT}
    if ends == {False}:
        ends |= {_ends(f"{left} {word}{sign}", right, language) for left in _LEFT for right in _RIGHT}
        return GOES_ON if ends == {False} else DEPENDS
    return _by_rules(word + sign, language) if ends == {True} else DEPENDS


def _by_rules(word: str, language: str) -> int:
    """What our rules make of a word and a sign, behind which the library always ends a sentence."""
    if not word.endswith("."):
        return ENDS
    word, rules = word[:-1], load(language)
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


def behind(word: str, language: str) -> int:
    """What one word behind a sign says, asked about alone."""
    first = f"{_FILLER} {_FILLER}."
    # A quote that is not closed would be taken for one that closes.
    closing = _CLOSING.get(word[0], "")
    if not _ends(first, f"{word} {_FILLER}{closing}", language):
        return GOES_ON
    return _begins_by_rules(word, language)


def _begins_by_rules(word: str, language: str) -> int:
    """What our rules make of a word with which the library begins a sentence."""
    continuation: Any = load(language).continuation
    has_more_rules = word[0].isdigit() or (continuation is not None and continuation.match(word, partial=True))
    return DEPENDS if has_more_rules else ENDS


class Known:
    """The answers by key, where the compiled look finds them; emptied when it is half full."""

    _SLOTS = 1 << 18

    def __init__(self) -> None:
        self.mask = self._SLOTS - 1
        self.table: NDArray[np.uint64] = np.zeros(self._SLOTS, np.uint64)
        # A view gives plain numbers, at a fifth of what the array takes for one.
        self._view = self.table.data
        self._count = 0
        self._lock = threading.Lock()

    def add(self, meanings: Mapping[int, int]) -> None:
        """Remember answers under keys of the compiled look."""
        view, mask = self._view, self.mask
        with self._lock:
            for key, meaning in meanings.items():
                if self._count >= self._SLOTS // 2:
                    self.table[:] = 0
                    self._count = 0
                bare = key & _KEY
                at = bare >> 2 & mask
                while (held := view[at]) and held & _KEY != bare:
                    at = at + 1 & mask
                self._count += not held
                view[at] = bare | meaning
