"""After a kill the next run is quick, however many files the ledger knows."""

import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from flows import run
from warehouse import ledger
from warehouse.records import Sighting, Stamp
from warehouse.vocabulary import FileStatus, Reason, Stage

AT_ONCE, NEW = 5_000, 40


def known_unread(mill: Any, count: int) -> None:
    """A home whose ledger knows so many files; none was read, which costs a run as much as if they had been."""
    stamp = Stamp(size_bytes=1, mtime_ns=1, ctime_ns=1, inode=1)
    with run.opened(mill.settings(), create=True) as book:
        run_id = "made by a test"
        ledger.start_run(
            book, run_id=run_id, flow="ingest", orchestrator="direct", pipeline_version="", settings_fingerprint="",
            versions={},
        )  # fmt: skip
        for first in range(0, count, AT_ONCE):
            ledger.append(
                book,
                run_id,
                sightings=[
                    Sighting(
                        root="inbox", uri=f"gone/{number // 1000}/{number}.bin", source="gone", file_id=None,
                        stamp=stamp, status=FileStatus.REJECTED, stage=Stage.DISCOVER, reason=Reason.UNKNOWN_FORMAT,
                        detail="made up",
                    )
                    for number in range(first, min(first + AT_ONCE, count))
                ],
            )  # fmt: skip
        ledger.finish_run(book, run_id, "completed", counts={}, timings={})
    assert mill.cli("publish").code == 0


@pytest.mark.parametrize(
    ("files", "seconds"),
    [pytest.param(10_000, 5, marks=pytest.mark.faults), pytest.param(1_000_000, 30, marks=pytest.mark.long)],
)
def test_a_run_after_a_kill(
    new_mill: Any, started: Any, shim: Path, files: int, seconds: int, write_news: Callable[[int], str],
    record_property: Callable[[str, object], None],
) -> None:  # fmt: skip
    mill = new_mill("recovered")
    found = recovered(mill, started, shim, files, write_news)
    record_property("recovery", {"files": files, **{name: round(value, 2) for name, value in found._asdict().items()}})
    print(
        f"{files} files known: the run after a kill took {found.took:.1f} s, {found.own:.1f} s of them its own, "
        f"{found.busy:.1f} s of CPU; start and publish are in it"
    )
    assert found.busy < seconds
    assert found.own < seconds


@pytest.mark.faults
def test_a_recovery_that_looks_through_all_for_each_is_noticed(
    new_mill: Any, started: Any, shim: Path, write_news: Callable[[int], str], mutated: Callable[[str], dict[str, str]]
) -> None:
    """The canary: what the ledger knows is looked up path by path, and no index helps."""
    assert recovered(new_mill("slow"), started, shim, 10_000, write_news, mutated(LOOKS_THROUGH_ALL)).busy > 5


@pytest.mark.faults
def test_a_recovery_that_waits_is_noticed(
    new_mill: Any, started: Any, shim: Path, write_news: Callable[[int], str], mutated: Callable[[str], dict[str, str]]
) -> None:
    """The canary of the clock: for what a kill has left somebody is waited for who never comes."""
    found = recovered(new_mill("waits"), started, shim, 10, write_news, mutated(WAITS))
    assert found.own > 5
    assert found.busy < 5


# A kill is looked for in each path's sightings.
LOOKS_THROUGH_ALL = """
import sys
if any(word.endswith("newsmill") for word in sys.orig_argv):
    import sqlalchemy as sa
    from warehouse import ledger

    real = ledger.mark_crashed

    def crashed(book):
        with book.reading() as connection:
            uris = connection.execute(sa.text("SELECT uri FROM sightings")).scalars().all()
            for uri in uris:
                connection.execute(sa.text("SELECT max(commit_no) FROM sightings WHERE uri || '' = :uri"), {"uri": uri})
        return real(book)

    ledger.mark_crashed = crashed
"""


# As if a lock had to run out.
WAITS = """
import sys
if any(word.endswith("newsmill") for word in sys.orig_argv):
    import time
    from warehouse import ledger

    real = ledger.mark_crashed

    def crashed(book):
        time.sleep(5)
        return real(book)

    ledger.mark_crashed = crashed
"""


class Recovery(NamedTuple):
    """Seconds: by the clock, by the clock without waiting for a processor that others have, and of CPU."""

    took: float
    own: float
    busy: float


def ended(process: "subprocess.Popen[bytes]", seconds: float) -> float:
    """Wait for its end; how many seconds its main thread could have worked and another had the processor."""
    until = time.monotonic() + seconds
    # Still to be waited for, it can be asked.
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    try:
        return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[1]) / 1e9
    except FileNotFoundError:
        pytest.skip("this kernel does not say how long a process waited for a processor")


def recovered(
    mill: Any, started: Any, shim: Path, files: int, write_news: Callable[[int], str],
    environment: Mapping[str, str] | None = None,
) -> Recovery:  # fmt: skip
    """An ingest that is killed, and how long the next takes in another environment."""
    known_unread(mill, files)
    raw = mill.home / "inbox" / "wire"
    raw.mkdir(parents=True)
    for number in range(NEW):
        (raw / f"{number:03d}.txt").write_text(write_news(number))
    words = ["ingest", "--direct", "--set", "workers=0", "--set", "batch_files=5"]
    crash = {"LD_PRELOAD": str(shim), "CRASH_ROOT": str(mill.home), "CRASH_AT": "700"}
    # In a session of its own: the shim kills the whole group.
    killed = started(mill.command(*words), env={**os.environ, **crash})
    assert killed.wait(600) == -signal.SIGKILL
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryFile() as said:
        process = started(mill.command(*words), env={**os.environ, **(environment or {})}, stdout=said, stderr=said)
        waited = ended(process, 600)
        took = time.monotonic() - began
        code, after = process.wait(), resource.getrusage(resource.RUSAGE_CHILDREN)
        said.seek(0)
        assert code == 0, said.read()
    # What counts is its own time: who else is on the machine says nothing of newsmill.
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert mill.one("SELECT count(*) FROM documents") == NEW
    assert mill.one("SELECT count(*) FROM files") == files + NEW
    assert mill.problems() == []
    return Recovery(took, took - waited, busy)
