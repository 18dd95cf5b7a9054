"""Renames that are whole, locks between processes."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from warehouse.durable import (
    TEMPORARY,
    copy_file,
    discard_left,
    link_durably,
    lock,
    make_folder,
    rename_durably,
    temporary_file,
    temporary_folder,
    uninterrupted,
)
from warehouse.errors import WarehouseBusy

_HOLD = """
import sys
from pathlib import Path
from warehouse.durable import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def held_elsewhere(path: Path) -> Iterator[subprocess.Popen[str]]:
    """The lock in the hands of another process, until that is told to end."""
    other = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin is not None
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == "held\n"
        yield other
    finally:
        other.kill()
        other.wait()
        other.stdin.close()
        other.stdout.close()


def test_a_lock_that_another_process_holds_is_busy(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "run.lock"
    with held_elsewhere(path), pytest.raises(WarehouseBusy, match=r"run\.lock"), lock(path, wait=False):
        pass
    with lock(path, wait=False):
        pass


def test_a_lock_waits_and_says_so_once(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    said: list[float] = []
    with held_elsewhere(path) as other:

        def _release() -> None:
            while not said:
                time.sleep(0.01)
            time.sleep(0.1)
            other.kill()

        releasing = threading.Thread(target=_release)
        releasing.start()
        with lock(path, on_wait=lambda: said.append(time.monotonic())):
            assert len(said) == 1
            # It was really waited for: nobody had let go when the waiting began.
            assert time.monotonic() - said[0] >= 0.1
        releasing.join()


def test_a_free_lock_is_not_waited_for(tmp_path: Path) -> None:
    with lock(tmp_path / "run.lock", on_wait=lambda: pytest.fail("nobody holds it")):
        pass


def test_a_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with pytest.raises(ZeroDivisionError), lock(path):
        raise ZeroDivisionError
    with lock(path, wait=False):
        pass


def test_a_lock_is_not_inherited_by_children(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with lock(path):
        child = subprocess.Popen(["sleep", "30"])
    try:
        with lock(path, wait=False):
            pass
    finally:
        child.kill()
        child.wait()


def test_rename_shows_the_whole_file_under_its_name(tmp_path: Path) -> None:
    with temporary_file(tmp_path / "new" / "folder") as temporary:
        temporary.write_bytes(b"whole")
        final = temporary.parent / "final"
        rename_durably(temporary, final)
        assert not temporary.exists()
    assert final.read_bytes() == b"whole"
    assert list(final.parent.iterdir()) == [final]


def test_rename_replaces_what_was_there(tmp_path: Path) -> None:
    final = tmp_path / "final"
    final.write_bytes(b"old")
    with temporary_file(tmp_path) as temporary:
        temporary.write_bytes(b"new")
        rename_durably(temporary, final)
    assert final.read_bytes() == b"new"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_temporary_file_goes_whatever_happens(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), temporary_file(tmp_path) as temporary:
        assert temporary.read_bytes() == b""
        assert temporary.name.startswith(TEMPORARY)
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_file_that_is_gone_already_is_no_error(tmp_path: Path) -> None:
    with temporary_file(tmp_path) as temporary:
        temporary.unlink()


def test_two_temporary_files_are_two(tmp_path: Path) -> None:
    with temporary_file(tmp_path) as one, temporary_file(tmp_path) as other:
        assert one != other


def test_the_folder_is_flushed_behind_the_file(tmp_path: Path) -> None:
    """The order on the disk, as the kernel saw it: the bytes, the name, then the folder that holds the name."""
    probe = tmp_path / "probe.py"
    probe.write_text(
        "import os, sys\n"
        "from pathlib import Path\n"
        "from warehouse import durable\n"
        "def audit(event, args):\n"
        "    if event == 'os.rename': print('rename', os.path.basename(args[1]))\n"
        "sys.addaudithook(audit)\n"
        "real = os.fsync\n"
        "os.fsync = lambda fd: (print('fsync', os.path.basename(os.readlink(f'/proc/self/fd/{fd}'))), real(fd))\n"
        "folder = Path(sys.argv[1])\n"
        "(folder / 'temporary').write_bytes(b'x')\n"
        "durable.rename_durably(folder / 'temporary', folder / 'final')\n"
        "durable.link_durably('final', folder / 'link')\n"
        "durable.make_folder(folder / 'one' / 'two')\n"
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    seen = subprocess.run([sys.executable, probe, folder], capture_output=True, text=True, check=True).stdout
    assert seen.splitlines() == [
        "fsync temporary", "rename final", "fsync folder", "rename link", "fsync folder", "fsync folder", "fsync one",
    ]  # fmt: skip


def test_a_link_is_replaced_in_one_step(tmp_path: Path) -> None:
    link, stop, torn = tmp_path / "link", threading.Event(), []
    targets = ["one", "two"]
    for target in targets:
        (tmp_path / target).write_text(target)
    link_durably("one", link)

    def _read() -> None:
        while not stop.is_set():
            try:
                if link.read_text() not in targets:
                    torn.append("another text")
            except OSError as error:
                torn.append(str(error))

    reading = threading.Thread(target=_read)
    reading.start()
    for n in range(300):
        link_durably(targets[n % 2], link)
    stop.set()
    reading.join()
    assert torn == []
    assert os.readlink(link) == "two"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "one", "two"]


def test_a_link_is_made_over_what_a_killed_process_left(tmp_path: Path) -> None:
    link = tmp_path / "link"
    (tmp_path / f"{TEMPORARY}{os.getpid()}-link").symlink_to("nowhere")
    link_durably("target", link)
    assert os.readlink(link) == "target"
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


def test_folders_are_made_with_their_parents_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "c"
    make_folder(folder)
    (folder / "kept").touch()
    make_folder(folder)
    assert (folder / "kept").exists()


@pytest.mark.parametrize("size", [0, 1, (1 << 20) + 3])
def test_a_copy_is_equal_and_independent(tmp_path: Path, size: int) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x" * size)
    target.write_bytes(b"something longer that must go" * 2)
    copy_file(source, target)
    assert target.read_bytes() == b"x" * size
    target.write_bytes(b"changed")
    assert source.read_bytes() == b"x" * size


class TestUninterrupted:
    @pytest.fixture
    def came(self) -> Iterator[list[int]]:
        seen: list[int] = []
        before = signal.signal(signal.SIGTERM, lambda number, _frame: seen.append(number))
        yield seen
        signal.signal(signal.SIGTERM, before)

    def test_a_signal_waits_for_the_end_of_the_block(self, came: list[int]) -> None:
        with uninterrupted():
            with uninterrupted():
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.01)
                assert came == []
            assert came == []
        assert came == [signal.SIGTERM]
        os.kill(os.getpid(), signal.SIGTERM)
        assert came == [signal.SIGTERM] * 2

    def test_what_the_handler_raises_comes_out_of_the_block(self) -> None:
        done = False
        with pytest.raises(KeyboardInterrupt), uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            done = True
        assert done

    def test_other_threads_are_left_alone(self, came: list[int]) -> None:
        def work() -> None:
            with uninterrupted():
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.05)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert came == [signal.SIGTERM]


def test_only_what_was_to_become_a_file_is_discarded(tmp_path: Path) -> None:
    final = tmp_path / "a[1].txt"
    with temporary_file(tmp_path, final) as temporary:
        temporary.with_name(f"{temporary.name}.csv").touch()
        temporary.with_name(f"{TEMPORARY}x-a1.txt").touch()
        with temporary_folder(final) as folder:
            (folder / "in it").touch()
            (tmp_path / f"{TEMPORARY}{os.getpid()}-{final.name}").symlink_to("nowhere")
            final.touch()
            assert discard_left(final) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [final.name, f"{TEMPORARY}x-a1.txt", f"{temporary.name}.csv"]
    )


def test_a_temporary_folder_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    with temporary_folder(tmp_path / "final") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").touch()
    assert list(tmp_path.iterdir()) == []
