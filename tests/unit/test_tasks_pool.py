"""The pool: who comes first, and hashes in workers.  What dies in them is in ``tests/faults/test_workers.py``."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tasks.hashing import Hasher, hashed
from tasks.pool import Pool, PoolOptions
from tasks.turns import Turns
from tasks.watched import Died
from warehouse.errors import Deferred, TransientError
from warehouse.vocabulary import DeferReason


def waiting(turns: Turns, count: int) -> None:
    until = time.monotonic() + 300
    while len(turns._waiting) < count:
        assert time.monotonic() < until
        time.sleep(0.001)


def test_turns_are_taken_in_order_and_the_urgent_first() -> None:
    turns, order = Turns(1), list[str]()

    def take(name: str, is_urgent: bool) -> None:
        with turns.taken(is_urgent=is_urgent):
            order.append(name)

    with turns.taken(is_urgent=False):
        threads = []
        for count, name in enumerate(("first", "second", "urgent"), start=1):
            threads.append(threading.Thread(target=take, args=(name, name == "urgent")))
            threads[-1].start()
            waiting(turns, count)
        assert order == []
    for thread in threads:
        thread.join(300)
    assert order == ["urgent", "first", "second"]
    with turns.taken(is_urgent=False):
        assert turns._free == 0
    assert turns._free == 1


def test_a_turn_comes_back_from_who_fails() -> None:
    turns = Turns(1)
    for _ in range(2):
        with pytest.raises(ValueError, match="fails"), turns.taken(is_urgent=False):
            raise ValueError("fails")
    assert turns._free == 1


@pytest.fixture
def files(tmp_path: Path) -> tuple[list[bytes], list[int]]:
    paths = [tmp_path / f"{number}.txt" for number in range(20)]
    for number, path in enumerate(paths):
        path.write_bytes(b"x" * number)
    return [os.fsencode(path) for path in [*paths, tmp_path / "gone.txt"]], [*range(20), 1]


def test_workers_hash_as_this_process_does(files: tuple[list[bytes], list[int]], monkeypatch: Any) -> None:
    want = hashed(*files)
    with Pool(PoolOptions(workers=2)) as pool:
        until = time.monotonic() + 900
        # Nobody waits for the first worker: what is asked for until then is done here.
        assert pool.hasher.begin(*files)().digits == want.digits
        while not pool.is_warm:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert pool.hasher.ahead == 3
        with monkeypatch.context() as patch:
            patch.setattr("tasks.pool.hashed", lambda *_: pytest.fail("hashed in this process"))
            patch.setattr("tasks.hashing.hashed", lambda *_: pytest.fail("hashed in this process"))
            calls = [pool.hasher.begin(*files) for _ in range(5)]
            for call in calls:
                found = call()
                assert found[:2] == want[:2]
                assert {place: repr(one) for place, one in found.troubles.items()} == {
                    place: repr(one) for place, one in want.troubles.items()
                }
    with pytest.raises(TransientError):
        pool.hash(*files)


def test_what_a_worker_waits_for_while_it_hashes_is_put_off_alone(
    files: tuple[list[bytes], list[int]], monkeypatch: Any
) -> None:
    paths, sizes = files
    want, asked = hashed(paths, sizes), list[int]()
    stalled = Died(DeferReason.STALLED, "said so")

    def waits_for(*names: bytes) -> Any:
        def ask(some: list[bytes], few: list[int]) -> object:
            asked.append(len(some))
            return stalled if any(path.endswith(names) for path in some) else hashed(some, few)

        return ask

    with Pool(PoolOptions(workers=1)) as pool:
        monkeypatch.setattr("tasks.pool.hashed", lambda *_: pytest.fail("hashed in this process"))
        monkeypatch.setattr(pool, "_asked", waits_for(b"/7.txt"))
        found = pool.hash(paths, sizes)
        assert found.troubles.keys() == {7, 20}
        assert isinstance(found.troubles[7], Deferred)
        assert (found.troubles[7].reason, found.troubles[7].detail) == (DeferReason.STALLED, "said so")
        assert [found.digits[64 * n :][:64] == want.digits[64 * n :][:64] for n in range(21)] == [
            n != 7 for n in range(21)
        ]
        asked.clear()
        monkeypatch.setattr(pool, "_asked", waits_for(b".txt"))
        found = pool.hash(paths, sizes)
        assert asked == [21, 10, 11]
        assert found.troubles.keys() == set(range(21))


@pytest.mark.parametrize("is_careful", [False, True])
def test_a_careful_pool_leaves_no_hashing_to_this_process(
    files: tuple[list[bytes], list[int]], monkeypatch: Any, is_careful: bool
) -> None:
    here: list[int] = []
    monkeypatch.setattr("tasks.hashing.hashed", lambda *some: here.append(len(some[0])) or hashed(*some))
    monkeypatch.setattr(Pool, "is_warm", property(lambda _pool: False))
    with Pool(PoolOptions(workers=1), is_careful=is_careful) as pool:
        assert pool.hasher.begin(*files)().digits == hashed(*files).digits
    assert here == ([] if is_careful else [21])


def test_what_hashes_here_is_the_same_kind(files: tuple[list[bytes], list[int]]) -> None:
    assert Hasher().begin(*files)().digits == hashed(*files).digits


@pytest.mark.parametrize("name", ["random.py", "pyarrow.py", "tasks.py"])
def test_nothing_in_the_current_folder_is_run(
    files: tuple[list[bytes], list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whoever unpacks foreign files and ingests them where they lie runs none of them."""
    (tmp_path / name).write_text(f"open({str(tmp_path / 'was run')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    with Pool(PoolOptions(workers=1)) as pool:
        assert pool.hash(*files)[:2] == hashed(*files)[:2]
    assert not (tmp_path / "was run").exists()
