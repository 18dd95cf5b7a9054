"""Many readers, many writers, and clients that do what they should not: nobody is wrong, nobody waits."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
BATCHES = "SELECT count(DISTINCT batch_id) FROM loads"


def begin_readers(mill: Any, started: Any, count: int) -> list["subprocess.Popen[bytes]"]:
    command = [sys.executable, HERE / "impatient.py", mill.home / "warehouse.duckdb"]
    readers = [started(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(count)]
    assert [reader.stdout.readline() for reader in readers] == [b"ready\n"] * count
    return readers


def end_readers(readers: list["subprocess.Popen[bytes]"]) -> list[dict[str, Any]]:
    return [json.loads(reader.communicate(timeout=120)[0]) for reader in readers]


@pytest.mark.parametrize(
    ("rounds", "files"), [(2, 10), pytest.param(10, 20, marks=pytest.mark.long)], ids=["20 batches", "200 batches"]
)
def test_readers_never_notice_two_processes_that_ingest(mill: Any, started: Any, rounds: int, files: int) -> None:
    """Documents and segments of a batch appear together, no count ever falls, no look fails."""
    read_beside_two_ingests(mill, started, rounds, files)


# A document is seen before its paragraphs.
PUBLISHES_HALF = """
import shutil, time
import duckdb
from warehouse import snapshots

real = snapshots.publish_file

def twice(home, built):
    half = built.with_name(built.name + "-half")
    shutil.copyfile(built, half)
    with duckdb.connect(str(half)) as connection:
        connection.execute("DELETE FROM paragraphs WHERE document_id IN (SELECT document_id FROM documents LIMIT 1)")
    real(home, half)
    time.sleep(1)
    return real(home, built)

snapshots.publish_file = twice
"""


def test_a_build_that_publishes_half_a_batch_is_noticed(
    mill: Any, started: Any, mutated: Callable[[str], dict[str, str]]
) -> None:
    """The canary of readers."""
    with pytest.raises(AssertionError, match="torn"):
        read_beside_two_ingests(mill, started, 1, 6, mutated(PUBLISHES_HALF))


def read_beside_two_ingests(
    mill: Any, started: Any, rounds: int, files: int, environment: Mapping[str, str] | None = None
) -> None:
    """Three readers who never pause beside two processes of such an environment, which ingest."""
    mill.fill(3)
    mill.ingest()
    quiet_readers = begin_readers(mill, started, 3)
    time.sleep(1)
    quiet = end_readers(quiet_readers)
    readers = begin_readers(mill, started, 3)
    feeders = [
        started([sys.executable, HERE / "feeder.py", mill.home, mill.raw.parent / f"raw{number}",
                 str(10_000 * (number + 1)), str(rounds), str(files)], env={**os.environ, **(environment or {})})
        for number in range(2)
    ]  # fmt: skip
    assert [feeder.wait(900) for feeder in feeders] == [0, 0]
    time.sleep(0.5)
    busy = end_readers(readers)
    for reader in (*quiet, *busy):
        assert (reader["errors"], reader["torn"], reader["fell"]) == ([], [], []), "errors, torn, fell"
        assert reader["looks"] > 3
    documents = 3 + 2 * rounds * files
    assert [reader["last"][0] for reader in busy] == [documents] * 3, "the last publish is seen by all"
    assert mill.one("SELECT count(*) FROM documents") == documents
    assert mill.one(BATCHES) == rounds * files + 1
    assert mill.problems(deep=True) == []
    # Told, not asserted: what a look costs depends on who else is on the machine.
    for name in ("wall_ms", "cpu_ms"):
        print(f"{name}: quiet {quiet[0][name]:.1f}, busy {busy[0][name]:.1f}")


WRITE_AND_DIE = """
import duckdb, os, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("SET checkpoint_threshold = '1TB'")
connection.execute("UPDATE loads SET document_count = 999999")
connection.execute("DELETE FROM paragraphs")
os._exit(9)
"""


def test_a_client_that_writes_and_dies_harms_no_later_snapshot(mill: Any) -> None:
    mill.fill(3)
    mill.ingest()
    path = mill.newest()
    path.chmod(0o644)  # what root, or whoever owns the file and insists, can do
    done = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, path], capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    assert path.with_name(f"{path.name}.wal").stat().st_size > 0
    mill.fill(2, first=50)
    mill.ingest()
    assert mill.newest() != path
    assert mill.one("SELECT count(*) FROM documents") == 5
    assert mill.one("SELECT count(DISTINCT document_id) FROM segments") == 5
    assert mill.one("SELECT max(document_count) FROM loads") < 999_999
    assert mill.problems(deep=True) == []


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"not a log of DuckDB's"], ids=["empty", "zeros", "junk"])
def test_a_stray_log_beside_a_snapshot_does_not_reach_the_next(mill: Any, content: bytes) -> None:
    mill.fill(3)
    mill.ingest()
    path = mill.newest()
    path.with_name(f"{path.name}.wal").write_bytes(content)
    mill.fill(2, first=50)
    answer = mill.cli("ingest", "--direct", mill.raw)
    assert answer.code == 0, answer.err
    assert not list((mill.home / "versions").glob("*.wal"))
    assert mill.one("SELECT count(*) FROM documents") == 5
    assert mill.problems(deep=True) == []


def test_a_stopped_reader_and_a_removed_snapshot(mill: Any, started: Any) -> None:
    """The reader is stopped for the whole run; when it goes on, its snapshot has long been removed, and it answers."""
    mill.fill(3)
    mill.ingest()
    first = mill.newest()
    reader = started(
        [sys.executable, HERE / "reader.py", mill.home / "warehouse.duckdb"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    begin = json.loads(reader.stdout.readline())
    os.kill(reader.pid, signal.SIGSTOP)
    for number in range(6):
        mill.fill(1, first=100 + number)
        mill.ingest()
    assert not first.exists()
    assert not first.with_name(f"{first.name}.wal").exists()
    assert mill.one("SELECT count(*) FROM documents") == 9
    os.kill(reader.pid, signal.SIGCONT)
    lines = [json.loads(reader.stdout.readline()) for _ in range(3)]
    reader.communicate(timeout=60)
    assert [line["error"] for line in lines if "error" in line] == []
    assert lines[-1]["held"] == begin["held"]
    assert lines[-1]["fresh"][0] == 9
    assert mill.problems(deep=True) == []


@pytest.mark.parametrize("documents", [40, pytest.param(200_000, marks=pytest.mark.long)])
def test_a_rebuild_from_nothing_gives_the_same_rows(new_mill: Any, documents: int) -> None:
    mill = new_mill("rebuilt")
    for number in range(documents):
        folder = mill.raw / f"{number // 1000:03d}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number:06d}.txt").write_text(
            f" date 2019-{number % 12 + 1:02d} Meldung {number}: der Rat tagte.\n\nEs wurde {number * 7} gesagt.\n",
            encoding="utf-8",
        )
    began = time.monotonic()
    mill.ingest()
    ingested = time.monotonic() - began
    before = mill.hashes()
    assert before["documents"][0] == documents
    shutil.rmtree(mill.home / "versions")
    (mill.home / "warehouse.duckdb").unlink()
    began = time.monotonic()
    assert mill.cli("rebuild").code == 0
    print(f"seconds: ingest {ingested:.1f}, rebuild {time.monotonic() - began:.1f}")
    assert mill.hashes() == before
