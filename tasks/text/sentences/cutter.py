"""The compiled look at many blocks at once, and the library where that does not settle it.

Belongs here: packing texts, calling, asking for what is unknown.  Does not belong here: what is looked for
(``kernel``), what words mean (``words``), rows of segments (``tasks.text.segments``).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.text.native import NUMBER, POINTER, Code, Native, address
from tasks.text.sentences import words
from tasks.text.sentences.places import COLUMNS, DEPENDS, UNKNOWN, Places

_ARGUMENTS = (POINTER, POINTER, NUMBER, POINTER, POINTER, NUMBER, POINTER, POINTER)
# A word that is unknown, and then both words, if it takes both.
_QUESTIONS = 3


class Cutter:
    """Holds table and compiled code; safe to share between threads, every call brings its own memory."""

    def __init__(self, code: Code, kinds: NDArray[np.uint8]) -> None:
        self._kinds = kinds  # kept: the compiled code sees only its address
        self._native = Native(code, _ARGUMENTS)
        self._known = words.Known()

    def places(self, text: str, windows: NDArray[np.int64]) -> Places:
        """The places of all windows of a text, in order.

        A row of ``windows``: where it starts and ends, where its block begins, the number of its language.
        """
        # numpy stores strings as UTF-32, lone surrogates included, and converts faster than any codec.
        code_points = np.array([text])
        windows = np.ascontiguousarray(windows, np.int64)
        counts = np.empty(len(windows), np.int64)
        rows = np.empty((len(text) // 2 + 1, COLUMNS), np.int64)
        for _ in range(_QUESTIONS):
            self._native.call(
                *(address(code_points), address(windows), len(windows), address(self._kinds)),
                *(address(self._known.table), self._known.mask, address(rows), address(counts)),
            )
            found = Places(
                code_points.view(np.uint32),
                rows[: int(np.maximum(counts, 0).sum())],
                np.maximum(counts, 0),
                counts < 0,
            )
            if not self._answer(text, windows, found):
                break
        return found

    def _answer(self, text: str, windows: NDArray[np.int64], found: Places) -> bool:
        """Learn the words that nobody has asked about; whether there were any."""
        is_unknown = found.rows[:, 0] == UNKNOWN
        if not is_unknown.any():
            return False
        languages = np.repeat(windows[:, 3], found.counts)[is_unknown]
        for row, language in zip(found.rows[is_unknown].tolist(), languages.tolist(), strict=True):
            self._learn(text, words.LANGUAGES[language], row)
        return True

    def _learn(self, text: str, language: str, row: Sequence[int]) -> None:
        _, _, behind, stop, word, pair, behind_end, key, key_behind, key_pair = row
        meaning = words.before(text[word:stop], text[stop], language)
        self._known.add(key, meaning)
        if meaning == DEPENDS and key_pair:
            self._known.add(key_pair, words.pair(text[pair : max(pair, word - 1)], text[word:stop], language))
        self._known.add(key_behind, words.behind(text[behind:behind_end], language))
