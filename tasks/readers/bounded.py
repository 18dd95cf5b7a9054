"""Reading with a bound: whole things up to a size, lines up to a length, in any encoding.

Belongs here: what keeps the memory of a reader bounded whatever the bytes say.  Does not belong here: formats, and
the caps themselves (``options``).
"""

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from tasks.text.encoding import Decoded, decode
from warehouse.errors import Refusal
from warehouse.records import RawDocument, Reject
from warehouse.vocabulary import Reason, Stage

CHUNK = 1 << 18
HEAD = 4096
_WIDE = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

# What libraries raise at bytes that they did not expect; each reader adds the library's own.  MemoryError and the
# operating system's errors are none of these: they say nothing about the content.
PARSER_ERRORS: tuple[type[Exception], ...] = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, RecursionError, EOFError,
    NotImplementedError,
)  # fmt: skip


def brief(error: BaseException) -> str:
    r"""What a library said, short enough for a detail and on one line.

    >>> brief(ValueError("bad\nthing"))
    'ValueError: bad thing'
    """
    words = " ".join(f"{type(error).__name__}: {error}".split())
    return words.encode("utf-8", "backslashreplace").decode()[:200]


def whole(stream: BinaryIO, most: int, setting: str) -> bytes:
    """All bytes that are left; a Refusal beyond ``most``, after reading no more than that."""
    data = stream.read(min(most + 1, CHUNK))
    if len(data) >= min(most + 1, CHUNK):
        pieces, size = [data], len(data)
        while size <= most and (data := stream.read(min(most + 1 - size, CHUNK))):
            pieces.append(data)
            size += len(data)
        data = b"".join(pieces)
    if len(data) > most:
        raise Refusal(Stage.READ, Reason.TOO_LARGE, f"more than {most} bytes; {setting} is {most}")
    return data


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end; of one that is too long only the beginning."""

    offset: int
    data: bytes
    is_whole: bool = True


def lines(stream: BinaryIO, most: int) -> Iterator[Line]:
    r"""Every line with its place in bytes, never holding more than ``most`` bytes of it; a first mark is dropped.

    >>> [(line.offset, line.data, line.is_whole) for line in lines(io.BytesIO(b"ab\r\n\ncdefg\nh"), 4)]
    [(0, b'ab', True), (4, b'', True), (5, b'cdef', False), (11, b'h', True)]
    """
    offset = 0
    while data := stream.readline(most + 2):
        start, offset = offset, offset + len(data)
        line = data.rstrip(b"\r\n")
        is_whole = len(line) <= most
        if not data.endswith(b"\n") and len(data) >= most + 2:
            is_whole = False
            while more := stream.readline(CHUNK):
                offset += len(more)
                if more.endswith(b"\n"):
                    break
        yield Line(start, line[:most] if start else line[:most].removeprefix(codecs.BOM_UTF8), is_whole)


def text_of(data: bytes, hint: str | None) -> Decoded:
    """The text of one line or record: UTF-8 where it is, else what a plain text of these bytes would be."""
    if hint is None:
        try:
            return Decoded(text=data.decode("utf-8"), encoding="utf-8", confidence=1.0, flags=())
        except UnicodeDecodeError:
            pass
    return decode(data, hint)


class _Recoded(io.RawIOBase):
    """The bytes of a stream in UTF-16 or UTF-32 as UTF-8; what does not decode becomes U+FFFD."""

    def __init__(self, stream: BinaryIO, codec: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(codec)("replace")
        self._ready = b""
        self._is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._ready and not self._is_over:
            data = self._stream.read(CHUNK)
            self._is_over = not data
            self._ready = self._decoder.decode(data, not data).encode("utf-8", "replace")
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size


def as_utf8(stream: BinaryIO) -> tuple[BinaryIO, str | None]:
    """The stream itself, or where it begins with a mark of UTF-16 or UTF-32 the same text in UTF-8, and that codec.

    Line ends and separators are single bytes in what is handed back, as in every encoding that has no such mark.
    """
    start = head_of(stream)
    codec = next((name for mark, name in _WIDE if start.startswith(mark)), None)
    return (stream if codec is None else io.BufferedReader(_Recoded(stream, codec), CHUNK)), codec


def passed_over(ordinal: int) -> Reject:
    """The place of a record below ``first_ordinal``; it counts and goes nowhere."""
    return Reject(ordinal=ordinal, stage=Stage.READ, reason=Reason.EMPTY, detail="passed over: it was read before")


def recoded(record: RawDocument, codec: str | None) -> RawDocument:
    """A record of a stream that ``as_utf8`` recoded: places in it are none in the file."""
    return record if codec is None else replace(record, encoding=codec, byte_offset=None)


def head_of(stream: BinaryIO) -> bytes:
    """The first bytes, ``HEAD`` at most, without taking them from the stream."""
    if isinstance(stream, io.BytesIO):
        at = stream.tell()
        data = stream.read(HEAD)
        stream.seek(at)
        return data
    peek = getattr(stream, "peek", None)
    return peek(HEAD)[:HEAD] if peek is not None else b""
