"""Other people's files: listed in order, never followed, never hanging, never half read."""

import contextlib
import errno
import hashlib
import os
import shutil
import socket
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from warehouse import raw_files, walking
from warehouse.errors import Deferred, Refusal
from warehouse.raw_files import defer_reason, look, read, stamp_of
from warehouse.uri import to_uri
from warehouse.vocabulary import DeferReason, Reason
from warehouse.walking import walk

Obedient = Callable[[], contextlib.AbstractContextManager[None]]


def names(root: Path, below: bytes = b"") -> list[bytes]:
    return [found.path for found in walk(os.fsencode(root), below)]


def test_a_walk_goes_in_the_order_of_uris(tmp_path: Path) -> None:
    for name in [b"b.txt", b"a/z.txt", b"a/b/c.txt", b"a.txt", b"B.txt", b"\xff.txt", "ä.txt".encode(), b"a/\n.txt"]:
        path = os.path.join(os.fsencode(tmp_path), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb"):
            pass
    (tmp_path / "empty").mkdir()
    assert names(tmp_path) == [
        "ä.txt".encode(), b"\xff.txt", b"B.txt", b"a.txt", b"a/\n.txt", b"a/b/c.txt", b"a/z.txt", b"b.txt",
    ]  # fmt: skip
    uris = [found.uri for found in walk(os.fsencode(tmp_path))]
    assert uris == sorted(uris) == list(map(to_uri, names(tmp_path)))


def test_a_walk_can_begin_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.txt").touch()
    (tmp_path / "other.txt").touch()
    assert names(tmp_path, b"a") == [b"a/b/c.txt"]


def test_a_walk_tells_size_times_and_inode(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"12345")
    os.utime(tmp_path / "a.txt", ns=(1, 1_234_567_890_123_456_789))
    (found,) = walk(os.fsencode(tmp_path))
    result = os.stat(tmp_path / "a.txt")
    assert found.stamp == stamp_of(result)
    assert (found.stamp.size_bytes, found.stamp.mtime_ns) == (5, 1_234_567_890_123_456_789)
    assert (found.stamp.ctime_ns, found.stamp.inode) == (result.st_ctime_ns, result.st_ino)
    assert look(os.fsencode(tmp_path), b"a.txt") == found


def test_a_stamp_fits_into_64_signed_bits() -> None:
    """Inodes are unsigned, overlay and network file systems set the highest bit; a clock may be anywhere."""
    far = 1 << 64
    for inode, moment in ((far - 1, far), ((1 << 63) + 5, -far)):
        values = os.stat_result(
            (0o100644, inode, 0, 1, 0, 0, 7, 0, 0, 0), {"st_mtime_ns": moment, "st_ctime_ns": moment}
        )
        stamp = stamp_of(values)
        assert all(-(1 << 63) <= value < 1 << 63 for value in (stamp.mtime_ns, stamp.ctime_ns, stamp.inode))


def test_symlinks_are_reported_and_never_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").touch()
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").symlink_to(tmp_path / "outside" / "secret.txt")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to(root)
    (root / "dangling").symlink_to("nowhere")
    found = list(walk(os.fsencode(root)))
    assert [entry.path for entry in found] == [b"dangling", b"file", b"folder", b"loop"]
    assert all(stat.S_ISLNK(entry.mode) and entry.error is None for entry in found)
    assert stat.S_ISLNK(look(os.fsencode(root), b"dangling").mode)


@pytest.mark.parametrize("make", [lambda path: os.mkfifo(path), lambda path: socket.socket(socket.AF_UNIX).bind(path)])
def test_a_fifo_or_socket_is_reported_and_reading_it_does_not_hang(
    tmp_path: Path, make: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    make("entry.txt")
    (found,) = walk(os.fsencode(tmp_path))
    assert not stat.S_ISREG(found.mode)
    refused: list[Deferred] = []

    def _read() -> None:
        try:
            read(os.fsencode(tmp_path / "entry.txt"))
        except Deferred as deferred:
            refused.append(deferred)

    reading = threading.Thread(target=_read, daemon=True)
    reading.start()
    reading.join(timeout=10)
    assert not reading.is_alive()
    assert len(refused) == 1


def test_a_folder_cannot_be_read_as_a_file(tmp_path: Path) -> None:
    with pytest.raises(Deferred) as refused:
        read(os.fsencode(tmp_path))
    assert refused.value.reason is DeferReason.CHANGING


def nested(root: Path, levels: int) -> None:
    """A file below so many folders; the whole path need not be usable."""
    here = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("deep.txt", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    root = tmp_path / "deep"
    root.mkdir()
    yield root
    # Python's own rmtree is recursive.
    subprocess.run(["rm", "-rf", root], check=True)


def test_folders_may_be_nested_deeper_than_pythons_stack(deep: Path) -> None:
    nested(deep, 1_500)
    (deep / "z.txt").touch()
    assert names(deep) == [b"d/" * 1_500 + b"deep.txt", b"z.txt"]


def test_a_path_that_is_too_long_for_the_system_is_an_entry_with_its_error(deep: Path) -> None:
    nested(deep, 2_500)
    (deep / "z.txt").touch()
    unreachable, reached = walk(os.fsencode(deep))
    assert reached.path == b"z.txt"
    assert unreachable.error is not None
    assert unreachable.error.errno == errno.ENAMETOOLONG
    assert unreachable.path.endswith(b"/d/")


def test_a_deep_walk_holds_no_folder_open(deep: Path) -> None:
    nested(deep, 200)
    before = len(os.listdir("/proc/self/fd"))
    walking = walk(os.fsencode(deep))
    next(walking)
    assert len(os.listdir("/proc/self/fd")) == before
    walking.close()


def test_what_vanishes_during_the_walk_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "_AT_ONCE", 1)
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).touch()
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "e.txt").touch()
    (tmp_path / "f.txt").touch()
    steps = walk(os.fsencode(tmp_path))
    assert next(steps).path == b"a.txt"
    (tmp_path / "b.txt").unlink()
    (tmp_path / "d" / "e.txt").unlink()
    (tmp_path / "d").rmdir()
    assert [found.path for found in steps] == [b"c.txt", b"f.txt"]


def test_a_symlink_in_the_place_of_a_folder_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put there between the listing above it and its own; and between its listing and the look at what is in it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").touch()
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a" / "secret.txt").touch()
    real = os.open
    for opened_before in (0, 1):
        seen: list[int] = []

        def swapping(
            path: bytes, *more: int, seen: list[int] = seen, after: int = opened_before, dir_fd: int | None = None
        ) -> int:
            if path.endswith(b"/a"):
                if len(seen) == after:
                    shutil.move(root / "a", tmp_path / "aside")
                    (root / "a").symlink_to(tmp_path / "outside")
                seen.append(1)
            return real(path, *more, dir_fd=dir_fd)

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", swapping)
            found = list(walk(os.fsencode(root)))
        assert len(seen) == opened_before + 1
        assert [(entry.path, type(entry.error)) for entry in found] == [
            (b"a/secret.txt" if opened_before else b"a/", NotADirectoryError)
        ]
        (root / "a").unlink()
        shutil.move(tmp_path / "aside", root / "a")


def test_a_root_that_is_gone_has_no_entries(tmp_path: Path) -> None:
    assert names(tmp_path / "nowhere") == []


def test_a_named_path_that_is_gone_carries_its_error(tmp_path: Path) -> None:
    found = look(os.fsencode(tmp_path), b"nowhere.txt")
    assert isinstance(found.error, FileNotFoundError)


def test_a_folder_that_cannot_be_listed_is_one_entry_and_the_others_go_on(tmp_path: Path, obedient: Obedient) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "a.txt").touch()
    with obedient():
        closed, readable = (found for found in walk(os.fsencode(tmp_path)) if found.path != b"probe")
    assert closed.path == b"closed/"
    assert isinstance(closed.error, PermissionError)
    assert (readable.path, readable.error) == (b"open/a.txt", None)


def test_an_unreadable_file_is_put_off(tmp_path: Path, obedient: Obedient) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"secret")
    path.chmod(0)
    with obedient():
        (found,) = (found for found in walk(os.fsencode(tmp_path)) if found.path == b"a.txt")
        with pytest.raises(Deferred) as refused:
            read(os.fsencode(path))
    assert found.error is None
    assert refused.value.reason is DeferReason.PERMISSION
    assert read(os.fsencode(path)).data == b"secret"


@pytest.mark.parametrize(
    ("code", "reason"),
    [(errno.EACCES, DeferReason.PERMISSION), (errno.EPERM, DeferReason.PERMISSION), (errno.EIO, DeferReason.IO_ERROR),
     (errno.ESTALE, DeferReason.IO_ERROR)],
)  # fmt: skip
def test_the_reason_of_an_error(code: int, reason: DeferReason) -> None:
    assert defer_reason(OSError(code, "")) is reason


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (3 << 20) + 7])
def test_a_file_is_read_whole(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    content = read(os.fsencode(path))
    assert content.data == data
    assert content.file_id == hashlib.sha256(data).hexdigest()
    assert content.stamp == stamp_of(path.stat())


def test_reading_changes_nothing_and_leaves_no_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x")
    path.chmod(0o444)
    before, descriptors = path.stat(), os.listdir("/proc/self/fd")
    read(os.fsencode(path))
    with pytest.raises(Deferred):
        read(os.fsencode(tmp_path))
    after = path.stat()
    assert (before.st_mtime_ns, before.st_ctime_ns, before.st_mode) == (
        after.st_mtime_ns,
        after.st_ctime_ns,
        after.st_mode,
    )
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)


def test_a_file_that_is_gone_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(os.fsencode(tmp_path / "nowhere.txt"))


def test_a_symlink_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "a.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(Deferred):
        read(os.fsencode(tmp_path / "a.txt"))


def test_a_file_whose_size_is_not_what_it_holds_is_put_off() -> None:
    """Files of the kernel have size 0 and content: what every growing file looks like between two looks."""
    with pytest.raises(Deferred) as refused:
        read(b"/proc/%d/status" % os.getpid())
    assert refused.value.reason is DeferReason.CHANGING


@pytest.mark.parametrize("change", ["append", "truncate", "rewrite"])
def test_what_is_read_while_somebody_writes_is_as_long_as_its_stamp_says(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.txt"
    size, stop = 1 << 20, threading.Event()
    path.write_bytes(b"\0" * size)

    def _write() -> None:
        letter = 0
        while not stop.is_set():
            letter = (letter + 1) % 256
            with path.open("r+b", buffering=0) as stream:
                if change == "append":
                    stream.seek(0, os.SEEK_END)
                    stream.write(b"x" * 4096)
                    if stream.tell() > 2 * size:
                        stream.truncate(size)
                elif change == "truncate":
                    stream.truncate(size // 2)
                    stream.truncate(size)
                else:
                    for start in range(0, size, size // 4):
                        stream.seek(start)
                        stream.write(bytes([letter]) * (size // 4))

    writing = threading.Thread(target=_write)
    writing.start()
    try:
        for _ in range(200):
            try:
                content = read(os.fsencode(path))
            except Deferred as deferred:
                assert deferred.reason is DeferReason.CHANGING
            else:
                assert len(content.data) == content.stamp.size_bytes
    finally:
        stop.set()
        writing.join()
    assert read(os.fsencode(path)).stamp.size_bytes == path.stat().st_size


def test_a_file_that_grows_between_the_looks_is_put_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"first")
    real = os.read

    def _read(fd: int, count: int) -> bytes:
        data = real(fd, count)
        with path.open("ab") as stream:
            stream.write(b" more")
        return data

    monkeypatch.setattr(os, "read", _read)
    with pytest.raises(Deferred) as refused:
        read(os.fsencode(path))
    assert refused.value.reason is DeferReason.CHANGING


def test_a_file_that_is_rewritten_at_equal_length_between_the_looks_is_put_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its modification time put back: only the change time tells."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"first")
    os.utime(path, ns=(5, 5))
    real = os.read

    def _read(fd: int, count: int) -> bytes:
        data = real(fd, count)
        with path.open("r+b") as stream:
            stream.write(b"other")
        os.utime(path, ns=(5, 5))
        return data

    monkeypatch.setattr(os, "read", _read)
    with pytest.raises(Deferred) as refused:
        read(os.fsencode(path))
    assert refused.value.reason is DeferReason.CHANGING


def test_a_file_that_endlessly_grows_ends_the_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that is written faster than it is read must not fill the memory."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"x")
    taken = 0
    real = os.read

    def _read(fd: int, count: int) -> bytes:
        nonlocal taken
        taken += 1
        if taken > 50:
            pytest.fail("it is still reading a file that has grown for the fiftieth time")
        with path.open("ab") as stream:
            stream.write(b"x" * 64)
        return real(fd, min(count, 64))

    monkeypatch.setattr(os, "read", _read)
    with pytest.raises(Deferred):
        read(os.fsencode(path))


def test_a_big_file_is_identified_in_pieces(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "a")
    data = os.urandom(3_000_000)
    Path(os.fsdecode(path)).write_bytes(data)
    found = raw_files.identify(path, len(data))
    assert (found.file_id, found.stamp) == (hashlib.sha256(data).hexdigest(), read(path).stamp)
    assert raw_files.head(path, 10) == data[:10]
    assert raw_files.head(path + b"x", 10) == b""


def test_an_opened_file_says_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")
    with raw_files.opened(os.fsencode(path)) as file:
        assert file.stream.read(3) == b"bef"
        file.check()
        assert file.file_id() == hashlib.sha256(b"before").hexdigest()
        assert file.stream.read() == b"before"
        with path.open("ab") as stream:
            stream.write(b" and after")
        with pytest.raises(Deferred) as deferred:
            file.check()
    assert deferred.value.reason is DeferReason.CHANGING


def test_what_is_opened_is_a_regular_file_and_no_link(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "link"):
        with pytest.raises(Deferred), raw_files.opened(os.fsencode(tmp_path / name)):
            pass
    with pytest.raises(FileNotFoundError), raw_files.opened(os.fsencode(tmp_path / "nothing")):
        pass


def test_a_read_error_of_a_stream_puts_the_file_off(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 10)
    with raw_files.opened(os.fsencode(path)) as file:
        other = os.open(tmp_path, os.O_RDONLY)
        os.dup2(other, file.stream.fileno())
        os.close(other)
        with pytest.raises(Deferred) as deferred:
            file.stream.read(5)
    assert deferred.value.reason is DeferReason.IO_ERROR


def test_holes_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    os.truncate(path, 50_000_000)
    with pytest.raises(Refusal) as refused:
        raw_files.identify(os.fsencode(path), 50_000_000)
    assert refused.value.reason is Reason.SPARSE
