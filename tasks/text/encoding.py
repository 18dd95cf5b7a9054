"""From bytes to text: which codec a raw file was written in, and how sure that is.

Belongs here: the order in which encodings are tried.  Does not belong here: repairs of text that somebody
else decoded wrongly (``mojibake``), nor what makes bytes binary (``binary``).
"""

import codecs
import re

import chardet

from tasks.text import binary, legacy, western, wide
from tasks.text.decoded import Decoded
from warehouse.errors import Refusal
from warehouse.vocabulary import Flag, Reason, Stage

__all__ = ["Decoded", "decode"]

# UTF-32 little-endian begins with the mark of UTF-16 little-endian: the longer marks come first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MARKED = frozenset(mark[0] for mark, _ in _MARKS)

# Seven-bit encodings are valid UTF-8 and have to be asked for before it: one cheap look for a byte of theirs, then the
# pattern.
_SEVEN_BIT = re.compile(rb"\x1b\$|~\{(?:[\x21-\x77][\x21-\x7e])+~\}|\+[A-Za-z0-9+/]{3,80}+-")
_ESCAPE_HEAD = 4096

_WIDE_CONFIDENCE = 0.9

# Codecs of Python's that are ways to write a string, not encodings of files.
_NO_ENCODINGS = frozenset({"unicode-escape", "raw-unicode-escape", "idna", "punycode", "undefined"})
# UTF-7 can make half a surrogate pair of good bytes.
_HALF = re.compile("[\ud800-\udfff]")


def decode(data: bytes, hint: str | None = None) -> Decoded:
    r"""The text of a raw file; a Refusal where the bytes are no text or nothing decodes them.

    A hint wins over all evidence in the bytes; what it cannot decode becomes U+FFFD, flagged.

    >>> decode("Grüße".encode()).encoding
    'utf-8'
    >>> decode(b"Gr\xfc\xdfe aus \x84M\xfcnchen\x93").text
    'Grüße aus „München“'
    """
    if not data:
        raise Refusal(Stage.READ, Reason.EMPTY, "the file has no bytes")
    kind = binary.magic(data)
    if kind is not None:
        raise Refusal(Stage.DECODE, Reason.BINARY, f"begins like {kind}")
    if hint is not None:
        return _hinted(data, hint)
    if data[0] in _MARKED:
        for mark, name in _MARKS:
            if data.startswith(mark):
                return _marked(data[len(mark) :], name)
    return _unmarked(data)


def _decoded(text: str, encoding: str, confidence: float, *flags: Flag) -> Decoded:
    if not text:
        raise Refusal(Stage.READ, Reason.EMPTY, "the file has a byte order mark and nothing else")
    if binary.is_junk(text):
        raise Refusal(Stage.DECODE, Reason.BINARY, f"too many control characters for text, read as {encoding}")
    if encoding == "utf-7" and _HALF.search(text):
        text, flags = _HALF.sub("\ufffd", text), (*flags, Flag.REPLACEMENT_CHARACTERS)
    return Decoded(text=text, encoding=encoding, confidence=confidence, flags=flags)


def _hinted(data: bytes, hint: str) -> Decoded:
    name = _named(hint)
    if name is None:
        raise Refusal(
            Stage.DECODE, Reason.UNDECODABLE, f"the encoding hint {hint!r} names no text encoding known to Python"
        )
    try:
        return _decoded(data.decode(name).removeprefix("\ufeff"), name, 1.0)
    except UnicodeError:
        pass
    try:
        text = data.decode(name, "replace").removeprefix("\ufeff")
    except UnicodeError as error:
        raise Refusal(Stage.DECODE, Reason.UNDECODABLE, f"not even in part {name}: {error}") from None
    return _decoded(text, name, 1.0, Flag.REPLACEMENT_CHARACTERS)


def _named(hint: str) -> str | None:
    try:
        name = legacy.canonical(hint)
        # LookupError is also what codecs such as "hex" say, which make no text of bytes.
        b"aaaa".decode(name, "replace")
    except (LookupError, ValueError):
        return None
    return None if name in _NO_ENCODINGS else name


def _marked(body: bytes, name: str) -> Decoded:
    try:
        return _decoded(body.decode(name), name, 1.0)
    except UnicodeDecodeError as error:
        mixed = western.decode_mixed(body) if name == "utf-8" else None
        if mixed is not None:
            return _decoded(mixed.text, mixed.encoding, mixed.confidence, *mixed.flags)
        raise Refusal(
            Stage.DECODE, Reason.UNDECODABLE, f"has the mark of {name} but breaks off it at byte {error.start}"
        ) from None


def _unmarked(data: bytes) -> Decoded:
    if _may_be_seven_bit(data):
        found = chardet.detect(data, compat_names=False)
        name = found["encoding"]
        if name is not None and name.startswith(("iso2022", "hz", "utf-7")):
            text = legacy.strictly(data, name)
            if text is not None:
                return _decoded(text, legacy.canonical(name), round(found["confidence"], 4))
    if not binary.has_controls(data):
        text = legacy.strictly(data, "utf-8")
        return _from_legacy(data) if text is None else Decoded(text=text, encoding="utf-8", confidence=1.0, flags=())
    name_of_wide = wide.detect(data)
    text = None if name_of_wide is None else legacy.strictly(data, name_of_wide)
    if name_of_wide is not None and text is not None:
        return _decoded(text.removeprefix("\ufeff"), name_of_wide, _WIDE_CONFIDENCE)
    text = legacy.strictly(data, "utf-8")
    return _from_legacy(data) if text is None else _decoded(text, "utf-8", 1.0)


def _from_legacy(data: bytes) -> Decoded:
    found = legacy.decode(data)
    if found is None:
        raise Refusal(Stage.DECODE, Reason.UNDECODABLE, "no encoding that fits: give a hint for this source")
    return _decoded(found.text, found.encoding, found.confidence, *found.flags)


def _may_be_seven_bit(data: bytes) -> bool:
    # A single byte is looked for several times faster than two.
    if b"\x1b" in data and (b"\x1b$" in data or b"\x1b(" in data[:_ESCAPE_HEAD]):
        # Escape sequences switch character sets in files that hold eight-bit text as well.
        return True
    return data.isascii() and (b"~" in data or b"+" in data) and _SEVEN_BIT.search(data) is not None
