"""One look at a text: what it could hold that a repair or a later stage has to care about.

Belongs here: what a look tells, and how it is taken.  Does not belong here: what is done about it (``steps``,
``segments``), the meaning of each bit (``bits``).

Where compiled code is loaded, one pass over the characters answers for all steps at once; where it is not, anything
is possible, and each step looks for itself.  Both ways end in the same text.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.text import characters, mojibake
from tasks.text.scan.bits import EVERYTHING, MOJIBAKE, ODD

if TYPE_CHECKING:
    from tasks.text.scan.scanner import Scanner

_ODD = re.compile(f"[^{characters.CLEAN}]")
_scanner: "Scanner | None" = None


class Scan:
    """What one look at a text tells; a bit that is not among ``could`` is nothing to look for."""

    __slots__ = ("_odd", "_suspicious", "could", "text", "word_count")

    def __init__(self, text: str, could: int = EVERYTHING, word_count: int | None = None) -> None:
        self.text = text
        self.could = could
        self.word_count = word_count
        self._odd: str | None = None if could & ODD else ""
        self._suspicious: bool | None = None if could & MOJIBAKE else False

    @property
    def odd(self) -> str:
        """Every character of the text that is not clean, once."""
        if self._odd is None:
            self._odd = "".join(sorted(set(_ODD.findall(self.text))))
        return self._odd

    @property
    def is_suspicious(self) -> bool:
        """Whether any place looks like mojibake."""
        if self._suspicious is None:
            self._suspicious = mojibake.is_suspicious(self.text)
        return self._suspicious


def use(scanner: "Scanner | None") -> None:
    """Look with compiled code from now on; with None, without."""
    global _scanner  # noqa: PLW0603
    _scanner = scanner


def look(texts: Sequence[str]) -> list[Scan]:
    """One look at each text, in order."""
    scanner = _scanner
    if scanner is None:
        return [Scan(text) for text in texts]
    return [Scan(text, could, words) for text, (could, words) in zip(texts, scanner.look(texts), strict=True)]
