"""Making bytes durable and taking locks: the only place that renames.

Belongs here: temp file, fsync, rename, fsync of the folder; locks between processes; blocks that no signal breaks.
Does not belong here: what is written (``parts``, ``snapshots``) or named (``ledger``).

A file that was renamed here is whole and survives a power cut, as far as the disk keeps its word on fsync.
"""

import contextlib
import fcntl
import glob
import hashlib
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from warehouse.errors import WarehouseBusy

TEMPORARY = ".tmp-"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """A block that no signal breaks off: what came meanwhile is handled when the block has ended.

    An exception out of a signal handler can leave a transaction open for good, and DuckDB loses it.  Handlers run in
    the main thread only, and elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    handlers = {number: signal.signal(number, lambda n, frame: came.append((n, frame))) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for first, frame in came[:1]:
            then = handlers[signal.Signals(first)]
            if callable(then):
                then(first, frame)
            elif then is signal.SIG_DFL:
                os.kill(os.getpid(), first)


def fsync_path(path: Path) -> None:
    """Flush one file or folder to the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(path: Path) -> None:
    """Create a folder and its parents so that they survive a power cut; one that exists is left alone.

    Whatever the umask, others may never write there: who can, can put a file of their own in the place of a part.
    """
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(0o775, exist_ok=True)
        fsync_path(folder.parent)


@contextlib.contextmanager
def temporary_file(folder: Path, becomes: Path | None = None) -> Iterator[Path]:
    """A new empty file in ``folder`` that goes when the block ends, unless it was renamed by then.

    Its name ends in that of what it ``becomes``, for ``discard_left``.
    """
    make_folder(folder)
    fd, name = tempfile.mkstemp(prefix=TEMPORARY, suffix=f"-{becomes.name}" if becomes else "", dir=folder)
    os.close(fd)
    path = Path(name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_folder(becomes: Path) -> Iterator[Path]:
    """A new empty folder beside what something in it becomes; it goes when the block ends, with all that is in it."""
    folder = Path(tempfile.mkdtemp(prefix=TEMPORARY, suffix=f"-{becomes.name}", dir=becomes.parent))
    try:
        yield folder
    finally:
        # It has done its work; what cannot be removed now goes as what a killed process left does.
        shutil.rmtree(folder, ignore_errors=True)


def discard(path: Path) -> None:
    """Remove a file or symlink, or a folder with all that is in it; one that is gone is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def discard_left(becomes: Path) -> int:
    """Remove what killed processes left of what was to become this; how much it was.  Under the lock of its writers."""
    unfinished = list(becomes.parent.glob(f"{TEMPORARY}*-{glob.escape(becomes.name)}"))
    for path in unfinished:
        discard(path)
    return len(unfinished)


def private_file(path: Path) -> None:
    """Make sure that a file is there and nobody else reads it; what is in it stays."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)


def open_as_asked(temporary: Path, final: Path) -> None:
    """Give a file that is to be ``final`` the mode of the one that is there, else what the umask says."""
    mask = os.umask(0)
    os.umask(mask)
    temporary.chmod(final.stat().st_mode & 0o777 if final.exists() else 0o666 & ~mask)


def rename_durably(temporary: Path, final: Path) -> None:
    """Give a written file its name: its bytes first, then the name, then the folder that holds the name."""
    fsync_path(temporary)
    os.rename(temporary, final)
    fsync_path(final.parent)


def link_durably(target: str, link: Path) -> None:
    """Point the symlink ``link`` at ``target`` in one step; a reader sees the old one or the new one."""
    temporary = link.with_name(f"{TEMPORARY}{os.getpid()}-{link.name}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    os.rename(temporary, link)
    fsync_path(link.parent)


@contextlib.contextmanager
def lock(path: Path, *, on_wait: Callable[[], None] | None = None, wait: bool = True) -> Iterator[None]:
    """Hold the lock of ``path`` between processes; the kernel frees it when the process ends, however it ends.

    ``on_wait`` is called once if somebody else holds it.  Without ``wait``: ``WarehouseBusy``.  Lock files lie on
    a local disk: what NFS makes of flock is not promised.  Whoever may open the file may hold the lock, so nobody else
    may.
    """
    make_folder(path.parent)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise WarehouseBusy(f"{path} is held by another newsmill; wait until it has ended") from None
            if on_wait is not None:
                on_wait()
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def hash_file(path: Path) -> str:
    """sha256 of the bytes of a file, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


_FICLONE = 0x40049409  # linux/fs.h: share the blocks of another file, where the file system can


def copy_file(source: Path, target: Path) -> None:
    """Copy a closed file over an existing one: by reference where the file system can, else by bytes."""
    with source.open("rb") as reading, target.open("wb") as writing:
        try:
            fcntl.ioctl(writing, _FICLONE, reading.fileno())
        except OSError:
            shutil.copyfileobj(reading, writing, 1 << 20)
