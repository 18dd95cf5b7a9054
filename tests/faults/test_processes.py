"""Nothing is left running, however a run ends; and kills through Prefect, whose server must go with it."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def slowly(mill: Any) -> Any:
    """A home with enough to do for a signal to hit the middle."""
    mill.fill(200)
    return mill


def committed(mill: Any) -> int:
    """How many commits there are by now, seen from outside."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{mill.home}/ledger.sqlite?mode=ro", uri=True)) as ledger:
            return int(ledger.execute("SELECT count(*) FROM commits").fetchone()[0])
    except sqlite3.Error:
        return 0


def stop_in_the_middle(process: "subprocess.Popen[bytes]", mill: Any, number: int, seconds: float = 300) -> int:
    """Send a signal to the process alone, as systemd does, when its first commits are made; returns its exit code."""
    until = time.monotonic() + seconds
    while committed(mill) < 2:
        assert process.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < until
        time.sleep(0.01)
    os.kill(process.pid, number)
    return process.wait(120)


def assert_goes_on(mill: Any, documents: int) -> None:
    """The next run takes the rest."""
    assert 2 <= committed(mill) < documents // 2
    assert mill.ingest().failures == []
    assert mill.one("SELECT count(*) FROM documents") == documents
    assert mill.one("SELECT count(DISTINCT document_id) FROM documents") == documents
    assert mill.problems(deep=True) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.long)])
def test_a_signal_ends_a_direct_ingest(
    slowly: Any, started: Any, tmp_path: Path, processes_of: Callable[[int], list[str]], number: int
) -> None:
    err = tmp_path / "err"
    process = started(
        slowly.command("ingest", "--direct", slowly.raw, "--set", "batch_files=2"),
        stdout=subprocess.DEVNULL,
        stderr=err.open("wb"),
    )
    assert stop_in_the_middle(process, slowly, number) == 128 + number
    assert processes_of(process.pid) == []
    assert "Traceback" not in err.read_text()
    assert slowly.cli("status", "--format", "json").json()["runs"][0]["status"] == "failed"
    assert_goes_on(slowly, 200)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long, id="SIGINT")])
def test_a_signal_ends_an_ingest_and_its_prefect_server(
    slowly: Any, started: Any, tmp_path: Path, processes_of: Callable[[int], list[str]], number: int
) -> None:
    err = tmp_path / "err"
    process = started(
        slowly.command("ingest", slowly.raw, "--set", "batch_files=2"),
        stdout=subprocess.DEVNULL,
        stderr=err.open("wb"),
        env=slowly.prefect_environment(),
    )
    code = stop_in_the_middle(process, slowly, number)
    assert processes_of(process.pid) == [], "the server has gone, too"
    assert code == 128 + number
    assert "Traceback" not in err.read_text()
    assert_goes_on(slowly, 200)


@pytest.mark.long
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_kill_through_prefect(
    new_mill: Any, started: Any, tmp_path: Path, shim: Path, processes_of: Callable[[int], list[str]], share: float
) -> None:
    """kill -9 of the whole group at a call of the data work; the server goes with it, and the next run goes on."""
    mill, whole = new_mill("killed"), new_mill("whole")
    for one in (mill, whole):
        one.fill(300)
    arguments = ["--set", "batch_files=20", "--set", "publish_seconds=0"]

    def crash(home: Path, at: int, trace: Path) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(shim), "CRASH_ROOT": str(home), "CRASH_SKIP": str(home / "prefect"),
            "CRASH_AT": str(at), "CRASH_TRACE": str(trace),
        }  # fmt: skip

    counted = tmp_path / "counted"
    process = started(
        whole.command("ingest", whole.raw, *arguments),
        env={**whole.prefect_environment(), **crash(whole.home, 0, counted)},
        stdout=subprocess.DEVNULL,
    )
    assert process.wait(300) == 0
    calls = [line.split("\t") for line in counted.read_text().splitlines()]
    first = next(int(n) for n, kind, path in calls if kind == "rename" and path.startswith("/lake/"))
    last = [int(n) for n, kind, path in calls if kind == "rename" and path == "/warehouse.duckdb"][-1]
    at = first + round((last - first) * share)

    trace = tmp_path / "trace"
    process = started(
        mill.command("ingest", mill.raw, *arguments),
        env={**mill.prefect_environment(), **crash(mill.home, at, trace)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.wait(300) == -signal.SIGKILL
    assert processes_of(process.pid) == [], "the server was in the group"
    kinds = [line.split("\t")[1:] for line in trace.read_text().splitlines()]
    assert [path for kind, path in kinds if kind == "rename" and path.startswith("/lake/")], "parts had been written"
    answer = mill.newsmill("ingest", "--direct", mill.raw)
    assert answer.code == 0, answer.err
    query = "SELECT document_id, text FROM documents ORDER BY document_id"
    assert mill.rows(query) == whole.rows(query)
    assert mill.rows("SELECT segment_id, text FROM segments ORDER BY ALL") == whole.rows(
        "SELECT segment_id, text FROM segments ORDER BY ALL"
    )
    assert mill.newsmill("verify", "--deep").code == 0


@pytest.mark.long
def test_a_kill_of_the_process_alone_leaves_no_server(
    slowly: Any, started: Any, processes_of: Callable[[int], list[str]]
) -> None:
    """What the out-of-memory killer does: nobody is left to stop the server, so it must see for itself."""
    process = started(
        slowly.command("ingest", slowly.raw, "--set", "batch_files=2"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=slowly.prefect_environment(),
    )
    assert stop_in_the_middle(process, slowly, signal.SIGKILL) == -signal.SIGKILL
    until = time.monotonic() + 30
    while processes_of(process.pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert processes_of(process.pid) == []
    assert_goes_on(slowly, 200)


@pytest.mark.long
def test_two_ingests_through_prefect_at_the_same_moment(
    mill: Any, started: Any, tmp_path: Path, processes_of: Callable[[int], list[str]]
) -> None:
    """Each with a temporary server of its own on the same database: one works, the other waits, nobody fails."""
    mill.fill(300)
    logs = [(tmp_path / f"{number}.out", tmp_path / f"{number}.err") for number in range(2)]
    both = [
        started(
            mill.command("ingest", mill.raw, "--format", "json", "--set", "batch_files=50"),
            stdout=out.open("wb"),
            stderr=err.open("wb"),
            env=mill.prefect_environment(),
        )
        for out, err in logs
    ]
    codes = [process.wait(600) for process in both]
    told = "\n".join(err.read_text() for _, err in logs)
    assert codes == [0, 0], told
    assert [processes_of(process.pid) for process in both] == [[], []]
    counts = [json.loads(out.read_text())["counts"] for out, _ in logs]
    assert sum(found.get("ingested", 0) for found in counts) == 300
    assert sum(found.get("unchanged", 0) for found in counts) == 300
    assert "Traceback" not in told
    assert mill.one("SELECT count(*) FROM documents") == 300
    assert mill.problems(deep=True) == []
