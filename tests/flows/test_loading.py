"""Loading beside the work: whatever the thread meets, the run ends with everything published."""

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flows import run
from flows.execution import Run
from flows.loading import Loading
from flows.summary import Progress
from tasks import direct
from warehouse import loader, memory, snapshots
from warehouse.draft import Draft
from warehouse.durable import TEMPORARY, lock
from warehouse.errors import TransientError, WarehouseBusy
from warehouse.records import Receipt

# Enough batches that the thread has begun long before the last.
SETTINGS: dict[str, Any] = {"batch_files": 4, "workers": 2}


@pytest.fixture
def drafts(monkeypatch: pytest.MonkeyPatch) -> list[Draft]:
    """The drafts that runs begin."""
    begun: list[Draft] = []
    real = loader.drafted

    @contextlib.contextmanager
    def drafted(*arguments: Any) -> Iterator[Draft]:
        with real(*arguments) as draft:
            begun.append(draft)
            yield draft

    monkeypatch.setattr(loader, "drafted", drafted)
    return begun


@pytest.fixture
def always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if publishing took no time, of which a run spends no more than a fifth on it."""
    monkeypatch.setattr(Run, "_is_due", lambda _: True)


def assert_whole(mill: Any, count: int) -> None:
    assert mill.one("SELECT count(*) FROM documents") == count
    assert mill.problems(deep=True) == []
    assert list((mill.home / "versions").glob(f"{TEMPORARY}*")) == []


def test_a_run_publishes_the_draft_that_grew_with_it(mill: Any, drafts: list[Draft]) -> None:
    mill.fill(60)
    mill.ingest(**SETTINGS)
    assert len(drafts) == 1
    assert drafts[0].commits == mill.last_commit()
    assert [number for number, _ in snapshots.numbered(mill.settings().layout)] == [1]
    assert mill.column("SELECT status FROM runs") == ["completed"]
    assert_whole(mill, 60)


@pytest.mark.usefixtures("always_due")
def test_on_the_way_it_publishes_and_begins_anew(mill: Any, drafts: list[Draft]) -> None:
    told: list[int] = []

    class Waiting(Progress):
        def committed(self, receipt: Receipt, commit_no: int) -> None:
            """Of the fifth batch on, none before the first are published."""
            deadline = time.monotonic() + 60
            while commit_no > 5 and not told:
                assert time.monotonic() < deadline
                time.sleep(0.01)

        def published(self, commit_no: int) -> None:
            told.append(commit_no)

    mill.fill(60)
    outcome = run.ingest(mill.settings(**SETTINGS), direct, [os.fsencode(mill.raw)], progress=Waiting())
    assert len(drafts) > 1
    assert told == sorted(told)
    assert told[0] <= 6
    assert told[-1] == mill.last_commit()
    assert outcome.published == str(mill.newest())
    # The last is told without a snapshot where the thread's showed the run as it ended.
    assert len(told) - snapshots.numbered(mill.settings().layout)[-1][0] in (0, 1)
    assert_whole(mill, 60)


@pytest.mark.usefixtures("always_due")
def test_a_run_without_workers_and_one_that_publishes_every_batch_need_no_draft(mill: Any, drafts: list[Draft]) -> None:
    mill.fill(12)
    mill.ingest(batch_files=4, workers=0)
    mill.fill(12, first=12)
    mill.ingest(**SETTINGS, publish_seconds=0)
    assert drafts == []
    # One after each of three batches, and one that shows how the run ended.
    assert snapshots.numbered(mill.settings().layout)[-1][0] == 8
    assert_whole(mill, 24)


def test_who_publishes_meanwhile_is_waited_for_at_the_end(mill: Any, drafts: list[Draft]) -> None:
    mill.fill(1)
    mill.ingest()
    mill.fill(30, first=1)
    with lock(mill.settings().layout.lock("loader")):
        ingest = threading.Thread(target=lambda: mill.ingest(**SETTINGS))
        ingest.start()
        deadline = time.monotonic() + 60
        # The thread has given up when all is committed; else it may begin in the moment in which the lock is let go.
        while mill.last_commit() < 8 or any(thread.name == "loading" for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert ingest.is_alive()
    ingest.join(60)
    assert drafts == []
    assert_whole(mill, 31)


def test_trouble_in_the_thread_is_told_and_costs_nothing(
    mill: Any, drafts: list[Draft], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = Draft.take

    def take(self: Draft, on_commit: Callable[[int, int], None] | None = None) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise TransientError("no space left")
        real(self, on_commit)

    monkeypatch.setattr(Draft, "take", take)
    mill.fill(30)
    with caplog.at_level(logging.WARNING):
        mill.ingest(**SETTINGS)
    assert len(drafts) == 1
    assert "at the end of the run only, since now: no space left" in caplog.text
    assert_whole(mill, 30)


def test_trouble_that_stays_fails_the_run(mill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise TransientError("no space left")

    mill.fill(30)
    with monkeypatch.context() as patch:
        patch.setattr(Draft, "take", full)
        with pytest.raises(TransientError, match="no space left"):
            mill.ingest(**SETTINGS)
    mill.ingest(**SETTINGS)
    assert_whole(mill, 30)


def test_an_interrupted_run_leaves_neither_draft_nor_lock(mill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any) -> Iterator[Any]:
        for done, result in enumerate(process(*arguments)):
            if done == 3:
                raise KeyboardInterrupt
            yield result

    process = direct.process
    mill.fill(60)
    with monkeypatch.context() as patch:
        patch.setattr(direct, "process", interrupted)
        with pytest.raises(KeyboardInterrupt):
            mill.ingest(**SETTINGS)
    assert [thread.name for thread in threading.enumerate() if thread.name == "loading"] == []
    with lock(mill.settings().layout.lock("loader"), wait=False):
        assert list((mill.home / "versions").glob(f"{TEMPORARY}*")) == []
    mill.ingest(**SETTINGS)
    assert_whole(mill, 60)


def test_a_run_that_is_killed_beside_its_draft_is_taken_up_again(mill: Any) -> None:
    mill.fill(400)
    command = mill.command("ingest", "--direct", mill.raw, "--set", "batch_files=2", "--set", "workers=2")
    process = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list((mill.home / "versions").glob(f"{TEMPORARY}*")) or mill.last_commit() < 20:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert snapshots.newest(mill.settings().layout) is None
    assert 20 <= mill.last_commit() < 200
    mill.ingest(**SETTINGS)
    assert_whole(mill, 400)


class Slow:
    """A draft that asks between its commits whether to go on."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_at_work = threading.Event()

    def take(self, on_commit: Callable[[int, int], None]) -> None:
        for _ in range(1000):
            self.is_at_work.set()
            time.sleep(0.01)
            on_commit(0, 0)
            self.asked += 1


def test_the_end_waits_for_one_commit_only() -> None:
    slow = Slow()
    loading = Loading(lambda: contextlib.nullcontext(slow), lambda _: None, lambda: False)  # type: ignore[arg-type]
    loading.committed()
    slow.is_at_work.wait()
    assert loading.end() is slow
    assert slow.asked < 1000
    loading.close()
    assert loading.end() is None


def test_libraries_are_set_aside_once_a_draft(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(memory, "set_aside_libraries", lambda: begun.append("set aside"))

    def begin() -> Any:
        begun.append("draft")
        return contextlib.nullcontext(Slow())

    loading = Loading(begin, lambda _: None, lambda: False)
    loading.committed()
    loading.committed()
    assert loading.end() is not None
    loading.close()
    assert begun == ["draft", "set aside"]


def test_nothing_committed_nothing_begun() -> None:
    def begin() -> Any:
        raise AssertionError

    loading = Loading(begin, lambda _: None, lambda: True)
    assert loading.end() is None
    loading.close()


def test_while_another_publishes_every_commit_asks_again() -> None:
    asked = threading.Semaphore(0)

    def begin() -> Any:
        asked.release()
        raise WarehouseBusy("another publishes")

    loading = Loading(begin, lambda _: None, lambda: True)
    for _ in range(3):
        loading.committed()
        assert asked.acquire(timeout=10)
    assert loading.end() is None
