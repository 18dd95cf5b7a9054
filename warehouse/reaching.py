"""Reach other people's folders name by name, so that no symlink leads elsewhere.

Belongs here: the way down to a folder, and the folder that is held while files come from it.  Does not belong here:
what is looked at (``raw_files``, ``walking``), which folder a person meant (``tasks.roots``).

``O_NOFOLLOW`` guards the last name of a path only, and who sends files can put a symlink in the place of any folder.
"""

import errno
import os
import stat
from types import TracebackType
from typing import Self

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A folder on the way need not be one that can be listed; where a system has no such flag, it must be.
_WAY = FOLDER | getattr(os, "O_PATH", 0)
# Without O_NONBLOCK the open of a FIFO waits for a writer for ever.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def resolved(path: bytes) -> bytes:
    """Where a path that a person named leads, absolute and without symlinks; as far as it goes where it ends early.

    Raises ``OSError`` where that cannot be known: a symlink that could not be looked at is no folder.
    """
    try:
        return os.path.realpath(path, strict=True)
    except (FileNotFoundError, NotADirectoryError):
        return os.path.realpath(path)


def _enter(above: int | None, name: bytes, flags: int) -> int:
    try:
        return os.open(name, flags, dir_fd=above)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name) from None
        raise


def _step(above: int | None, name: bytes, flags: int) -> int:
    """One name further down, and no longer where the step began."""
    try:
        return _enter(above, name, flags)
    finally:
        if above is not None:
            os.close(above)


def reach(folder: bytes, flags: int = _WAY) -> int:
    """A descriptor of a folder by its absolute path; by default one to open and look below it, not to list it.

    Raises ``OSError``: with ``ELOOP`` where a name on the way is a symlink, whoever put it there.
    """
    *way, last = [b"/", *filter(None, folder.split(b"/"))]
    fd = None
    for name in way:
        fd = _step(fd, name, _WAY)
    return _step(fd, last, flags)


class _Held:
    """One folder that is held, or none."""

    def __init__(self) -> None:
        self.path, self.fd = b"", -1

    def is_at(self, path: bytes) -> bool:
        """Whether it is this one."""
        return self.fd >= 0 and path == self.path

    def take(self, path: bytes, fd: int) -> None:
        """Hold another one."""
        self.close()
        self.path, self.fd = path, fd

    def close(self) -> None:
        """Let go."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


class Reach:
    """Opens files by their paths; the folder of the last one is held, and the one above it, since the next is near.

    Held for a batch and no longer: what was moved out of an inbox shall not be read for long under its old path.
    """

    def __init__(self) -> None:
        self._above, self._folder = _Held(), _Held()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.close()
        self._above.close()

    def open(self, path: bytes) -> int:
        """A descriptor of a file to read; raises as ``reach`` does, also where the file is a symlink."""
        folder, _, name = path.rpartition(b"/")
        if not self._folder.is_at(folder):
            above, _, last = folder.rpartition(b"/")
            if not self._above.is_at(above):
                self._above.take(above, reach(above))
            self._folder.take(folder, _enter(self._above.fd, last or b".", _WAY))
        return os.open(name, _FILE, dir_fd=self._folder.fd)
