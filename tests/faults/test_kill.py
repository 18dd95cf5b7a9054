"""Point 8: kill -9 at any moment of an ingest, then one clean run: nothing lost, nothing double.

The moments are calls, not times: every call that changes what stands in the home is counted, in an ingest that makes
the same calls in the same order each time, and the process group is killed at the n-th.
"""

import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from campaign import Call, Crasher, spread, steps

FILES = 300
KILLS = 30


@pytest.fixture(scope="session")
def three_hundred(memory: Path, write_news: Callable[[int], str]) -> Path:
    """300 raw files: news, duplicates, and some that are refused."""
    raw = memory / "raw"
    raw.mkdir()
    for number in range(FILES):
        text = "" if number % 60 == 7 else write_news(number - 1 if number % 50 == 13 else number)
        (raw / f"{number:03d}.txt").write_text(text)
    return raw


@pytest.fixture(scope="module")
def crashers(memory: Path, three_hundred: Path, compiled: Path | str) -> Iterator[list[Crasher]]:
    """Two fork servers, with the shim where it could be compiled, else counting Python's calls."""
    made = []
    for number in range(2):
        folder = memory / f"server-{number}"
        folder.mkdir()
        made.append(Crasher(folder, three_hundred, None if isinstance(compiled, str) else compiled))
    yield made
    for crasher in made:
        crasher.stop()


@pytest.fixture(scope="module")
def crasher(crashers: list[Crasher]) -> Crasher:
    """One of them."""
    return crashers[0]


@pytest.fixture(scope="module")
def clean(crasher: Crasher) -> tuple[list[Call], dict[str, Any]]:
    """The calls of an ingest that nobody kills, between its first part and its last swap, and the rows it leaves."""
    home, calls = crasher.traced()
    found = crasher.recover(home)
    assert found["problems"] == [], crasher.log(home)
    assert found["rows"]["documents"][0] > FILES * 0.9
    return between(calls), found["rows"]


def between(calls: Sequence[Call]) -> list[Call]:
    """The calls from the first part's name to the last swap of the symlink."""
    first = next(c for c in calls if c.kind == "rename" and c.path.startswith("/lake/") and c.path.endswith(".parquet"))
    last = [call for call in calls if call.kind == "rename" and call.path == "/warehouse.duckdb"][-1]
    return list(calls[first.number - 1 : last.number])


def kill_and_recover(
    crasher: Crasher, call: Call, expected: dict[str, Any], action: str, copy_of: Path | None, work: str
) -> tuple[list[str], str]:
    """One kill, then everything that must hold; what does not, and what the children said."""
    home = crasher.home(copy_of)
    answer = crasher.work(home, call.number, action=action, work=work)
    if answer["status"] != -signal.SIGKILL:
        return [f"was not killed: {answer}"], crasher.log(home)
    found = crasher.recover(home, work)
    problems = list(found.get("problems", [f"died: {found}"]))
    problems += [f"{name} differ" for name in expected if found.get("rows", {}).get(name) != expected[name]]
    log = crasher.log(home)
    shutil.rmtree(home.parent)
    return problems, log


def campaign(
    crashers: Sequence[Crasher],
    moments: Sequence[tuple[Call, str]],
    expected: dict[str, Any],
    copy_of: Path | None = None,
    work: str = "ingest",
) -> None:
    """Kill at each of the moments; every one must be survived."""

    def share(number: int) -> dict[str, list[str]]:
        failed = {}
        for call, action in moments[number :: len(crashers)]:
            problems, log = kill_and_recover(crashers[number], call, expected, action, copy_of, work)
            if problems:
                failed[f"{action} call {call.number}, {call.kind} of {call.path}"] = [*problems, log]
        return failed

    with ThreadPoolExecutor(len(crashers)) as pool:
        failed = {name: found for some in pool.map(share, range(len(crashers))) for name, found in some.items()}
    kinds = Counter(call.kind for call, _ in moments)
    print(f"{len(moments)} kills at {dict(kinds)}, {len(failed)} not survived")
    assert failed == {}


def test_the_same_ingest_makes_the_same_calls(crasher: Crasher, clean: Any, record_property: Any) -> None:
    """What makes a number a moment: call n is the same call every time."""
    calls, _ = clean
    _, again = crasher.traced()

    def shape(found: Sequence[Call]) -> Counter[str]:
        return Counter(call.kind for call in found if call.kind not in ("write", "pwrite"))

    assert shape(between(again)) == shape(calls)
    kinds = Counter(call.kind for call in calls)
    record_property("calls", len(calls))
    print(f"{len(calls)} calls in {len(steps(calls))} steps between the first part and the last swap: {dict(kinds)}")
    assert {"rename", "fsync", "unlink", "chmod"} <= kinds.keys()
    swaps = [call for call in calls if call.kind == "rename" and call.path == "/warehouse.duckdb"]
    assert len(swaps) >= 3, "several publishes, so that kills hit a copy of a snapshot as well as the first"


def test_30_kills_lose_nothing_and_double_nothing(crashers: list[Crasher], clean: Any) -> None:
    calls, expected = clean
    moments = [group[len(group) // 2] for group in spread(steps(calls), KILLS)]
    assert len({call.number for call in moments}) == KILLS
    campaign(crashers, [(call, "before") for call in moments], expected)


def boundaries(calls: Sequence[Call]) -> list[Call]:
    """One call of each kind and kind of place, out of the middle of the run: where an order can be wrong."""

    def place(call: Call) -> tuple[str, str]:
        name = call.path.rsplit("/", 1)[-1]
        kind = ".tmp" if name.startswith(".tmp") else ".parquet" if name.endswith(".parquet") else name
        return call.kind, os.path.dirname(call.path) + ("/snapshot" if name.startswith("warehouse-0") else f"/{kind}")

    found: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        found.setdefault(place(call), []).append(call)
    return [group[len(group) // 2] for group in found.values()]


@pytest.mark.long
@pytest.mark.parametrize("action", ["after", "torn"])
def test_kills_after_and_in_the_middle_of_every_kind_of_call(
    crashers: list[Crasher], clean: Any, shim: Path, action: str
) -> None:
    calls, expected = clean
    campaign(crashers, [(call, action) for call in boundaries(calls)], expected)


@pytest.mark.long
def test_300_kills(crashers: list[Crasher], clean: Any) -> None:
    calls, expected = clean
    moments = [group[len(group) // 3] for group in spread(steps(calls), 300)]
    campaign(crashers, [(call, "before") for call in moments], expected)


@pytest.mark.long
def test_30_kills_of_a_replay(crashers: list[Crasher], clean: Any) -> None:
    """Here rows are replaced: a kill may leave some contents old and some new, and every one exactly once."""
    home, _ = crashers[0].traced()
    replayed, calls = crashers[0].traced(copy_of=home, work="replay")
    found = crashers[0].recover(replayed)
    assert (found["problems"], found["rows"]) == ([], clean[1])
    moments = [group[len(group) // 2] for group in spread(steps(between(calls)), KILLS)]
    campaign(crashers, [(call, "before") for call in moments], clean[1], copy_of=home, work="replay")


def whole_compaction(crasher: Crasher, expected: dict[str, Any]) -> tuple[Path, list[Call]]:
    """A home that was ingested, and the calls of its compaction from the first byte of a part to the last removal."""
    home, _ = crasher.traced()
    compacted, calls = crasher.traced(copy_of=home, work="compact")
    found = crasher.recover(compacted, "compact")
    assert (found["problems"], found["rows"]) == ([], expected), crasher.log(compacted)
    in_the_lake = [call for call in calls if call.path.startswith("/lake/")]
    assert {"rename", "unlink"} <= {call.kind for call in in_the_lake}
    assert len({call.path for call in in_the_lake if call.kind == "rename"}) >= 6, "several compactions"
    return home, calls[in_the_lake[0].number - 1 : in_the_lake[-1].number]


def test_kills_of_a_compaction_lose_nothing_and_double_nothing(crashers: list[Crasher], clean: Any) -> None:
    home, calls = whole_compaction(crashers[0], clean[1])
    moments = [group[len(group) // 2] for group in spread(steps(calls), 10)]
    campaign(crashers, [(call, "before") for call in moments], clean[1], copy_of=home, work="compact")


@pytest.mark.long
@pytest.mark.parametrize("action", ["before", "after", "torn"])
def test_100_kills_of_a_compaction(crashers: list[Crasher], clean: Any, shim: Path, action: str) -> None:
    home, calls = whole_compaction(crashers[0], clean[1])
    moments = [group[len(group) // 3] for group in spread(steps(calls), 100)]
    campaign(crashers, [(call, action) for call in moments], clean[1], copy_of=home, work="compact")


def whole_forgetting(crasher: Crasher) -> tuple[Path, list[Call], dict[str, Any]]:
    """A home that was ingested in many batches and compacted in part, the calls of a forgetting, and what is left."""
    home, _ = crasher.traced()
    forgotten, calls = crasher.traced(copy_of=home, work="forget")
    found = crasher.recover(forgotten, "forget")
    assert found["problems"] == [], crasher.log(forgotten)
    places = {call.path.split("/")[1] for call in calls if call.kind == "unlink"}
    assert {"lake", "versions"} <= places, "old parts and old snapshots went"
    return home, calls, found["rows"]


def test_kills_of_a_forgetting_leave_it_undone_or_finished_by_the_next_ingest(
    crashers: list[Crasher], clean: Any
) -> None:
    home, calls, expected = whole_forgetting(crashers[0])
    assert expected["documents"][0] == clean[1]["documents"][0] - 1
    # Between tombstone and rewritten part, and before the last old snapshot goes.
    stages = [("rename", "/lake/"), ("unlink", "/versions/warehouse-")]
    moments = [
        [call for call in calls if call.kind == kind and call.path.startswith(path) and ".tmp" not in call.path][-1]
        for kind, path in stages
    ]
    # Before, while the tombstone is copied.
    copied = next(call for call in calls if call.kind == "fsync" and call.path.endswith("-ledger.tombstones"))
    moments.insert(0, copied)
    assert [call.number for call in moments] == sorted({call.number for call in moments}), "in this order"
    campaign(crashers, [(call, "before") for call in moments], expected, copy_of=home, work="forget")


@pytest.mark.long
@pytest.mark.parametrize("action", ["before", "after", "torn"])
def test_100_kills_of_a_forgetting(crashers: list[Crasher], shim: Path, action: str) -> None:
    home, calls, expected = whole_forgetting(crashers[0])
    every = steps(calls)
    moments = [group[len(group) // 3] for group in spread(every, min(100, len(every)))]
    campaign(crashers, [(call, action) for call in moments], expected, copy_of=home, work="forget")


def test_the_check_catches_what_is_removed_too_early(crasher: Crasher, shim: Path) -> None:
    home, _ = crasher.traced()
    _, calls = crasher.traced("early", copy_of=home, work="compact")
    moment = next(c for c in calls if c.kind == "rename" and c.path.startswith("/lake/"))
    killed = crasher.home(home)
    assert crasher.work(killed, moment.number, mutant="early", work="compact")["status"] == -signal.SIGKILL
    found = crasher.recover(killed, "compact")
    assert any("committed and missing" in problem for problem in found["problems"]), found


@pytest.mark.long
def test_a_kill_in_the_recovery_of_a_kill(crasher: Crasher, clean: Any) -> None:
    """The second kill hits what the first has left; then one clean run."""
    calls, _ = clean
    moments = spread([call for call in calls if call.kind not in ("write", "pwrite")], 12)
    failed = {}
    for first, second in zip(moments, reversed(moments), strict=True):
        home = crasher.home()
        assert crasher.work(home, first.number)["status"] == -signal.SIGKILL
        again = crasher.work(home, second.number // 2)
        found = crasher.recover(home)
        if found["problems"] or found["rows"] != clean[1]:
            failed[f"{first} then {second.number // 2} ({again})"] = [*found["problems"], crasher.log(home)]
        shutil.rmtree(home.parent)
    assert failed == {}


def first_name_after_its_commit(calls: Sequence[Call]) -> Call:
    """Where the mutant gives a part the name that is committed by then."""
    return next(c for c in calls if c.kind == "rename" and c.path.endswith(".parquet") and "/held-" not in c.path)


def first_bytes_of_the_second_snapshot(calls: Sequence[Call]) -> Call:
    """Where the mutant has a snapshot under its final name that holds nothing yet."""
    return next(c for c in calls if c.path == "/versions/warehouse-00000002.duckdb" and c.kind in ("write", "pwrite"))


CANARIES: dict[str, Callable[[Sequence[Call]], Call]] = {
    "commit before parts": first_name_after_its_commit,
    "in place": first_bytes_of_the_second_snapshot,
}


@pytest.mark.parametrize("mutant", CANARIES)
def test_the_check_catches_a_wrong_order(crasher: Crasher, shim: Path, mutant: str) -> None:
    """A harness that passes a mutant says nothing: each of these must be caught by the very check that passes ours."""
    _, calls = crasher.traced(mutant)
    moment = CANARIES[mutant](calls)
    home = crasher.home()
    assert crasher.work(home, moment.number, mutant=mutant)["status"] == -signal.SIGKILL
    found = crasher.recover(home)
    assert found["problems"], f"{mutant} went through at {moment}"
    print(mutant, moment, found["problems"])


def test_counting_in_python_finds_moments_too(memory: Path, three_hundred: Path, clean: Any) -> None:
    """The way without a compiler: fewer kinds of calls, the same promise."""
    folder = memory / "python"
    folder.mkdir()
    crasher = Crasher(folder, three_hundred, None)
    try:
        _, calls = crasher.traced()
        moments = between(calls)
        assert {"commit", "rename", "fsync"} <= {call.kind for call in moments}
        commits = [call for call in moments if call.kind == "commit"]
        campaign([crasher], [(commits[len(commits) // 2], "before"), (moments[-1], "before")], clean[1])
    finally:
        crasher.stop()


def test_the_installed_command_is_killed_and_recovers(mill: Any, shim: Path, write_news: Callable[[int], str]) -> None:
    """Once without any help: the command itself, its process group, and the clean run after it."""
    mill.fill(40)
    crash = {"LD_PRELOAD": str(shim), "CRASH_ROOT": str(mill.home), "CRASH_AT": "400"}
    arguments = ["ingest", "--direct", mill.raw, "--set", "batch_files=5", "--set", "publish_seconds=0"]
    process = subprocess.Popen(mill.command(*arguments), env={**os.environ, **crash}, start_new_session=True)
    assert process.wait(120) == -signal.SIGKILL
    answer = mill.newsmill("ingest", "--direct", mill.raw)
    assert answer.code == 0, answer.err
    assert mill.one("SELECT count(DISTINCT document_id) FROM documents") == 40
    assert mill.one("SELECT count(*) FROM documents") == 40
    assert mill.newsmill("verify", "--deep").code == 0
    crashed = [run["status"] for run in mill.cli("status", "--format", "json").json()["runs"]]
    assert sorted(crashed) == ["completed", "crashed"]
