"""A watcher in a process of its own takes every file once, however many come, and in whatever way.

Small counts by default; those of the promise are `long`.
"""

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from warehouse import ledger

LONG = pytest.mark.long
News = Callable[..., str]


class Watched:
    """A home that `newsmill watch` looks after: warm, with one document in it."""

    def __init__(self, mill: Any, process: "subprocess.Popen[bytes]", write_news: News) -> None:
        self.mill, self.process, self.inbox = mill, process, mill.home / "inbox" / "wire"
        self.inbox.mkdir(parents=True)
        self.write("warm.txt", write_news(999_999))
        self.until(lambda: self.count() == 1)
        self.runs_before = self.runs()

    def write(self, name: str, text: str) -> None:
        """Whole at once, under its last name, as a rename from outside the inbox does it."""
        beside = self.mill.raw / "beside"
        beside.write_text(text, encoding="utf-8")
        beside.rename(self.inbox / name)

    def count(self, where: str = "true") -> int:
        if not self.mill.settings().layout.warehouse.exists():
            return 0
        return int(self.mill.one(f"SELECT count(*) FROM files WHERE status = 'ingested' AND {where}"))

    def runs(self) -> int:
        """How many runs took something in."""
        from flows import run

        with run.opened(self.mill.settings()) as book:
            return sum("ingested" in one.counts for one in ledger.recent_runs(book, 1000))

    def until(self, holds: Callable[[], bool], seconds: float = 120) -> float:
        """Wait for something; returns for how long."""
        began = time.monotonic()
        while not holds():
            assert self.process.poll() is None, "the watcher has ended"
            assert time.monotonic() - began < seconds, f"{self.count()} files are in after {seconds} s"
            time.sleep(0.1)
        return time.monotonic() - began

    def holds(self, files: int) -> None:
        """So many files are in, each once, beside the first; nothing waits and all proofs hold."""
        assert self.count() == files + 1
        assert self.mill.one("SELECT count(DISTINCT uri) FROM files") == files + 1
        assert self.mill.one("SELECT count(*) FROM documents") == files + 1
        assert self.mill.problems() == []


@pytest.fixture
def watched(mill: Any, started: Any, write_news: News) -> Iterator[Watched]:
    process = started(mill.command("watch", "--settle", "0.5"), stderr=subprocess.DEVNULL)
    yield Watched(mill, process, write_news)
    process.terminate()
    assert process.wait(60) == 143


@pytest.mark.parametrize("files", [300, pytest.param(30_000, marks=LONG)])
def test_what_came_while_it_stood_still(watched: Watched, write_news: News, files: int) -> None:
    """Its notifications, had it any, would have overflowed."""
    watched.process.send_signal(signal.SIGSTOP)
    for number in range(files):
        (watched.inbox / f"{number}.txt").write_text(write_news(number, 1), encoding="utf-8")
    watched.process.send_signal(signal.SIGCONT)
    print(f"\n{files} files: in after {watched.until(lambda: watched.count() == files + 1, 600):.1f} s")
    watched.holds(files)


@pytest.mark.parametrize("folders", [20, pytest.param(100, marks=LONG)])
def test_folders_that_are_moved_in(watched: Watched, write_news: News, folders: int) -> None:
    """With what is in them, down to the third level, and one more file into each while it looks."""
    for number in range(folders):
        deep = watched.mill.raw / f"{number}" / "b" / "c"
        deep.mkdir(parents=True)
        (deep / "x.txt").write_text(write_news(number), encoding="utf-8")
        (deep.parent / "y.txt").write_text(write_news(1000 + number), encoding="utf-8")
    for number in range(folders):
        (watched.mill.raw / f"{number}").rename(watched.inbox / f"{number}")
        (watched.inbox / f"{number}" / "late.txt").write_text(write_news(2000 + number), encoding="utf-8")
    print(f"\n{folders} folders: in after {watched.until(lambda: watched.count() == 3 * folders + 1):.1f} s")
    watched.holds(3 * folders)


@pytest.mark.parametrize("seconds", [2.0, pytest.param(6.5, marks=LONG)])
def test_a_slow_writer_is_taken_once_and_whole(watched: Watched, write_news: News, seconds: float) -> None:
    """No pause between two writes is as long as it takes to settle, and together they are much longer."""
    path, begun, blocks = watched.inbox / "slow.txt", time.monotonic(), 0
    with path.open("w", encoding="utf-8") as stream:
        while time.monotonic() - begun < seconds:
            stream.write(write_news(blocks))
            stream.flush()
            blocks += 1
            time.sleep(0.2)
            assert watched.count() == 1, "half of it was taken"
    took = watched.until(lambda: watched.count() == 2)
    print(f"\na writer of {time.monotonic() - begun - took:.1f} s: in {took:.1f} s after its last byte")
    (row,) = watched.mill.rows("SELECT file_id, size_bytes FROM files WHERE uri LIKE '%slow.txt'")
    assert row["file_id"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert row["size_bytes"] == path.stat().st_size
    watched.holds(1)


@pytest.mark.parametrize("files", [3, pytest.param(500, marks=LONG)])
def test_names_while_they_are_written_are_left_alone(watched: Watched, write_news: News, files: int) -> None:
    endings = (".part", ".tmp", ".crdownload", ".swp", "~")
    for number in range(files):
        half = watched.inbox / f"{number}.txt{endings[number % len(endings)]}"
        half.write_text(write_news(number)[:30], encoding="utf-8")
    time.sleep(2.0)
    assert watched.count() == 1
    for number in range(files):
        half = watched.inbox / f"{number}.txt{endings[number % len(endings)]}"
        half.write_text(write_news(number), encoding="utf-8")
        half.rename(watched.inbox / f"{number}.txt")
    watched.until(lambda: watched.count() == files + 1)
    assert watched.mill.one("SELECT count(*) FROM files WHERE NOT ends_with(uri, '.txt')") == 0
    watched.holds(files)


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=LONG)])
def test_a_rewritten_file_supersedes(watched: Watched, write_news: News, times: int) -> None:
    """The last one with the size and the modification time of the one before."""
    path = watched.inbox / "again.txt"
    for number in range(1, times + 1):
        path.write_text(write_news(100 + number), encoding="utf-8")
        watched.until(lambda: watched.count("uri = 'wire/again.txt'") == number)  # noqa: B023
    before = path.stat()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("Meldung", "Meldunk"), encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    watched.until(lambda: watched.count("uri = 'wire/again.txt'") == times + 1)
    current = watched.mill.column("SELECT file_id FROM files WHERE uri = 'wire/again.txt' AND is_current")
    assert current == [hashlib.sha256(path.read_bytes()).hexdigest()]
    assert watched.mill.one("SELECT count(*) FROM v_documents") == 2
    assert watched.mill.problems() == []


@pytest.mark.parametrize(("files", "seconds"), [(200, 60), pytest.param(1000, 20, marks=LONG)])
def test_a_thousand_at_once_are_few_runs(watched: Watched, write_news: News, files: int, seconds: float) -> None:
    beside: Path = watched.mill.raw / "beside"
    beside.mkdir()
    for number in range(files):
        (beside / f"{number}.txt").write_text(write_news(number), encoding="utf-8")
    for number in range(files):
        (beside / f"{number}.txt").rename(watched.inbox / f"{number}.txt")
    took = watched.until(lambda: watched.count() == files + 1)
    runs = watched.runs() - watched.runs_before
    print(f"\n{files} files at once: in after {took:.1f} s, {runs} runs")
    assert runs <= 3
    assert took <= seconds
    watched.holds(files)
