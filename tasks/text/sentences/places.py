"""What the compiled look at sentences answers.

Belongs here: places, and finding one's own among them.  Does not belong here: the look (``kernel``),
calling it (``cutter``).
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# What was found at a place: an end of a sentence; something that only the library can tell; words that nobody has
# asked about yet; a full stop between two letters; no place.
CUT, UNSURE, UNKNOWN, TIGHT, NOWHERE = 0, 1, 2, 3, -1
# What is known of a word, in the last two bits of its key: the sentence ends or begins there, it goes on, more has to
# be known.
MEANING = 3
ENDS, GOES_ON, DEPENDS = 1, 2, 3


class Place(NamedTuple):
    """What was found, where the sentence ends and the next begins; of words that are unknown where they are.

    ``stop`` is the sign, ``word`` where the word before it begins, ``pair`` where the one before that does,
    ``behind_end`` where the word behind ends; keys are those of the word, of the word behind, and of both words before,
    0 where nobody needs it.
    """

    what: int
    end: int
    begin: int
    stop: int
    word: int
    pair: int
    behind_end: int
    key: int
    key_behind: int
    key_pair: int


COLUMNS = len(Place._fields)


@dataclass(frozen=True)
class Places:
    """Where sentences could end in some windows of a text.

    ``rows`` has the shape (places, ``COLUMNS``), ``counts`` how many each window has, ``is_foreign`` which
    windows are all the library's, ``code_points`` the text.
    """

    code_points: NDArray[np.uint32]
    rows: NDArray[np.int64]
    counts: NDArray[np.int64]
    is_foreign: NDArray[np.bool_]
    _ends: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ends", np.cumsum(self.counts))

    def of(self, window: int) -> NDArray[np.int64] | None:
        """The rows of a window; None where it is the library's."""
        if self.is_foreign[window]:
            return None
        end = self._ends[window]
        return self.rows[end - self.counts[window] : end]

    def is_blank(self, at: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether these characters are blanks."""
        found = self.code_points[at]
        is_found: NDArray[np.bool_] = (found == ord(" ")) | (found == ord("\n"))
        return is_found
