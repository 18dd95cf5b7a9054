"""UTF-16 and UTF-32 without a byte order mark.

Belongs here: telling two- and four-byte text by its pattern.  Does not belong here: marked text (``encoding``).
"""

import unicodedata

from tasks.text.binary import CONTROLS

# Enough to decide; more would only cost.
_WINDOW = 65_536
_CONTROL_SHARE = 0.1
_ASCII_SHARE = 0.02
_GOOD_SHARE = 0.97


def detect(data: bytes) -> str | None:
    r"""The wide encoding whose reading of the bytes looks like text, or None.

    Called for bytes with control characters only: every wide text of an alphabet has them, because the upper byte of
    its characters is below 0x20.

    >>> detect("Ελλάδα".encode("utf-16-be"))
    'utf-16-be'
    >>> detect(b"one NUL \x00 in a line") is None
    True
    """
    window = data[:_WINDOW]
    if len(window) - len(window.translate(None, delete=CONTROLS)) < _CONTROL_SHARE * len(window):
        return None
    candidates: list[tuple[float, str]] = []
    for name, unit in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        if len(data) % unit:
            continue
        try:
            text = window.decode(name)
        except UnicodeDecodeError:
            continue
        score = _score(text)
        if score > 0:
            candidates.append((score, name))
    if not candidates:
        return None
    # A four-byte reading that decodes at all is never an accident; max keeps the first of equals.
    return max(candidates, key=lambda candidate: candidate[0])[1]


def _score(text: str) -> float:
    """How much a reading looks like text: 0 for not at all.

    The right byte order has few different upper bytes and some ASCII; the wrong one turns blanks and letters into
    characters from all over the plane.
    """
    sample = text[:2000].removeprefix("\ufeff")
    if not sample:
        return 0.0
    good = sum(char in "\t\n\r" or not unicodedata.category(char).startswith("C") for char in sample)
    if good < _GOOD_SHARE * len(sample):
        return 0.0
    ascii_share = sum(char < "\x80" for char in sample) / len(sample)
    pages = len({ord(char) >> 8 for char in sample})
    alphabet = 1.0 / pages
    if ascii_share < _ASCII_SHARE and pages > max(2, len(sample) // 8):
        return 0.0
    return ascii_share + alphabet
