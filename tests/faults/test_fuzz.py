"""Every fuzz target for some seconds by changed samples, and for long by coverage: what ``make fuzz`` does.

An input follows from its number, so that a finding comes again.  Where there is no atheris, the long campaign goes by
changed samples, too.
"""

import importlib.util
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parents[1]
SECONDS = 10
LONGEST = 4_096
LANGUAGES = ("de", "en", "ru", "zh", "ja", "und", "", "xx")
HINTS = (None, "utf-8", "cp1252", "utf-16", "gb18030", "utf-7", "x\0", "big5", "cp037")
TARGETS = ("decode", "repair", "document", "readers", "guard")


@pytest.fixture(scope="module")
def samples() -> list[bytes]:
    """The beginnings of good files of every format."""
    folders = (HERE.parent / "seeds" / "raw", HERE / "golden" / "readers", HERE / "golden" / "text")
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    return [path.read_bytes()[:LONGEST] for path in paths]


def changed(samples: list[bytes], number: int) -> bytes:
    """A sample with bytes that are others, doubled, left out or of another sample; now and then pure noise."""
    dice = random.Random(number)
    if dice.random() < 0.05:
        return dice.randbytes(dice.randrange(1, 400))
    data = bytearray(dice.choice(samples))
    for _ in range(dice.randrange(1, 8)):
        at = dice.randrange(len(data) + 1)
        length = dice.randrange(1, 40)
        match dice.randrange(5):
            case 0:
                data[at : at + 1] = dice.randbytes(1)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length] * dice.randrange(1, 30)
            case 3:
                other = dice.choice(samples)
                start = dice.randrange(len(other) or 1)
                data[at:at] = other[start : start + length]
            case 4:
                data[at:at] = dice.choice(
                    [b"\0", b"\xff", b"\xe2\x80\xae", b"\xcc\x81" * 40, b"\xed\xa0\x80", b"\r", b"&lt;"]
                )
    return bytes(data[:LONGEST])


@dataclass(frozen=True)
class Target:
    """What is done with an input, by its number; and what must hold when there are no more."""

    ask: Callable[[int, bytes], object]
    check: Callable[[], object] = lambda: None


def guard(folder: Path) -> Target:
    """Statements follow from the number alone."""
    import guarded

    home = guarded.Guarded(folder)

    def ask(number: int, _data: bytes) -> None:
        dice = random.Random(number)
        begin = bytes([guarded.PIECES.index(dice.choice(["SELECT", "FROM", "EXPLAIN", "PIVOT", "WITH a AS ("]))])
        home.ask(dice.randbytes(1) + (begin if dice.random() < 0.3 else b"") + dice.randbytes(dice.randrange(1, 9)))

    return Target(ask, home.check)


@pytest.fixture
def target(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """One of the targets."""
    monkeypatch.syspath_prepend(str(HERE / "fuzz"))
    import properties

    from tasks.options import DocumentOptions
    from tasks.readers import READERS, ReadOptions, container_endings, endings

    if request.param == "guard":
        return guard(tmp_path)
    names = ("page", *(f"a{ending}" for ending in (*endings(), *container_endings())))
    small, forced = ReadOptions(max_record_bytes=1_000, max_page_bytes=3_000, max_members=20), (*(None,) * 5, *READERS)
    asked: dict[str, Callable[[int, bytes], object]] = {
        "decode": lambda number, data: properties.decoded(data, HINTS[number % len(HINTS)]),
        "repair": lambda number, data: properties.covered(
            properties.repaired(data.decode("utf-8", "surrogateescape")), LANGUAGES[number % len(LANGUAGES)]
        ),
        "document": lambda number, data: properties.document(data, f"{number}.txt", DocumentOptions()),
        "readers": lambda number, data: properties.records(
            data, names[number % len(names)], small, forced[number // len(names) % len(forced)]
        ),
    }
    return Target(asked[request.param])


def fuzzed(target: Target, samples: list[bytes], seconds: float, first: int) -> int:
    """Inputs from a number on until the time is over; how many there were."""
    until, number = time.monotonic() + seconds, first
    while time.monotonic() < until:
        data = changed(samples, number)
        try:
            target.ask(number, data)
        except Exception as error:
            raise AssertionError(f"input {number}: {data!r}") from error
        number += 1
    target.check()
    return number - first


@pytest.mark.faults
@pytest.mark.parametrize("target", TARGETS, indirect=True)
def test_each_target_for_ten_seconds(
    target: Target, samples: list[bytes], record_property: Callable[[str, object], None]
) -> None:
    count = fuzzed(target, samples, SECONDS, 0)
    record_property("inputs", count)
    print(f"{count} inputs")
    assert count > 50


has_coverage = importlib.util.find_spec("atheris") is not None


@pytest.mark.long
@pytest.mark.skipif(has_coverage, reason="goes by coverage here")
@pytest.mark.parametrize("target", TARGETS, indirect=True)
def test_each_target_for_ten_minutes(target: Target, samples: list[bytes]) -> None:
    count = fuzzed(target, samples, 600, 1_000_000)
    print(f"{count} inputs")
    assert count > 1_000


def by_coverage(name: str, seconds: int, *words: str | Path, **options: Any) -> tuple[bool, int, str]:
    """Whether nothing was found, how many inputs were tried, and all that was said."""
    command = [sys.executable, HERE / "fuzz" / "run.py", "--seconds", str(seconds), "--only", name, *words]
    done = subprocess.run(command, capture_output=True, errors="replace", timeout=seconds + 300, **options)
    said = re.search(rf"^{name}: (\d+) inputs tried", done.stdout, re.MULTILINE)
    assert said is not None, done.stdout + done.stderr
    return done.returncode == 0, int(said[1]), done.stdout


@pytest.mark.long
@pytest.mark.skipif(not has_coverage, reason="there is no atheris here")
@pytest.mark.parametrize("name", TARGETS)
def test_each_target_for_ten_minutes_by_coverage(name: str) -> None:
    is_clean, count, said = by_coverage(name, 600)
    print(said)
    assert is_clean, said
    assert count > 1_000


@pytest.mark.long
@pytest.mark.skipif(not has_coverage, reason="there is no atheris here")
def test_a_build_that_repairs_once_is_noticed_by_coverage(
    tmp_path: Path, mutated: Callable[[str], dict[str, str]]
) -> None:
    """The canary: what one repair uncovers for another stays."""
    environment = {**os.environ, **mutated("from tasks.text import repairs\nrepairs._MAX_PASSES = 1\n")}
    is_clean, _, said = by_coverage("repair", 60, "--folder", tmp_path, env=environment)
    assert not is_clean, said
    assert "1 findings" in said


def trusts_the_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """What breaks off the encoding that its mark names is an error of ours."""
    from tasks.text import encoding

    monkeypatch.setattr(encoding, "_marked", lambda body, name: encoding._decoded(body.decode(name), name, 1.0))


def repairs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one repair uncovers for another stays."""
    monkeypatch.setattr("tasks.text.repairs._MAX_PASSES", 1)


def keeps_what_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record without a visible character becomes a document."""
    from tasks import record

    monkeypatch.setattr(record, "_prepared", record.Prepared)


def counts_by_member(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of an archive are numbered anew for each member."""
    monkeypatch.setattr("tasks.readers.opening._numbered", lambda records: records)


def opens_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without its locks."""
    monkeypatch.setattr("warehouse.queries.LOCK_DOWN", ())


@pytest.mark.faults
@pytest.mark.parametrize(
    ("target", "mutant"),
    [
        ("decode", trusts_the_mark),
        ("repair", repairs_once),
        ("document", keeps_what_is_empty),
        ("readers", counts_by_member),
        ("guard", opens_the_door),
    ],
    indirect=["target"],
)
def test_a_build_without_one_safety_is_noticed(
    target: Target, mutant: Callable[..., None], samples: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The canaries: the same inputs as above, until one of them shows it."""
    mutant(monkeypatch)
    with pytest.raises(AssertionError, match=r"^input \d+: "):
        fuzzed(target, samples, 120, 0)
