"""Pairs of parts that no commit names: left by a killed run, lost by the ledger, or of no worth."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from warehouse import clean, ledger, strays
from warehouse.clock import now_us
from warehouse.errors import LedgerError
from warehouse.layout import Home
from warehouse.ledger import Ledger
from warehouse.listing import lake_files
from warehouse.records import Receipt
from warehouse.strays import Stray
from warehouse.vocabulary import RunStatus

LATER = 10**18
WHOSE = {"pipeline_version": "v1", "settings_fingerprint": "s"}


def found(home: Home, book: Ledger) -> list[Stray]:
    return strays.strays(home, book, lake_files(home), ledger.namings(book))


def end(book: Ledger, status: RunStatus, run_id: str = "run-1") -> None:
    ledger.finish_run(book, run_id, status, counts={}, timings={})


def written(home: Home, receipt: Receipt, moment: int | None = None) -> Receipt:
    """Parts that were written at a moment (microseconds), now where none is given: file systems go by ticks."""
    moment = now_us() if moment is None else moment
    for part in receipt.parts:
        os.utime(home.part(part.kind, part.name), ns=(moment * 1000, moment * 1000))
    return receipt


@pytest.fixture
def pair(home: Home, make: Any) -> Callable[..., Receipt]:
    """A function that writes a pair of these contents and commits nothing."""

    def write(*contents: str, version: str = "v1") -> Receipt:
        results = [make.result(make.raw_file(f"{content}.txt", content)) for content in contents]
        return written(home, make.receipt(home, results, version=version))

    return write


class TestWhoWroteIt:
    @pytest.mark.parametrize(
        ("status", "is_unexplained"),
        [(None, False), (RunStatus.CRASHED, False), (RunStatus.FAILED, False), (RunStatus.COMPLETED, True)],
        ids=str,
    )
    def test_a_run_that_came_to_its_end_leaves_nothing(
        self, home: Home, book: Ledger, pair: Any, status: RunStatus | None, is_unexplained: bool
    ) -> None:
        pair("a")
        if status is not None:
            end(book, status)
        assert [stray.is_unexplained for stray in found(home, book)] == [is_unexplained]

    def test_it_is_the_run_of_its_time(self, home: Home, book: Ledger, begun: Any, pair: Any) -> None:
        first, second = pair("a"), pair("b")
        end(book, RunStatus.CRASHED, "run-1")
        begun(book, "run-2")
        third = pair("c")
        end(book, RunStatus.COMPLETED, "run-2")
        written(home, second, moment=1)
        unexplained = {stray.pair.name: stray.is_unexplained for stray in found(home, book)}
        assert unexplained == {first.batch_id: False, second.batch_id: True, third.batch_id: True}

    def test_a_run_that_failed_writes_nothing_behind_its_end(self, home: Home, book: Ledger, pair: Any) -> None:
        end(book, RunStatus.FAILED)
        written(home, pair("a"), now_us() + 1)
        assert [stray.is_unexplained for stray in found(home, book)] == [True]

    @pytest.mark.parametrize(("behind_us", "is_unexplained"), [(5_000, False), (50_000, True)])
    def test_the_times_of_files_go_by_ticks(
        self, home: Home, book: Ledger, pair: Any, behind_us: int, is_unexplained: bool
    ) -> None:
        (run,) = ledger.recent_runs(book, 1)
        written(home, pair("a"), run.started_at - behind_us)
        assert [stray.is_unexplained for stray in found(home, book)] == [is_unexplained]

    def test_whoever_made_the_ledger_anew_has_looked_at_it(self, home: Home, book: Ledger, pair: Any) -> None:
        end(book, RunStatus.COMPLETED)
        pair("a")
        assert [stray.is_unexplained for stray in found(home, book)] == [True]
        ledger.start_run(book, run_id="r", flow=ledger.REBUILD, orchestrator="direct", versions={}, **WHOSE)
        assert [stray.is_unexplained for stray in found(home, book)] == [False]
        end(book, RunStatus.COMPLETED, "r")
        written(home, pair("b"), now_us() + 1_000_000)
        assert sorted(stray.is_unexplained for stray in found(home, book)) == [False, True]


class TestWhatItHolds:
    @pytest.fixture(autouse=True)
    def _ended(self, book: Ledger) -> None:
        end(book, RunStatus.COMPLETED)

    def test_contents_that_a_commit_holds_are_no_loss(self, home: Home, book: Ledger, pair: Any, make: Any) -> None:
        pair("a", "b")
        for content in "ab":
            ledger.append(book, "run-1", receipt=pair(content, version="v2"))
        assert found(home, book) == []

    def test_one_content_that_no_commit_holds_is_enough(self, home: Home, book: Ledger, pair: Any, make: Any) -> None:
        pair("a", "b")
        ledger.append(book, "run-1", receipt=pair("a", version="v2"))
        (stray,) = found(home, book)
        assert (stray.contents, stray.is_unexplained) == ({make.content("b")}, True)
        assert {kind for kind, _ in stray.files} == {"documents", "files"}

    def test_a_content_of_which_the_end_is_missing_is_not_held(self, home: Home, book: Ledger, make: Any) -> None:
        ledger.append(book, "run-1", receipt=make.receipt(home, [make.cut("big", 0, 4)]))
        make.receipt(home, [make.cut("big", 5, 9, is_last=True)])
        (stray,) = found(home, book)
        assert stray.contents == {make.content("big")}

    def test_what_waits_to_be_read_is_known(self, home: Home, book: Ledger, pair: Any, make: Any) -> None:
        pair("a")
        ledger.mark_pending(book, [make.raw_file("a.txt", "a")])
        assert [stray.is_unexplained for stray in found(home, book)] == [False]
        pair("b", "a")
        assert sorted(stray.is_unexplained for stray in found(home, book)) == [False, True]

    def test_what_was_forgotten_is_no_loss(self, home: Home, book: Ledger, pair: Any, make: Any) -> None:
        pair("a")
        ledger.forget(book, "run-1", [make.content("a")], **WHOSE)
        assert found(home, book) == []

    @pytest.mark.parametrize("kind", ["documents", "files"])
    @pytest.mark.parametrize("damage", ["missing", "altered"])
    def test_a_pair_that_does_not_prove_itself_is_none(
        self, home: Home, book: Ledger, pair: Any, kind: str, damage: str
    ) -> None:
        (part,) = [part for part in pair("a").parts if part.kind == kind]
        path = home.part(kind, part.name)
        content = path.read_bytes()
        path.unlink()
        if damage == "altered":
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert found(home, book) == []

    def test_what_the_ledger_names_is_not_read(
        self, home: Home, book: Ledger, pair: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ledger.append(book, "run-1", receipt=pair("a"))
        loose, read = pair("b"), list[str]()
        of = strays.lake
        monkeypatch.setattr(strays, "lake", lambda home, files: of(home, [read.append(f.name) or f for f in files]))
        assert len(found(home, book)) == 1
        assert sorted(read) == sorted(part.name for part in loose.parts)


class TestCleaner:
    """What it makes of them, whatever their age."""

    def test_what_a_killed_run_left_stays_until_a_commit_holds_it(
        self, home: Home, sqlite_book: Ledger, pair: Any
    ) -> None:
        ledger.append(sqlite_book, "run-1", receipt=pair("a"))
        left = {(part.kind, part.name) for part in pair("b").parts}
        end(sqlite_book, RunStatus.CRASHED)
        verdict = clean.clean(home, sqlite_book, LATER)
        assert (verdict.removable, verdict.waiting) == ((), ())
        assert {(file.kind, file.name) for file in verdict.kept} == left
        assert all(home.part(*file).exists() for file in left)
        ledger.append(sqlite_book, "run-1", receipt=pair("b", version="v2"))
        verdict = clean.clean(home, sqlite_book, LATER)
        assert {(file.kind, file.name) for file in verdict.removable} == left
        assert verdict.kept == ()
        assert not any(home.part(*file).exists() for file in left)

    @pytest.mark.parametrize("is_empty", [True, False], ids=["no commit", "a commit"])
    def test_what_the_ledger_has_lost_stops_it(
        self, home: Home, sqlite_book: Ledger, pair: Any, is_empty: bool
    ) -> None:
        if not is_empty:
            ledger.append(sqlite_book, "run-1", receipt=pair("a"))
        pair("b", "c")
        end(sqlite_book, RunStatus.COMPLETED)
        home.part("files", ".tmp-killed").write_text("x")
        with pytest.raises(LedgerError, match=r"nothing of 2 contents .* nothing was removed.* --ledger"):
            clean.clean(home, sqlite_book, LATER)
        assert home.part("files", ".tmp-killed").exists()
