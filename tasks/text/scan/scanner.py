"""The look at many texts at once, by compiled code.

Belongs here: packing texts and calling.  Does not belong here: what is looked for (``marks``), the loop (``kernel``).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.text.native import NUMBER, POINTER, Code, Native, address

_ARGUMENTS = (POINTER, POINTER, NUMBER, POINTER, POINTER, POINTER)
# Characters of a call: what is packed stays in the processor's cache.
_BATCH = 50_000


class Scanner:
    """Holds table and compiled code; safe to share between threads, every call brings its own memory."""

    def __init__(self, code: Code, marks: NDArray[np.uint32]) -> None:
        self._marks = marks  # kept: the compiled code sees only its address
        self._native = Native(code, _ARGUMENTS)
        self._address = address(marks)

    def look(self, texts: Sequence[str]) -> list[tuple[int, int]]:
        """The bits and the words of each text, in order."""
        found: list[tuple[int, int]] = []
        start = size = 0
        for end, text in enumerate(texts, start=1):
            size += len(text)
            if size >= _BATCH or end == len(texts):
                found += self._batch(texts[start:end])
                start, size = end, 0
        return found

    def _batch(self, texts: Sequence[str]) -> list[tuple[int, int]]:
        # numpy stores strings as UTF-32, lone surrogates included, and converts faster than any codec.
        code_points = np.array(["".join(texts)])
        starts = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([len(text) for text in texts], out=starts[1:])
        could, words = np.empty(len(texts), np.uint32), np.empty(len(texts), np.int64)
        self._native.call(
            address(code_points), address(starts), len(texts), self._address, address(could), address(words)
        )
        return list(zip(could.tolist(), words.tolist(), strict=True))
