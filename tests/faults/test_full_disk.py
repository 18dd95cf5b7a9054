"""A full disk: the run fails in one line, nothing is refused for it, and the next run with room takes everything."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


def assert_failed_well(answer: Any) -> None:
    """Exit code 1, and words for a person instead of a traceback."""
    assert answer.code == 1, answer
    assert "Traceback" not in answer.out + answer.err
    assert len(answer.err.splitlines()) <= 1, answer.err
    assert answer.err.startswith("newsmill: ") or "Failed in part" in answer.out, answer


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
    mill = small_disk
    mill.fill(120)
    ballast = mill.home.parent / "ballast"
    usage = shutil.disk_usage(mill.home.parent)
    ballast.write_bytes(b"\0" * (usage.free - free))
    answer = mill.newsmill("ingest", "--direct", mill.raw, "--set", "batch_files=20")
    assert_failed_well(answer)
    ballast.unlink()
    assert_taken_with_room(mill, 120)


# Parts that find no room are committed all the same.
GOES_ON = """
from warehouse import parts
from warehouse.records import PartReceipt

def lenient(home, kind, table, batch, *more):
    name = f"{batch}-{'0' * 16}.parquet"
    return PartReceipt(kind=kind, name=name, sha256="0" * 64, size_bytes=1, row_count=table.num_rows)

parts.write = lenient
"""


def test_a_build_that_goes_on_without_room_is_noticed(mill: Any, mutated: Callable[[str], dict[str, str]]) -> None:
    """The canary of full disks."""
    mill.fill(40)
    mill.newsmill("ingest", "--direct", mill.raw, "--set", "batch_files=20", env=mutated(GOES_ON))
    with pytest.raises(AssertionError, match="is missing"):
        assert_taken_with_room(mill, 40)


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
