"""Two things that Western text does: UTF-8 with stray cp1252 bytes, and cp1252 too short for statistics.

Belongs here: decisions about cp1252.  Does not belong here: all other legacy encodings (``encoding``).
"""

import codecs
import re

from tasks.text.binary import HIGH
from tasks.text.decoded import Decoded
from warehouse.vocabulary import Flag

# What Western European languages write beyond ASCII.  Letters that cp1250 and cp1257 put at the places of others
# (for example the Hungarian double acutes at õ and û) are left out where the Western letter is rare.
_USUAL = frozenset("ÄÖÜäöüßàáâæçèéêëìíîïñòóôøùúûåÅÆØÇÉÈÀœ„“”‚‘’‹›«»–—…€§°·¿¡©®™ \u00ad")
_TYPOGRAPHIC = frozenset("„“”‚‘’‹›«»–—…€§°·¿¡©®™ ")
_ODD = re.compile("[A-Za-z][€§°©®™¿¡][A-Za-z]")

_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_CUT_OFF = re.compile(rb"(?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")
_LONGEST_CUT_OFF = 3
_VALID_FOR_EACH_STRAY = 3
_MIXED_CONFIDENCE = 0.5


_HANDLER = "newsmill-stray-cp1252"


# Bytes that no sequence begins with, each an error of its own: where one follows another they are read at once.
_NO_BEGINNING = re.compile(rb"(?:[\x80-\xc1\xf5-\xff]|\xed(?=[\xa0-\xbf]))*")


def _read_stray(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    data = error.object
    run = _NO_BEGINNING.match(data, error.end)
    end = run.end() if run else error.end
    return data[error.start : end].decode("cp1252"), end


# A registered handler keeps the decoder's one pass over the bytes; cutting them at each stray would be quadratic.
codecs.register_error(_HANDLER, _read_stray)


def decode_mixed(data: bytes) -> Decoded | None:
    r"""UTF-8 with a few bytes of cp1252 in it, or cut off inside a character; None where it is something else.

    Reading the whole as cp1252 would turn every good letter into two wrong ones for the sake of a few bad bytes.

    >>> decode_mixed("Grüße, schöne Straße, größer, über, für, Öl, Äpfel".encode() + b" \x93").text[-6:]
    'pfel “'
    """
    cut = _CUT_OFF.search(data[-_LONGEST_CUT_OFF:])
    body = data[: len(data) - len(cut[0])] if cut else data
    valid = len(_MULTIBYTE.findall(body))
    rest = _MULTIBYTE.sub(b"", body)
    strays = len(rest) - len(rest.translate(None, delete=HIGH))
    if valid == 0 or strays * _VALID_FOR_EACH_STRAY > valid:
        return None
    try:
        text = body.decode("utf-8", _HANDLER)
    except UnicodeDecodeError:
        return None
    flags = [Flag.ENCODING_UNCERTAIN]
    if cut:
        text += "\ufffd"
        flags.append(Flag.REPLACEMENT_CHARACTERS)
    return Decoded(text=text, encoding="utf-8", confidence=_MIXED_CONFIDENCE, flags=tuple(flags))


def is_plausible(data: bytes) -> bool:
    """Whether the bytes read well as cp1252: mostly ASCII, and the rest letters and signs that Western text uses.

    >>> is_plausible("naïve café".encode("cp1252")), is_plausible("Łódź".encode("cp1250"))
    (True, False)
    """
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    if _ODD.search(text):
        return False
    foreign = [char for char in text if char > "\x7f"]
    if not _USUAL.issuperset(foreign):
        return False
    letters = sum(char not in _TYPOGRAPHIC for char in foreign)
    plain = sum(char.isalpha() for char in text) - letters
    return plain >= letters
