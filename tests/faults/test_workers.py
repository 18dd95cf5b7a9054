"""A file that kills, holds or starves its worker: it alone is refused, and nothing else is lost.

And what is no file's doing, a worker that waits or is killed from outside: nothing is refused, the next run takes it.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Imported by every Python process that starts with this on its path: the template of the workers does.
ODD = """
import errno, os, resource, signal, time
from tasks import record

real = record.prepared

def odd(records):
    text = " ".join(getattr(found, "text", "") for found in records)
    if "KILLS" in text:
        os.kill(os.getpid(), signal.SIGKILL)
    if "ABORTS" in text:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.abort()
    if "WAITS" in text:
        time.sleep(1000)
    if "STOPS" in text and not os.path.exists({marks!r}):
        open({marks!r}, "x").close()
        os.kill(os.getpid(), signal.SIGSTOP)
    if "STANDS" in text:
        with open({marks!r}, "a") as stream:
            stream.write("x")
        time.sleep(1000)
    while "SPINS" in text:
        pass
    if "IMPORTS" in text:
        raise ImportError("libparquet.so: cannot open shared object file: " + os.strerror(errno.EMFILE))
    if "STARVES" in text:
        bytearray(20_000_000_000)
    if "RAISES" in text:
        raise ValueError("what nobody foresaw")
    if "ENDS" in text:
        os._exit(3)
    if "FULL" in text:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return real(records)

record.prepared = odd
"""


# A build that gives up a batch whose worker died, instead of halving it.
GIVES_UP = """
from tasks import plan

plan.halves = lambda batch: iter(())
"""


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """Where a file leaves a mark of each time that it was met."""
    return tmp_path / "marks"


@pytest.fixture
def odd(marks: Path, mutated: Callable[[str], dict[str, str]]) -> dict[str, str]:
    return mutated(ODD.format(marks=str(marks)))


# Only in the template and what it forks; this process hashes one file at once, so that workers come to hash as well.
DYING = """
import os, signal, sys, time
if "tasks.worker" in sys.orig_argv:
    from tasks import hashing

    real = hashing.hashed

    def hashed(paths, sizes):
        for word, end in (("KILLS", lambda: os.kill(os.getpid(), signal.SIGKILL)), ("HANGS", lambda: time.sleep(1000))):
            if any(word.encode() in path for path in paths):
                with open({marks!r} + word, "a") as stream:
                    stream.write("x")
                end()
        return real(paths, sizes)

    hashing.hashed = hashed
elif any(word.endswith("newsmill") for word in sys.orig_argv):
    from tasks import discover

    discover.HASHED_AT_ONCE = 1
"""


def ingest(mill: Any, environment: dict[str, str], *more: str) -> Any:
    settings = ["batch_files=5", "batch_seconds=3", "workers=2", *more]
    flags = [word for setting in settings for word in ("--set", setting)]
    return mill.newsmill("ingest", "--direct", mill.raw, *flags, env=environment)


def plant(mill: Any, *words: str) -> None:
    for number, word in enumerate(words):
        (mill.raw / f"{7 * number:03d}_{word}.txt").write_text(f" date 2019-04 Dieser Text {word} seinen Leser.\n")


REFUSED = {
    "ABORTS": ("crash", "SIGABRT"),
    "SPINS": ("timeout", "3 s"),
    "STARVES": ("crash", "out of memory"),
    "RAISES": ("crash", "what nobody foresaw"),
    "ENDS": ("crash", "ended with 3"),
}


def test_what_kills_its_worker_is_alone_refused(mill: Any, odd: dict[str, str]) -> None:
    assert_alone_refused(mill, odd)
    # Refused is settled: nothing is tried again by itself, and a replay takes what no longer kills.
    assert "unchanged" in ingest(mill, odd).out
    again = mill.newsmill("replay", "--reason", "crash", "--direct")
    assert again.code == 0, again.err
    assert mill.one("SELECT count(*) FROM documents") == 44
    assert mill.rows("SELECT reason FROM rejects") == [{"reason": "timeout"}]
    assert mill.problems(deep=True) == []


def test_a_build_that_does_not_halve_is_noticed(
    mill: Any, marks: Path, mutated: Callable[[str], dict[str, str]]
) -> None:
    """The canary of workers: the neighbours of what kills are lost with it."""
    with pytest.raises(AssertionError, match="are refused"):
        assert_alone_refused(mill, mutated(ODD.format(marks=str(marks)) + GIVES_UP))


def assert_alone_refused(mill: Any, environment: dict[str, str]) -> None:
    mill.fill(40)
    plant(mill, *REFUSED)
    answer = ingest(mill, environment)
    assert answer.code == 0, answer.err
    found = [tuple(row.values()) for row in mill.rows("SELECT uri, stage, reason, detail FROM rejects ORDER BY uri")]
    blamed = [(uri.partition("_")[2].removesuffix(".txt"), stage) for uri, stage, _, _ in found]
    assert blamed == [(word, "read") for word in REFUSED], f"{blamed} are refused"
    for (_, _, reason, detail), (expected, telling) in zip(found, REFUSED.values(), strict=True):
        assert (reason, telling in detail) == (expected, True), detail
    assert mill.one("SELECT count(*) FROM documents") == 40
    assert mill.problems(deep=True) == []


def test_a_full_disk_blames_no_file(mill: Any, odd: dict[str, str]) -> None:
    mill.fill(30)
    plant(mill, "FULL")
    answer = ingest(mill, odd)
    assert answer.code == 1
    assert "No space left" in answer.out + answer.err
    assert mill.one("SELECT count(*) FROM rejects") == 0
    assert ingest(mill, {}).code == 0
    assert mill.one("SELECT count(*) FROM documents") == 31
    assert mill.problems(deep=True) == []


def files(mill: Any, status: str) -> list[tuple[str, str]]:
    rows = mill.rows(f"SELECT uri, reason FROM files WHERE status = '{status}' ORDER BY uri")
    return [(row["uri"].partition("_")[2].removesuffix(".txt"), row["reason"]) for row in rows]


def test_a_file_whose_worker_waits_is_put_off_alone(mill: Any, odd: dict[str, str]) -> None:
    mill.fill(40)
    plant(mill, "WAITS")
    answer = ingest(mill, odd)
    assert answer.code == 0, answer.err
    assert "1 file was put off because a worker stood still" in answer.out
    assert files(mill, "deferred") == [("WAITS", "stalled")]
    assert mill.one("SELECT count(*) FROM documents") == 40
    assert "WAITS.txt (stalled)" in mill.newsmill("status").out
    # Alone it would be read by the run itself, which nobody watches.
    again = ingest(mill, odd)
    assert again.code == 0, again.err
    assert "1 file was put off because a worker stood still" in again.out
    assert_taken_by_the_next_run(mill, 41)


def assert_taken_by_the_next_run(mill: Any, documents: int) -> None:
    assert mill.one("SELECT count(*) FROM rejects") == 0
    answer = ingest(mill, {})
    assert answer.code == 0, answer.err
    assert mill.one("SELECT count(*) FROM documents") == documents
    assert files(mill, "deferred") == files(mill, "rejected") == []
    assert mill.problems(deep=True) == []


def test_a_worker_that_is_stopped_costs_its_time_and_nothing_else(mill: Any, marks: Path, odd: dict[str, str]) -> None:
    mill.fill(40)
    plant(mill, "STOPS")
    answer = ingest(mill, odd)
    assert answer.code == 0, answer.err
    assert marks.exists()
    assert mill.one("SELECT count(*) FROM documents") == 41
    assert files(mill, "deferred") == files(mill, "rejected") == []
    assert mill.problems(deep=True) == []


def test_a_worker_that_is_stopped_with_one_file_refuses_nothing(mill: Any, marks: Path, odd: dict[str, str]) -> None:
    mill.fill(3)
    plant(mill, "STOPS")
    answer = ingest(mill, odd, "batch_files=1")
    assert answer.code == 0, answer.err
    assert marks.exists()
    assert files(mill, "deferred") == [("STOPS", "stalled")]
    assert_taken_by_the_next_run(mill, 4)


def test_a_disk_that_stands_still_is_waited_for_a_few_times_only(mill: Any, marks: Path, odd: dict[str, str]) -> None:
    """Not once a file, and behind the first batch only once a batch."""
    words = [f"STANDS{number:02d}" for number in range(50)]
    plant(mill, *words)
    answer = ingest(mill, odd, "batch_files=10", "batch_seconds=1", "workers=1")
    assert answer.code == 0, answer.err
    assert "50 files were put off because a worker stood still" in answer.out
    assert marks.read_text() == "x" * (3 + 4)
    assert files(mill, "deferred") == [(word, "stalled") for word in words]
    assert_taken_by_the_next_run(mill, 50)


def test_a_worker_that_is_killed_in_one_run_refuses_nothing(mill: Any, odd: dict[str, str]) -> None:
    mill.fill(40)
    plant(mill, "KILLS")
    answer = ingest(mill, odd)
    assert answer.code == 0, answer.err
    assert "1 file was put off because a worker was killed" in answer.out
    assert files(mill, "deferred") == [("KILLS", "killed")]
    assert mill.one("SELECT count(*) FROM documents") == 40
    assert_taken_by_the_next_run(mill, 41)


def test_a_worker_that_is_killed_in_three_runs_is_killed_by_its_file(mill: Any, odd: dict[str, str]) -> None:
    mill.fill(40)
    plant(mill, "KILLS")
    for _ in range(2):
        answer = ingest(mill, odd)
        assert answer.code == 0, answer.err
        assert files(mill, "deferred") == [("KILLS", "killed")]
    answer = ingest(mill, odd)
    assert answer.code == 0, answer.err
    assert files(mill, "deferred") == []
    assert mill.rows("SELECT uri, reason, detail FROM rejects") == [
        {"uri": "000_KILLS.txt", "reason": "crash", "detail": "the worker was killed by SIGKILL, in 3 runs"}
    ]
    assert "unchanged" in ingest(mill, odd).out
    assert mill.one("SELECT count(*) FROM documents") == 40
    assert mill.problems(deep=True) == []


def test_a_file_that_was_changed_begins_anew(mill: Any, odd: dict[str, str]) -> None:
    mill.fill(40)
    plant(mill, "KILLS")
    for _ in range(2):
        assert ingest(mill, odd).code == 0
    with (mill.raw / "000_KILLS.txt").open("a") as stream:
        stream.write("Und noch ein Satz.\n")
    assert ingest(mill, odd).code == 0
    assert files(mill, "deferred") == [("KILLS", "killed")]
    assert_taken_by_the_next_run(mill, 41)


def test_what_the_machine_cannot_import_blames_no_file(mill: Any, odd: dict[str, str]) -> None:
    mill.fill(30)
    plant(mill, "IMPORTS")
    answer = ingest(mill, odd)
    assert answer.code == 1
    assert "Too many open files" in answer.out + answer.err
    assert_taken_by_the_next_run(mill, 31)


def test_a_killed_template_costs_a_run_and_nothing_else(
    mill: Any, started: Any, tmp_path: Path, processes_of: Any
) -> None:
    mill.fill(400)
    err = tmp_path / "err"
    process = started(
        mill.command("ingest", "--direct", mill.raw, "--set", "batch_files=5", "--set", "workers=2"),
        stderr=err.open("wb"),
    )
    template = None
    while template is None and process.poll() is None:
        for name in os.listdir("/proc"):
            if name.isdigit() and _parent(name) == process.pid and b"tasks.worker" in _words(name):
                template = int(name)
    assert template is not None
    os.kill(template, signal.SIGKILL)
    assert process.wait(120) == 1
    assert processes_of(process.pid) == []
    assert "Traceback" not in err.read_text()
    assert mill.newsmill("ingest", "--direct", mill.raw).code == 0
    assert mill.one("SELECT count(*) FROM documents") == 400
    assert mill.problems(deep=True) == []


def _parent(pid: str) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _words(pid: str) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def test_a_file_that_killed_two_runs_does_not_kill_a_third(mill: Any, odd: dict[str, str]) -> None:
    """A small run needs no workers; what was waiting when two runs died is given to one all the same."""
    mill.fill(2)
    plant(mill, "ABORTS")
    for _ in range(2):
        assert mill.newsmill("ingest", "--direct", mill.raw, env=odd).code == -signal.SIGABRT
    answer = mill.newsmill("ingest", "--direct", mill.raw, env=odd)
    assert answer.code == 0, answer.err
    assert [row["reason"] for row in mill.rows("SELECT reason FROM rejects")] == ["crash"]
    assert mill.one("SELECT count(*) FROM documents") == 2
    assert mill.problems(deep=True) == []


def test_a_worker_that_dies_while_it_hashes_loses_and_refuses_nothing(
    mill: Any, tmp_path: Path, mutated: Callable[[str], dict[str, str]]
) -> None:
    marks = f"{tmp_path}/hashed-"
    mill.fill(70)
    # The last of them: those before are hashed by the run itself, while workers are still to come.
    for number, word in enumerate(("KILLS", "HANGS")):
        (mill.raw / f"9{number}_{word}.txt").write_text(f" date 2019-04 Dieser Text {word} niemanden.\n")
    answer = ingest(mill, mutated(DYING.format(marks=marks)))
    assert answer.code == 0, answer.err
    assert [Path(marks + word).read_text() for word in ("KILLS", "HANGS")] == ["x", "x"]
    # What waits in a worker would wait in this process, too, and for ever.
    assert files(mill, "deferred") == [("HANGS", "stalled")]
    assert mill.one("SELECT count(*) FROM documents") == 71
    assert_taken_by_the_next_run(mill, 72)
