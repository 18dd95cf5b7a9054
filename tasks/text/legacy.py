"""Encodings from before UTF-8: what statistics say, and how far to believe them.

Belongs here: the choice among eight-bit and double-byte encodings.  Does not belong here: marks, escape sequences and
UTF-8, which prove themselves (``encoding``).
"""

import codecs

import chardet

from tasks.text import binary, western
from tasks.text.decoded import Decoded
from warehouse.vocabulary import Flag

# What hardly any news was ever published in: accepted from the detector only where it is confident.
_RARE = (
    "mac-cyrillic", "mac-greek", "mac-iceland", "mac-latin2", "mac-roman", "mac-turkish", "cp720", "cp1006",
    "cp1125", "koi8-t", "kz1048", "ptcp154", "hp-roman8", "cp437", "cp737", "cp775", "cp850", "cp852",
    "cp855", "cp856", "cp857", "cp858", "cp860", "cp861", "cp862", "cp863", "cp864", "cp865", "cp866",
    "cp869", "cp1140", "cp424", "cp500", "cp875", "cp1026", "cp273", "cp1258", "iso8859-3", "iso8859-4",
    "iso8859-10", "iso8859-14", "iso8859-16",
)  # fmt: skip
_RARE_CONFIDENCE = 0.6

# Below these the detector's choice among single-byte encodings is close to a guess (measured on short strings).
_SURE = 0.5
_SURE_BYTES = 24

# The codec that programs really wrote where the standard is named; the standard's own where that one fails.
_WRITTEN_AS = {
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "euc_kr": "cp949",
    "shift_jis_2004": "cp932",
    "euc_jis_2004": "euc_jp",
    "big5hkscs": "big5",
}

_LAST_RESORT_CONFIDENCE = 0.05


def decode(data: bytes) -> Decoded | None:
    """The text of bytes that are no UTF-8; None where no encoding fits.

    >>> found = decode("Привет, мир! Как дела?".encode("koi8-r"))
    >>> found.text, found.encoding
    ('Привет, мир! Как дела?', 'koi8-r')
    """
    mixed = western.decode_mixed(data)
    if mixed is not None:
        return mixed
    high = len(data) - len(data.translate(None, delete=binary.HIGH))
    name, confidence = _detect(data)
    if (name is None or confidence < _SURE) and western.is_plausible(data):
        name = "cp1252"
    text = None
    for candidate in (_WRITTEN_AS.get(name or ""), name):
        if candidate is not None and text is None:
            name, text = candidate, strictly(data, candidate)
    if name is None or text is None:
        name, confidence = "cp1252", _LAST_RESORT_CONFIDENCE
        text = strictly(data, name)
    if text is None:
        return None
    unsure = confidence < _SURE or high < _SURE_BYTES
    flags = (Flag.ENCODING_UNCERTAIN,) if unsure else ()
    return Decoded(text=text, encoding=canonical(name), confidence=confidence, flags=flags)


def _detect(data: bytes) -> tuple[str | None, float]:
    found = chardet.detect(data, compat_names=False)
    if found["encoding"] in _RARE and found["confidence"] < _RARE_CONFIDENCE:
        found = chardet.detect(data, compat_names=False, exclude_encodings=_RARE)
    return found["encoding"], round(found["confidence"], 4)


def strictly(data: bytes, name: str) -> str | None:
    """The text, or None where one byte does not fit."""
    try:
        return data.decode(name)
    except (UnicodeError, LookupError):
        return None


def canonical(name: str) -> str:
    """One spelling for an encoding, whatever the detector or the hint called it.

    >>> canonical("windows-1252"), canonical("utf_16_le"), canonical("ISO8859-1")
    ('cp1252', 'utf-16-le', 'iso8859-1')
    """
    known = codecs.lookup(name).name.replace("_", "-")
    return "utf-8" if known in {"utf-8-sig", "ascii"} else known
