"""Behind a guard nothing outlives its service, its guard's parent, or the guard."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows import guard, processes

MARK = "_NEWSMILL_TEST_MARK"
# A service with a child of its own, another that left its session, and no wish to end.
STUBBORN = "trap '' TERM; (setsid sleep 1001 &); sleep 1002 & echo up; while :; do sleep 0.1; done"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="adopting orphans is Linux's")


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path)
    processes.end(MARK, str(tmp_path))


@pytest.fixture
def guarded(mark: str) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    begun: list[subprocess.Popen[bytes]] = []

    def start(script: str, grace: float = 0.3) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, str(grace), "/bin/sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, MARK: mark},
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        process.wait(20)


def gone(mark: str, seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while processes.bearing(MARK, mark):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def said(process: "subprocess.Popen[bytes]") -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def test_all_of_a_stubborn_service_ends_when_its_parent_goes(
    mark: str, guarded: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    process = guarded(STUBBORN)
    assert said(process) == b"up\n"
    assert len(processes.bearing(MARK, mark)) >= 4
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 128 + signal.SIGKILL
    assert processes.bearing(MARK, mark) == []


def test_what_a_service_leaves_behind_ends_with_it(
    mark: str, guarded: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    process = guarded("(setsid sleep 1001 &); sleep 1002 & exit 7")
    assert process.wait(10) == 7
    assert processes.bearing(MARK, mark) == []


def test_a_service_is_asked_before_it_is_killed(guarded: Callable[..., "subprocess.Popen[bytes]"]) -> None:
    process = guarded("trap 'echo asked; exit 3' TERM; echo up; while :; do sleep 0.05; done", grace=20)
    assert said(process) == b"up\n"
    process.terminate()
    assert said(process) == b"asked\n"
    assert process.wait(10) == 3


def test_a_stopped_service_ends_too(mark: str, guarded: Callable[..., "subprocess.Popen[bytes]"]) -> None:
    process = guarded("echo up; kill -STOP $$; sleep 1003")
    assert said(process) == b"up\n"
    assert process.stdin is not None
    process.stdin.close()
    process.wait(10)
    assert processes.bearing(MARK, mark) == []


def test_a_killed_guard_takes_its_service_along_and_the_mark_finds_the_rest(
    mark: str, guarded: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    process = guarded(STUBBORN)
    assert said(process) == b"up\n"
    process.kill()
    process.wait(10)
    assert processes.end(MARK, mark) >= 2
    assert gone(mark)


def test_a_mark_is_not_another_that_only_looks_like_it(
    mark: str, asleep: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    mine = asleep(**{MARK: f"{mark}-server"})
    other = asleep(**{f"X{MARK}": mark})
    assert processes.end(MARK, f"{mark}-worker") == 0
    assert processes.end(MARK, mark) == 1
    assert mine.wait(10) == -signal.SIGKILL
    assert other.poll() is None


def test_a_tag_is_of_one_process_only() -> None:
    child = subprocess.Popen(["sleep", "100"])
    since = processes.started(child.pid)
    assert since is not None
    assert processes.is_living(f"process-{child.pid}-{since}") is True
    assert processes.is_living(f"process-{child.pid}-{since + 1}") is False
    child.kill()
    child.wait()
    assert processes.is_living(f"process-{child.pid}-{since}") is False
