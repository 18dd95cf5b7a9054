"""Stamp and open raw files, without ever trusting them.

Belongs here: with ``walking``, which lists them, and ``reaching``, which leads to them, the only calls that touch
somebody else's files, all of them reading.  Does not belong here: which files are wanted (``tasks.discover``) or what
is in them (``tasks.readers``).

Paths are bytes: a name from outside need not be text.  They are absolute, and real: what a person named was resolved
before, and nothing in them is followed any more.
"""

import errno
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, BinaryIO, NamedTuple

from warehouse.errors import Deferred, Refusal
from warehouse.reaching import Reach, reach
from warehouse.records import Stamp
from warehouse.uri import to_path, to_uri
from warehouse.vocabulary import DeferReason, Reason, Stage

_MOST = (1 << 63) - 1
# The bits of a mode that say what kind of file it is.
KIND = 0o170000
# Read at once below, in pieces of this size above.
_CHUNK = 1 << 20


class Found(NamedTuple):
    """One entry below a root: ``path`` and ``uri`` relative to it; ``error`` where not even a stamp could be had.

    ``mode`` says only what kind of file it is.
    """

    path: bytes
    uri: str
    mode: int
    stamp: Stamp
    error: OSError | None = None


# An entry as a walk meets it: its uri, and its stamp as the system said it.
Row = tuple[str, int, int, int, int]


class Block(NamedTuple):
    """Some entries of one folder in the order of their uris, as bare tuples: a walk makes one for every file.

    ``odd`` says of those that are no regular files which mode they have, or why not even a stamp could be had.
    """

    rows: list[Row]
    odd: dict[str, int | OSError]

    @classmethod
    def of(cls, found: Found) -> "Block":
        """One entry that was looked at by name."""
        odd = {} if stat.S_ISREG(found.mode) else {found.uri: found.error or found.mode}
        return cls([(found.uri, *found.stamp)], odd)

    def found(self, row: Row) -> Found:
        """One of its rows with all that is known of it."""
        uri, *facts = row
        odd = self.odd.get(uri, stat.S_IFREG)
        mode, error = (0, odd) if isinstance(odd, OSError) else (odd, None)
        return Found(to_path(uri), uri, mode, fitting(*facts), error)


# What a stamp takes from a stat result, all at once: a walk asks for every file.
FACTS = attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")
# A named tuple's own constructor takes twice as long.
made = tuple.__new__

NO_STAMP = Stamp(size_bytes=0, mtime_ns=0, ctime_ns=0, inode=0)


def fitting(size: int, mtime: int, ctime: int, inode: int) -> Stamp:
    """The stamp as a table can hold it: a file system may have times and inode numbers beyond 64 signed bits."""
    if (mtime | ctime | inode) >> 63:
        mtime, ctime, inode = max(-_MOST, min(mtime, _MOST)), max(-_MOST, min(ctime, _MOST)), inode & _MOST
    return made(Stamp, (size, mtime, ctime, inode))


def stamp_of(result: os.stat_result) -> Stamp:
    """The stamp out of a stat result."""
    return fitting(*FACTS(result))


def look(root: bytes, path: bytes) -> Found:
    """One named entry, as ``walk`` would report it; what lies behind a symlink is one itself."""
    folder, _, name = os.path.join(root, path).rstrip(b"/").rpartition(b"/")
    try:
        fd = reach(folder)
        try:
            result = os.stat(name, dir_fd=fd, follow_symlinks=False)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return Found(path, to_uri(path), stat.S_IFLNK, NO_STAMP)
        return Found(path, to_uri(path), 0, NO_STAMP, error)
    return Found(path, to_uri(path), result.st_mode & KIND, stamp_of(result))


def defer_reason(error: OSError) -> DeferReason:
    """Why an operating system error puts a file off; a symlink took the place of what was listed as none."""
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return DeferReason.CHANGING
    return DeferReason.PERMISSION if error.errno in (errno.EACCES, errno.EPERM) else DeferReason.IO_ERROR


def put_off(error: OSError) -> Deferred:
    """What an operating system error makes of a file."""
    if error.errno == errno.ELOOP:
        return Deferred(DeferReason.CHANGING, "a symbolic link stands where a file or folder was listed")
    return Deferred(defer_reason(error), error.strerror or str(error))


class Content(NamedTuple):
    """The bytes of a file with the stamp they were read under."""

    data: bytes
    stamp: Stamp

    @property
    def file_id(self) -> str:
        """sha256 of the bytes, 64 hex digits."""
        return hashlib.sha256(self.data).hexdigest()


def _open(path: bytes, way: Reach | None) -> tuple[int, os.stat_result]:
    if way is None:
        with Reach() as way:
            return _open(path, way)
    fd = way.open(path)
    try:
        result = os.fstat(fd)
    except OSError:
        os.close(fd)
        raise
    if not stat.S_ISREG(result.st_mode):
        os.close(fd)
        raise Deferred(DeferReason.CHANGING, "was a regular file when it was listed and is none now")
    return fd, result


def read(path: bytes, way: Reach | None = None) -> Content:
    """All bytes of a regular file; ``way`` holds its folder for the next one.

    Raises ``Deferred`` when it cannot be read or changes while it is, and ``FileNotFoundError`` when it is gone.
    """
    try:
        fd, before = _open(path, way)
        try:
            size = before.st_size
            # One byte more than the size: the read that finds the end is the one that proves it.
            data = os.read(fd, size + 1)
            while data and len(data) < size and (more := os.read(fd, size + 1 - len(data))):
                data += more
            after = os.fstat(fd)
        finally:
            os.close(fd)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise put_off(error) from error
    if len(data) != size or FACTS(before) != FACTS(after):
        raise Deferred(DeferReason.CHANGING, "changed while it was read")
    return Content(data, stamp_of(before))


class _Raw(io.FileIO):
    """A raw file as a stream whose errors are those of this module."""

    def readinto(self, buffer: Any) -> int:
        try:
            return super().readinto(buffer) or 0
        except OSError as error:
            raise put_off(error) from error


@dataclass(frozen=True, slots=True)
class Opened:
    """A regular file that is read in pieces; what is read counts only while ``check`` raises nothing."""

    stream: BinaryIO
    stamp: Stamp

    def check(self) -> None:
        """Raise ``Deferred`` where the file is no longer what was opened."""
        if stamp_of(os.fstat(self.stream.fileno())) != self.stamp:
            raise Deferred(DeferReason.CHANGING, "changed while it was read")

    def file_id(self) -> str:
        """sha256 of all bytes; the stream is at its beginning again afterwards."""
        digest = hashlib.sha256()
        self.stream.seek(0)
        while data := self.stream.read(_CHUNK):
            digest.update(data)
        self.check()
        self.stream.seek(0)
        return digest.hexdigest()

    def has_holes(self) -> bool:
        """Whether parts of it were never written; a file system that cannot say so has none."""
        fd = self.stream.fileno()
        try:
            return os.lseek(fd, 0, os.SEEK_HOLE) < self.stamp.size_bytes
        except (OSError, AttributeError):
            return False
        finally:
            os.lseek(fd, 0, os.SEEK_SET)


@contextmanager
def opened(path: bytes, way: Reach | None = None) -> Iterator[Opened]:
    """A regular file as a stream; raises as ``read`` does, also from the stream and inside the block."""
    try:
        fd, result = _open(path, way)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise put_off(error) from error
    with io.BufferedReader(_Raw(fd), 1 << 18) as stream:
        yield Opened(stream, stamp_of(result))


class Identity(NamedTuple):
    """What the content of a file is, and the stamp it was found under."""

    file_id: str
    stamp: Stamp


def identify(path: bytes, size_bytes: int, way: Reach | None = None) -> Content | Identity:
    """The hash of a file of about this size, never holding more than a piece of it.

    Raises as ``read`` does, and ``Refusal`` for a big file with holes, which would be hashed for hours.
    """
    if size_bytes <= _CHUNK:
        return read(path, way)
    with opened(path, way) as file:
        if file.has_holes():
            raise Refusal(Stage.DISCOVER, Reason.SPARSE, "parts of the file were never written")
        return Identity(file.file_id(), file.stamp)


def head(path: bytes, size: int) -> bytes:
    """The first bytes of a file; nothing where it cannot be read now."""
    try:
        with opened(path) as file:
            return file.stream.read(size)
    except (Deferred, FileNotFoundError):
        return b""
