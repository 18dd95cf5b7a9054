"""Killed while a lost ledger is made anew: the same command does it again, and all is as it was."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from campaign import Call, Crasher, spread, steps


def known(mill: Any) -> dict[str, Any]:
    """What a ledger that was made anew must give back."""
    return {name: found for name, found in mill.hashes().items() if name not in ("loads", "runs")}


def ended(mill: Any) -> list[str]:
    """What does not hold when a kill was followed by the command, where it is needed, and an ingest."""
    if mill.cli("status").code:
        answer = mill.cli("rebuild", "--ledger")
        if answer.code:
            return [answer.err]
    assert mill.ingest(workers=0).failures == []
    return list(mill.problems(deep=True))


@pytest.mark.faults
def test_20_kills_of_a_rebuilt_ledger(
    memory: Path, shim: Path, mill_type: Any, write_news: Callable[[int], str],
    record_property: Callable[[str, object], None],
) -> None:  # fmt: skip
    folder = memory / "restored"
    (folder / "raw").mkdir(parents=True)
    for number in range(4):
        (folder / "raw" / f"{number}.txt").write_text(write_news(number % 3))
    lines = [json.dumps({"text": write_news(100 + number)}) for number in range(5)]
    (folder / "raw" / "lines.jsonl").write_text("\n".join(lines))
    crasher = Crasher(folder, folder / "raw", shim)
    try:
        base, _ = crasher.traced(work="cuts")
        _, calls = crasher.traced(copy_of=base, work="restore")
        wanted = known(mill_type(home=base, raw=crasher.raw))
        chosen: list[Call] = [group[len(group) // 2] for group in spread(steps(calls), 20)]
        failed: dict[str, Any] = {}
        for call in chosen:
            home = crasher.home(base)
            answer = crasher.work(home, call.number, work="restore")
            assert answer["status"] == -9, answer
            mill = mill_type(home=home, raw=crasher.raw)
            problems = ended(mill)
            if problems or known(mill) != wanted:
                failed[f"{call.kind} of {call.path}"] = [*problems, crasher.log(home)]
            shutil.rmtree(home.parent)
        record_property("faults", len(chosen))
        record_property("survived", len(chosen) - len(failed))
        assert failed == {}
    finally:
        crasher.stop()
