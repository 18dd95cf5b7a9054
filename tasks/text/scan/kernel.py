"""The look at texts, in a form that numba compiles: a pure function over pointers.

Belongs here: the one loop over characters.  Does not belong here: what its bits mean (``bits``), or calling it
(``scanner``).
"""

from typing import Any

import numpy as np

from tasks.text.scan import bits

SIGNATURE = "void(CPointer(uint32), CPointer(int64), int64, CPointer(uint32), CPointer(uint32), CPointer(int64))"

_HALF, _ONE = np.uint32(bits.HALF), np.uint32(1)
_WORD, _ANY_WORD, _WORD_ALONE = (np.uint32(b) for b in (bits.WORD_BIT, bits.ANY_WORD_BIT, bits.WORD_ALONE_BIT))
_OTHER_WORDS, _BEFORE, _BEHIND = (np.uint32(b) for b in (bits.OTHER_WORDS, bits.BEFORE, bits.BEHIND))


def look(text: Any, starts: Any, texts: int, marks: Any, found: Any, words: Any) -> None:
    """For each text the bits of all its pairs of neighbours, ends included, and how many words it has."""
    for k in range(texts):
        last, seen = _BEFORE, np.uint32(0)
        count = np.int64(0)
        for i in range(starts[k], starts[k + 1]):
            mark = marks[text[i]]
            pair = (last >> _HALF) & mark
            seen |= pair
            count += np.int64((pair >> _WORD) & _ONE)
            last = mark
        seen |= (last >> _HALF) & _BEHIND
        if seen & _OTHER_WORDS:
            last, count = _BEFORE, np.int64(0)
            for i in range(starts[k], starts[k + 1]):
                mark = marks[text[i]]
                pair = (last >> _HALF) & mark
                count += np.int64((pair >> _ANY_WORD) & _ONE) + np.int64((pair >> _WORD_ALONE) & _ONE)
                last = mark
        found[k] = seen
        words[k] = count
