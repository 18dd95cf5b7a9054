"""Which characters the repairs look for, as classes and tables.

Belongs here: sets of characters with the reason for each.  Does not belong here: what is done with them (``repairs``).
"""

import itertools
import unicodedata
from collections.abc import Iterable

ZERO_WIDTH = "\u200b\u2060\ufeff\ufffc\u180e"
BIDI_CONTROLS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c"
SOFT_HYPHEN = "\u00ad"
LINE_ENDS = "\r\v\f\x1c\x1d\x1e\u2028\u2029"
# Zs of every Unicode version but the ASCII blank, and the tab.
BLANKS = "\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
# C0 controls that are no line end or tab, DEL, the C1 controls that no codec could explain, and the deprecated format
# and annotation characters that show nothing.
CONTROLS = "".join(
    map(
        chr,
        [*range(9), *range(0x0E, 0x1C), 0x1F, 0x7F, *range(0x80, 0xA0), *range(0x206A, 0x2070), *range(0xFFF9, 0xFFFC)],
    )
)
PRIVATE = "\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff\U000f0000-\U0010ffff" + "".join(
    chr(plane * 0x10000 + low) for plane in range(1, 15) for low in (0xFFFE, 0xFFFF)
)


def _compatibility(codes: Iterable[int]) -> dict[int, str]:
    """The characters whose compatibility form differs, with that form."""
    table = {code: unicodedata.normalize("NFKC", chr(code)) for code in codes}
    return {code: form for code, form in table.items() if form != chr(code)}


# U+FEFF ends the second Arabic block and is a byte order mark.
ARABIC_FORMS = _compatibility([*range(0xFB50, 0xFE00), *range(0xFE70, 0xFEFF)])
MATHEMATICAL = _compatibility(range(0x1D400, 0x1D800))
FULL_WIDTH = _compatibility([*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B)])


# UTF-8 read as GBK: Han characters whose two GBK bytes are a lead byte of UTF-8 and a trail byte that the everyday part
# of GBK does not use, and three that stand for the commonest punctuation.
GBK_TELLING = frozenset(
    "".join(bytes([lead, trail]).decode("gbk", "ignore") for lead in range(0xE4, 0xEA) for trail in range(0x80, 0xA1))
    + "锛銆鈥"
)


def _han(first: int, last: int) -> str:
    """A range without the characters that tell of GBK."""
    holes = [first - 1, *sorted(ord(char) for char in GBK_TELLING if first <= ord(char) <= last), last + 1]
    spans = [(low + 1, high - 1) for low, high in itertools.pairwise(holes)]
    return "".join(f"{chr(low)}-{chr(high)}" for low, high in spans if low <= high)


# Characters that no repair ever touches, alone or beside each other: the scan that lets clean text pass asks only
# whether anything else is there.  Leaving a character out costs time, never correctness; a test tries every one of
# these.  Mojibake is a matter of neighbours and has its own scan; what tells of mojibake alone is not clean.
CLEAN = (
    "\n -~"
    "\u00a1-\u00ac\u00ae-\u0131\u0134-\u0148\u014a-\u01c3\u01cd-\u01f0\u01f4-\u02ff"
    "\u0370-\u0373\u0375-\u0377\u037b-\u037d\u037f\u0384-\u0386\u0388-\u03ff"
    "\u0400-\u0482\u048a-\u052f\u0531-\u0556\u0561-\u0587"
    "\u05d0-\u05ea\u05be\u05f3\u05f4"
    "\u060c\u061b\u061e-\u063a\u0640-\u064a\u0660-\u066f\u0671-\u06d3\u06d4\u06f0-\u06ff"
    "\u0904-\u0939\u0960\u0961\u0964-\u0970"
    "\u0e01-\u0e30\u0e32\u0e33\u0e3f-\u0e46\u0e4f-\u0e5b"
    "\u10a0-\u10c5\u10d0-\u10ff"
    "\u1e00-\u1e9a\u1e9c-\u1eff"
    "\u2010-\u2027\u2030-\u205e\u2070\u2071\u2074-\u208e\u20a0-\u20bf"
    "\u2100-\u2125\u2127-\u2129\u212c-\u2138\u2150-\u218b\u2190-\u2328\u232b-\u23ff\u2460-\u2adb"
    "\u3001-\u3029\u3030-\u303f\u3041-\u3096\u309b-\u30ff\u3131-\u318e\u3200-\u4dbf\uac00-\ud7a3"
    + _han(0x4E00, 0x9FFF)
    + "\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uffee"
    "\U0001f000-\U0001faff\U00020000-\U0002a6df"
)
