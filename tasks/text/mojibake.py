"""Text that was decoded with the wrong codec: found by a cheap scan, repaired by ftfy, flagged where it stays.

Belongs here: where ftfy looks.  Does not belong here: decoding bytes (``encoding``).

ftfy's own test for mojibake costs more than all other work on a clean document.  All that it looks for needs a telling
character beside a second one beyond ASCII, or one of a few that tell alone: those places are found first, and ftfy is
asked about their surroundings only.
"""

import functools
import re
from collections.abc import Iterator

from ftfy import TextFixerConfig, fix_encoding
from ftfy.badness import MOJIBAKE_CATEGORIES, badness, is_bad
from ftfy.fixes import fix_c1_controls

from tasks.text.characters import GBK_TELLING

_CONFIG = TextFixerConfig(explain=False)

_TELLING = "".join(
    MOJIBAKE_CATEGORIES[name]
    for name in (
        "c1", "bad", "law", "currency", "start_punctuation", "end_punctuation", "numeric", "upper_accented", "box"
    )
) + "ÙЂ°"  # fmt: skip
_TELLING_ALONE = "\x80-\x9fÃÂ"
# Characters of which one beside another beyond ASCII tells, one tells by itself, one tells before no letter.
TELLING, ALONE, LIGATURE = re.compile(f"[{_TELLING}œ]"), re.compile(f"[{_TELLING_ALONE}]"), re.compile("[Œœ]")
_PLACE = f"[{_TELLING}œ](?:(?<=[{_TELLING_ALONE}])|(?<=[Œœ])(?![A-Za-z])|(?=[^\\x00-\\x7f])|(?<=[^\\x00-\\x7f].))"
_ANYWHERE = re.compile("[ÃÂ]")
# ftfy's longest pattern has six characters.
_AROUND = 6
_CANDIDATES = re.compile(f"{_PLACE}(?:.{{0,{_AROUND}}}?{_PLACE})*+", re.DOTALL)

# A line this long is cut, so that one spoilt place does not make ftfy read a megabyte again and again.
_PIECE = 8_000
_CUT = re.compile("[\x00-\x7f](?=[\x00-\x7f])")

# UTF-8 read as code page 850 or as Mac Roman beyond what ftfy repairs: rare, and too ambiguous to repair.
_SIGNATURE = re.compile("ÔÇ[ôöòÿªÜÖØÉ£×]|├[ñÂ╝ÄÉúíóüßƒ®¬º»¿]|‚Ä[ôúùòî∞]|Ã[ƒ‚][Â€]")
_SUSPICIOUS_PLACES = 2

_HAN_RUN = re.compile("[\u4e00-\u9fff]{2,}")


def is_suspicious(text: str) -> bool:
    """Whether ftfy could find anything to repair; True too often costs time only.

    >>> is_suspicious("„Für Ärger“ – sagt er"), is_suspicious("fÃ¼r")
    (False, True)
    """
    # Some patterns want these two at the start of a line, which a window hides.
    return any(
        _ANYWHERE.search(window) is not None or is_bad(window) or _SIGNATURE.search(window) is not None
        for window in _windows(text)
    )


def _windows(text: str) -> Iterator[str]:
    """The surroundings of all candidates; those that touch are one, so that no character is looked at twice."""
    for found in _CANDIDATES.finditer(text):
        yield text[max(0, found.start() - _AROUND) : found.end() + _AROUND]


def fix_where_suspicious(text: str) -> tuple[str, int]:
    r"""Mojibake repaired line by line, ftfy being asked only about lines with telling places.

    >>> fix_where_suspicious("schÃ¶n\nschön")
    ('schön\nschön', 2)
    """
    return _fix(text, everywhere=False)


def fix_everywhere(text: str) -> tuple[str, int]:
    """The same with every line put before ftfy: what the cheap way is proved against."""
    return _fix(text, everywhere=True)


def _fix(text: str, *, everywhere: bool) -> tuple[str, int]:
    count = 0
    out: list[str] = []
    for line in text.split("\n"):
        fixed_line = ""
        for piece in _pieces(line):
            if everywhere or is_suspicious(piece):
                fixed, places = _fixed(piece)
                count += places
                fixed_line += fixed
            else:
                fixed_line += piece
        out.append(fixed_line)
    return "\n".join(out), count


@functools.lru_cache(maxsize=256)
def _fixed(piece: str) -> tuple[str, int]:
    """What ftfy makes of a piece: the same footer, misread in every file of a source, is put before it once."""
    fixed = fix_encoding(piece, _CONFIG)
    return fixed, touched(piece, fixed)


def _pieces(line: str) -> list[str]:
    if len(line) <= _PIECE:
        return [line]
    pieces: list[str] = []
    start = 0
    while len(line) - start > _PIECE:
        # Between two ASCII characters no sequence of mojibake is cut.
        cuts = [found.end() for found in _CUT.finditer(line, start + _PIECE // 2, start + _PIECE)]
        end = cuts[-1] if cuts else start + _PIECE
        pieces.append(line[start:end])
        start = end
    pieces.append(line[start:])
    return pieces


def fix_c1(text: str) -> tuple[str, int]:
    r"""C1 controls as the cp1252 characters that they were meant to be.

    >>> fix_c1("20 \x80")
    ('20 €', 1)
    """
    fixed = fix_c1_controls(text)
    return fixed, sum(a != b for a, b in zip(text, fixed, strict=True)) if fixed != text else 0


def touched(before: str, after: str) -> int:
    """How many characters of ``before`` lie between what both texts begin and end with.

    >>> touched("schÃ¶n", "schön"), touched("a", "a")
    (2, 0)
    """
    if before == after:
        return 0
    shorter = min(len(before), len(after))
    head = _common(before, after, shorter)
    tail = _common(before[::-1], after[::-1], shorter - head)
    return max(1, len(before) - head - tail)


def _common(a: str, b: str, limit: int) -> int:
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def is_suspect(text: str) -> bool:
    """Whether what looks like mojibake is left in a repaired text: to be flagged, not to be guessed at.

    >>> is_suspect("閲戞…"), is_suspect("Moskau ÔÇô Kim"), is_suspect("金正恩")
    (True, True, False)
    """
    places = 0
    for window in _windows(text):
        places += badness(window)
        if places >= _SUSPICIOUS_PLACES or _SIGNATURE.search(window):
            return True
    return not GBK_TELLING.isdisjoint(text) and any(_reads_as_utf8(found[0]) for found in _HAN_RUN.finditer(text))


def _reads_as_utf8(run: str) -> bool:
    if GBK_TELLING.isdisjoint(run):
        return False
    try:
        data = run.encode("gbk")
    except UnicodeEncodeError:
        return False
    # The run may end within a character, because "?" or a private character stood for the rest.
    for end in range(len(data), max(2, len(data) - 3), -1):
        try:
            data[:end].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return True
    return False
