"""langdetect's labels for many texts at once, equal to the last bit, by the compiled replay.

Belongs here: packing texts, calling the compiled function, naming its answers.  Does not belong here: loading or
building what it needs (``cache``), and the decision about a document's language (``decision``).
"""

import sys
from collections.abc import Sequence

import numpy as np

from tasks.text.language import cache, tables
from tasks.text.language.cleaning import LIMIT, clean
from tasks.text.language.labels import Label
from tasks.text.native import NUMBER, POINTER, Native, address

# text, starts, how many; the tables; languages and kind of sum; scratch; answers.
_ARGUMENTS = (
    *(POINTER, POINTER, NUMBER),
    *(POINTER, NUMBER, POINTER, POINTER, POINTER, POINTER, POINTER, POINTER, POINTER),
    *(NUMBER, NUMBER),
    *(POINTER, POINTER, POINTER, POINTER),
    *(POINTER, POINTER),
)
_BATCH = 256  # bounds the memory of a call: 10 MB of characters
_REPORTED = 0.1
_UNKNOWN: Label = ("unknown", None)
_NO_FEATURES: Label = (None, None)


class Replay:
    """Holds tables and compiled code; safe to share between threads, every call brings its own scratch."""

    def __init__(self, parts: cache.Parts, *, compensated: bool = sys.version_info >= (3, 12)) -> None:
        self.parts = parts  # kept: the compiled code sees only the addresses of its arrays
        self.languages = parts.languages
        self._native = Native(parts.replay, _ARGUMENTS)
        a = parts.arrays
        self._tables = (
            address(a["characters"]),
            int(a["space"][0]),
            *(address(a[name]) for name in tables.ADDRESSED),
            len(self.languages),
            int(compensated),
        )

    def labels(self, texts: Sequence[str]) -> list[Label]:
        """One label a text, in order."""
        found: list[Label] = []
        for start in range(0, len(texts), _BATCH):
            found += self._batch(texts[start : start + _BATCH])
        return found

    def _batch(self, texts: Sequence[str]) -> list[Label]:
        cleaned = [clean(text) for text in texts]
        # numpy stores strings as UTF-32, lone surrogates included, and converts faster than any codec.
        code_points = np.array(["".join(cleaned)]).view(np.uint32)
        starts = np.zeros(len(cleaned) + 1, np.int64)
        np.cumsum([len(text) for text in cleaned], out=starts[1:])
        kept, rows = np.empty(LIMIT, np.uint16), np.empty(tables.MOST_ROWS, np.int32)
        work = np.empty(2 * tables.STRIDE)
        best, probability = np.empty(len(cleaned), np.int32), np.empty(len(cleaned))
        self._native.call(
            *(address(code_points), address(starts), len(cleaned)),
            *self._tables,
            *(address(kept), address(rows), address(work), address(work[tables.STRIDE :])),
            *(address(best), address(probability)),
        )
        return [self._named(number, value) for number, value in zip(best.tolist(), probability.tolist(), strict=True)]

    def _named(self, number: int, value: float) -> Label:
        if number < 0:
            return _NO_FEATURES
        return (self.languages[number], value) if value > _REPORTED else _UNKNOWN
