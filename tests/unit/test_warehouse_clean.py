"""The cleaner removes what no commit needs, after its time, and nothing else whatever it finds."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from warehouse import clean, compact, ledger
from warehouse.clean import LakeFile
from warehouse.clock import now_us
from warehouse.errors import DamagedError
from warehouse.layout import Home
from warehouse.ledger import Ledger, Naming
from warehouse.ledger.tables import COMMITS
from warehouse.records import PartReceipt

NAME = "0123456789abcdef" * 2 + "-" + "0123456789abcdef" + ".parquet"
LATER = 10**18


def file(name: str = NAME, modified_at: int = 100, kind: str = "files") -> LakeFile:
    return LakeFile(kind, name, 1, modified_at)


def naming(replaced_at: int | None, name: str = NAME, kind: str = "files") -> Naming:
    part = PartReceipt(kind=kind, name=name, sha256="", size_bytes=1, row_count=1)
    return Naming(part, replaced_at, 9)


class TestJudge:
    @pytest.mark.parametrize(
        ("named", "fate"),
        [
            ([], "removable"),
            ([naming(None)], "stays"),
            ([naming(50)], "removable"),
            ([naming(200)], "removable"),
            ([naming(201)], "waiting"),
            ([naming(50), naming(None)], "stays"),
            ([naming(None), naming(50)], "stays"),
            ([naming(50), naming(201)], "waiting"),
            ([naming(50), naming(60)], "removable"),
            ([naming(None, kind="documents")], "removable"),
            ([naming(None, name="f" + NAME[1:])], "removable"),
        ],
    )
    def test_a_file_goes_when_no_commit_needs_it(self, named: list[Naming], fate: str) -> None:
        self.check(file(), named, fate)

    @pytest.mark.parametrize(("modified_at", "fate"), [(200, "removable"), (201, "waiting"), (LATER, "waiting")])
    def test_an_orphan_is_as_old_as_its_last_change(self, modified_at: int, fate: str) -> None:
        self.check(file(modified_at=modified_at), [], fate)

    def test_a_replaced_part_is_as_old_as_what_replaced_it(self) -> None:
        self.check(file(modified_at=LATER), [naming(200)], "removable")
        self.check(file(modified_at=1), [naming(201)], "waiting")

    @pytest.mark.parametrize("name", [".tmp-abc", ".tmp-a\nb"])
    def test_a_temporary_file_is_an_orphan(self, name: str) -> None:
        self.check(file(name), [], "removable")

    @pytest.mark.parametrize(
        "name", ["README", "part.parquet", NAME + ".bak", NAME + "\n", NAME.upper(), "x" + NAME, ".tmp", NAME[:-8]]
    )
    def test_a_name_that_newsmill_does_not_give_is_somebody_elses(self, name: str) -> None:
        self.check(file(name), [], "stays")

    @staticmethod
    def check(found: LakeFile, named: list[Naming], fate: str) -> None:
        verdict = clean.judge([found], named, before=200)
        expected = {"removable": ((found,), ()), "waiting": ((), (found,)), "stays": ((), ())}[fate]
        assert (verdict.removable, verdict.waiting) == expected


Merge = Callable[[], None]


@pytest.fixture
def merge(home: Home, sqlite_book: Ledger, make: Any) -> Merge:
    """Two batches are committed; the function merges all that is there."""
    for name in "ab":
        ledger.append(
            sqlite_book, "run-1", receipt=make.receipt(home, [make.result(make.raw_file(name, name))], version="v1")
        )

    def work() -> None:
        group = compact.candidates(home, sqlite_book)
        options = compact.CompactOptions(level=1)
        compact.merge(home, sqlite_book, "run-1", group, options, pipeline_version="v1", settings_fingerprint="s")

    return work


def names(home: Home) -> set[str]:
    return {path.relative_to(home.lake).as_posix() for path in home.lake.rglob("*") if not path.is_dir()}


def standing(book: Ledger) -> set[str]:
    return {f"{part.kind}/{part.name}" for holder in ledger.holders(book) for part in holder.parts}


def test_what_counts_is_never_removed(home: Home, sqlite_book: Ledger, merge: Merge) -> None:
    before = names(home)
    assert clean.clean(home, sqlite_book, LATER).removable == ()
    assert names(home) == before == standing(sqlite_book)


def test_what_is_replaced_goes_after_its_time(home: Home, sqlite_book: Ledger, merge: Merge) -> None:
    started = now_us()
    before = names(home)
    merge()
    verdict = clean.clean(home, sqlite_book, started)
    assert (len(verdict.removable), len(verdict.waiting)) == (0, 4)
    assert names(home) == before | standing(sqlite_book)
    assert len(clean.survey(home, sqlite_book, LATER).removable) == 4
    assert names(home) == before | standing(sqlite_book), "to survey is not to remove"
    assert len(clean.clean(home, sqlite_book, LATER).removable) == 4
    assert names(home) == standing(sqlite_book)
    assert clean.clean(home, sqlite_book, LATER) == clean.Verdict((), ())


def test_orphans_go_and_what_is_not_ours_stays(home: Home, sqlite_book: Ledger, merge: Merge, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("precious")
    ours = [home.part("files", NAME), home.part("documents", ".tmp-killed")]
    others = [home.part("files", "notes.txt"), home.part("elsewhere", NAME), home.lake / NAME]
    home.part("elsewhere", "").mkdir()
    for path in (*ours, *others):
        path.write_text("x")
    home.part("documents", NAME).symlink_to(outside)
    home.part("files", "f" + NAME[1:]).mkdir()
    clean.clean(home, sqlite_book, LATER)
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in others)
    assert home.part("documents", NAME).is_symlink()
    assert outside.read_text() == "precious"


def test_the_same_batch_committed_twice_keeps_the_file_that_both_name(
    home: Home, sqlite_book: Ledger, make: Any
) -> None:
    """A replay and back: the first commit's part is replaced, the third names the same file."""
    receipts = [
        make.receipt(home, [make.result(make.raw_file("a", "a"))], version=version) for version in ("v1", "v2", "v1")
    ]
    for receipt in receipts:
        ledger.append(sqlite_book, "run-1", receipt=receipt)
    assert receipts[0].parts == receipts[2].parts
    group = [one for one in compact.candidates(home, sqlite_book) if one.holder.commit_no < 3]
    options = compact.CompactOptions(level=1)
    compact.merge(home, sqlite_book, "run-1", group, options, pipeline_version="v1", settings_fingerprint="s")
    clean.clean(home, sqlite_book, LATER)
    assert names(home) == standing(sqlite_book)
    assert {f"{part.kind}/{part.name}" for part in receipts[2].parts} < names(home)


class TestRefusal:
    """Where lake and ledger do not fit each other nothing is removed, whatever is due."""

    def test_a_part_that_counts_is_missing(self, home: Home, sqlite_book: Ledger, merge: Merge) -> None:
        home.part("files", NAME).write_text("orphan")
        (home.lake / min(standing(sqlite_book))).unlink()
        self.refused(home, sqlite_book, "missing")

    @pytest.mark.parametrize("damage", ["missing", "altered", "bytes instead"])
    def test_the_part_that_took_the_rows_over_is_not_as_it_was_written(
        self, home: Home, sqlite_book: Ledger, merge: Merge, damage: str
    ) -> None:
        merge()
        path = home.lake / min(standing(sqlite_book))
        content = path.read_bytes()
        path.unlink()
        if damage != "missing":
            path.write_bytes(content[:-1] + (b"" if damage == "bytes instead" else bytes([content[-1] ^ 1])))
        self.refused(home, sqlite_book, damage)

    def test_a_compaction_that_replaced_it_was_removed(self, home: Home, sqlite_book: Ledger, merge: Merge) -> None:
        merge()
        with sqlite_book.writing() as connection:
            connection.execute(COMMITS.delete().where(COMMITS.c.commit_no == 3))
        before = names(home)
        clean.clean(home, sqlite_book, LATER)
        assert names(home) == before

    def test_a_ledger_without_commits_says_nothing_about_a_lake(self, home: Home, sqlite_book: Ledger) -> None:
        home.part("files", "").mkdir(parents=True)
        home.part("files", NAME).write_text("another ledger's")
        assert clean.clean(home, sqlite_book, LATER) == clean.Verdict((), ())
        assert os.listdir(home.lake / "files") == [NAME]

    @staticmethod
    def refused(home: Home, book: Ledger, words: str) -> None:
        before = names(home)
        with pytest.raises(DamagedError, match=words):
            clean.clean(home, book, LATER)
        assert names(home) == before
