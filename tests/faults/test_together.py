"""Point 7: several at once. Ingests wait for each other, readers are never blocked and block nobody."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from warehouse.durable import lock

READER = Path(__file__).with_name("reader.py")


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Wait until something is so; a limit only against waiting for ever."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def test_two_ingests_at_the_same_moment(mill: Any, started: Any, tmp_path: Path) -> None:
    """Both are let go at once; one works, the other waits, says so, and finds nothing to do."""
    mill.fill(300)
    logs = [(tmp_path / f"{number}.out", tmp_path / f"{number}.err") for number in range(2)]
    with lock(mill.home / "locks" / "run.lock"):
        both = [
            started(
                mill.command("ingest", "--direct", mill.raw, "--format", "json", "--set", "batch_files=50"),
                stdout=out.open("wb"),
                stderr=err.open("wb"),
            )
            for out, err in logs
        ]
        wait_for(lambda: all("waiting" in err.read_text() for _, err in logs), "both to stand before the lock")
    assert [process.wait(180) for process in both] == [0, 0]
    counts = sorted((json.loads(out.read_text())["counts"] for out, _ in logs), key=lambda found: len(found))
    assert counts[0] == {"unchanged": 300}
    assert counts[1]["ingested"] == 300
    assert "Traceback" not in "".join(err.read_text() for _, err in logs)
    assert mill.one("SELECT count(*) FROM documents") == 300
    assert mill.one("SELECT count(DISTINCT file_id) FROM documents") == 300
    assert mill.one("SELECT count(*) FROM files") == 300
    assert mill.problems(deep=True) == []


def test_an_ingest_and_a_compaction_at_the_same_moment(mill: Any, started: Any, tmp_path: Path) -> None:
    """Whoever comes second waits; both do their work, and a publish that takes no run lock is not disturbed."""
    mill.fill(40)
    mill.ingest(batch_files=5)
    mill.fill(40, first=40)
    commands = [
        ["ingest", "--direct", mill.raw, "--set", "batch_files=5"], ["compact", "--set", "compact_grace_seconds=0"],
    ]  # fmt: skip
    errors = [tmp_path / command[0] for command in commands]
    with lock(mill.home / "locks" / "run.lock"):
        both = [
            started(mill.command(*command), stdout=subprocess.DEVNULL, stderr=path.open("wb"))
            for command, path in zip(commands, errors, strict=True)
        ]
        wait_for(lambda: all("waiting" in path.read_text() for path in errors), "both to stand before the lock")
    while any(process.poll() is None for process in both):
        assert mill.cli("publish").code == 0
    assert [process.returncode for process in both] == [0, 0], [path.read_text() for path in errors]
    assert mill.one("SELECT count(DISTINCT file_id) FROM documents") == mill.one("SELECT count(*) FROM documents") == 80
    assert mill.one("SELECT count(*) FROM loads WHERE kind = 'compaction'") >= 1
    assert mill.problems(deep=True) == []


def test_two_ingests_make_one_home(mill: Any, started: Any) -> None:
    """The home does not exist yet: whoever comes first makes it, and nobody stumbles."""
    mill.fill(5)
    processes = [
        started(
            mill.command("ingest", "--direct", mill.raw, "--format", "json"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=180) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    counts = [json.loads(out)["counts"] for out, _ in answers]
    assert sum(found.get("ingested", 0) for found in counts) == 5
    assert sum(found.get("unchanged", 0) for found in counts) == 5
    assert mill.one("SELECT count(*) FROM documents") == 5
    assert mill.problems(deep=True) == []


def test_commands_that_only_look_wait_for_nobody(mill: Any) -> None:
    mill.fill(3)
    mill.ingest()
    answers: dict[str, Any] = {}

    def ask() -> None:
        for command in (["sql", "FROM v_languages"], ["rejects"], ["publish"], ["settings"], ["status"]):
            answers[command[0]] = mill.cli(*command, "--format", "json")

    with lock(mill.home / "locks" / "run.lock"):
        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(120)
        assert not asking.is_alive(), f"{len(answers)} have answered, then one waited"
    assert {command: answer.code for command, answer in answers.items()} == dict.fromkeys(answers, 0)
    assert answers["status"].json()["is_running"] is True
    assert mill.cli("status", "--format", "json").json()["is_running"] is False


def test_verify_and_rebuild_wait_for_an_ingest(mill: Any, started: Any, tmp_path: Path) -> None:
    mill.fill(3)
    mill.ingest()
    with lock(mill.home / "locks" / "run.lock"):
        errors = [tmp_path / "verify", tmp_path / "rebuild"]
        waiting = [
            started(mill.command(path.name), stdout=subprocess.DEVNULL, stderr=path.open("wb")) for path in errors
        ]
        wait_for(lambda: all("waiting" in path.read_text() for path in errors), "both to stand before the lock")
        assert [process.poll() for process in waiting] == [None, None]
    assert [process.wait(120) for process in waiting] == [0, 0]


@pytest.mark.parametrize("stopped", [False, True], ids=["reading", "stopped"])
def test_a_reader_is_never_blocked_and_blocks_nobody(mill: Any, started: Any, stopped: bool) -> None:
    """20 ingests publish while an analyst reads; a stopped reader with an open connection holds up none of them."""
    ingests = 20 if not stopped else 7
    mill.fill(3)
    mill.ingest()
    reader = started(
        [sys.executable, READER, mill.home / "warehouse.duckdb"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    lines: list[dict[str, Any]] = []
    collecting = threading.Thread(target=lambda: lines.extend(json.loads(line) for line in reader.stdout), daemon=True)
    collecting.start()
    wait_for(lambda: len(lines) > 0, "the first answer")
    published = set()
    for number in range(ingests):
        if stopped:
            os.kill(reader.pid, signal.SIGSTOP)
        mill.fill(1, first=100 + number)
        published.add(mill.ingest().published)
        if stopped:
            os.kill(reader.pid, signal.SIGCONT)
    seen = len(lines)
    wait_for(lambda: len(lines) > seen + 1, "an answer after the last publish")
    reader.stdin.close()
    assert reader.wait(60) == 0
    collecting.join(60)

    assert None not in published
    assert len(published) == ingests
    assert [line["error"] for line in lines if "error" in line] == []
    assert {tuple(line["held"]) for line in lines} == {tuple(lines[0]["held"])}, "what is open stays what it was"
    fresh = [tuple(line["fresh"]) for line in lines]
    assert fresh == sorted(fresh), "time does not run backwards"
    assert fresh[-1][0] == 3 + ingests
    assert len(set(fresh)) >= 2
    kept = sorted((mill.home / "versions").iterdir())
    assert 2 <= len(kept) <= 5, "old snapshots go, whoever has one open keeps it"
    assert mill.problems(deep=True) == []


def test_a_snapshot_cannot_be_written_to(mill: Any) -> None:
    import duckdb

    mill.fill(1)
    mill.ingest()
    assert mill.newest().stat().st_mode & 0o777 == 0o444
    with duckdb.connect(str(mill.home / "warehouse.duckdb"), read_only=True) as connection, pytest.raises(duckdb.Error):
        connection.execute("DELETE FROM documents")
    assert not list(mill.home.glob("**/*.wal"))


def stands_before_a_lock(process: "subprocess.Popen[bytes]") -> bool:
    """Whether a process waits for somebody's lock."""
    blocked = [line.split() for line in Path("/proc/locks").read_text().splitlines() if "->" in line]
    return any(str(process.pid) in words for words in blocked)


def test_publish_and_deep_verify_at_once(mill: Any, started: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deep look builds a database of its own, which a publish must not take for a leftover."""
    from warehouse import verify

    mill.fill(2)
    mill.ingest()
    mill.fill(1, first=2)
    mill.ingest()
    real, others = verify.table_hashes, []

    def while_somebody_publishes(path: Path) -> Any:
        if not others:
            newest = mill.newest()
            newest.rename(newest.with_suffix(".hidden"))  # so that there is something to publish
            others.append(started(mill.command("publish"), stdout=subprocess.DEVNULL))
            wait_for(lambda: others[0].poll() is not None or stands_before_a_lock(others[0]), "the publish")
            newest.with_suffix(".hidden").rename(newest)
        return real(path)

    monkeypatch.setattr(verify, "table_hashes", while_somebody_publishes)
    assert mill.problems(deep=True) == []
    assert others[0].wait(60) == 0
    monkeypatch.undo()
    assert mill.problems(deep=True) == []


def ingested_twice(mill: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two ingests in two threads, each of which waits a moment for the other to have looked, too; what was wrong."""
    from tasks import direct

    discover, barrier, counts = direct.discover, threading.Barrier(2), []

    def met(*arguments: Any, **options: Any) -> Any:
        found = discover(*arguments, **options)
        with contextlib.suppress(threading.BrokenBarrierError):
            barrier.wait(2)
        return found

    def work() -> None:
        try:
            counts.append(mill.ingest(workers=0).counts)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            counts.append({"failed": repr(error)})

    with monkeypatch.context() as patch:
        patch.setattr(direct, "discover", met)
        both = [threading.Thread(target=work) for _ in range(2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join(120)
    problems = [f"{word} {found}" for found in counts for word in found if word == "failed"]
    if sum(found.get("ingested", 0) for found in counts) != 5:
        problems.append(f"ingested twice: {counts}")
    runs = mill.cli("status", "--format", "json").json()["runs"]
    return problems + [f"a run {run['status']}" for run in runs if run["status"] != "completed"]


def test_a_build_without_the_run_lock_is_noticed(new_mill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The canary of the locks: the same two ingests, with and without."""
    from flows import run

    mill = new_mill("locked")
    mill.fill(5)
    assert ingested_twice(mill, monkeypatch) == []
    mill = new_mill("unlocked")
    mill.fill(5)
    monkeypatch.setattr(run, "lock", lambda *_arguments, **_options: contextlib.nullcontext())
    assert ingested_twice(mill, monkeypatch) != []
