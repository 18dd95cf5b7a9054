"""No symlink leads out, whatever folder it takes the place of: not for a look, a walk, a hash or a batch."""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks import ingest_batch as batch_work
from tasks.hashing import hashed
from tasks.ingest_batch import _Contents
from tasks.roots import roots_of
from warehouse import raw_files, walking
from warehouse.errors import Deferred
from warehouse.layout import Home
from warehouse.raw_files import look
from warehouse.reaching import FOLDER, Reach, reach, resolved
from warehouse.records import Batch, RawFile
from warehouse.vocabulary import DeferReason

Obedient = Callable[[], contextlib.AbstractContextManager[None]]
PATH = b"src/d/notes.txt"
FOLDERS = pytest.mark.parametrize("swapped", ["src", "src/d"])


def descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


class Inbox:
    """A folder, one of the same names outside it, and a symlink to the one in the place of the other."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.outside = folder / "inbox", folder / "outside"
        self.aside = folder / "aside"
        for place, text in ((self.folder, b"inside"), (self.outside, b"secret")):
            (place / "src" / "d").mkdir(parents=True)
            for name in ("notes.txt", "other.txt"):
                (place / "src" / "d" / name).write_bytes(text)
        self.root = os.fsencode(self.folder)
        self.path = os.path.join(self.root, PATH)

    def swap(self, name: str) -> None:
        shutil.move(self.folder / name, self.aside)
        (self.folder / name).symlink_to(self.outside / name)

    def files(self, make: Any) -> tuple[RawFile, ...]:
        """As they were found while they were in their place."""
        paths = [os.path.join(os.path.dirname(self.path), name) for name in (b"notes.txt", b"other.txt")]
        found = hashed(paths, [6, 6])
        return tuple(found.of(make.raw_file(f"{n}", path=path), n) for n, path in enumerate(paths))


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path)


def whole(path: bytes) -> bytes:
    return raw_files.read(path).data


def streamed(path: bytes) -> bytes:
    with raw_files.opened(path) as file:
        return file.stream.read()


def hash_of_a_small_one(path: bytes) -> bytes:
    return raw_files.identify(path, 6).file_id.encode()


def hash_of_a_big_one(path: bytes) -> bytes:
    return raw_files.identify(path, 1 << 30).file_id.encode()


@FOLDERS
@pytest.mark.parametrize("reading", [whole, streamed, hash_of_a_small_one, hash_of_a_big_one])
def test_a_file_behind_a_symlink_is_not_read(inbox: Inbox, swapped: str, reading: Callable[[bytes], bytes]) -> None:
    assert reading(inbox.path)
    inbox.swap(swapped)
    before = descriptors()
    with pytest.raises(Deferred) as deferred:
        reading(inbox.path)
    assert deferred.value.reason is DeferReason.CHANGING
    assert descriptors() == before


@FOLDERS
def test_the_head_of_a_file_behind_a_symlink_is_not_read(inbox: Inbox, swapped: str) -> None:
    assert raw_files.head(inbox.path, 6) == b"inside"
    inbox.swap(swapped)
    assert raw_files.head(inbox.path, 6) == b""


@FOLDERS
def test_a_look_sees_the_symlink_and_nothing_behind_it(inbox: Inbox, swapped: str) -> None:
    assert stat.S_ISREG(look(inbox.root, PATH).mode)
    inbox.swap(swapped)
    found = look(inbox.root, PATH)
    assert stat.S_ISLNK(found.mode)
    assert (found.error, found.stamp) == (None, raw_files.NO_STAMP)
    for name in (b"src/d/nothing.txt", b"src/d"):
        assert stat.S_ISLNK(look(inbox.root, name).mode), "what is there and what is not look alike"


def test_a_look_at_what_was_a_folder_says_what_it_is(inbox: Inbox) -> None:
    shutil.rmtree(inbox.folder / "src" / "d")
    assert isinstance(look(inbox.root, PATH).error, FileNotFoundError)
    (inbox.folder / "src" / "d").touch()
    assert isinstance(look(inbox.root, PATH).error, NotADirectoryError)


def test_a_look_at_a_folder_that_could_not_be_listed_sees_the_folder(inbox: Inbox) -> None:
    """Its uri has a slash behind, and that of the root is nothing else."""
    assert stat.S_ISDIR(look(inbox.root, b"src/d/").mode)
    assert isinstance(look(inbox.root, b"/").error, FileNotFoundError)


@FOLDERS
def test_a_walk_that_begins_behind_a_symlink_finds_nothing(inbox: Inbox, swapped: str) -> None:
    assert len(list(walking.walk(inbox.root, b"src/d"))) == 2
    inbox.swap(swapped)
    (found,) = walking.walk(inbox.root, b"src/d")
    assert (found.path, found.error and found.error.errno) == (b"src/d/", errno.ELOOP)


@pytest.mark.parametrize("opened_before", [0, 1])
def test_a_walk_goes_down_only_where_it_has_been_above(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, opened_before: int
) -> None:
    """Two levels up a folder is swapped: before the lower one is listed; and between its listing and the stamps."""
    real, seen = os.open, list[int]()

    def swapping(path: bytes, flags: int, *, dir_fd: int | None = None) -> int:
        if path.endswith(b"/src/d"):
            if len(seen) == opened_before:
                inbox.swap("src")
            seen.append(1)
        return real(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swapping)
    before = descriptors()
    found = list(walking.walk(inbox.root))
    assert len(seen) == opened_before + 1
    paths = [b"src/d/notes.txt", b"src/d/other.txt"] if opened_before else [b"src/d/"]
    assert [(entry.path, entry.error and entry.error.errno) for entry in found] == [
        (path, errno.ELOOP) for path in paths
    ]
    assert descriptors() == before


def test_a_folder_that_took_the_place_of_another_is_walked(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender who replaces a whole tree during the walk is no attack."""
    real, seen = os.open, list[int]()

    def replacing(path: bytes, flags: int, *, dir_fd: int | None = None) -> int:
        if path.endswith(b"/src/d") and not seen:
            seen.append(1)
            shutil.move(inbox.folder / "src", inbox.aside)
            shutil.copytree(inbox.outside / "src", inbox.folder / "src")
        return real(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", replacing)
    found = list(walking.walk(inbox.root))
    assert [(entry.path, entry.error) for entry in found] == [
        (b"src/d/notes.txt", None), (b"src/d/other.txt", None),
    ]  # fmt: skip
    assert seen


@FOLDERS
def test_a_batch_reads_nothing_behind_a_symlink(
    inbox: Inbox, make: Any, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    """Not even bytes that are those that were found: of a small file, and of one that is read in pieces."""
    files = inbox.files(make)
    inbox.swap(swapped)
    shutil.rmtree(inbox.outside)
    shutil.copytree(inbox.aside, inbox.outside / swapped)
    for most in (batch_work.WHOLE_BYTES, 1):
        monkeypatch.setattr(batch_work, "WHOLE_BYTES", most)
        contents = _Contents(Batch(number=0, files=files), {})
        assert list(contents) == []
        assert [sighting.reason for sighting in contents.deferred] == [DeferReason.CHANGING] * 2


def entered(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The names of folders that are opened from now on, as they are."""
    real, folders = os.open, list[bytes]()

    def counting(path: bytes, flags: int, *, dir_fd: int | None = None) -> int:
        if flags & os.O_DIRECTORY:
            folders.append(path)
        return real(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", counting)
    return folders


def test_a_folder_is_reached_once_for_all_its_files(inbox: Inbox, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    files = inbox.files(make)
    folders = entered(monkeypatch)
    before = descriptors()
    hashed([file.path for file in files], [6, 6])
    assert folders == [b"/", *os.path.dirname(inbox.path).split(b"/")[1:]]
    folders.clear()
    assert len(list(_Contents(Batch(number=0, files=files), {}))) == 2
    assert folders[-2:] == [b"src", b"d"]
    assert folders.count(b"d") == 1
    assert descriptors() == before


def test_a_folder_beside_another_is_reached_from_the_one_above(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every file has a folder of its own the way down would cost more than the file; no symlink is among them."""
    paths = list[bytes]()
    for name in ("e", "f"):
        (inbox.folder / "src" / name).mkdir()
        (inbox.folder / "src" / name / "a.txt").write_bytes(b"inside")
        paths.append(os.fsencode(inbox.folder / "src" / name / "a.txt"))
    (inbox.folder / "src" / "g").symlink_to(inbox.outside / "src" / "d")
    paths.append(os.fsencode(inbox.folder / "src" / "g" / "notes.txt"))
    folders = entered(monkeypatch)
    before = descriptors()
    found = hashed([inbox.path, *paths], [6] * 4)
    assert found.troubles.keys() == {3}
    assert folders[-5:] == [b"src", b"d", b"e", b"f", b"g"]
    assert descriptors() == before


def test_folders_of_one_name_are_not_taken_for_each_other(inbox: Inbox) -> None:
    with Reach() as way:
        for text in (b"inside", b"secret", b"inside"):
            root = os.fsencode(inbox.folder if text == b"inside" else inbox.outside)
            for name in (PATH, b"src/d/other.txt"):
                assert raw_files.read(os.path.join(root, name), way).data == text


def test_a_folder_is_held_no_longer_than_a_group_of_files(inbox: Inbox, make: Any) -> None:
    """What was moved out of the inbox since is not read any more under its old path."""
    files = inbox.files(make)
    assert len(list(_Contents(Batch(number=0, files=files), {}))) == 2
    shutil.move(inbox.folder / "src" / "d", inbox.aside)
    found = hashed([file.path for file in files], [6, 6])
    assert [type(found.troubles[place]) for place in (0, 1)] == [FileNotFoundError] * 2
    contents = _Contents(Batch(number=0, files=files), {})
    assert list(contents) == []
    assert len(contents.gone) == 2


def test_a_batch_that_is_given_up_lets_its_folder_go(inbox: Inbox, make: Any) -> None:
    before = descriptors()
    contents = iter(_Contents(Batch(number=0, files=inbox.files(make)), {}))
    next(contents)
    assert len(descriptors()) == len(before) + 2
    del contents
    assert descriptors() == before


def test_no_other_program_gets_a_folder(inbox: Inbox) -> None:
    fd = reach(os.path.dirname(inbox.path))
    try:
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)


def test_behind_an_error_the_next_folder_is_reached(inbox: Inbox) -> None:
    before = descriptors()
    with Reach() as way:
        for name, error in (("src/d/notes.txt", None), ("no/notes.txt", FileNotFoundError), ("src/d/notes.txt", None)):
            path = os.path.join(inbox.root, name.encode())
            with pytest.raises(error) if error else contextlib.nullcontext():
                os.close(way.open(path))
    assert descriptors() == before


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EACCES, errno.EIO])
def test_a_folder_that_cannot_be_reached_puts_its_files_off(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Once, in the middle of the way; the next file goes its own."""
    real, failed = os.open, list[int]()

    def failing(path: bytes, flags: int, *, dir_fd: int | None = None) -> int:
        if path == b"src" and not failed:
            failed.append(code)
            raise OSError(code, os.strerror(code))
        return real(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", failing)
    before = descriptors()
    found = hashed([inbox.path, inbox.path], [6, 6])
    assert found.troubles.keys() == {0}
    trouble = found.troubles[0]
    assert isinstance(trouble, Deferred)
    assert trouble.reason is (DeferReason.PERMISSION if code == errno.EACCES else DeferReason.IO_ERROR)
    assert descriptors() == before


def test_a_folder_on_the_way_need_not_be_listable(inbox: Inbox, obedient: Obedient) -> None:
    (inbox.folder / "src").chmod(0o111)
    (inbox.folder / "src" / "d").chmod(0o111)
    with obedient():
        with pytest.raises(PermissionError):
            os.listdir(inbox.folder / "src")
        assert raw_files.read(inbox.path).data == b"inside"
        assert look(inbox.root, PATH).error is None
        with pytest.raises(PermissionError):
            reach(os.path.dirname(inbox.path), FOLDER)
    (inbox.folder / "src").chmod(0o711)


def test_a_folder_that_can_only_be_listed_is(inbox: Inbox, obedient: Obedient) -> None:
    (inbox.folder / "src" / "d").chmod(0o400)
    with obedient():
        found = list(walking.walk(inbox.root))
    assert [(entry.path, type(entry.error)) for entry in found] == [
        (b"src/d/notes.txt", PermissionError), (b"src/d/other.txt", PermissionError),
    ]  # fmt: skip


@pytest.mark.parametrize("trouble", [errno.EIO, errno.EACCES])
def test_where_a_symlink_leads_is_not_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: int) -> None:
    """A name that cannot be looked at may be a symlink: what it stands for is another folder than itself."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    link, lstat = os.fsencode(tmp_path / "link"), os.lstat
    assert resolved(link) == os.fsencode(tmp_path.resolve() / "real")
    assert resolved(link + b"/to/come") == os.fsencode(tmp_path.resolve() / "real" / "to" / "come")

    def broken(path: bytes, **more: Any) -> os.stat_result:
        if path == link:
            raise OSError(trouble, os.strerror(trouble), path)
        return lstat(path, **more)

    monkeypatch.setattr(os, "lstat", broken)
    with pytest.raises(OSError, match=os.strerror(trouble)):
        resolved(link)
    with pytest.raises(OSError, match=os.strerror(trouble)):
        roots_of(link, Home(tmp_path / "home"), (), None)
