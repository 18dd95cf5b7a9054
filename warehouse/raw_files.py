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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, BinaryIO, NamedTuple

from warehouse.errors import Deferred, Refusal
from warehouse.records import Stamp
from warehouse.uri import is_plain, to_path, to_uri
from warehouse.vocabulary import DeferReason, Reason, Stage

_MOST = (1 << 63) - 1
# The bits of a mode that say what kind of file it is.
_KIND = 0o170000
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


# So many are stamped at once, and held.
_AT_ONCE = 1_000
_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# What took a folder's place since it was listed may lead anywhere.
_FOLDER = _ROOT | os.O_NOFOLLOW

# What a stamp takes from a stat result, all at once: a walk asks for every file.
_FACTS = attrgetter("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")
# A named tuple's own constructor takes twice as long.
_made = tuple.__new__

NO_STAMP = Stamp(size_bytes=0, mtime_ns=0, ctime_ns=0, inode=0)


def fitting(size: int, mtime: int, ctime: int, inode: int) -> Stamp:
    """The stamp as a table can hold it: a file system may have times and inode numbers beyond 64 signed bits."""
    if (mtime | ctime | inode) >> 63:
        mtime, ctime, inode = max(-_MOST, min(mtime, _MOST)), max(-_MOST, min(ctime, _MOST)), inode & _MOST
    return _made(Stamp, (size, mtime, ctime, inode))


def stamp_of(result: os.stat_result) -> Stamp:
    """The stamp out of a stat result."""
    return fitting(*_FACTS(result))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False  # its stat will say the same, and be reported


_Wanted = Callable[[list[str]], list[str]]


def _everything(names: list[str]) -> list[str]:
    return names


def _listing(folder: bytes, flags: int, wanted: _Wanted) -> tuple[list[str], Mapping[str, str]]:
    """The uris of a folder's entries in their order, a folder's with a slash behind, and of each its name."""
    names, folders = list[str](), set[str]()
    fd = os.open(folder, flags)
    try:
        with os.scandir(fd) as scan:
            for entry in scan:
                names.append(entry.name)
                if _is_folder(entry):
                    folders.add(entry.name)
    finally:
        os.close(fd)
    names = wanted(names)
    if is_plain("".join(names)):
        return sorted(name + "/" if name in folders else name for name in names) if folders else sorted(names), {}
    uris = {to_uri(os.fsencode(name)) + "/" * (name in folders): name for name in names}
    return sorted(uris), uris


def _stamped(folder: bytes, flags: int, before: str, uris: Sequence[str], names: Mapping[str, str]) -> Block:
    """These entries of a folder with their stamps; one that vanished meanwhile is left out."""
    rows: list[Row] = []
    odd: dict[str, int | OSError] = {}
    try:
        fd = os.open(folder, flags)
    except FileNotFoundError:
        return Block(rows, odd)
    except OSError as error:
        return Block([(before + uri, *NO_STAMP) for uri in uris], {before + uri: error for uri in uris})
    try:
        for uri, name in zip(uris, map(names.__getitem__, uris) if names else uris, strict=True):
            try:
                result = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                rows.append((before + uri, *NO_STAMP))
                odd[before + uri] = error
                continue
            rows.append((before + uri, *_FACTS(result)))
            if result.st_mode & _KIND != stat.S_IFREG:
                odd[before + uri] = result.st_mode & _KIND
    finally:
        os.close(fd)
    return Block(rows, odd)


def _steps(folder: bytes, flags: int, before: str, wanted: _Wanted) -> Iterator[Block | str]:
    """The entries of a folder, and in their order between them the folders to go down into, by their uris."""
    try:
        uris, names = _listing(folder, flags, wanted)
    except FileNotFoundError:
        return
    except OSError as error:
        here = before or "/"
        yield Block([(here, *NO_STAMP)], {here: error})
        return
    first = 0
    for place, uri in enumerate(uris):
        is_folder = uri[-1] == "/"
        if (is_folder or place - first == _AT_ONCE) and place > first:
            yield _stamped(folder, flags, before, uris[first:place], names)
            first = place
        if is_folder:
            yield uri
            first = place + 1
    if first < len(uris):
        yield _stamped(folder, flags, before, uris[first:], names)


def blocks(
    root: bytes, below: bytes = b"", *, skip: Collection[bytes] = (), wanted: _Wanted = _everything
) -> Iterator[Block]:
    """Every entry below ``root``/``below`` but folders, in the order of their uris.

    A folder that cannot be listed is one entry with its error and a trailing slash.  An entry that vanishes
    meanwhile is left out.  Symlinks are reported, never followed.  ``wanted`` chooses among the names of each folder;
    the folders in ``skip`` are not entered.
    """
    # A stack of listings instead of recursion: folders may be nested deeper than Python's stack.
    prefix = below + b"/" if below else b""
    before = to_uri(prefix)
    stack = [(prefix, before, _steps(os.path.join(root, below) if below else root, _ROOT, before, wanted))]
    while stack:
        prefix, before, steps = stack[-1]
        for step in steps:
            if isinstance(step, Block):
                yield step
            elif (path := prefix + to_path(step[:-1])) not in skip:
                inside = _steps(os.path.join(root, path), _FOLDER, before + step, wanted)
                stack.append((path + b"/", before + step, inside))
                break
        else:
            stack.pop()


def walk(
    root: bytes, below: bytes = b"", *, skip: Collection[bytes] = (), wanted: _Wanted = _everything
) -> Iterator[Found]:
    """``blocks``, entry by entry."""
    for block in blocks(root, below, skip=skip, wanted=wanted):
        yield from map(block.found, block.rows)


def look(root: bytes, path: bytes) -> Found:
    """One named entry, as ``walk`` would report it."""
    try:
        result = os.lstat(os.path.join(root, path))
    except OSError as error:
        return Found(path, to_uri(path), 0, NO_STAMP, error)
    return Found(path, to_uri(path), result.st_mode & _KIND, stamp_of(result))


def defer_reason(error: OSError) -> DeferReason:
    """Why an operating system error puts a file off."""
    return DeferReason.PERMISSION if error.errno in (errno.EACCES, errno.EPERM) else DeferReason.IO_ERROR


class Content(NamedTuple):
    """The bytes of a file with the stamp they were read under."""

    data: bytes
    stamp: Stamp

    @property
    def file_id(self) -> str:
        """sha256 of the bytes, 64 hex digits."""
        return hashlib.sha256(self.data).hexdigest()


def _open(path: bytes) -> tuple[int, os.stat_result]:
    # Without O_NONBLOCK the open of a FIFO waits for a writer for ever; O_NOFOLLOW because a symlink that was put in
    # the place of a file between listing and reading must not lead out of the inbox.
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        result = os.fstat(fd)
    except OSError:
        os.close(fd)
        raise
    if not stat.S_ISREG(result.st_mode):
        os.close(fd)
        raise Deferred(DeferReason.CHANGING, "was a regular file when it was listed and is none now")
    return fd, result


def read(path: bytes) -> Content:
    """All bytes of a regular file.

    Raises ``Deferred`` when it cannot be read or changes while it is, and ``FileNotFoundError`` when it is gone.
    """
    try:
        fd, before = _open(path)
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
        raise Deferred(defer_reason(error), error.strerror or str(error)) from error
    if len(data) != size or _FACTS(before) != _FACTS(after):
        raise Deferred(DeferReason.CHANGING, "changed while it was read")
    return Content(data, stamp_of(before))


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
        fd, result = _open(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Deferred(defer_reason(error), error.strerror or str(error)) from error
    with io.BufferedReader(_Raw(fd), 1 << 18) as stream:
        yield Opened(stream, stamp_of(result))


class Identity(NamedTuple):
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
