"""Unpacking one file: gzip, bzip2, xz and zstd behind one readable stream.

Belongs here: streaming decompression with its caps; torn and damaged streams.  Does not belong here: archives of
several files (``archives``).
"""

import bz2
import io
import lzma
import sys
import zlib
from typing import Any, BinaryIO, Protocol

from tasks.readers.bounded import CHUNK, brief
from tasks.readers.containers.meter import Meter
from tasks.readers.options import ReadOptions
from warehouse.errors import Refusal
from warehouse.vocabulary import Reason, Stage


class Engine(Protocol):
    """What the decompressors of bz2, lzma and zstd are."""

    @property
    def eof(self) -> bool:
        """Whether its member has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether there is nothing more to be had without more input."""

    @property
    def unused_data(self) -> bytes:
        """What stands behind its member."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most so many bytes more."""


class _Gzip:
    """zlib's decompressor in the shape of the others."""

    def __init__(self) -> None:
        self._engine = zlib.decompressobj(31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        found = self._engine.decompress(self._engine.unconsumed_tail + data, max_length)
        # A full answer may leave more inside, whether or not input is left.
        self.needs_input = not self._engine.unconsumed_tail and len(found) < max_length
        return found


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def engine(kind: str, options: ReadOptions) -> Engine:
    """A decompressor for one member of a packed file."""
    if kind == "gzip":
        return _Gzip()
    if kind == "bzip2":
        return bz2.BZ2Decompressor()
    if kind == "xz":
        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=options.max_window_bytes)
    zstd = _zstd()
    window = options.max_window_bytes.bit_length() - 1
    found: Engine = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: window})
    return found


def _errors(kind: str) -> tuple[type[Exception], ...]:
    found: tuple[type[Exception], ...] = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)
    return (*found, _zstd().ZstdError) if kind == "zstd" else found


class Unpacked(io.RawIOBase):
    """The bytes inside a packed stream; members behind one another are one, as their tools have it.

    Raises ``Refusal`` where the stream is torn, damaged or a bomb, and again whenever it is asked on.
    """

    def __init__(self, packed: BinaryIO, kind: str, options: ReadOptions) -> None:
        self._packed = packed
        self._kind = kind
        self._options = options
        self._meter = Meter(options)
        self._errors = _errors(kind)
        self._engine = engine(kind, options)
        self._input = b""
        self._is_over = False
        self._refusal: Refusal | None = None

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes, as many as are ready; none at the end."""
        if self._refusal is not None:
            raise self._refusal
        try:
            data = self._some(len(buffer))
            self._meter.count(len(data))
        except Refusal as refusal:
            self._refusal = refusal
            raise
        buffer[: len(data)] = data
        return len(data)

    def _some(self, most: int) -> bytes:
        while not self._is_over:
            if self._engine.eof and not self._has_next_member():
                break
            if self._engine.needs_input and not self._input and not self._fill():
                raise Refusal(Stage.READ, Reason.TRUNCATED, f"the {self._kind} data ends before its end")
            given, self._input = self._input, b""
            try:
                data = self._engine.decompress(given, most)
            except self._errors as error:
                is_memory = "emory" in str(error) or "too large" in str(error)
                detail = f"the {self._kind} data cannot be unpacked: {brief(error)}"
                raise Refusal(Stage.READ, Reason.TOO_LARGE if is_memory else Reason.DAMAGED, detail) from error
            if data:
                return data
        return b""

    def _fill(self) -> bool:
        data = self._packed.read(CHUNK)
        self._meter.packed += len(data)
        self._input += data
        return bool(data)

    def _has_next_member(self) -> bool:
        """Whether another member follows; zeros behind the last are the padding of a tape."""
        self._input = self._engine.unused_data.lstrip(b"\0") or self._input
        while len(self._input) < 6 and self._fill():
            self._input = self._input.lstrip(b"\0")
        if not self._input:
            self._is_over = True
            return False
        self._engine = engine(self._kind, self._options)
        return True


def unpacked(packed: BinaryIO, kind: str, options: ReadOptions) -> io.BufferedReader:
    """The stream inside a packed one."""
    return io.BufferedReader(Unpacked(packed, kind, options), CHUNK)
