"""What workers are forked from begins before it is known what is new, and never outlives the command."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows import early
from tasks import template
from tasks.template import Template

FEW = {"batch_files": 5}
# It begins one, says so, and waits for its end.
BEGINS = """
import sys, time
from tasks.template import Template
begun = Template(0, None)
print(begun._process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Template]:
    """Every template that begins."""
    found: list[Template] = []
    real = Template.__init__

    def begin(self: Template, *options: Any) -> None:
        real(self, *options)
        found.append(self)

    monkeypatch.setattr(Template, "__init__", begin)
    return found


def ended(found: list[Template]) -> list[bool]:
    return [one._process.poll() is not None for one in found]


@pytest.mark.parametrize(
    ("files", "given", "is_begun"),
    [
        (6, FEW, True),
        (5, FEW, False),
        (2, {"batch_bytes": 1}, True),
        # One file is one task, however it is cut.
        (1, {"batch_bytes": 1}, False),
        (6, {**FEW, "workers": 0}, False),
        (0, FEW, False),
    ],
)
def test_more_than_a_batch_begins_one(mill: Any, begun: list[Template], files: int, given: Any, is_begun: bool) -> None:
    mill.fill(files)
    with early.template(mill.settings(**given), [os.fsencode(mill.raw)]) as one:
        assert (one is not None) == is_begun == (len(begun) == 1)
        assert ended(begun) == [False] * is_begun
    assert ended(begun) == [True] * is_begun


def test_it_looks_into_the_inbox_where_nothing_is_named(mill: Any, begun: list[Template]) -> None:
    settings = mill.settings(**FEW)
    with early.template(settings, []) as one:
        assert one is None  # there is no inbox, and the run says so
    for number in range(6):
        path = settings.layout.inbox / "wire" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    with early.template(settings, []) as one:
        assert begun == [one]


def test_it_does_not_count_the_home(mill: Any, begun: list[Template]) -> None:
    settings = mill.settings(**FEW)
    settings.layout.path.mkdir()
    for number in range(9):
        (settings.layout.path / f"{number}.txt").write_text("x")
    with early.template(settings, [os.fsencode(mill.home.parent)]):
        assert begun == []


def test_a_run_that_fails_leaves_none(mill: Any, begun: list[Template]) -> None:
    mill.fill(6)
    with pytest.raises(OSError, match="full"), early.template(mill.settings(**FEW), [os.fsencode(mill.raw)]):
        raise OSError("full")
    assert ended(begun) == [True]


@pytest.mark.parametrize("words", [["--direct"], ["--direct", "--set", "publish_seconds=0"]])
def test_the_command_forks_its_workers_from_it(mill: Any, begun: list[Template], words: list[str]) -> None:
    mill.fill(12)
    done = mill.cli("ingest", mill.raw, "--set", "batch_files=5", *words)
    assert done.code == 0, done.err
    assert mill.one("SELECT count(*) FROM documents") == 12
    assert len(begun) == 1
    # All is known: it was begun in vain.
    done = mill.cli("ingest", mill.raw, "--set", "batch_files=5", *words)
    assert (done.code, len(begun), ended(begun)) == (0, 2, [True, True])


@pytest.mark.parametrize("words", [["--dry-run"], ["/nowhere"], ["--source", "\n"]])
def test_what_cannot_begin_leaves_none(mill: Any, begun: list[Template], words: list[str]) -> None:
    mill.fill(12)
    mill.cli("ingest", mill.raw, "--direct", "--set", "batch_files=5", *words)
    assert ended(begun) == [True] * len(begun)


@pytest.fixture
def lonely() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process that has begun one, and the other's number."""
    process = subprocess.Popen([sys.executable, "-P", "-c", BEGINS], stdout=subprocess.PIPE)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    yield process, pid
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("seconds", [0, 0.2, 3])
def test_it_goes_when_its_command_is_killed(lonely: tuple[subprocess.Popen[bytes], int], seconds: float) -> None:
    process, pid = lonely
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    until = time.monotonic() + 300
    while is_alive(pid):
        assert time.monotonic() < until
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_one_that_does_not_go_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen

    def deaf(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return real([sys.executable, "-c", "import time; time.sleep(600)"], **options)

    monkeypatch.setattr(template.subprocess, "Popen", deaf)
    one = Template(0, None)
    monkeypatch.setattr(one._process, "wait", patient(one._process.wait))
    one.close()
    assert one._process.returncode == -signal.SIGKILL


def patient(real: Any) -> Any:
    def wait(seconds: float | None = None) -> int:
        code: int = real(None if seconds is None else 0.1)
        return code

    return wait
