"""Every call that changes the home is the last one, or fails: nothing lost, nothing double, nothing torn or refused.

A few files are enough: the calls are the same whatever the number of files, and each is tried in a home of its own.
What must hold is looked at three times: in what the kill left (every acknowledged commit is there, every named part is
whole, readers find a whole snapshot), by ``newsmill verify`` after one clean run, and in the rows, which must be those
of a run that nobody disturbed.
"""

import dataclasses
import errno
import itertools
import json
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from campaign import Call, Crasher, spread, steps

SHARES = 6
# Of the faults of work that workers share, so many may not come: their runs differ by a few calls.
MISSED = 0.05
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE)
LINES = 7
# Where workers share the work, it now and then takes some calls more: those are counted that are always made.
TRACES = {"workers": 3}
# The work that makes the home which other work begins with.
BASES = {"replay": "ingest", "compact": "cuts", "rebuild": "ingest"}


@dataclasses.dataclass(frozen=True)
class Moment:
    """One fault: at which call of which work, what happens there, and at which call the run that follows is killed.

    With ``reads`` the calls are those that look at raw files and home instead of those that change the home.  After an
    error that is ``only_looked_at`` nothing is run anew: what was said and what stands there must do.
    """

    work: str
    call: Call
    action: str
    errno: int = 0
    again: int = 0
    reads: bool = False
    only_looked_at: bool = False

    def __str__(self) -> str:
        error = f" {errno.errorcode[self.errno]}" if self.errno else ""
        then = f", then at {self.again}" if self.again else ""
        call = f"call {self.call.number}, {self.call.kind} of {self.call.path}"
        return f"{self.work}: {self.action}{error} at {call}{then}"

    @property
    def points(self) -> list[tuple[Any, ...]]:
        """What tells the fault, and the second kill, from all others."""
        first = (self.work, self.reads, self.call.number, self.action, self.errno)
        return [first, (*first, self.again)] if self.again else [first]


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

    def __init__(self, crasher: Crasher, seed: int = 0) -> None:
        self.crasher, self.seed = crasher, seed
        # What really happened, and what was to happen at calls that a run did not make.
        self.met: list[tuple[Any, ...]] = []
        self.missed: list[Moment] = []
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
            traces = [
                self.crasher.traced(copy_of=self.base(work), work=work, **more) for _ in range(TRACES.get(work, 1))
            ]
            home, self.calls[name] = min(traces, key=lambda trace: len(trace[1]))
            self.homes[name] = home
            found = self.crasher.recover(self.copied(home), work)
            assert found["problems"] == [], self.crasher.log(home)
            self.rows[work] = found["rows"]
            self.refused = self.refused or found["refused"]
        return self.calls[name]

    def copied(self, home: Path) -> Path:
        """A copy of a home in a place of its own."""
        return self.crasher.home(home)

    def fault(self, moment: Moment, *, mutant: str | None = None) -> list[str]:
        """What does not hold after one fault, or two."""
        crasher, home = self.crasher, self.crasher.home(self.base(moment.work))
        answer = crasher.work(
            home, moment.call.number, action=moment.action, errno=moment.errno, work=moment.work, mutant=mutant,
            reads=moment.reads, look=moment.only_looked_at,
        )  # fmt: skip
        problems = []
        log = crasher.log(home)
        is_met = answer["status"] == -signal.SIGKILL or answer.get("calls", 0) >= moment.call.number
        if is_met:
            self.met.append(moment.points[0])
        elif moment.work == "workers":
            self.missed.append(moment)
        else:
            problems.append(f"was not met: {answer}")
        if moment.errno:
            if answer.get("code") not in (0, 1):
                problems.append(f"ended with {answer}")
            problems += [f"said {word!r}" for word in ("newsmill: unexpected", "rebuild --ledger") if word in log]
            if "Traceback" in log:
                problems.append("ended with a traceback")
        elif answer["status"] != -signal.SIGKILL and (is_met or answer.get("code") != 0):
            problems.append(f"was not killed: {answer}")
        if moment.again and crasher.work(home, moment.again, work=moment.work)["status"] == -signal.SIGKILL:
            self.met.append(moment.points[1])
        found = answer if moment.only_looked_at else crasher.recover(home, moment.work, shallow=True)
        problems += found.get("problems", [f"the recovery died: {found}"])
        problems += [f"refused for it: {one}" for one in found.get("refused", ()) if one not in self.refused]
        wanted = self.rows[moment.work]
        problems += [
            f"{name} differ: {found['rows'].get(name)} instead of {wanted[name]}"
            for name in wanted
            # Of two files with the same bytes the one that could be read is the first: another uri, as many rows.
            if found.get("rows")
            and found["rows"].get(name, [])[: 1 if moment.reads and name in ("documents", "files") else 2]
            != wanted[name][: 1 if moment.reads and name in ("documents", "files") else 2]
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
def looked(memory: Path, write_news: Callable[..., str], shim: Path) -> Iterator[Tried]:
    """The same for raw files of which one is too large to be read at once."""
    folder = memory / "looked"
    folder.mkdir()
    raw = few_files(folder / "raw", write_news, 0)
    records = [{"text": write_news(200 + number), "ignored": "x" * 120_000} for number in range(10)]
    (raw / "large.jsonl").write_text("\n".join(map(json.dumps, records)))
    crasher = Crasher(folder, raw, shim)
    yield Tried(crasher)
    crasher.stop()


@pytest.fixture(scope="module")
def sown(request: Any, memory: Path, write_news: Callable[..., str], shim: Path) -> Iterator[Tried]:
    """The same for the raw files of one seed."""
    folder = memory / f"seed-{request.param}"
    folder.mkdir()
    crasher = Crasher(folder, few_files(folder / "raw", write_news, request.param), shim)
    yield Tried(crasher, request.param)
    crasher.stop()


def chosen(work: str, calls: Sequence[Call], *, every: bool = False) -> list[Moment]:
    """Kills before, after and in the middle of calls: of every one, or of the first, middle and last of each step.

    Where workers share the work its steps mix differently every time; there it is every second call.
    """
    if work == "workers" and not every:
        return list(map(Moment, itertools.repeat(work), calls[::2], itertools.cycle(("before", "after", "torn"))))
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


def run(tried: Tried, moments: Sequence[Moment], record: Callable[[str, object], None]) -> list[tuple[Any, ...]]:
    """A fault at each of these moments; all must come and be survived, and what came is the answer."""
    failed = dict[Moment, list[str]]()
    tried.met, tried.missed = [], []
    for number, moment in enumerate(moments, start=1):
        if problems := tried.fault(moment):
            failed[moment] = problems
            print(f"not survived: {moment}: {problems[:3]}", flush=True)  # hours before the end of a long campaign
        if number % 100 == 0:
            print(f"{number} of {len(moments)} tried, {len(failed)} not survived", flush=True)
    met, missed, lost = set(tried.met), tried.missed, {point for moment in failed for point in moment.points}
    record("faults", len(tried.met))
    record("survived", len([point for point in tried.met if point not in lost]))
    record("missed", list(map(str, missed)))
    record("points", [[tried.seed, *point] for point in tried.met])
    record("sites", sorted({moment.call.site for moment in moments if moment.call.site and moment.points[0] in met}))
    kinds = dict(Counter((moment.work, moment.action) for moment in moments))
    print(f"{len(moments)} faults {kinds}, {len(failed)} not survived, {len(missed)} did not come")
    assert {str(moment): problems for moment, problems in failed.items()} == {}
    assert len(set(moments)) == len(moments), "no fault is tried twice"
    shared = sum(moment.work == "workers" for moment in moments)
    assert len(missed) <= max(1, shared * MISSED), list(map(str, missed))
    return tried.met


WORKS = ("ingest", "cuts", "replay", "compact", "workers", "rebuild")


@pytest.mark.faults
@pytest.mark.parametrize("share", range(SHARES))
def test_500_kills(tried: Tried, share: int, record_property: Callable[[str, object], None]) -> None:
    """So many of the kills at every step, evenly over all kinds of work."""
    moments = spread([moment for work in WORKS for moment in chosen(work, tried.traced(work))], 510)
    assert len({point for moment in moments for point in moment.points}) >= 500
    run(tried, moments[share::SHARES], record_property)


@pytest.mark.long
@pytest.mark.parametrize("share", range(SHARES))
def test_kills_at_every_call(tried: Tried, share: int, record_property: Callable[[str, object], None]) -> None:
    moments = [moment for work in WORKS for moment in chosen(work, tried.traced(work), every=True)]
    assert len({point for moment in moments for point in moment.points}) >= 5_000
    run(tried, moments[share::SHARES], record_property)


@pytest.mark.faults
@pytest.mark.parametrize("share", range(2))
def test_a_second_kill_in_the_recovery(
    tried: Tried, share: int, record_property: Callable[[str, object], None]
) -> None:
    """The second kill hits what the first has left, at a call that goes through the whole run."""
    groups = steps(tried.traced("ingest"))
    moments = [
        Moment("ingest", group[len(group) // 2], "before", again=other[0].number)
        for group, other in zip(groups, reversed(groups), strict=True)
    ][share::2]
    met = run(tried, moments, record_property)
    assert len(met) - len(moments) > len(moments) / 2, "the second kill found something to kill"


@pytest.mark.long
@pytest.mark.parametrize("work", WORKS)
def test_second_kills_all_through_the_recovery(
    tried: Tried, work: str, record_property: Callable[[str, object], None]
) -> None:
    """After a kill at each of many steps a second one early, midway and late in what is left of the work."""
    calls = tried.traced(work)
    middles = [group[len(group) // 2] for group in steps(calls)]
    moments = [
        Moment(work, call, "before", again=again)
        for call in spread(middles, min(60, len(middles)))
        for again in sorted({max(1, round((len(calls) - call.number) * share)) for share in (0.1, 0.5, 0.9)})
    ]
    met = run(tried, moments, record_property)
    assert len(met) - len(moments) > len(moments) / 2, "the second kill found something to kill"


def errors_at(work: str, calls: Sequence[Call], numbers: Sequence[int], action: str = "error") -> list[Moment]:
    """Each of these errors at each of these calls."""
    return [Moment(work, call, action, number) for call in calls for number in numbers]


def firsts(calls: Sequence[Call]) -> list[Call]:
    """The first call of each step."""
    return [group[0] for group in steps(calls)]


@pytest.mark.faults
@pytest.mark.parametrize("share", range(12))
def test_every_error_at_every_call_of_an_ingest(
    tried: Tried, share: int, record_property: Callable[[str, object], None]
) -> None:
    """A call that fails once with each of the errors.

    All are followed by a clean run at the first call of each step, at the others one in four.
    """
    calls = tried.traced("ingest")
    heads = set(firsts(calls))
    moments = [
        dataclasses.replace(moment, only_looked_at=moment.call not in heads and (number - number // 4) % 4 != 0)
        for number, moment in enumerate(errors_at("ingest", calls, ERRORS))
    ]
    assert len({point for moment in moments for point in moment.points}) == len(moments) >= 1_000
    run(tried, moments[share::12], record_property)


@pytest.mark.faults
@pytest.mark.parametrize("share", range(2))
def test_errors_that_stay_and_in_other_work(
    tried: Tried, share: int, record_property: Callable[[str, object], None]
) -> None:
    """A disk that stays full from there on; and each of the errors in turn, in all other kinds of work."""
    moments = errors_at("ingest", firsts(tried.traced("ingest"))[::3], [errno.ENOSPC], "errors")
    some = {work: firsts(tried.traced(work))[::4] for work in ("cuts", "replay", "compact")}
    some |= {"workers": tried.traced("workers")[::20], "rebuild": firsts(tried.traced("rebuild"))}
    turns = itertools.cycle(ERRORS)
    moments += [Moment(work, call, "error", next(turns)) for work, calls in some.items() for call in calls]
    run(tried, moments[share::2], record_property)


@pytest.mark.faults
@pytest.mark.parametrize("share", range(4))
def test_every_error_at_every_look(looked: Tried, share: int, record_property: Callable[[str, object], None]) -> None:
    """Opens, listings, reads and stats of raw files and of the home that fail: nothing is refused for it."""
    traced = looked.traced("ingest", reads=True)
    pieces = [call for call in traced if "raw_files.readinto" in " ".join(call.site)]
    assert len(pieces) > 1, "one file is read in pieces"
    # One from each line of this project, too: neighbours of a step may come from different ones.
    places = {call.site: call for call in reversed(traced)}.values()
    calls = sorted({*firsts(traced), *pieces, *places}, key=lambda call: call.number)
    numbers = itertools.cycle((errno.EIO, errno.EACCES, errno.EMFILE))
    moments = [Moment("ingest", call, "error", next(numbers), reads=True, only_looked_at=call.kind in ("stat", "entry"))
               for call in calls]  # fmt: skip
    run(looked, moments[share::4], record_property)


@pytest.mark.long
@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
def test_every_error_at_every_look_at_every_call(
    looked: Tried, number: int, record_property: Callable[[str, object], None]
) -> None:
    calls = looked.traced("ingest", reads=True)
    run(looked, [Moment("ingest", call, "error", number, reads=True) for call in calls], record_property)


@pytest.mark.long
@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("sown", range(5), indirect=True, ids="seed {}".format)
def test_every_error_at_every_call(sown: Tried, number: int, record_property: Callable[[str, object], None]) -> None:
    run(sown, errors_at("ingest", sown.traced("ingest"), [number]), record_property)


@pytest.mark.long
@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("work", [work for work in WORKS if work != "ingest"])
def test_every_error_at_every_call_of_other_work(
    tried: Tried, work: str, number: int, record_property: Callable[[str, object], None]
) -> None:
    run(tried, errors_at(work, tried.traced(work), [number]), record_property)


@pytest.mark.long
@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("work", ["ingest", "cuts"])
def test_every_error_that_stays(
    tried: Tried, work: str, number: int, record_property: Callable[[str, object], None]
) -> None:
    run(tried, errors_at(work, tried.traced(work), [number], "errors"), record_property)


def test_a_few_kills_and_errors(tried: Tried, record_property: Callable[[str, object], None]) -> None:
    """A taste of the campaigns for every run of the tests."""
    calls = tried.traced("ingest")
    moments = chosen("ingest", calls)[::40] + errors_at("ingest", firsts(calls)[::20], ERRORS[:1])
    run(tried, moments, record_property)


def test_places_are_those_of_the_faults(tried: Tried) -> None:
    """Every call says which code made it, in forked workers too; only what was hit is reported."""
    calls = tried.traced("ingest") + tried.traced("workers")
    assert [call for call in calls if len(call.site) != 3 or not call.site[2]] == []
    recorded = dict[str, Any]()
    call = parts_named(tried.traced("workers"))[0]
    assert "ingest_batch" in call.site[2], call.site
    run(tried, [Moment("workers", call, "before")], recorded.__setitem__)
    assert recorded["sites"] == [call.site]
    assert recorded["points"] == [[0, "workers", False, call.number, "before", 0]]


@pytest.mark.parametrize("number", [0, errno.EIO], ids=["a kill", "an error"])
def test_a_fault_that_does_not_come_does_not_count(tried: Tried, number: int) -> None:
    """The canary of counting: a call that no run makes."""
    recorded = dict[str, Any]()
    action, call = "error" if number else "before", Call(1_000_000, "write", "/none")
    moments = [Moment(work, call, action, number) for work in ("ingest", "workers") if tried.traced(work)]
    with pytest.raises(AssertionError, match="was not met"):
        run(tried, moments[:1], recorded.__setitem__)
    assert (recorded["faults"], recorded["survived"], recorded["points"]) == (0, 0, [])
    run(tried, moments[1:], recorded.__setitem__)
    assert (recorded["faults"], recorded["survived"], recorded["missed"]) == (0, 0, [str(moments[1])])
    with pytest.raises(AssertionError, match="call 1000000"):
        run(tried, [*moments[1:], Moment("workers", Call(1_000_001, "write", "/none"), "before")], recorded.__setitem__)


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


def test_a_read_of_the_ledger_that_fails_is_not_called_damage(tried: Tried) -> None:
    """SQLite says of a read that failed with EIO that the file is malformed."""
    calls = tried.traced("ingest", reads=True)
    reads = [call for call in calls if call.path == "/ledger.sqlite" and call.kind == "read"]
    assert reads
    for call in reads:
        home = tried.crasher.home()
        answer = tried.crasher.work(home, call.number, action="error", errno=errno.EIO, reads=True)
        log = tried.crasher.log(home)
        assert answer["code"] in (0, 1), call
        assert "damaged" not in log, call
        assert answer["code"] == 0 or "could not be read or written" in log, call
        assert tried.fault(Moment("ingest", call, "error", errno.EIO, reads=True)) == []


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
    failing = dataclasses.replace(moment, action="error", errno=errno.EIO, only_looked_at=True)
    assert tried.fault(failing) == []
    assert any("are lost" in problem for problem in tried.fault(failing, mutant="acknowledged early"))


def test_a_file_that_is_refused_for_an_error_is_noticed(tried: Tried) -> None:
    """The canary of errors: a build that takes what could not be read for a bad file."""
    calls = tried.traced("ingest", reads=True)
    call = [call for call in calls if call.kind == "read" and call.path.endswith("/1.txt")][-1]
    moment = Moment("ingest", call, "error", errno.EIO, reads=True)
    for one in (moment, dataclasses.replace(moment, only_looked_at=True)):
        assert tried.fault(one) == []
        assert any("refused for it" in problem for problem in tried.fault(one, mutant="refusing"))


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


def test_a_commit_that_is_lost_in_the_recovery_is_noticed(tried: Tried, monkeypatch: pytest.MonkeyPatch) -> None:
    """The canary of second kills: only the run after a kill acknowledges its commits before it makes them."""
    calls, work, mutant = tried.traced("ingest"), tried.crasher.work, "acknowledged early"
    first = Moment("ingest", parts_named(calls)[0], "before")
    killed = tried.crasher.home()
    assert work(killed, first.call.number)["status"] == -signal.SIGKILL
    _, left = tried.crasher.traced(mutant, copy_of=killed)
    named = parts_named(left)[-1].number
    second = next(call for call in left if call.number > named and call.path == "/ledger.sqlite-wal")

    def recovering(home: Path, at: int, **more: Any) -> dict[str, Any]:
        return work(home, at, **{"mutant": mutant, **more})

    monkeypatch.setattr(tried.crasher, "work", recovering)  # the first kill names its mutant itself: none
    assert tried.fault(first) == []
    again = dataclasses.replace(first, again=second.number)
    tried.met = []
    assert any("are lost" in problem for problem in tried.fault(again))
    assert tuple(tried.met) == tuple(again.points)


@pytest.mark.faults
def test_second_kills_meet_a_recovery(tried: Tried, record_property: Callable[[str, object], None]) -> None:
    """Early, midway and late in what is left of an ingest: each of them, and not only some, finds a process."""
    calls = tried.traced("ingest")
    moments = [
        Moment("ingest", call, "before", again=max(1, round((len(calls) - call.number) * share)))
        for call, share in zip(
            spread([group[len(group) // 2] for group in steps(calls)], 12)[:-2],
            itertools.cycle((0.1, 0.5, 0.9)),
            strict=False,
        )
    ]
    assert len(run(tried, moments, record_property)) == 2 * len(moments)
