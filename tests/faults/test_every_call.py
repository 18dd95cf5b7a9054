"""Every call that changes the home is the last one, or fails: nothing lost, nothing double, nothing torn or refused.

A few files are enough: the calls are the same whatever the number of files, and each is tried in a home of its own.
What must hold is looked at three times: in what the kill left (every acknowledged commit is there, every named part is
whole, readers find a whole snapshot), by ``newsmill verify`` after one clean run, and in the rows, which must be those
of a run that nobody disturbed.
"""

import errno
import itertools
import json
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from campaign import Call, Crasher, spread, steps

SHARES = 6
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE)
LINES = 7
# The work that makes the home which other work begins with.
BASES = {"replay": "ingest", "compact": "cuts", "rebuild": "ingest"}


@dataclass(frozen=True)
class Moment:
    """One fault: at which call of which work, and what happens there."""

    work: str
    call: Call
    action: str
    errno: int = 0

    def __str__(self) -> str:
        error = f" {errno.errorcode[self.errno]}" if self.errno else ""
        return f"{self.work}: {self.action}{error} at call {self.call.number}, {self.call.kind} of {self.call.path}"


@pytest.fixture(scope="session")
def few(memory: Path, write_news: Callable[[int], str]) -> Path:
    """A few raw files of every fate: documents, a copy, a refused one, and one of several records."""
    return few_files(memory / "few", write_news, 0)


def few_files(raw: Path, write_news: Callable[..., str], seed: int) -> Path:
    """The same fates for every seed; sizes, numbers and the order in which the files are met differ."""
    dice = random.Random(seed)
    texts, lines, paragraphs = (3, LINES, 2) if seed == 0 else (dice.randint(1, 5), dice.randint(2, 12), 4)
    raw.mkdir()
    contents = [write_news(1000 * seed + number, dice.randint(2, paragraphs)) for number in range(texts)]
    contents += [contents[0], ""]
    if seed:
        dice.shuffle(contents)
    for number, content in enumerate(contents):
        (raw / f"{number}.txt").write_text(content)
    records = [json.dumps({"text": write_news(1000 * seed + 100 + number)}) for number in range(lines)]
    (raw / f"{dice.choice('az') if seed else len(contents)}.jsonl").write_text("\n".join([*records, "{broken"]))
    return raw


class Tried:
    """A fork server with what each kind of work does when nobody disturbs it."""

    def __init__(self, crasher: Crasher) -> None:
        self.crasher = crasher
        self.calls: dict[str, list[Call]] = {}
        self.rows: dict[str, Any] = {}
        self.refused: list[Any] = []
        self.homes: dict[str, Path] = {}

    def base(self, work: str) -> Path | None:
        """The home that this work begins with; None where there is none yet."""
        base = BASES.get(work)
        if base is None:
            return None
        self.traced(base)
        return self.homes[base]

    def traced(self, work: str, **more: Any) -> list[Call]:
        """The calls of this work."""
        name = "reads" if more else work
        if name not in self.calls:
            home, self.calls[name] = self.crasher.traced(copy_of=self.base(work), work=work, **more)
            self.homes[name] = home
            found = self.crasher.recover(self.copied(home), work)
            assert found["problems"] == [], self.crasher.log(home)
            self.rows[work] = found["rows"]
            self.refused = self.refused or found["refused"]
        return self.calls[name]

    def copied(self, home: Path) -> Path:
        """A copy of a home in a place of its own."""
        return self.crasher.home(home)

    # How many second kills found a process to kill: a recovery is shorter than what it recovers from.
    twice = 0

    def fault(self, moment: Moment, *, again: int = 0, mutant: str | None = None, **more: Any) -> list[str]:
        """What does not hold after one fault, and with ``again`` a kill at that call of the run that follows."""
        crasher, home = self.crasher, self.crasher.home(self.base(moment.work))
        answer = crasher.work(
            home, moment.call.number, action=moment.action, errno=moment.errno, work=moment.work, mutant=mutant, **more
        )
        problems = []
        log = crasher.log(home)
        if moment.errno:
            if answer.get("code") not in (0, 1):
                problems.append(f"ended with {answer}")
            problems += [f"said {word!r}" for word in ("newsmill: unexpected", "rebuild --ledger") if word in log]
            if "Traceback" in log:
                problems.append("ended with a traceback")
        elif answer["status"] != -signal.SIGKILL and (moment.work != "workers" or answer.get("code") != 0):
            # Where workers share the work, a run may make a few calls less than the last; then it simply ends.
            problems.append(f"was not killed: {answer}")
        if again:
            self.twice += crasher.work(home, again, work=moment.work)["status"] == -signal.SIGKILL
        found = crasher.recover(home, moment.work, shallow=True)
        problems += found.get("problems", [f"the recovery died: {found}"])
        problems += [f"refused for it: {one}" for one in found.get("refused", ()) if one not in self.refused]
        wanted = self.rows[moment.work]
        problems += [
            f"{name} differ: {found['rows'].get(name)} instead of {wanted[name]}"
            for name in wanted
            # Of two files with the same bytes the one that could be read is the first: another uri, as many rows.
            if found.get("rows")
            and found["rows"].get(name, [])[: 1 if more.get("reads") and name in ("documents", "files") else 2]
            != wanted[name][: 1 if more.get("reads") and name in ("documents", "files") else 2]
        ]
        if problems:
            problems.append(log + crasher.log(home))
        shutil.rmtree(home.parent)
        return problems


@pytest.fixture(scope="module")
def tried(memory: Path, few: Path, shim: Path) -> Iterator[Tried]:
    """One fork server for this module."""
    folder = memory / "few-server"
    folder.mkdir()
    crasher = Crasher(folder, few, shim)
    yield Tried(crasher)
    crasher.stop()


@pytest.fixture(scope="module")
def sown(request: Any, memory: Path, write_news: Callable[..., str], shim: Path) -> Iterator[Tried]:
    """The same for the raw files of one seed."""
    folder = memory / f"seed-{request.param}"
    folder.mkdir()
    crasher = Crasher(folder, few_files(folder / "raw", write_news, request.param), shim)
    yield Tried(crasher)
    crasher.stop()


def chosen(work: str, calls: Sequence[Call], *, every: bool = False) -> list[Moment]:
    """Kills before, after and in the middle of calls: of every one, or of the first, middle and last of each step."""
    found = []
    for group in steps(calls):
        picked = group if every else [group[n] for n in sorted({0, len(group) // 2, len(group) - 1})]
        for number, call in enumerate(picked):
            found.append(Moment(work, call, "before"))
            if every or number == len(picked) - 1:
                found.append(Moment(work, call, "after"))
            if "write" in call.kind and (every or number == len(picked) // 2):
                found.append(Moment(work, call, "torn"))
    return found


def run(tried: Tried, moments: Sequence[Moment], record: Callable[[str, object], None], **more: Any) -> None:
    """A fault at each of these moments; all must be survived."""
    failed = {}
    for number, moment in enumerate(moments, start=1):
        if problems := tried.fault(moment, **more):
            failed[str(moment)] = problems
            print(f"not survived: {moment}: {problems[:3]}", flush=True)  # hours before the end of a long campaign
        if number % 100 == 0:
            print(f"{number} of {len(moments)} tried, {len(failed)} not survived", flush=True)
    record("faults", len(moments))
    record("survived", len(moments) - len(failed))
    record("sites", sorted(map(list, tried.crasher.sites)))
    print(f"{len(moments)} faults {dict(Counter((m.work, m.action) for m in moments))}, {len(failed)} not survived")
    assert failed == {}


WORKS = ("ingest", "cuts", "replay", "compact", "workers", "rebuild")


@pytest.mark.faults
@pytest.mark.parametrize("share", range(SHARES))
def test_500_kills(tried: Tried, share: int, record_property: Callable[[str, object], None]) -> None:
    """So many of the kills at every step, evenly over all kinds of work."""
    moments = [moment for work in WORKS for moment in chosen(work, tried.traced(work))]
    run(tried, spread(moments, 510)[share::SHARES], record_property)


@pytest.mark.long
@pytest.mark.parametrize("share", range(SHARES))
def test_kills_at_every_call(tried: Tried, share: int, record_property: Callable[[str, object], None]) -> None:
    moments = [moment for work in WORKS for moment in chosen(work, tried.traced(work), every=True)]
    run(tried, moments[share::SHARES], record_property)


@pytest.mark.faults
@pytest.mark.parametrize("share", range(2))
def test_a_second_kill_in_the_recovery(
    tried: Tried, share: int, record_property: Callable[[str, object], None]
) -> None:
    """The second kill hits what the first has left, at a call that goes through the whole run."""
    moments = [Moment("ingest", group[len(group) // 2], "before") for group in steps(tried.traced("ingest"))]
    seconds = [group[0].number for group in steps(tried.traced("ingest"))][::-1]
    for number in range(share, len(moments), 2):
        run(tried, [moments[number]], record_property, again=seconds[number])


@pytest.mark.long
@pytest.mark.parametrize("work", WORKS)
def test_second_kills_all_through_the_recovery(
    tried: Tried, work: str, record_property: Callable[[str, object], None]
) -> None:
    """After a kill at each of many steps a second one early, midway and late in what is left of the work."""
    calls, before = tried.traced(work), tried.twice
    firsts = [group[len(group) // 2] for group in steps(calls)]
    pairs = [
        (Moment(work, call, "before"), max(1, round((len(calls) - call.number) * share)))
        for call in spread(firsts, min(60, len(firsts)))
        for share in (0.1, 0.5, 0.9)
    ]
    failed = {f"{moment}, then at {again}": found for moment, again in pairs
              if (found := tried.fault(moment, again=again))}  # fmt: skip
    record_property("faults", 2 * len(pairs))
    record_property("survived", 2 * (len(pairs) - len(failed)))
    print(
        f"{work}: {len(pairs)} pairs of kills, the second hit {tried.twice - before} times, {len(failed)} not survived"
    )
    assert failed == {}
    assert tried.twice - before > len(pairs) / 2


def errors_at(work: str, calls: Sequence[Call], numbers: Sequence[int], action: str) -> list[Moment]:
    """An error at the first call of each step."""
    return [Moment(work, group[0], action, number) for group in steps(calls) for number in numbers]


@pytest.mark.faults
@pytest.mark.parametrize("share", range(SHARES))
def test_every_error_at_every_step(tried: Tried, share: int, record_property: Callable[[str, object], None]) -> None:
    """A call that fails once with each of the errors; and a disk that stays full or dead from there on."""
    moments = errors_at("ingest", tried.traced("ingest"), ERRORS, "error")
    moments += errors_at("ingest", tried.traced("ingest"), [errno.ENOSPC], "errors")[::3]
    turns = itertools.cycle(ERRORS)
    for work in ("cuts", "replay", "compact", "workers"):
        moments += [Moment(work, group[0], "error", next(turns)) for group in steps(tried.traced(work))[::4]]
    run(tried, moments[share::SHARES], record_property)


@pytest.mark.faults
@pytest.mark.parametrize("share", range(2))
def test_every_error_at_every_look(tried: Tried, share: int, record_property: Callable[[str, object], None]) -> None:
    """Opens, listings and reads of raw files and of the home that fail: nothing is refused for it."""
    calls = tried.traced("ingest", reads=True)
    numbers = itertools.cycle((errno.EIO, errno.EACCES, errno.EMFILE))
    moments = [Moment("ingest", group[0], "error", next(numbers)) for group in steps(calls)]
    run(tried, moments[share::2], record_property, reads=True)


@pytest.mark.long
@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("sown", range(5), indirect=True, ids="seed {}".format)
def test_every_error_at_every_call(sown: Tried, number: int, record_property: Callable[[str, object], None]) -> None:
    run(sown, [Moment("ingest", call, "error", number) for call in sown.traced("ingest")], record_property)


@pytest.mark.long
@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize(
    ("work", "action"),
    [("ingest", "errors"), ("cuts", "error"), ("cuts", "errors")],
    ids=["ingest, stays", "cuts, once", "cuts, stays"],
)
def test_every_error_that_stays_and_in_every_cut(
    tried: Tried, work: str, action: str, number: int, record_property: Callable[[str, object], None]
) -> None:
    run(tried, [Moment(work, call, action, number) for call in tried.traced(work)], record_property)


def test_a_few_kills_and_errors(tried: Tried, record_property: Callable[[str, object], None]) -> None:
    """A taste of the campaigns for every run of the tests."""
    calls = tried.traced("ingest")
    moments = chosen("ingest", calls)[::40] + errors_at("ingest", calls, ERRORS[:1], "error")[::20]
    run(tried, moments, record_property)


def test_a_ledger_that_finds_no_room_says_so_in_one_line(tried: Tried) -> None:
    """Which file, why, and what to do; nothing is refused, and the next run takes all."""
    calls = tried.traced("ingest")
    written = [call for call in calls if call.path == "/ledger.sqlite-wal" and "write" in call.kind]
    for call, number in itertools.product(written[:: len(written) // 4], (errno.ENOSPC, errno.EIO)):
        moment = Moment("ingest", call, "error", number)
        home = tried.crasher.home()
        answer = tried.crasher.work(home, call.number, action="error", errno=number)
        lines = [line for line in tried.crasher.log(home).splitlines() if line.startswith("newsmill: ")]
        assert answer["code"] == 1, moment
        assert len(lines) == 1, (moment, lines)
        assert f"the ledger {home}/ledger.sqlite could not be read or written" in lines[0], moment
        assert ("disk is full" if number == errno.ENOSPC else "disk I/O error") in lines[0], moment
        assert "run the command again" in lines[0], moment
        shutil.rmtree(home.parent)
        assert tried.fault(moment) == []


def test_an_error_of_the_disk_does_not_make_a_whole_ledger_a_lost_one(mill: Any, shim: Path) -> None:
    """``rebuild --ledger`` leaves a ledger alone that cannot be read now; what it would cost is asked for by name."""
    mill.fill(3)
    mill.ingest()
    before, trace = mill.tree(), mill.home.with_name("trace")
    crash = {"LD_PRELOAD": str(shim), "CRASH_ROOT": str(mill.home), "CRASH_ERRNO": str(errno.EIO)}
    crash |= {"CRASH_ACTION": "errors", "CRASH_AT": "0"}
    assert "is whole and stays" in mill.newsmill("rebuild", "--ledger", env={**crash, "CRASH_TRACE": str(trace)}).err
    calls = [line.split("\t") for line in trace.read_text().splitlines()]
    first = next(number for number, _, path in calls if path.startswith("/ledger.sqlite"))
    answer = mill.newsmill("rebuild", "--ledger", env={**crash, "CRASH_AT": first})
    assert answer.code == 1, answer
    assert "disk I/O error" in answer.err or "unable to open" in answer.err, answer.err
    assert "--force" in answer.err
    assert mill.tree() == before
    assert list(mill.home.glob("ledger-aside*")) == []


def parts_named(calls: Sequence[Call]) -> list[Call]:
    """Where parts get their names."""
    return [call for call in calls if call.kind == "rename" and call.path.endswith(".parquet")]


def test_a_lost_commit_is_noticed(tried: Tried) -> None:
    """The canary of kills: a commit that is acknowledged before it is made."""
    calls = tried.traced("ingest")
    moment = Moment("ingest", next(call for call in calls if call.number > parts_named(calls)[-1].number
                                   and call.path == "/ledger.sqlite-wal"), "before")  # fmt: skip
    assert any("are lost" in problem for problem in tried.fault(moment, mutant="acknowledged early"))


def test_a_file_that_is_refused_for_an_error_is_noticed(tried: Tried) -> None:
    """The canary of errors: a build that takes what could not be read for a bad file."""
    calls = tried.traced("ingest", reads=True)
    call = [call for call in calls if call.kind == "read" and call.path.endswith("/1.txt")][-1]
    moment = Moment("ingest", call, "error", errno.EIO)
    assert tried.fault(moment, reads=True) == []
    assert any("refused for it" in problem for problem in tried.fault(moment, mutant="refusing", reads=True))


def test_the_shim_counts_for_all_processes_of_a_command(mill: Any, shim: Path, write_news: Any) -> None:
    """The installed command with its own workers, killed at one call of the sum of all their calls."""
    mill.fill(12)
    counter, trace = mill.home.with_name("count"), mill.home.with_name("trace")
    counter.write_bytes(bytes(8))
    crash = {"LD_PRELOAD": str(shim), "CRASH_ROOT": str(mill.home), "CRASH_AT": "0", "CRASH_COUNT": str(counter)}
    words = ["ingest", "--direct", mill.raw, "--set", "batch_files=3", "--set", "workers=2"]
    answer = mill.newsmill(*words, env={**crash, "CRASH_TRACE": str(trace)})
    assert answer.code == 0, answer.err
    numbers = [int(line.split("\t")[0]) for line in trace.read_text().splitlines()]
    assert sorted(numbers) == list(range(1, len(numbers) + 1)), "no call is counted twice, whoever made it"
    assert int.from_bytes(counter.read_bytes(), "little") == len(numbers)
