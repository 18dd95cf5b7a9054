"""Archives: the members of a zip or tar, one after the other, never written anywhere.

Belongs here: walking an archive with its guards.  Does not belong here: what a member is (``tasks.readers.opening``).
"""

import io
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from tasks.readers.bounded import CHUNK, PARSER_ERRORS, brief, whole
from tasks.readers.containers import Member
from tasks.readers.containers.meter import Meter
from tasks.readers.options import ReadOptions
from warehouse.errors import Refusal
from warehouse.uri import to_uri
from warehouse.vocabulary import Reason, Stage

# What stands before a member of a tar: long names and attributes; more is an attack on memory.
_MOST_HEADER = 1_000_000
# A zip's directory: 46 bytes an entry, the name, and what tools add.
_ENTRY_BYTES = 160
_ENTRY = b"PK\x01\x02"
_END = b"PK\x05\x06"
_READ_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
_ZIP_ERRORS: tuple[type[Exception], ...] = (
    *PARSER_ERRORS,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    OSError,
)
_TAR_ERRORS: tuple[type[Exception], ...] = (*PARSER_ERRORS, tarfile.TarError, struct.error, OSError)
_UNSAFE = re.compile(rb"\A[/\\]|\A[A-Za-z]:[/\\]|(?:\A|[/\\])\.\.(?:[/\\]|\Z)|[\x00-\x1f\x7f]|\A\Z")


def _refused(reason: Reason, detail: str) -> Refusal:
    return Refusal(Stage.READ, reason, detail)


def _unsafe(name: bytes) -> Refusal | None:
    """The refusal of a name that a tool which unpacks would have to fear."""
    if _UNSAFE.search(name):
        return _refused(Reason.UNSAFE_NAME, "the name of the member is absolute, climbs, or holds control characters")
    return None


class _ZipMember(io.RawIOBase):
    """The bytes of one member of a zip, held against what the zip says of them."""

    def __init__(self, stream: Any, info: zipfile.ZipInfo, meter: Meter) -> None:
        self._stream = stream
        self._info = info
        self._all = meter
        self._own = Meter(meter.options, packed=info.compress_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read(len(buffer))
        except _ZIP_ERRORS as error:
            reason = Reason.TRUNCATED if isinstance(error, EOFError) else Reason.DAMAGED
            raise _refused(reason, f"the member cannot be unpacked: {brief(error)}") from error
        self._own.count(len(data))
        self._all.count(len(data))
        if not data and len(buffer) and self._own.unpacked != self._info.file_size:
            detail = f"the member has {self._own.unpacked} bytes, the archive says {self._info.file_size}"
            raise _refused(Reason.WRONG_SIZE, detail)
        buffer[: len(data)] = data
        return len(data)


def _directory(stream: BinaryIO, options: ReadOptions) -> int:
    """The size of the archive; a Refusal where its directory is torn or names too many members."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(size - 65_557, 0))
    tail = stream.read(65_557)
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < 22:
        raise _refused(Reason.TRUNCATED, "the zip archive has no end")
    length, start = struct.unpack_from("<LL", tail, at + 12)
    most = options.max_members
    if length == 0xFFFFFFFF or start == 0xFFFFFFFF:
        # The sizes stand in the records of ZIP64; zipfile reads them, and what lies before the end bounds both.
        length = min(size, (most + 1) * _ENTRY_BYTES)
    begin = max(size - len(tail) + at - length, 0)
    stream.seek(begin)
    entries, tail = 0, b""
    for _ in range(length // CHUNK + 1):
        data = stream.read(min(CHUNK, length))
        entries += (tail + data).count(_ENTRY)
        tail = data[-3:]
        length -= len(data)
        if entries > most or begin + length > size:
            break
    if entries > most or length > most * _ENTRY_BYTES:
        raise _refused(Reason.TOO_MANY_MEMBERS, f"more than {most} members; max_members is {most}")
    stream.seek(0)
    return size


def _zip_name(info: zipfile.ZipInfo) -> bytes:
    name = info.orig_filename
    return name.encode("utf-8", "surrogateescape") if info.flag_bits & 0x800 else name.encode("cp437", "replace")


def _zip_refusal(info: zipfile.ZipInfo, name: bytes) -> Refusal | None:
    mode = info.external_attr >> 16
    if (unsafe := _unsafe(name)) is not None:
        return unsafe
    if stat.S_ISLNK(mode):
        return _refused(Reason.SYMLINK, "the member is a symbolic link")
    if stat.S_IFMT(mode) and not stat.S_ISREG(mode):
        return _refused(Reason.NOT_REGULAR, "the member is a FIFO, socket or device")
    if info.flag_bits & 0x1:
        return _refused(Reason.ENCRYPTED, "the member is behind a password")
    if info.compress_type not in _READ_METHODS:
        return _refused(Reason.UNSUPPORTED, f"packed by method {info.compress_type}")
    return None


def zip_members(stream: BinaryIO, options: ReadOptions) -> Iterator[Member]:
    """The members of a zip in the order of its directory; folders are none."""
    if not stream.seekable():
        stream = io.BytesIO(whole(stream, options.max_file_bytes, "max_file_bytes"))
    meter = Meter(options, packed=_directory(stream, options))
    try:
        archive = zipfile.ZipFile(stream)
    except _ZIP_ERRORS as error:
        raise _refused(Reason.DAMAGED, f"no readable zip archive: {brief(error)}") from error
    with archive:
        for info in archive.infolist():
            name = _zip_name(info)
            if name.endswith(b"/") and not info.file_size:
                continue
            path, refusal = to_uri(name), _zip_refusal(info, name)
            if refusal is not None:
                yield Member(path, None, refusal)
                continue
            try:
                opened = archive.open(info)
            except _ZIP_ERRORS as error:
                yield Member(path, None, _refused(Reason.DAMAGED, f"the member cannot be opened: {brief(error)}"))
                continue
            with opened:
                yield Member(path, io.BufferedReader(_ZipMember(opened, info, meter), CHUNK))


class _Metered(io.RawIOBase):
    """A stream that may be read only so far before somebody looks at it again."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.left = _MOST_HEADER

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > self.left:
            raise _refused(Reason.DAMAGED, f"more than {_MOST_HEADER} bytes of tar header before a member")
        data = self._stream.read(size)
        self.left -= len(data)
        return data


class _TarMember(io.RawIOBase):
    """The bytes of one member of a tar; how many is for the archive's own stream to bound."""

    def __init__(self, stream: Any, info: tarfile.TarInfo, metered: _Metered) -> None:
        self._stream = stream
        self._left = info.size
        self._metered = metered
        self._refusal: Refusal | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._refusal is not None:
            raise self._refusal
        self._metered.left = len(buffer) + _MOST_HEADER
        try:
            data = self._stream.read(min(len(buffer), self._left))
        except _TAR_ERRORS:
            data = b""
        if not data and self._left:
            detail = f"the tar archive ends {self._left} bytes before its member does"
            self._refusal = _refused(Reason.TRUNCATED, detail)
            raise self._refusal
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)

    def drain(self) -> None:
        """Pass over what nobody has read."""
        space = bytearray(CHUNK)
        while self.readinto(space):
            pass


def _tar_refusal(info: tarfile.TarInfo, name: bytes) -> Refusal | None:
    if (unsafe := _unsafe(name)) is not None:
        return unsafe
    if info.issym() or info.islnk():
        return _refused(Reason.SYMLINK, "the member is a link")
    if not info.isreg() or info.size < 0:
        return _refused(Reason.NOT_REGULAR, "the member is a FIFO, device or of an unknown type")
    if info.sparse is not None or info.type == tarfile.GNUTYPE_SPARSE:
        return _refused(Reason.NOT_REGULAR, "the member is sparse")
    return None


def tar_members(stream: BinaryIO, options: ReadOptions) -> Iterator[Member]:
    """The members of a tar in order, read once from the front to the end; folders are none."""
    metered = _Metered(stream)
    try:
        archive = tarfile.open(  # noqa: SIM115 - nothing is held open
            fileobj=metered, mode="r|", encoding="utf-8", errors="surrogateescape", bufsize=tarfile.RECORDSIZE
        )
    except _TAR_ERRORS as error:
        raise _refused(Reason.DAMAGED, f"no readable tar archive: {brief(error)}") from error
    count = 0
    while True:
        metered.left = _MOST_HEADER
        try:
            info = archive.next()
        except _TAR_ERRORS as error:
            raise _refused(Reason.DAMAGED, f"the tar archive breaks off: {brief(error)}") from error
        if info is None:
            return
        # tarfile remembers every member that it met.
        archive.members.clear()  # type: ignore[attr-defined]
        count += 1
        if count > options.max_members:
            most = options.max_members
            raise _refused(Reason.TOO_MANY_MEMBERS, f"more than {most} members; max_members is {most}")
        if info.isdir():
            continue
        name = info.name.encode("utf-8", "surrogateescape")
        path, refusal = to_uri(name), _tar_refusal(info, name)
        if refusal is not None:
            yield Member(path, None, refusal)
            continue
        member = _TarMember(archive.extractfile(info), info, metered)
        yield Member(path, io.BufferedReader(member, CHUNK))
        member.drain()
