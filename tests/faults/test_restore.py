"""Killed while a lost ledger is made anew: the same command does it again, and all is as it was."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from campaign import Call, Crasher, spread, steps

from warehouse import ledger


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
    lying = [f"left lying about: {path.relative_to(mill.home)}" for path in mill.home.rglob(".tmp-*")]
    return [*mill.problems(deep=True), *lying]


@dataclass
class Restoring:
    """A fork server, a home whose ledger can be lost, and what must be known when it was made anew."""

    crasher: Crasher
    mill_type: Any
    base: Path
    calls: list[Call]
    wanted: dict[str, Any]

    def killed(self, call: Call, mutant: str | None = None) -> list[str]:
        """What does not hold after a kill at a call and the way back."""
        home = self.crasher.home(self.base)
        answer = self.crasher.work(home, call.number, work="restore", mutant=mutant)
        assert answer["status"] == -9, answer
        mill = self.mill_type(home=home, raw=self.crasher.raw)
        problems = ended(mill)
        if not problems and known(mill) != self.wanted:
            problems = ["the rows differ"]
        if problems:
            problems.append(self.crasher.log(home))
        shutil.rmtree(home.parent)
        return problems


@pytest.fixture(scope="module")
def restoring(memory: Path, shim: Path, mill_type: Any, write_news: Callable[[int], str]) -> Iterator[Restoring]:
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
        yield Restoring(crasher, mill_type, base, calls, known(mill_type(home=base, raw=crasher.raw)))
    finally:
        crasher.stop()


@pytest.mark.faults
def test_20_kills_of_a_rebuilt_ledger(restoring: Restoring, record_property: Callable[[str, object], None]) -> None:
    chosen: list[Call] = [group[len(group) // 2] for group in spread(steps(restoring.calls), 20)]
    failed = {f"{call.kind} of {call.path}": found for call in chosen if (found := restoring.killed(call))}
    record_property("faults", len(chosen))
    record_property("survived", len(chosen) - len(failed))
    record_property("points", [["restore", call.number] for call in chosen])
    assert failed == {}


@pytest.mark.faults
def test_a_ledger_that_is_made_anew_in_place_is_noticed(restoring: Restoring, monkeypatch: pytest.MonkeyPatch) -> None:
    """The canary: an empty ledger under its name, and nobody who holds it beside the snapshot."""
    _, calls = restoring.crasher.traced("restored in place", copy_of=restoring.base, work="restore")
    monkeypatch.setattr(ledger, "check_beside", lambda *_arguments: None)
    moment = next(call for call in calls if call.path == "/ledger.sqlite-wal" and "write" in call.kind)
    problems = restoring.killed(moment, "restored in place")
    assert problems, f"went through at {moment}"
