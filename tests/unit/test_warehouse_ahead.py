"""What a process reads ahead is what this one would read, and whatever becomes of that process nothing is lost."""

import gc
import io
import logging
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from warehouse import ahead, ledger
from warehouse.errors import DamagedError
from warehouse.held import HeldRows
from warehouse.incoming import Incoming, incoming
from warehouse.layout import Home
from warehouse.ledger import Ledger
from warehouse.records import Commit


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> list["subprocess.Popen[bytes]"]:
    """However few the documents are; the processes that were started."""
    monkeypatch.setattr(ahead, "DOCUMENTS", 0)
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def popen(*words: Any, **options: Any) -> "subprocess.Popen[bytes]":
        started.append(real(*words, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    return started


def told(home: Home, book: Ledger, make: Any) -> list[Commit]:
    """Three batches of some documents, and one that reads a content of the first again."""
    for number, count, version in ((1, 10, "v1"), (2, 10, "v1"), (3, 10, "v1"), (1, 1, "v2")):
        results = [
            make.result(
                make.raw_file(f"{number}-{n}.txt", f"{number}-{n}"),
                [make.document([[(f"Text {number} {n} " + "viel " * 2_000, " "), ("Ende.", "")]])],
            )
            for n in range(count)
        ]
        ledger.append(book, "run-1", receipt=make.receipt(home, results, version=version))
    return ledger.commits_above(book, 0)


@pytest.fixture
def commits(home: Home, sqlite_book: Ledger, make: Any) -> list[Commit]:
    return told(home, sqlite_book, make)


def here(home: Home, book: Ledger, commits: list[Commit]) -> list[Incoming]:
    held = HeldRows(home)
    return [incoming(book, held, commit) for commit in commits]


def read(home: Home, book: Ledger, commits: list[Commit]) -> list[Incoming]:
    with ahead.ahead(home, book, commits) as found:
        return list(found)


def test_it_is_what_this_process_reads(
    home: Home, book: Ledger, make: Any, always: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = told(home, book, make)
    want = here(home, book, commits)
    assert {"documents", "paragraphs", "files", "loads", "texts", "revisits"} <= {name for one in want for name in one}
    monkeypatch.setattr(ahead, "incoming", lambda *_: pytest.fail("read in this process"))
    assert read(home, book, commits) == want
    assert read(home, book, commits[2:]) == want[2:]
    assert [process.poll() is not None for process in always] == [True, True]


def test_few_documents_are_read_here(
    home: Home, sqlite_book: Ledger, commits: list[Commit], always: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "DOCUMENTS", 32)
    assert len(read(home, sqlite_book, commits)) == 4
    assert always == []


@pytest.mark.parametrize(
    "program",
    [
        "",
        "exit 0",
        "cat",
        "cat >/dev/null",
        'PYTHON "$@" | head -c 90000',
        "cat >/dev/null; echo '[7, []]'",
        "kill -9 $$",
        "cat >/dev/null; echo null",
        "cat >/dev/null; echo '[1, 5]'",
        "cat >/dev/null; printf '\\377\\n'",
    ],
    ids=[
        "is not there",
        "ends",
        "says something else",
        "says nothing",
        "dies",
        "sends another",
        "is killed",
        "says null",
        "says a number",
        "says no text",
    ],
)
def test_whatever_becomes_of_the_process_nothing_is_lost(
    home: Home, sqlite_book: Ledger, commits: list[Commit], always: Any, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, tmp_path: Path, program: str,
) -> None:  # fmt: skip
    want = here(home, sqlite_book, commits)
    script = tmp_path / "program"
    if program:
        script.write_text("#!/bin/sh\n" + program.replace("PYTHON", sys.executable) + "\n")
        script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    assert read(home, sqlite_book, commits) == want
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert all(process.poll() is not None for process in always)


def test_a_stream_that_ends_early_is_noticed_wherever_it_ends(
    home: Home, sqlite_book: Ledger, commits: list[Commit]
) -> None:
    """Arrow takes the end of the stream between two messages for the end of the table."""
    commit = commits[-1]
    (want,) = here(home, sqlite_book, [commit])
    stream = io.BytesIO()
    ahead._write(stream, commit, want)
    whole = stream.getvalue()
    first = whole.index(b"\n") + 1

    def read_from(data: bytes) -> Incoming:
        source = io.BytesIO(data)
        return ahead._read(source, pa.PythonFile(source, "r"), commit)

    assert read_from(whole) == want
    # The last 8 bytes say that nothing follows, as the end does.
    for end in (0, 1, first - 1, *range(first, len(whole) - 8, 8)):
        with pytest.raises(Exception, match=r"\S"):
            read_from(whole[:end])


def test_an_error_of_the_process_is_told_where_this_one_has_none(
    home: Home, sqlite_book: Ledger, commits: list[Commit], always: Any, capfd: Any, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    want = here(home, sqlite_book, commits)
    (tmp_path / "sitecustomize.py").write_text("""
from warehouse import incoming
real = incoming.incoming
def odd(book, held, commit):
    print("what a library says")
    if commit.commit_no == 2:
        raise MemoryError("too much")
    return real(book, held, commit)
incoming.incoming = odd
""")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert read(home, sqlite_book, commits) == want
    (told,) = caplog.messages
    assert "MemoryError" in told
    assert "too much" in told
    assert "Traceback" not in capfd.readouterr().err


def test_a_damaged_part_is_named_once(
    home: Home, sqlite_book: Ledger, commits: list[Commit], always: Any, capfd: Any, caplog: pytest.LogCaptureFixture
) -> None:
    path = home.part("documents", next(part.name for part in commits[1].parts if part.kind == "documents"))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedError, match=path.name), ahead.ahead(home, sqlite_book, commits) as found:
        assert next(found) == here(home, sqlite_book, commits[:1])[0]
        next(found)
    assert caplog.records == []
    assert capfd.readouterr().err == ""
    assert [process.poll() is not None for process in always] == [True]


def test_who_stops_listening_leaves_no_process(
    home: Home, sqlite_book: Ledger, commits: list[Commit], always: Any, capfd: Any
) -> None:
    with pytest.raises(KeyError, match="enough"), ahead.ahead(home, sqlite_book, commits) as found:
        next(found)
        raise KeyError("enough")
    assert [process.poll() is not None for process in always] == [True]
    assert capfd.readouterr().err == ""


def test_what_is_kept_for_long_keeps_nothing_else(
    home: Home, sqlite_book: Ledger, commits: list[Commit], always: Any
) -> None:
    # What Arrow reads off a pipe lies in Python's memory, not in that of its own pool.
    tracemalloc.start()
    try:
        kept = [one["texts"] for one in read(home, sqlite_book, commits) if "texts" in one]
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(table.num_rows for table in kept) == 30
    assert held < 150_000, "thirty texts of 10,000 characters"


KILLED = """
import os, sys
from pathlib import Path
from warehouse import ahead, ledger
from warehouse.layout import Home

ahead.DOCUMENTS = 0
home = Home(Path(sys.argv[1]))
book = ledger.open_ledger(home)
with ahead.ahead(home, book, ledger.commits_above(book, 0)) as found:
    next(found)
    print(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text(), flush=True)
    sys.stdin.read()
"""


def test_a_build_that_is_killed_takes_the_process_along(
    home: Home, sqlite_book: Ledger, commits: list[Commit], started: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    builder = started([sys.executable, "-c", KILLED, home.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert builder.stdout is not None
    (pid,) = builder.stdout.readline().split()
    assert is_there(int(pid))
    builder.kill()
    builder.wait()
    until = time.monotonic() + 60
    while is_there(int(pid)):
        assert time.monotonic() < until
        time.sleep(0.05)


def is_there(pid: int) -> bool:
    try:
        return not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].startswith(" Z")
    except FileNotFoundError:
        return False
