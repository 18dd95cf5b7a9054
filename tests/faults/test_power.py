"""The plug is pulled: a file system that loses whatever was not flushed, at a call of an ingest and after its end.

On an image of ext4 that is told to shut down without writing its journal.  What was acknowledged by then must be there
when it is mounted again; then one clean run ends at the rows of a run that nobody disturbed.
"""

import errno
import fcntl
import os
import shutil
import signal
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from campaign import Crasher, spread

SHUTDOWN, WITHOUT_JOURNAL = 0x8004587D, 2
IMAGE_BYTES = 96 << 20


def ran(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(words, capture_output=True, text=True)


class Disk:
    """An image that can be mounted, lose its power, and be made anew."""

    def __init__(self, folder: Path) -> None:
        self.image, self.pristine, self.place = folder / "disk", folder / "pristine", folder / "mounted"
        self.place.mkdir()
        with self.pristine.open("wb") as stream:
            stream.truncate(IMAGE_BYTES)
        made = ran("mkfs.ext4", "-q", "-F", "-O", "^metadata_csum", self.pristine)
        if made.returncode:
            pytest.skip(f"no ext4 can be made here: {made.stderr.strip()[-200:]}")

    def renew(self) -> None:
        """An empty file system, mounted."""
        ran("cp", "--sparse=always", self.pristine, self.image)
        self.mount()

    def mount(self) -> None:
        done = ran("mount", "-o", "loop,noauto_da_alloc", self.image, self.place)
        if done.returncode:
            pytest.skip(f"no image can be mounted here: {done.stderr.strip()[-200:]}")

    def pull_the_plug(self) -> None:
        fd = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", WITHOUT_JOURNAL))
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EPERM, errno.EOPNOTSUPP):
                pytest.skip(f"this kernel does not shut ext4 down: {error}")
            raise
        finally:
            os.close(fd)

    def unmount(self) -> None:
        ran("umount", self.place)


@pytest.fixture(scope="module")
def disk(memory: Path) -> Iterator[Disk]:
    if os.geteuid() or any(shutil.which(word) is None for word in ("mkfs.ext4", "mount", "losetup")):
        pytest.skip("only root with mkfs.ext4 and loop devices can pull a plug")
    if ran("losetup", "-f").returncode:
        pytest.skip("there is no free loop device here")
    folder = memory / f"power-{os.getpid()}"
    folder.mkdir()
    found = Disk(folder)
    found.renew()
    found.pull_the_plug()
    found.unmount()
    yield found
    found.unmount()


@pytest.fixture(scope="module")
def tried(memory: Path, shim: Path, disk: Disk, write_news: Callable[[int], str]) -> Iterator[Any]:
    """A fork server, the calls of an ingest, and the rows that it leaves."""
    folder = memory / f"power-server-{os.getpid()}"
    (folder / "raw").mkdir(parents=True)
    for number in range(40):
        (folder / "raw" / f"{number:02d}.txt").write_text(write_news(number % 37) if number != 7 else "")
    crasher = Crasher(folder, folder / "raw", shim)
    home, calls = crasher.traced()
    found = crasher.recover(home)
    assert found["problems"] == [], crasher.log(home)
    yield crasher, calls, found["rows"]
    crasher.stop()


def lost(disk: Disk, tried: Any, at: int, mutant: str | None = None) -> list[str]:
    """What does not hold after the power went at a call, or behind the last."""
    crasher, _, wanted = tried
    beside = crasher.home().parent
    words = {"home": str(disk.place / "home"), "raw": str(crasher.raw), "acks": str(beside / "acks"),
             "log": str(beside / "log"), "mutant": mutant}  # fmt: skip
    disk.renew()
    try:
        answer = crasher.order(do="work", at=at, action="power", mount=str(disk.place), **words)
        if answer["status"] != -signal.SIGKILL:
            assert answer.get("code") == 0, (answer, (beside / "log").read_text())
            disk.pull_the_plug()
        disk.unmount()
        disk.mount()
        found = crasher.order(do="recover", shallow=True, **words)
        problems = list(found.get("problems", [f"the recovery died: {found}"]))
        problems += [f"{name} differ" for name in wanted if found.get("rows", {}).get(name) != wanted[name]]
        return problems + ([(beside / "log").read_text()[-2000:]] if problems else [])
    finally:
        disk.unmount()
        shutil.rmtree(beside)


def campaign(disk: Disk, tried: Any, count: int, share: slice, record: Callable[[str, object], None]) -> None:
    numbers = [call.number for call in spread(tried[1], count - 1)] + [len(tried[1]) + 1]
    chosen = numbers[share]
    failed = {at: problems for at in chosen if (problems := lost(disk, tried, at))}
    record("faults", len(chosen))
    record("survived", len(chosen) - len(failed))
    record("points", [["power", at] for at in chosen])
    print(
        f"the power went {len(chosen)} times, at {len(set(chosen))} different calls of {len(tried[1])}, "
        f"{len(failed)} not survived"
    )
    assert failed == {}


@pytest.mark.faults
@pytest.mark.parametrize("share", range(2))
def test_30_losses_of_power(disk: Disk, tried: Any, share: int, record_property: Callable[[str, object], None]) -> None:
    campaign(disk, tried, 30, slice(share, None, 2), record_property)


@pytest.mark.long
def test_500_losses_of_power(disk: Disk, tried: Any, record_property: Callable[[str, object], None]) -> None:
    campaign(disk, tried, 500, slice(None), record_property)


@pytest.mark.faults
@pytest.mark.parametrize("mutant", ["unflushed", "unflushed parts", "lazy ledger"])
def test_a_build_that_does_not_flush_is_noticed(disk: Disk, tried: Any, mutant: str) -> None:
    """The canaries: no fsync of our own, with which commits outlive what they name; none of parts; none of the ledger.

    Two more lose nothing here: DuckDB flushes a snapshot itself, and ext4 writes names with the next flush of anything.
    """
    found = [lost(disk, tried, call.number, mutant) for call in spread(tried[1][len(tried[1]) // 2 : -1], 4)]
    assert any(found), "no harm came of it, so this harness proves nothing"
