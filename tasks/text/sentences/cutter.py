"""The compiled look at many blocks at once, and the library where that does not settle it.

Belongs here: packing texts, calling, asking for what is unknown.  Does not belong here: what is looked for
(``kernel``), what words mean (``words``), rows of segments (``tasks.text.segments``).
"""

import numpy as np
from numpy.typing import NDArray

from tasks.text.native import NUMBER, POINTER, Code, Native, address
from tasks.text.sentences import words
from tasks.text.sentences.places import (
    COLUMNS,
    CUT,
    DEPENDS,
    ENDS,
    GOES_ON,
    MEANING,
    NOWHERE,
    UNKNOWN,
    UNSURE,
    Place,
    Places,
)

_ARGUMENTS = (POINTER, POINTER, NUMBER, POINTER, POINTER, NUMBER, POINTER, POINTER)


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
        self._native.call(
            *(address(code_points), address(windows), len(windows), address(self._kinds)),
            *(address(self._known.table), self._known.mask, address(rows), address(counts)),
        )
        is_foreign = counts < 0
        counts[is_foreign] = 0
        rows, counts = self._settled(text, windows[:, 3], rows[: int(counts.sum())], counts)
        return Places(code_points.view(np.uint32), rows, counts, is_foreign)

    def _settled(
        self, text: str, languages: NDArray[np.int64], rows: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and counts once all words are known, as if they had been before."""
        unknown = np.flatnonzero(rows[:, 0] == UNKNOWN)
        if not len(unknown):
            return rows, counts
        owners = np.repeat(np.arange(len(counts)), counts)
        asked = languages[owners[unknown]]
        for language in np.unique(asked).tolist():
            own = unknown[asked == language]
            rows[own, 0] = self._answers(text, words.LANGUAGES[language], list(map(Place._make, rows[own].tolist())))
        is_place = rows[:, 0] != NOWHERE
        return rows[is_place], np.bincount(owners[is_place], minlength=len(counts))

    def _answers(self, text: str, language: str, places: list[Place]) -> list[int]:
        """Learn the words of some places; what is found there."""
        befores = {place.key: text[place.word : place.stop + 1] for place in places if not place.key & MEANING}
        behinds = {
            place.key_behind: text[place.begin : place.behind_end] for place in places if not place.key_behind & MEANING
        }
        learned = dict(zip(befores, words.all_before([*befores.values()], language), strict=True))
        learned.update(zip(behinds, words.all_behind([*behinds.values()], language), strict=True))
        pairs: dict[int, int] = {}
        found: list[int] = []
        for place in places:
            before = place.key & MEANING or learned[place.key]
            if before == DEPENDS and place.key_pair:
                previous = text[place.pair : max(place.pair, place.word - 1)]
                before = pairs[place.key_pair] = words.pair(previous, text[place.word : place.stop], language)
            found.append(_found(before, place.key_behind & MEANING or learned[place.key_behind]))
        self._known.add(learned | pairs)
        return found


def _found(before: int, behind: int) -> int:
    """What the words before and behind a sign make of the place."""
    if GOES_ON in {before, behind}:
        return NOWHERE
    return CUT if before == behind == ENDS else UNSURE
