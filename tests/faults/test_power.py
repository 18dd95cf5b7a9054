"""The plug is pulled: a file system that loses whatever was not flushed, at a call of some work and after its end.

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
from campaign import Call, Crasher, spread

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


class Tried:
    """A fork server; and of each kind of work the home it begins with, its calls, and the rows that it leaves."""

    def __init__(self, crasher: Crasher) -> None:
        self.crasher = crasher
        self.known: dict[str, tuple[Path | None, list[Call], dict[str, Any]]] = {}

    def of(self, work: str) -> tuple[Path | None, list[Call], dict[str, Any]]:
        if work not in self.known:
            base = None if work == "ingest" else self.crasher.traced()[0]
            home, calls = self.crasher.traced(copy_of=base, work=work)
            found = self.crasher.recover(home, work)
            assert found["problems"] == [], self.crasher.log(home)
            self.known[work] = base, calls, found["rows"]
        return self.known[work]


@pytest.fixture(scope="module")
def tried(memory: Path, shim: Path, disk: Disk, write_news: Callable[[int], str]) -> Iterator[Tried]:
    """A fork server for the raw files of this module."""
    folder = memory / f"power-server-{os.getpid()}"
    (folder / "raw").mkdir(parents=True)
    for number in range(40):
        # 012.txt, which a forgetting forgets, and 013.txt have the same bytes.
        text = write_news(12 if number == 13 else number % 37) if number != 7 else ""
        (folder / "raw" / f"{number:03d}.txt").write_text(text)
    crasher = Crasher(folder, folder / "raw", shim)
    yield Tried(crasher)
    crasher.stop()


def lost(disk: Disk, tried: Tried, at: int, mutant: str | None = None, work: str = "ingest") -> list[str]:
    """What does not hold after the power went at a call, or behind the last."""
    crasher, (base, _, wanted) = tried.crasher, tried.of(work)
    beside = crasher.home().parent
    words = {"home": str(disk.place / "home"), "raw": str(crasher.raw), "acks": str(beside / "acks"),
             "log": str(beside / "log"), "mutant": mutant, "work": work}  # fmt: skip
    disk.renew()
    try:
        if base is not None:
            shutil.copytree(base, disk.place / "home", symlinks=True)
            ran("sync", "--file-system", disk.place)
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


def campaign(
    disk: Disk, tried: Tried, count: int, share: slice, record: Callable[[str, object], None], work: str = "ingest"
) -> None:
    calls = tried.of(work)[1]
    numbers = [call.number for call in spread(calls, min(count, len(calls)) - 1)] + [len(calls) + 1]
    chosen = numbers[share]
    failed = {at: problems for at in chosen if (problems := lost(disk, tried, at, work=work))}
    record("faults", len(chosen))
    record("survived", len(chosen) - len(failed))
    record("points", [["power", at] for at in chosen])
    print(
        f"{work}: the power went {len(chosen)} times, at {len(set(chosen))} different calls of {len(calls)}, "
        f"{len(failed)} not survived"
    )
    assert failed == {}


@pytest.mark.faults
@pytest.mark.parametrize("share", range(2))
def test_30_losses_of_power(
    disk: Disk, tried: Tried, share: int, record_property: Callable[[str, object], None]
) -> None:
    campaign(disk, tried, 30, slice(share, None, 2), record_property)


OTHERS = ("compact", "rebuild", "forget")


@pytest.mark.faults
@pytest.mark.parametrize("work", OTHERS)
def test_5_losses_of_power_in_other_work(
    disk: Disk, tried: Tried, work: str, record_property: Callable[[str, object], None]
) -> None:
    campaign(disk, tried, 5, slice(None), record_property, work)


@pytest.mark.long
def test_500_losses_of_power(disk: Disk, tried: Tried, record_property: Callable[[str, object], None]) -> None:
    campaign(disk, tried, 500, slice(None), record_property)


@pytest.mark.long
@pytest.mark.parametrize("work", OTHERS)
def test_100_losses_of_power_in_other_work(
    disk: Disk, tried: Tried, work: str, record_property: Callable[[str, object], None]
) -> None:
    campaign(disk, tried, 100, slice(None), record_property, work)


@pytest.mark.faults
@pytest.mark.parametrize("mutant", ["unflushed", "unflushed parts", "lazy ledger"])
def test_a_build_that_does_not_flush_is_noticed(disk: Disk, tried: Tried, mutant: str) -> None:
    """The canaries: no fsync of our own, with which commits outlive what they name; none of parts; none of the ledger.

    Two more lose nothing here: DuckDB flushes a snapshot itself, and ext4 writes names with the next flush of anything.
    """
    calls = tried.of("ingest")[1]
    found = [lost(disk, tried, call.number, mutant) for call in spread(calls[len(calls) // 2 : -1], 4)]
    assert any(found), "no harm came of it, so this harness proves nothing"


@pytest.mark.faults
@pytest.mark.parametrize(("work", "mutant"), [("compact", "unflushed parts"), ("forget", "lazy ledger")])
def test_other_work_that_does_not_flush_is_noticed(disk: Disk, tried: Tried, work: str, mutant: str) -> None:
    """Their own canaries: merged parts that a commit names, and a forgetting that was acknowledged."""
    calls = tried.of(work)[1]
    assert any(lost(disk, tried, call.number, mutant, work) for call in spread(calls[len(calls) // 3 : -1], 6))
