"""Whose doing the end of a worker is: who worked is too slow, who waited met something that stands still."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks import watched
from tasks.watched import Died, StoodStill, Worker, died
from tasks.worker import OUT_OF_MEMORY
from warehouse.vocabulary import DeferReason, Reason

Watch = Callable[..., Iterator[object]]


@pytest.fixture
def theirs() -> Iterator[list[socket.socket]]:
    """The other ends of the sockets of workers."""
    ends: list[socket.socket] = []
    yield ends
    for end in ends:
        end.close()


@pytest.fixture
def watch(theirs: list[socket.socket]) -> Watch:
    def answers(pid: int, message: object = "work", seconds: float = 1.0) -> Iterator[object]:
        ours, end = socket.socketpair()
        theirs.append(end)
        return Worker(pid, ours, seconds).answers(message, seconds, seconds)

    return answers


@pytest.fixture
def process() -> Iterator[Callable[[str], int]]:
    """A function from code to a process that is at it."""
    started: list[subprocess.Popen[bytes]] = []

    def start(code: str) -> int:
        command = [sys.executable, "-c", f"print(flush=True)\n{code}"]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        assert started[-1].stdout is not None
        assert started[-1].stdout.readline()
        return started[-1].pid

    yield start
    for one in started:
        one.kill()
        one.communicate()


@pytest.fixture
def _told() -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("no /proc here: nobody tells how much a process works")


@pytest.mark.usefixtures("_told")
def test_who_works_is_too_slow(watch: Watch, process: Any) -> None:
    with pytest.raises(TimeoutError):
        list(watch(process("while True: pass"), seconds=2.0))


@pytest.mark.usefixtures("_told")
def test_who_waits_stands_still(watch: Watch, process: Any) -> None:
    with pytest.raises(StoodStill):
        list(watch(process("import time; time.sleep(1000)")))


@pytest.mark.usefixtures("_told")
def test_work_is_counted_in_seconds(process: Any) -> None:
    pid = process("import time; time.sleep(1000)")
    began = watched.worked_seconds(pid)
    assert began is not None
    busy = process("while True: pass")
    until = time.monotonic() + 300
    while (watched.worked_seconds(busy) or 0.0) < 0.5:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert watched.worked_seconds(pid) == began
    assert watched.worked_seconds(1 << 30) is None


@pytest.mark.parametrize(("share", "looks"), [(0.04, 1), (0.1, 5), (0.3, 2), (0.6, 1)])
def test_who_works_a_little_is_waited_for(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, share: float, looks: int
) -> None:
    """On a crowded machine: until it worked for half of its time, or hardly at all."""
    asked: list[int] = []

    def worked(pid: int) -> float:
        asked.append(pid)
        return share * 0.1 * (len(asked) - 1)

    monkeypatch.setattr(watched, "worked_seconds", worked)
    with pytest.raises(StoodStill if share < 0.05 else TimeoutError):
        list(watch(1, seconds=0.1))
    assert len(asked) - 1 == looks


def test_where_nobody_tells_the_time_is_the_files(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "worked_seconds", lambda _pid: None)
    with pytest.raises(TimeoutError):
        list(watch(1, seconds=0.1))


def test_who_takes_no_message_or_gives_half_an_answer_stands_still(watch: Watch, theirs: list[socket.socket]) -> None:
    with pytest.raises(StoodStill):
        list(watch(1, b"x" * 50_000_000, seconds=0.5))
    answers = watch(1, seconds=0.5)
    theirs[-1].sendall(b"\0\0\1\0half")
    with pytest.raises(StoodStill):
        next(answers)


def test_who_is_gone_has_died(watch: Watch, theirs: list[socket.socket]) -> None:
    answers = watch(1, seconds=300.0)
    theirs[-1].close()
    with pytest.raises(EOFError):
        next(answers)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1, Reason.CRASH), (0, Reason.CRASH), (OUT_OF_MEMORY, Reason.CRASH), (-signal.SIGSEGV, Reason.CRASH),
        (-signal.SIGABRT, Reason.CRASH), (-signal.SIGBUS, Reason.CRASH), (-signal.SIGXCPU, Reason.CRASH),
        (-signal.SIGKILL, DeferReason.KILLED), (-signal.SIGTERM, DeferReason.KILLED),
        (-signal.SIGHUP, DeferReason.KILLED),
    ],
)  # fmt: skip
def test_a_signal_from_outside_blames_nobody(code: int, reason: Reason | DeferReason) -> None:
    assert died(code).reason is reason
    assert watched.stood_still(died(code)) is False
    assert watched.stood_still(Died(DeferReason.STALLED, "")) is True
