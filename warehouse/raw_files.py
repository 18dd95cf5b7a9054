"""List, stamp and open raw files, without ever trusting them.

Belongs here: the only calls that touch somebody else's files, all of them reading.  Does not belong here: which
files are wanted (``tasks.discover``) or what is in them (``tasks.readers``).

Paths are bytes: a name from outside need not be text.
"""

import errno
import hashlib
import io
import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from warehouse.errors import Deferred, Refusal
from warehouse.records import Stamp
from warehouse.uri import to_uri
from warehouse.vocabulary import DeferReason, Reason, Stage

_MOST = (1 << 63) - 1
# Read at once below, in pieces of this size above.
_CHUNK = 1 << 20


class Found(NamedTuple):
    """One entry below a root: ``path`` and ``uri`` relative to it; ``error`` where not even a stamp could be had."""

    path: bytes
    uri: str
    mode: int
    stamp: Stamp
    error: OSError | None = None


# A named tuple's own constructor takes twice as long, and a walk makes two an entry.
_made = tuple.__new__

NO_STAMP = Stamp(size_bytes=0, mtime_ns=0, ctime_ns=0, inode=0)


def stamp_of(result: os.stat_result) -> Stamp:
    """The stamp out of a stat result."""
    mtime, ctime, inode = result.st_mtime_ns, result.st_ctime_ns, result.st_ino
    if (mtime | ctime | inode) >> 63:
        # A file system may hold times and inode numbers beyond 64 signed bits, which no table could.
        mtime, ctime, inode = max(-_MOST, min(mtime, _MOST)), max(-_MOST, min(ctime, _MOST)), inode & _MOST
    return _made(Stamp, (result.st_size, mtime, ctime, inode))


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False  # its stat will say the same, and be reported


_Listing = Iterator[tuple[str, os.DirEntry[bytes] | OSError]]


def _listing(folder: bytes) -> _Listing:
    """The entries of a folder by uri, a folder's with a slash behind; one error where there is no listing."""
    try:
        with os.scandir(folder) as scan:
            entries = sorted(
                ((to_uri(entry.name) + "/" if _is_folder(entry) else to_uri(entry.name), entry) for entry in scan),
                reverse=True,
            )
    except FileNotFoundError:
        return
    except OSError as error:
        yield "", error
        return
    # One by one, the last first: an entry keeps what was asked of it, which is more than itself.
    while entries:
        yield entries.pop()


def _never(_name: bytes) -> bool:
    return False


def walk(
    root: bytes,
    below: bytes = b"",
    *,
    skip: Collection[bytes] = (),
    is_ignored: Callable[[bytes], bool] = _never,
) -> Iterator[Found]:
    """Every entry below ``root``/``below`` but folders, in the order of their uris.

    A folder that cannot be listed is one entry with its error and a trailing slash.  An entry that vanishes
    meanwhile is left out.  Symlinks are reported, never followed.  What has a name that ``is_ignored`` is left out,
    with all that is below it, and so are the folders in ``skip``.
    """
    # A stack of listings instead of recursion: folders may be nested deeper than Python's stack.
    prefix = below + b"/" if below else b""
    stack = [(prefix, to_uri(prefix), _listing(os.path.join(root, below) if below else root))]
    while stack:
        prefix, before, listing = stack[-1]
        for uri, entry in listing:
            if isinstance(entry, OSError):
                yield Found(prefix or b"/", before or "/", 0, NO_STAMP, entry)
                continue
            name = entry.name
            if is_ignored(name):
                continue
            path = prefix + name
            if uri[-1] == "/":
                if path not in skip:
                    stack.append((path + b"/", before + uri, _listing(os.path.join(root, path))))
                    break
                continue
            try:
                result = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                yield Found(path, before + uri, 0, NO_STAMP, error)
                continue
            yield _made(Found, (path, before + uri, result.st_mode, stamp_of(result), None))
        else:
            stack.pop()


def look(root: bytes, path: bytes) -> Found:
    """One named entry, as ``walk`` would report it."""
    try:
        result = os.lstat(os.path.join(root, path))
    except OSError as error:
        return Found(path, to_uri(path), 0, NO_STAMP, error)
    return Found(path, to_uri(path), result.st_mode, stamp_of(result))


def defer_reason(error: OSError) -> DeferReason:
    """Why an operating system error puts a file off."""
    return DeferReason.PERMISSION if error.errno in (errno.EACCES, errno.EPERM) else DeferReason.IO_ERROR


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file with the stamp they were read under."""

    data: bytes
    stamp: Stamp

    @property
    def file_id(self) -> str:
        """sha256 of the bytes, 64 hex digits."""
        return hashlib.sha256(self.data).hexdigest()


def _open(path: bytes) -> int:
    # Without O_NONBLOCK the open of a FIFO waits for a writer for ever; O_NOFOLLOW because a symlink that was put in
    # the place of a file between listing and reading must not lead out of the inbox.
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Deferred(DeferReason.CHANGING, "was a regular file when it was listed and is none now")
    return fd


def read(path: bytes) -> Content:
    """All bytes of a regular file.

    Raises ``Deferred`` when it cannot be read or changes while it is, and ``FileNotFoundError`` when it is gone.
    """
    try:
        fd = _open(path)
        try:
            before = stamp_of(os.fstat(fd))
            # One byte more than the size: the read that finds the end is the one that proves it.
            data = os.read(fd, before.size_bytes + 1)
            while data and len(data) < before.size_bytes and (more := os.read(fd, before.size_bytes + 1 - len(data))):
                data += more
            after = stamp_of(os.fstat(fd))
        finally:
            os.close(fd)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Deferred(defer_reason(error), error.strerror or str(error)) from error
    if before != after or len(data) != before.size_bytes:
        raise Deferred(DeferReason.CHANGING, "changed while it was read")
    return Content(data, before)


class _Raw(io.FileIO):
    """A raw file as a stream whose errors are those of this module."""

    def readinto(self, buffer: Any) -> int:
        try:
            return super().readinto(buffer) or 0
        except OSError as error:
            raise Deferred(defer_reason(error), error.strerror or str(error)) from error


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
def opened(path: bytes) -> Iterator[Opened]:
    """A regular file as a stream; raises as ``read`` does, also from the stream and inside the block."""
    try:
        fd = _open(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Deferred(defer_reason(error), error.strerror or str(error)) from error
    with io.BufferedReader(_Raw(fd), 1 << 18) as stream:
        yield Opened(stream, stamp_of(os.fstat(fd)))


@dataclass(frozen=True, slots=True)
class Identity:
    """What the content of a file is, and the stamp it was found under."""

    file_id: str
    stamp: Stamp


def identify(path: bytes, size_bytes: int) -> Content | Identity:
    """The hash of a file of about this size, never holding more than a piece of it.

    Raises as ``read`` does, and ``Refusal`` for a big file with holes, which would be hashed for hours.
    """
    if size_bytes <= _CHUNK:
        return read(path)
    with opened(path) as file:
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
