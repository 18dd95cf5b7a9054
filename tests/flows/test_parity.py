"""Point 5: the same input through Prefect and without it, into any home, gives the same bytes and the same tables."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from warehouse.schema import TABLES

# What may differ between two ingests of the same input: who ran it and when.  Of `runs` also how long each stage took
# and which orchestrator it was: that is what the row is for.
EXCLUDED = {"run_id"}
EXCLUDED_OF_RUNS = {"orchestrator", "timings"}
SECRET = "QZXWVNAME"
# Six batches of ten files at most; the last of them goes on for three cuts of ten records.
RECEIPTS = 8
NAMES = (
    f"{SECRET}\n'quoted\" [1].txt".encode(),
    SECRET.encode() + b"-\xff\xfe-*.txt",
    f"{SECRET}-..%2F-\N{NEWSPAPER}.txt".encode(),
)


def compared(mill: Any, table: str) -> list[str]:
    """The rows of a table without what may differ, in any order."""
    dropped = EXCLUDED | {name for name in TABLES[table].names if name.endswith("_at")}
    if table == "runs":
        dropped |= EXCLUDED_OF_RUNS
    kept = [name for name in TABLES[table].names if name not in dropped]
    assert kept
    return sorted(map(repr, mill.rows(f"SELECT {', '.join(kept)} FROM {table}")))


def assert_equal(one: Any, other: Any) -> None:
    """Equal parts to the byte, equal tables."""
    assert one.parts().keys() == other.parts().keys()
    assert one.parts() == other.parts()
    for table in TABLES:
        assert compared(one, table) == compared(other, table), table


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory, samples: Path, write_news: Any) -> Path:
    """The samples, names that are no text, and what is refused unread."""
    folder = tmp_path_factory.mktemp("parity") / "raw"
    shutil.copytree(samples, folder)
    for number, name in enumerate(NAMES):
        (Path(os.fsdecode(os.fsencode(folder) + b"/" + name))).write_text(write_news(number))
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    rows = (json.dumps({"id": number, "text": write_news(number)}) for number in range(100, 125))
    (folder / "zz.jsonl").write_text("\n".join(rows))
    os.mkfifo(folder / "pipe.txt")
    (folder / "link.txt").symlink_to(folder / "nowhere")
    return folder


@pytest.fixture(scope="module")
def direct(new_mill: Any, raw: Path) -> Any:
    mill = new_mill("direct", raw)
    mill.ingest(batch_files=10, batch_records=10)
    assert len(mill.parts()) == 2 * RECEIPTS
    return mill


@pytest.fixture(scope="module")
def tracked(new_mill: Any, raw: Path) -> tuple[Any, Any]:
    """The one ingest under a temporary Prefect server that most tests of this folder share."""
    mill = new_mill("tracked", raw)
    return mill, mill.under_prefect(
        "ingest", raw, "--set", "batch_files=10", "--set", "batch_records=10", "--format", "json"
    )


def test_through_prefect_to_the_same_bytes(direct: Any, tracked: tuple[Any, Any]) -> None:
    mill, answer = tracked
    assert answer.code == 0, answer.err
    assert_equal(direct, mill)
    assert mill.problems() == []
    assert mill.column("SELECT DISTINCT orchestrator FROM runs") == ["prefect"]
    assert direct.column("SELECT DISTINCT orchestrator FROM runs") == ["direct"]


def test_prefect_leaves_standard_output_to_the_answer(tracked: tuple[Any, Any]) -> None:
    _, answer = tracked
    assert answer.json()["counts"]["ingested"] == 45 + len(NAMES)
    assert "Traceback" not in answer.err
    assert "starting a temporary one" in answer.err


def test_nothing_is_left_running(tracked: tuple[Any, Any]) -> None:
    _, answer = tracked
    assert answer.survivors == []


def test_names_never_reach_prefect(tracked: tuple[Any, Any], only_safe_names: Any) -> None:
    mill, _ = tracked
    assert mill.one(f"SELECT count(*) FROM documents WHERE contains(uri, '{SECRET}')") == len(NAMES)
    kept = b"".join(path.read_bytes() for path in sorted((mill.home / "prefect").rglob("*")) if path.is_file())
    assert b"ingest" in kept, "this is where the runs are recorded"
    assert SECRET.encode() not in kept
    only_safe_names(mill.home)


def test_the_end_of_a_run_waits_for_no_heartbeat(tracked: tuple[Any, Any]) -> None:
    """Prefect's thread for it sleeps by the second, and is waited for."""
    import sqlite3

    mill, _ = tracked
    with sqlite3.connect(mill.home / "prefect" / "prefect.db") as database:
        told = {name for (name,) in database.execute("SELECT event FROM events")}
    database.close()
    assert "prefect.flow-run.Completed" in told
    assert "prefect.flow-run.heartbeat" not in told


def test_prefect_knows_batches_not_files(tracked: tuple[Any, Any]) -> None:
    import sqlite3

    mill, _ = tracked
    with sqlite3.connect(mill.home / "prefect" / "prefect.db") as database:
        names = [name for (name,) in database.execute("SELECT name FROM task_run")]
        flows = database.execute("SELECT name, state_type FROM flow_run").fetchall()
    database.close()
    batches = [name for name in names if re.fullmatch(r"batch-\d+-\d+-files", name)]
    assert len(batches) == RECEIPTS
    assert [state for _, state in flows] == ["COMPLETED"]


def test_into_another_home(direct: Any, new_mill: Any, raw: Path) -> None:
    other = new_mill("other", raw)
    other.ingest(batch_files=10, batch_records=10)
    assert_equal(direct, other)


def test_in_several_runs_to_the_same_documents(direct: Any, new_mill: Any, raw: Path) -> None:
    other = new_mill("several", raw)
    # In the order of names: of equal files the first that is met gives the others its name.
    for path in sorted(os.listdir(os.fsencode(raw)))[:4]:
        other.ingest(os.path.join(os.fsencode(raw), path))
    other.ingest(batch_files=4)
    query = "SELECT * EXCLUDE (batch_id, uri) FROM documents ORDER BY document_id"
    assert other.rows(query) == direct.rows(query)
    assert other.problems() == []


def test_from_another_place_to_the_same_parts(direct: Any, new_mill: Any, raw: Path) -> None:
    copy = new_mill("elsewhere")
    for entry in os.scandir(os.fsencode(raw)):
        if entry.is_file(follow_symlinks=False):
            shutil.copy(entry.path, os.path.join(os.fsencode(copy.raw), entry.name))
    copy.ingest(batch_files=10, batch_records=10)
    assert copy.parts() == direct.parts(), "a part knows neither root nor stamp"


def test_replay_through_another_process_gives_the_same_bytes(direct: Any, new_mill: Any, raw: Path) -> None:
    other = new_mill("process", raw)
    answer = other.newsmill(
        "ingest",
        "--direct",
        raw,
        "--set",
        "batch_files=10",
        "--set",
        "batch_records=10",
        env={"PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Asia/Tokyo"},
    )
    assert answer.code == 0, answer.err
    assert_equal(direct, other)
