"""Every fuzz target for some seconds, by changed samples instead of coverage: what ``make fuzz`` does for long.

An input follows from its number, so that a finding comes again.
"""

import random
import time
from collections.abc import Callable, Iterator
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


@pytest.fixture
def target(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, bytes], object]]:
    """What is done with an input, by its number."""
    monkeypatch.syspath_prepend(str(HERE / "fuzz"))
    import guarded
    import properties

    from tasks.document import DocumentOptions
    from tasks.readers import READERS, ReadOptions, container_endings, endings

    names = ("page", *(f"a{ending}" for ending in (*endings(), *container_endings())))
    small, forced = ReadOptions(max_record_bytes=1_000, max_page_bytes=3_000, max_members=20), (*(None,) * 5, *READERS)
    if request.param == "guard":
        home = guarded.Guarded(tmp_path)

        def ask(number: int, _data: bytes) -> None:
            dice = random.Random(number)
            begin = bytes([guarded.PIECES.index(dice.choice(["SELECT", "FROM", "EXPLAIN", "PIVOT", "WITH a AS ("]))])
            home.ask(dice.randbytes(1) + (begin if dice.random() < 0.3 else b"") + dice.randbytes(dice.randrange(1, 9)))

        yield ask
        home.check()
        return
    yield {
        "decode": lambda number, data: properties.decoded(data, HINTS[number % len(HINTS)]),
        "repair": lambda number, data: properties.covered(
            properties.repaired(data.decode("utf-8", "surrogateescape")), LANGUAGES[number % len(LANGUAGES)]
        ),
        "document": lambda number, data: properties.document(data, f"{number}.txt", DocumentOptions()),
        "readers": lambda number, data: properties.records(
            data, names[number % len(names)], small, forced[number // len(names) % len(forced)]
        ),
    }[request.param]


def fuzzed(target: Callable[[int, bytes], object], samples: list[bytes], seconds: float, first: int) -> int:
    """Inputs from a number on until the time is over; how many there were."""
    until, number = time.monotonic() + seconds, first
    while time.monotonic() < until:
        data = changed(samples, number)
        try:
            target(number, data)
        except Exception as error:
            raise AssertionError(f"input {number}: {data!r}") from error
        number += 1
    return number - first


@pytest.mark.faults
@pytest.mark.parametrize("target", TARGETS, indirect=True)
def test_each_target_for_ten_seconds(
    target: Callable[[int, bytes], object], samples: list[bytes], record_property: Callable[[str, object], None]
) -> None:
    count = fuzzed(target, samples, SECONDS, 0)
    record_property("inputs", count)
    print(f"{count} inputs")
    assert count > 50


@pytest.mark.long
@pytest.mark.parametrize("target", TARGETS, indirect=True)
def test_each_target_for_ten_minutes(target: Callable[[int, bytes], object], samples: list[bytes]) -> None:
    print(f"{fuzzed(target, samples, 600, 1_000_000)} inputs")


def test_a_guard_that_lets_everything_in_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samples: list[bytes]
) -> None:
    """The canary: a build without the locks on the connection, asked the same."""
    monkeypatch.syspath_prepend(str(HERE / "fuzz"))
    import guarded

    from warehouse import queries

    monkeypatch.setattr(queries, "LOCK_DOWN", ())
    home = guarded.Guarded(tmp_path)
    pieces = [guarded.PIECES.index(piece) for piece in ("FROM", "read_text('{secret}')")]
    with pytest.raises(AssertionError, match="read_text"):
        home.ask(bytes([0, *pieces]))
