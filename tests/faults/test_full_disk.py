"""A full disk: the run fails in one line, nothing is refused for it, and the next run with room takes everything."""

import contextlib
import ctypes
import dataclasses
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest


def assert_failed_well(answer: Any) -> None:
    """Exit code 1, and words for a person instead of a traceback; none of a loss that is none."""
    assert answer.code == 1, answer
    assert "Traceback" not in answer.out + answer.err
    assert len(answer.err.splitlines()) <= 1, answer.err
    assert answer.err.startswith("newsmill: ") or "Failed in part" in answer.out, answer
    assert "newsmill: unexpected" not in answer.err
    # The ledger is whole, and only cannot be written now.
    assert "rebuild --ledger" not in answer.err


def assert_taken_with_room(mill: Any, documents: int) -> None:
    """The next run takes everything, and nothing was refused or lost on the way."""
    answer = mill.cli("ingest", "--direct", str(mill.raw), "--format", "json")
    assert answer.code == 0, answer.err
    assert mill.one("SELECT count(*) FROM documents") == documents
    assert mill.one("SELECT count(*) FROM rejects") == 0
    assert mill.rows("SELECT uri FROM files WHERE status <> 'ingested'") == []
    assert mill.problems(deep=True) == []
    assert mill.ingest().counts == {"unchanged": documents}
    assert list(mill.home.rglob(".tmp-*")) == []


def limited(size: int) -> Callable[[], None]:
    """In a child before its exec: no file may grow beyond so many bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [40_000, 400_000], ids=["log of the ledger", "snapshot"])
def test_files_that_may_not_grow(mill: Any, size: int) -> None:
    """The portable way: EFBIG instead of ENOSPC, wherever the first file becomes too large."""
    mill.fill(60)
    answer = mill.newsmill(
        "ingest", "--direct", mill.raw, "--set", "batch_files=10", before_exec=limited(size), seconds=120
    )
    assert_failed_well(answer)
    assert_taken_with_room(mill, 60)


def test_a_home_that_was_there_before_stays_readable(mill: Any) -> None:
    mill.fill(60)
    mill.ingest()
    before = mill.hashes()
    mill.fill(60, first=60)
    answer = mill.newsmill("ingest", "--direct", mill.raw, before_exec=limited(300_000))
    assert_failed_well(answer)
    assert mill.hashes() == before, "readers see what was there"
    assert mill.cli("sql", "SELECT count(*) FROM documents").code == 0
    assert_taken_with_room(mill, 120)


@pytest.fixture
def small_disk(new_mill: Any) -> Iterator[Any]:
    """A home on a file system of 24 MB."""
    if os.geteuid() or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    mill = new_mill("small")
    place = Path(tempfile.mkdtemp(prefix="newsmill-small-"))
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "newsmill-test", place], capture_output=True, text=True
    )
    if done.returncode:
        place.rmdir()
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
    try:
        yield type(mill)(home=place / "home", raw=mill.raw)
    finally:
        subprocess.run(["umount", "-l", place], check=True)
        place.rmdir()


@pytest.mark.parametrize("free", [0, 120_000, 900_000, 2_100_000])
def test_a_full_disk(small_disk: Any, free: int) -> None:
    """Full from the start, at the first parts, in the middle, and when the snapshot is to be built."""
    small_disk.fill(120)
    fails_without_room(small_disk, free, 120)


def fails_without_room(mill: Any, free: int, documents: int, env: Mapping[str, str] | None = None) -> None:
    """An ingest where so many bytes are free, and the next with room."""
    ballast = mill.home.parent / "ballast"
    ballast.write_bytes(b"\0" * (shutil.disk_usage(mill.home.parent).free - free))
    answer = mill.newsmill("ingest", "--direct", mill.raw, "--set", "batch_files=20", env=env)
    ballast.unlink()
    assert_failed_well(answer)
    assert_taken_with_room(mill, documents)


# A part that finds no room is written without its rows.
GOES_ON = """
import errno
from warehouse import parts

write = parts.pq.write_table

def lenient(table, *words, **options):
    try:
        write(table, *words, **options)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        write(table.slice(0, 0), *words, **options)

parts.pq.write_table = lenient
"""


@pytest.mark.faults
def test_a_build_that_goes_on_without_room_is_noticed(
    small_disk: Any, new_mill: Any, mutated: Callable[[str], dict[str, str]]
) -> None:
    """The canary of full disks: no harm where there is room."""
    dice, with_room, env = random.Random(1), new_mill("room"), mutated(GOES_ON)
    for number in range(24):
        # Parts that take more room than a commit in the ledger.
        words = ("".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=8)) for _ in range(10_000))
        with_room.put(f"{number}.txt", " ".join(words))
    small = type(small_disk)(home=small_disk.home, raw=with_room.raw)
    answer = with_room.newsmill("ingest", "--direct", with_room.raw, "--set", "batch_files=12", env=env)
    assert answer.code == 0, answer
    assert_taken_with_room(with_room, 24)
    with pytest.raises(AssertionError, match=r"SELECT count|documents"):
        fails_without_room(small, 900_000, 24, env)


def test_a_watcher_waits_for_room(small_disk: Any, started: Any, tmp_path: Path) -> None:
    """A disk that is full for a while ends no watcher; what came meanwhile is in when there is room again."""
    mill, err = small_disk, tmp_path / "err"
    inbox = mill.home / "inbox" / "wire"
    inbox.mkdir(parents=True)
    for number in range(2):
        (inbox / f"{number}.txt.part").write_text(f" date 2019-04 Meldung {number}: der Rat der Stadt tagte.\n")
    with err.open("wb") as stream:
        watcher = started(mill.command("watch", "--settle", "0.2"), stderr=stream)

    def until(is_so: Callable[[], bool], what: str) -> None:
        late = time.monotonic() + 120
        while not is_so():
            assert watcher.poll() is None, err.read_text()
            assert time.monotonic() < late, f"{what}: {err.read_text()}"
            time.sleep(0.1)

    def documents() -> int:
        return int(mill.one("SELECT count(*) FROM documents"))

    (inbox / "0.txt.part").rename(inbox / "0.txt")
    until(lambda: (mill.home / "warehouse.duckdb").exists() and documents() == 1, "the first file")
    ballast = mill.home.parent / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as stream:
        while True:
            stream.write(b"\0" * 4096)
    (inbox / "1.txt.part").rename(inbox / "1.txt")
    until(lambda: "tried again" in err.read_text(), "a run that fails")
    ballast.unlink()
    until(lambda: documents() == 2, "the second file")
    watcher.send_signal(signal.SIGTERM)
    assert watcher.wait(60) == 128 + signal.SIGTERM
    assert "Traceback" not in err.read_text()
    assert mill.one("SELECT count(*) FROM rejects") == 0
    assert mill.problems(deep=True) == []


@pytest.mark.parametrize("size", [30_000, 400_000], ids=["parts", "snapshot"])
def test_a_compaction_that_finds_no_room(mill: Any, size: int) -> None:
    """Nothing is removed for it, and with room it is done."""
    mill.fill(120)
    mill.ingest(batch_files=30)
    before, parts = mill.hashes(), mill.parts()
    arguments = ["compact", "--set", "compact_grace_seconds=0"]
    assert_failed_well(mill.newsmill(*arguments, before_exec=limited(size)))
    assert mill.hashes() == before, "readers see what was there"
    assert parts.items() <= mill.parts().items()
    assert mill.problems() in ([], [f"snapshot: {mill.newest().name} lacks commit 5; run `newsmill publish`"])
    answer = mill.cli(*arguments)
    assert answer.code == 0, answer.err
    # Where the merged parts were committed and only the snapshot found no room, they are what stands.
    assert len(list((mill.home / "lake").glob("*/*.parquet"))) == 2
    assert mill.problems(deep=True) == []
    assert list(mill.home.rglob(".tmp-*")) == []


def remounted(mill: Any, how: str) -> None:
    """Let the file system of a home be read-only, or not."""
    subprocess.run(["mount", "-o", f"remount,{how}", mill.home.parent], check=True)


def test_a_home_that_may_only_be_read(small_disk: Any) -> None:
    """Queries are answered; all else says one line, loses nothing, and goes on when it may write again."""
    mill = small_disk
    mill.fill(20)
    mill.ingest()
    mill.fill(10, first=20)
    before, tree = mill.hashes(), mill.tree()
    remounted(mill, "ro")
    try:
        for words in (["ingest", "--direct", mill.raw], ["forget", "--uri", "0001.txt"]):
            assert_failed_well(mill.newsmill(*words))
        answer = mill.newsmill("sql", "SELECT count(*) FROM documents", "--format", "csv")
        assert (answer.code, answer.out.split()[-1:], answer.err) == (0, ["20"], "")
        assert mill.tree() == tree
    finally:
        remounted(mill, "rw")
    assert mill.hashes() == before
    assert_taken_with_room(mill, 30)


def test_a_read_only_home_whose_last_run_was_killed_is_read(small_disk: Any) -> None:
    """The log of the ledger cannot be taken over; what was published is there all the same."""
    mill = small_disk
    mill.fill(5)
    mill.ingest()
    with contextlib.closing(sqlite3.connect(mill.home / "ledger.sqlite")) as held:
        held.execute("BEGIN")
        held.execute("SELECT count(*) FROM commits").fetchone()  # whoever reads keeps the log from being emptied
        mill.fill(5, first=5)
        mill.ingest()
        killed = type(mill)(home=mill.home.with_name("killed"), raw=mill.raw)
        shutil.copytree(mill.home, killed.home, symlinks=True, ignore=shutil.ignore_patterns("*-shm"))
    assert (killed.home / "ledger.sqlite-wal").stat().st_size > 0
    remounted(mill, "ro")
    try:
        answer = killed.newsmill("sql", "SELECT count(*) FROM documents", "--format", "csv")
        assert (answer.code, answer.out.split()[-1:], answer.err) == (0, ["10"], "")
        assert_failed_well(killed.newsmill("ingest", "--direct", mill.raw))
    finally:
        remounted(mill, "rw")
    assert_taken_with_room(killed, 10)


def obeying() -> None:
    """In a child before its exec: permissions hold for root, too."""
    drop, may_override = 24, 1  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
    ctypes.CDLL(None).prctl(drop, may_override, 0, 0, 0)


def test_folders_that_may_not_be_written(mill: Any) -> None:
    """The same by permissions."""
    mill.fill(20)
    mill.ingest()
    mill.fill(10, first=20)
    folders = [mill.home, *(path for path in mill.home.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert_failed_well(mill.newsmill("ingest", "--direct", mill.raw, before_exec=obeying))
        answer = mill.newsmill("sql", "SELECT count(*) FROM documents", "--format", "csv", before_exec=obeying)
        assert (answer.code, answer.out.split()[-1:], answer.err) == (0, ["20"], "")
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert_taken_with_room(mill, 30)


# With fewer Python does not start.
FEWEST_FILES = 6


@pytest.mark.faults
@pytest.mark.parametrize("workers", [0, 2])
def test_few_files_may_be_open(mill: Any, workers: int) -> None:
    """A real limit, one more file each time, until it is enough: whatever is met first is one line and no refusal."""
    mill.fill(12)
    failed = []
    for most in range(FEWEST_FILES, 40):
        answer = mill.newsmill(
            "ingest", "--direct", mill.raw, "--set", "batch_files=2", "--set", f"workers={workers}",
            before_exec=partial(resource.setrlimit, resource.RLIMIT_NOFILE, (most, most)), seconds=600,
        )  # fmt: skip
        if answer.code == 0:
            break
        assert answer.code == 1, answer
        # A publish that is put off is told of before.
        assert_failed_well(dataclasses.replace(answer, err=answer.err.splitlines(keepends=True)[-1]))
        failed.append(answer.err)
    assert answer.code == 0, answer
    assert len(set(failed)) >= 3, failed
    assert any("Too many open files" in words for words in failed), failed
    assert_taken_with_room(mill, 12)
