"""The ledger on SQLite and on PostgreSQL: what is acknowledged, what is current, and that no change goes unseen."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from warehouse import ledger
from warehouse.layout import Home
from warehouse.ledger import Ledger
from warehouse.ledger.tables import COMMITS, METADATA, PARTS, RUNS, SIGHTINGS, SPANS, STAMPS
from warehouse.vocabulary import CommitKind, DeferReason, FileStatus, Reason, RunStatus

OpenBook = Callable[..., Ledger]
ROWS_OF_A_COMMIT = {"parts": PARTS, "spans": SPANS, "sightings": SIGHTINGS}
# What tells the rows of one commit apart.
KEYS = {"commits": "commit_no", "parts": "kind", "spans": "file_id", "sightings": "sighting_no"}


def known_files(book: Ledger, root: str) -> dict[str, ledger.Known]:
    return ledger.known_files(book, root, [row[0] for page in ledger.remembered(book, root) for row in page])


def execute(book: Ledger, statement: sa.Executable) -> None:
    with book.writing() as connection:
        connection.execute(statement)


def commit(book: Ledger, make: Any, *names: str, **versions: str) -> int | None:
    """One batch with a file for each name, whose content is the name."""
    results = [make.result(make.raw_file(f"{name}.txt", name)) for name in names]
    return ledger.append(book, "run-1", receipt=make.paper_receipt(results, **versions))


def current_spans(book: Ledger, file_id: str) -> list[tuple[int, int, bool]]:
    query = sa.select(SPANS.c.first_ordinal, SPANS.c.last_ordinal, SPANS.c.is_last).where(
        SPANS.c.file_id == file_id, SPANS.c.retired_by.is_(None)
    )
    with book.reading() as connection:
        return sorted(tuple(row) for row in connection.execute(query))


def cut(book: Ledger, make: Any, first: int, last: int, *, is_last: bool = False, version: str = "v1") -> int | None:
    return ledger.append(
        book, "run-1", receipt=make.paper_receipt([make.cut("big", first, last, is_last=is_last)], version=version)
    )


class TestNumbers:
    def test_commits_are_numbered_from_one_without_gaps(self, book: Ledger, make: Any) -> None:
        assert ledger.last_commit(book) == (0, "0" * 64)
        assert [commit(book, make, name) for name in "abc"] == [1, 2, 3]
        assert ledger.append(book, "run-1", sightings=[make.refusal("link")]) == 4
        assert [one.commit_no for one in ledger.commits_above(book, 0)] == [1, 2, 3, 4]
        assert [one.commit_no for one in ledger.commits_above(book, 2)] == [3, 4]
        assert ledger.last_commit(book) == (4, ledger.commits_above(book, 3)[0].commit_hash)

    def test_no_number_is_lost_to_what_is_no_news(self, book: Ledger, make: Any) -> None:
        ledger.append(book, "run-1", sightings=[make.deferral("x.txt")])
        assert ledger.append(book, "run-1", sightings=[make.deferral("x.txt")]) is None
        assert ledger.append(book, "run-1", sightings=[]) is None
        assert commit(book, make, "b") == 2

    def test_a_commit_that_fails_leaves_nothing(self, book: Ledger, make: Any) -> None:
        commit(book, make, "a")
        before = ledger.last_commit(book)
        broken = make.sighting(make.raw_file("b.txt", "b"), source=None)
        with pytest.raises(sa.exc.IntegrityError):
            ledger.append(book, "run-1", sightings=[make.refusal("link"), broken])
        assert ledger.last_commit(book) == before
        assert set(known_files(book, "inbox")) == {"a.txt"}
        assert list(ledger.chain_problems(book)) == []
        assert commit(book, make, "c") == 2

    def test_writers_at_the_same_moment_are_put_in_order(self, book: Ledger, open_book: OpenBook, make: Any) -> None:
        books = [book, open_book(), open_book()]
        found: list[int | None] = []

        def _append(which: int) -> None:
            found.extend(commit(books[which], make, f"{which}-{n}") for n in range(5))

        threads = [threading.Thread(target=_append, args=[which]) for which in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == list(range(1, 16))
        assert list(ledger.chain_problems(book)) == []

    def test_a_commit_names_its_parts(self, book: Ledger, make: Any) -> None:
        receipt = make.paper_receipt([make.result(make.raw_file())])
        ledger.append(book, "run-1", receipt=receipt)
        ledger.append(book, "run-1", sightings=[make.refusal("link")])
        batch, sightings = ledger.commits_above(book, 0)
        assert (batch.kind, batch.batch_id, batch.parts) == (CommitKind.BATCH, receipt.batch_id, receipt.parts)
        assert (sightings.kind, sightings.batch_id, sightings.parts) == (CommitKind.SIGHTINGS, None, ())
        assert batch.run_id == "run-1"


class TestChain:
    def fill(self, book: Ledger, make: Any) -> None:
        """Four commits with everything in them."""
        commit(book, make, "a", "b")
        ledger.append(
            book, "run-1", receipt=make.paper_receipt([
                make.result(make.raw_file("c.txt", "c")), make.result(make.raw_file("d.txt", "d"), [], [make.reject()])
            ])
        )  # fmt: skip
        ledger.append(
            book, "run-1",
            sightings=[make.refusal("link"), make.deferral("x.txt"),
                       make.sighting(make.raw_file("e.txt", "a"), FileStatus.DUPLICATE)],
            pipeline_version="v1", settings_fingerprint="s",
        )  # fmt: skip
        commit(book, make, "f")

    def test_equal_content_has_equal_hashes_in_every_home(self, open_book: OpenBook, begun: Any, make: Any) -> None:
        one, other = open_book("one"), open_book("other")
        for number, book in enumerate((one, other)):
            # Who ran it and when is no content.
            begun(book, "run-1")
            begun(book, f"another-{number}")
            self.fill(book, make)
        hashes = [[found.commit_hash for found in ledger.commits_above(book, 0)] for book in (one, other)]
        assert hashes[0] == hashes[1]
        assert len(set(hashes[0])) == 4

    def test_runs_and_times_are_no_content(self, open_book: OpenBook, make: Any) -> None:
        one, other = open_book("one"), open_book("other")
        receipt = make.paper_receipt([make.result(make.raw_file())])
        ledger.append(one, "this-run", receipt=receipt)
        ledger.append(other, "that-run", receipt=receipt)
        execute(other, COMMITS.update().values(committed_at=1))
        assert ledger.last_commit(one) == ledger.last_commit(other)

    def test_both_databases_agree_on_the_hashes(
        self, sqlite_book: Ledger, new_database: Callable[[], str], tmp_path: Path, make: Any
    ) -> None:
        other = ledger.open_ledger(Home(tmp_path / "other"), new_database(), create=True)
        try:
            self.fill(sqlite_book, make)
            self.fill(other, make)
            assert ledger.last_commit(sqlite_book) == ledger.last_commit(other)
            assert list(ledger.chain_problems(other)) == []
        finally:
            other.close()

    def test_a_whole_chain_has_no_problems(self, book: Ledger, make: Any) -> None:
        assert list(ledger.chain_problems(book)) == []
        self.fill(book, make)
        assert list(ledger.chain_problems(book)) == []

    @pytest.mark.parametrize(
        ("table", "column", "value"),
        [
            (COMMITS, "commit_hash", "f" * 64),
            (COMMITS, "kind", "sightings"),
            (COMMITS, "batch_id", "f" * 32),
            (COMMITS, "pipeline_version", "v9"),
            (COMMITS, "settings_fingerprint", "s9"),
            (PARTS, "name", "another.parquet"),
            (PARTS, "sha256", "f" * 64),
            (PARTS, "size_bytes", 10),
            (PARTS, "row_count", 2),
            (SPANS, "file_id", "f" * 64),
            (SPANS, "last_ordinal", 1),
            (SPANS, "is_last", False),
            (SPANS, "encoding", "cp1252"),
            (SPANS, "encoding_confidence", 0.5),
            (SPANS, "document_count", 2),
            (SPANS, "reject_count", 3),
            (SPANS, "paragraph_count", 4),
            (SPANS, "segment_count", 5),
            (SIGHTINGS, "root_id", 9),
            (SIGHTINGS, "uri", "another.txt"),
            (SIGHTINGS, "source", "another"),
            (SIGHTINGS, "file_id", "f" * 64),
            (SIGHTINGS, "status", "deferred"),
            (SIGHTINGS, "stage", "normalise"),
            (SIGHTINGS, "reason", "binary"),
            (SIGHTINGS, "detail", "another"),
            (SIGHTINGS, "size_bytes", 8),
            (SIGHTINGS, "modified_ns", 8),
            (SIGHTINGS, "is_revisit", True),
        ],
        ids=lambda value: getattr(value, "name", None) or str(value)[:20],
    )
    def test_a_changed_row_names_its_commit(
        self, sqlite_book: Ledger, make: Any, table: sa.Table, column: str, value: Any
    ) -> None:
        self.fill(sqlite_book, make)
        key = table.c[KEYS[table.name]]
        with sqlite_book.reading() as connection:
            one = connection.scalar(sa.select(sa.func.min(key)).where(table.c.commit_no == 2))
        execute(sqlite_book, table.update().where(table.c.commit_no == 2, key == one).values({column: value}))
        problems = [
            problem for problem in ledger.chain_problems(sqlite_book) if problem.startswith("ledger: commit 2 ")
        ]
        assert problems, list(ledger.chain_problems(sqlite_book))

    @pytest.mark.parametrize("name", ROWS_OF_A_COMMIT)
    def test_a_removed_row_names_its_commit(self, book: Ledger, make: Any, name: str) -> None:
        table = ROWS_OF_A_COMMIT[name]
        self.fill(book, make)
        key = table.c[KEYS[name]]
        with book.reading() as connection:
            one = connection.scalar(sa.select(sa.func.max(key)).where(table.c.commit_no == 2))
        execute(book, table.delete().where(table.c.commit_no == 2, key == one))
        assert any(problem.startswith("ledger: commit 2 ") for problem in ledger.chain_problems(book))

    @pytest.mark.parametrize("name", ROWS_OF_A_COMMIT)
    def test_an_added_row_names_its_commit(self, book: Ledger, make: Any, name: str) -> None:
        table = ROWS_OF_A_COMMIT[name]
        self.fill(book, make)
        with book.reading() as connection:
            row = dict(connection.execute(table.select().where(table.c.commit_no == 2)).mappings().first() or {})
        key = {"parts": {"kind": "zzz"}, "spans": {"file_id": "9" * 64}, "sightings": {"sighting_no": 99}}[name]
        execute(book, table.insert().values({**row, **key}))
        assert any(problem.startswith("ledger: commit 2 ") for problem in ledger.chain_problems(book))

    def test_a_commit_that_is_missing_in_the_middle_is_named(self, book: Ledger, make: Any) -> None:
        self.fill(book, make)
        for table in (COMMITS, *ROWS_OF_A_COMMIT.values()):
            execute(book, table.delete().where(table.c.commit_no == 2))
        assert "ledger: commit 2 is missing" in list(ledger.chain_problems(book))

    @pytest.mark.parametrize("number", [1, 2, 4])
    def test_rows_of_a_commit_that_is_not_there_are_named(self, book: Ledger, make: Any, number: int) -> None:
        """Also behind the last commit, where no gap tells: the next commit would collide with them."""
        self.fill(book, make)
        execute(book, COMMITS.delete().where(COMMITS.c.commit_no == number))
        assert any(f"commit {number}" in problem for problem in ledger.chain_problems(book))

    def test_two_commits_that_changed_places_are_named(self, book: Ledger, make: Any) -> None:
        self.fill(book, make)
        for old, new in ((1, 9), (2, 1), (9, 2)):
            for table in (COMMITS, *ROWS_OF_A_COMMIT.values()):
                execute(book, table.update().where(table.c.commit_no == old).values(commit_no=new))
        problems = list(ledger.chain_problems(book))
        assert any(problem.startswith("ledger: commit 1 ") for problem in problems)

    def test_a_retired_span_is_no_change_of_its_commit(self, book: Ledger, make: Any) -> None:
        commit(book, make, "a", version="v1")
        commit(book, make, "a", version="v2")
        assert list(ledger.chain_problems(book)) == []

    def test_a_current_span_that_was_retired_by_hand_is_named(self, book: Ledger, make: Any) -> None:
        self.fill(book, make)
        execute(book, SPANS.update().where(SPANS.c.file_id == make.content("a")).values(retired_by=2))
        assert any(make.content("a") in problem for problem in ledger.chain_problems(book))


class TestNews:
    def test_a_file_that_stays_unreadable_is_committed_once(self, book: Ledger, make: Any) -> None:
        assert ledger.append(book, "run-1", sightings=[make.deferral("a.txt")]) == 1
        assert ledger.append(book, "run-1", sightings=[make.deferral("a.txt")]) is None
        assert ledger.append(book, "run-1", sightings=[make.deferral("a.txt", detail="in other words")]) is None

    def test_another_reason_is_news(self, book: Ledger, make: Any) -> None:
        ledger.append(book, "run-1", sightings=[make.deferral("a.txt")])
        assert ledger.append(book, "run-1", sightings=[make.deferral("a.txt", DeferReason.CHANGING)]) == 2
        assert ledger.append(book, "run-1", sightings=[make.deferral("a.txt")]) == 3

    def test_unreadable_again_after_it_was_read_is_news(self, book: Ledger, make: Any) -> None:
        ledger.append(book, "run-1", sightings=[make.deferral("a.txt")])
        commit(book, make, "a")
        assert ledger.append(book, "run-1", sightings=[make.deferral("a.txt")]) == 3

    def test_a_worker_that_is_killed_again_is_counted(self, book: Ledger, make: Any) -> None:
        for count in (1, 2, 3):
            assert ledger.append(book, "run-1", sightings=[make.deferral("a.txt", DeferReason.KILLED)]) == count
        ledger.append(book, "run-1", sightings=[make.deferral("a.txt", stamp=make.stamp(size_bytes=8))])
        ledger.append(book, "run-1", sightings=[make.deferral("b.txt", DeferReason.KILLED)])
        stamp = make.stamp()
        killed = ("killed", stamp.size_bytes, stamp.mtime_ns)
        assert ledger.deferrals(book, "inbox", ["a.txt", "b.txt", "c.txt"]) == {
            "a.txt": [killed, killed, killed, ("permission", 8, stamp.mtime_ns)],
            "b.txt": [killed],
        }
        assert ledger.deferrals(book, "/srv/news", ["a.txt"]) == {}
        assert list(ledger.chain_problems(book)) == []

    @pytest.mark.parametrize("is_refused", [True, False])
    def test_what_came_of_a_path_ends_its_deferrals(self, book: Ledger, make: Any, is_refused: bool) -> None:
        ledger.append(book, "run-1", sightings=[make.deferral("a.txt", DeferReason.KILLED)])
        if is_refused:
            ledger.append(book, "run-1", sightings=[make.refusal("a.txt", Reason.CRASH)])
        else:
            commit(book, make, "a")
        assert ledger.deferrals(book, "inbox", ["a.txt"]) == {}
        ledger.append(book, "run-1", sightings=[make.deferral("a.txt", DeferReason.KILLED)])
        assert len(ledger.deferrals(book, "inbox", ["a.txt"])["a.txt"]) == 1

    def test_whether_something_is_put_off_for_a_reason(self, book: Ledger, make: Any) -> None:
        reasons = (DeferReason.KILLED, DeferReason.STALLED)
        ledger.append(book, "run-1", sightings=[make.deferral("b.txt")])
        assert not ledger.has_put_off(book, reasons)
        ledger.append(book, "run-1", sightings=[make.deferral("a.txt", DeferReason.STALLED)])
        assert ledger.has_put_off(book, reasons)
        # So it is left by a run that died while it read it.
        ledger.mark_pending(book, [make.raw_file("a.txt", "a")])
        assert ledger.has_put_off(book, reasons)
        commit(book, make, "a")
        assert not ledger.has_put_off(book, reasons)

    def test_one_path_that_stays_unreadable_does_not_hide_another(self, book: Ledger, make: Any) -> None:
        ledger.append(book, "run-1", sightings=[make.deferral("a.txt")])
        assert ledger.append(book, "run-1", sightings=[make.deferral("a.txt"), make.deferral("b.txt")]) == 2
        assert [row.uri for row in ledger.load_rows(book, 2).sightings] == ["b.txt"]

    def test_the_same_uri_below_another_root_is_another_path(self, book: Ledger, make: Any) -> None:
        ledger.append(book, "run-1", sightings=[make.deferral("a.txt")])
        assert ledger.append(book, "run-1", sightings=[make.deferral("a.txt", root="/srv/news")]) == 2

    def test_a_stamp_is_renewed_though_there_is_no_news(self, book: Ledger, make: Any) -> None:
        ledger.append(book, "run-1", sightings=[make.deferral("a.txt")])
        ledger.append(book, "run-1", sightings=[make.deferral("a.txt", stamp=make.stamp(inode=99))])
        assert known_files(book, "inbox")["a.txt"].stamp.inode == 99

    def test_a_batch_that_is_committed_again_replaces_itself(self, book: Ledger, make: Any) -> None:
        assert commit(book, make, "a", "b") == 1
        assert commit(book, make, "a", "b") == 2
        assert current_spans(book, make.content("a")) == [(0, 0, True)]
        assert list(ledger.chain_problems(book)) == []

    def test_what_stays_refused_unread_is_committed_once(self, book: Ledger, make: Any) -> None:
        assert ledger.append(book, "run-1", sightings=[make.refusal("link")]) == 1
        assert ledger.append(book, "run-1", sightings=[make.refusal("link")]) is None
        assert ledger.append(book, "run-1", sightings=[make.refusal("link", Reason.NOT_REGULAR)]) == 2

    def test_a_version_that_comes_back_is_a_commit(self, book: Ledger, make: Any) -> None:
        """The batch is known, but its rows are not the current ones."""
        assert commit(book, make, "a", version="v1") == 1
        assert commit(book, make, "a", version="v2") == 2
        assert commit(book, make, "a", version="v1") == 3
        assert ledger.stale_contents(book, "v1", "5" * 16) == []

    def test_a_batch_of_which_nothing_could_be_read_has_no_parts(
        self, book: Ledger, make: Any, replaced: Callable[..., Any]
    ) -> None:
        empty = replaced(make.paper_receipt([]), parts=(), sightings=(make.deferral("a.txt"),))
        assert ledger.append(book, "run-1", receipt=empty) == 1
        assert ledger.commits_above(book, 0)[0].kind is CommitKind.SIGHTINGS
        nothing = replaced(empty, sightings=())
        assert ledger.append(book, "run-1", receipt=nothing) is None


class TestCuts:
    """For each (file_id, first ordinal) one current batch; other rows do not exist."""

    def test_cuts_follow_each_other(self, book: Ledger, make: Any) -> None:
        big = make.content("big")
        cut(book, make, 0, 9)
        assert ledger.finished_contents(book, [big]) == set()
        assert ledger.held_contents(book, [big])[1] == {big: 10}
        assert ledger.unfinished_contents(book) == [big]
        cut(book, make, 10, 19, is_last=True)
        assert ledger.finished_contents(book, [big]) == {big}
        assert ledger.held_contents(book, [big])[1] == {}
        assert ledger.unfinished_contents(book) == []
        assert current_spans(book, big) == [(0, 9, False), (10, 19, True)]
        assert list(ledger.chain_problems(book)) == []

    def test_another_cutting_replaces_the_older_one(self, book: Ledger, make: Any) -> None:
        big = make.content("big")
        cut(book, make, 0, 9)
        cut(book, make, 10, 19, is_last=True)
        cut(book, make, 0, 14, version="v2")
        assert current_spans(book, big) == [(0, 14, False)]
        assert ledger.finished_contents(book, [big]) == set()
        assert ledger.held_contents(book, [big])[1] == {big: 15}
        cut(book, make, 15, 19, is_last=True, version="v2")
        assert current_spans(book, big) == [(0, 14, False), (15, 19, True)]
        assert ledger.finished_contents(book, [big]) == {big}
        assert list(ledger.chain_problems(book)) == []

    def test_retired_spans_are_told_to_the_loader(self, book: Ledger, make: Any) -> None:
        cut(book, make, 0, 9)
        cut(book, make, 10, 19, is_last=True)
        cut(book, make, 0, 14, version="v2")
        retired = ledger.load_rows(book, 3).retired
        assert sorted((span.first_ordinal, span.last_ordinal) for span in retired) == [(0, 9), (10, 19)]
        assert [span.retired_by for span in ledger.load_rows(book, 1).spans] == [3]
        cut(book, make, 15, 19, is_last=True, version="v2")
        assert ledger.load_rows(book, 4).retired == []

    def test_a_shorter_cutting_leaves_nothing_behind_its_last_cut(self, book: Ledger, make: Any) -> None:
        """The new version finds fewer records: what the old one found behind them is gone."""
        big = make.content("big")
        cut(book, make, 0, 9)
        cut(book, make, 10, 19)
        cut(book, make, 20, 29, is_last=True)
        cut(book, make, 0, 11, is_last=True, version="v2")
        assert current_spans(book, big) == [(0, 11, True)]
        assert ledger.finished_contents(book, [big]) == {big}

    def test_a_cut_replaces_what_it_covers_and_nothing_behind_it(self, book: Ledger, make: Any) -> None:
        """Until the next cut of the new version is committed, the rows behind this one stay those of the old."""
        big = make.content("big")
        cut(book, make, 0, 9)
        cut(book, make, 10, 19, is_last=True)
        cut(book, make, 0, 9, version="v2")
        assert current_spans(book, big) == [(0, 9, False), (10, 19, True)]
        assert [(s.first_ordinal, s.last_ordinal) for s in ledger.load_rows(book, 3).retired] == [(0, 9)]
        assert ledger.stale_contents(book, "v2", "5" * 16) == [big]
        cut(book, make, 10, 19, is_last=True, version="v2")
        assert ledger.stale_contents(book, "v2", "5" * 16) == []

    def test_a_content_with_a_hole_is_not_finished(self, book: Ledger, make: Any) -> None:
        """A replay that was killed behind its first, smaller cut: the content stays pending until its last."""
        big = make.content("big")
        cut(book, make, 0, 9)
        cut(book, make, 10, 19, is_last=True)
        cut(book, make, 0, 4, version="v2")
        assert ledger.finished_contents(book, [big]) == set()
        assert ledger.held_contents(book, [big])[1] == {big: 5}

    def test_a_file_that_is_read_again_in_part_counts_as_pending(self, book: Ledger, make: Any) -> None:
        """Else its stamp says that it is settled, and no run ever takes it up again."""
        cut(book, make, 0, 9)
        cut(book, make, 10, 19, is_last=True)
        assert known_files(book, "inbox")["big.txt"].state == "settled"
        cut(book, make, 0, 14, version="v2")
        assert known_files(book, "inbox")["big.txt"].state != "settled"

    def test_other_contents_are_left_alone(self, book: Ledger, make: Any) -> None:
        commit(book, make, "a", "b", version="v1")
        commit(book, make, "b", "c", version="v2")
        for name in "abc":
            assert current_spans(book, make.content(name)) == [(0, 0, True)]
        assert [span.file_id for span in ledger.load_rows(book, 2).retired] == [make.content("b")]

    def test_more_contents_than_a_statement_takes(self, book: Ledger, make: Any) -> None:
        names = [str(n) for n in range(1_001)]
        commit(book, make, *names)
        contents = {make.content(name) for name in names}
        assert ledger.finished_contents(book, [*contents, "0" * 64]) == contents
        assert len(ledger.places(book, contents)) == len(names)
        commit(book, make, *names, version="v2")
        assert len(ledger.load_rows(book, 2).retired) == len(names)
        assert ledger.held_contents(book, contents)[1] == {}


class TestQuestions:
    def test_stale_is_what_another_version_or_other_settings_made(self, book: Ledger, make: Any) -> None:
        commit(book, make, "a", version="v1", settings="s1")
        commit(book, make, "b", version="v2", settings="s1")
        commit(book, make, "c", version="v1", settings="s2")
        assert ledger.stale_contents(book, "v1", "s1") == sorted([make.content("b"), make.content("c")])
        commit(book, make, "b", version="v1", settings="s1")
        assert ledger.stale_contents(book, "v1", "s1") == [make.content("c")]
        assert len(ledger.stale_contents(book, "v9", "s1")) == 3

    def test_places_in_the_order_of_the_first_sightings(self, book: Ledger, make: Any) -> None:
        commit(book, make, "a")
        ledger.append(book, "run-1", sightings=[make.sighting(make.raw_file("0.txt", "a"), FileStatus.DUPLICATE)])
        ledger.append(
            book, "run-1", sightings=[make.sighting(make.raw_file("a.txt", "a", root="/srv"), FileStatus.DUPLICATE)]
        )
        found = ledger.places(book, [make.content("a")])
        assert [(place.root, place.uri, place.status) for place in found] == [
            ("inbox", "a.txt", FileStatus.INGESTED),
            ("inbox", "0.txt", FileStatus.DUPLICATE),
            ("/srv", "a.txt", FileStatus.DUPLICATE),
        ]
        assert all(place.is_newest for place in found)

    def test_a_place_that_has_another_content_now_is_not_the_newest(self, book: Ledger, make: Any) -> None:
        commit(book, make, "a")
        changed = make.result(make.raw_file("a.txt", "b"))
        ledger.append(book, "run-1", receipt=make.paper_receipt([changed]))
        (old,), (new,) = (ledger.places(book, [make.content(name)]) for name in "ab")
        assert (old.is_newest, new.is_newest) == (False, True)
        ledger.append(book, "run-1", sightings=[make.sighting(make.raw_file("a.txt", "a"))])
        (old,), (new,) = (ledger.places(book, [make.content(name)]) for name in "ab")
        assert (old.is_newest, new.is_newest) == (True, False)

    def test_a_place_that_cannot_be_read_now_keeps_its_content(self, book: Ledger, make: Any) -> None:
        commit(book, make, "a")
        ledger.append(book, "run-1", sightings=[make.deferral("a.txt")])
        (place,) = ledger.places(book, [make.content("a")])
        assert place.is_newest

    def test_a_person_names_contents_by_beginning_or_uri(self, book: Ledger, make: Any) -> None:
        commit(book, make, "a", "b")
        a, b = make.content("a"), make.content("b")
        assert ledger.file_ids_like(book, [a]) == [a]
        assert ledger.file_ids_like(book, [a[:8]]) == [a]
        assert ledger.file_ids_like(book, ["b.txt"]) == [b]
        assert ledger.file_ids_like(book, [a[:8], "b.txt", "a.txt"]) == sorted([a, b])
        # Too short to mean one, and a pattern means nothing.
        assert ledger.file_ids_like(book, [a[:7]]) == []
        assert ledger.file_ids_like(book, ["%", "________", a[:7] + "%", "_.txt"]) == []
        assert ledger.file_ids_like(book, []) == []

    def test_what_is_remembered_comes_in_the_order_of_bytes(
        self, book: Ledger, make: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A walk goes in that order; across pages, too."""
        monkeypatch.setattr("warehouse.ledger.queries._PAGE", 2)
        uris = ["a/b.txt", "%C3%A4.txt", "a.txt", "B.txt", "a/", "b-a.txt", "b/a.txt"]
        ledger.mark_pending(book, [make.raw_file(uri) for uri in uris])
        pages = list(ledger.remembered(book, "inbox"))
        assert [len(page) for page in pages] == [2, 2, 2, 1]
        assert [row[0] for page in pages for row in page] == sorted(uris)
        assert [row[0] for page in ledger.remembered(book, "inbox", "a") for row in page] == ["a/", "a/b.txt"]

    def test_what_waits_has_no_inode_that_a_file_could_have(self, book: Ledger, make: Any) -> None:
        commit(book, make, "a")
        ledger.mark_pending(book, [make.raw_file("b.txt", "b")])
        ledger.append(book, "run-1", sightings=[make.deferral("c.txt")])
        stamp = tuple(make.stamp())
        (page,) = ledger.remembered(book, "inbox")
        assert page == [("a.txt", *stamp), ("b.txt", *stamp[:3], None), ("c.txt", *stamp[:3], None)]

    def test_known_files_are_those_of_the_root(self, book: Ledger, make: Any) -> None:
        commit(book, make, "a")
        ledger.append(book, "run-1", sightings=[make.deferral("a.txt", root="/srv")])
        assert set(known_files(book, "inbox")) == {"a.txt"}
        assert known_files(book, "inbox")["a.txt"].file_id == make.content("a")
        assert known_files(book, "/srv")["a.txt"].state == "deferred"
        assert known_files(book, "/nowhere") == {}
        assert ledger.known_roots(book) == ["/srv", "inbox"]

    def test_counts_of_a_batch_are_those_of_its_current_spans(self, book: Ledger, make: Any) -> None:
        one = make.paper_receipt([make.result(make.raw_file(f"{n}.txt", n)) for n in "ab"])
        ledger.append(book, "run-1", receipt=one)
        assert ledger.batch_counts(book) == {one.batch_id: {"documents": 2, "paragraphs": 2, "segments": 4}}
        two = make.paper_receipt([make.result(make.raw_file("b.txt", "b"))], version="v2")
        ledger.append(book, "run-1", receipt=two)
        assert ledger.batch_counts(book) == {
            batch: {"documents": 1, "paragraphs": 1, "segments": 2} for batch in (one.batch_id, two.batch_id)
        }

    def test_sightings_carry_the_counts_of_their_content(self, book: Ledger, make: Any) -> None:
        whole = make.result(make.raw_file(), [make.document(), make.document(ordinal=1)], [make.reject(2)])
        ledger.append(book, "run-1", receipt=make.paper_receipt([whole]))
        (row,) = ledger.load_rows(book, 1).sightings
        assert (row.location, row.encoding, row.encoding_confidence) == ("inbox", "utf-8", 1.0)
        assert (int(row.document_count), int(row.reject_count)) == (2, 1)


class TestConservation:
    def test_every_path_is_in_exactly_one_state(self, book: Ledger, make: Any) -> None:
        ledger.mark_pending(book, [make.raw_file(f"{name}.txt", name) for name in "abpq"])
        assert (ledger.conservation(book).pending, ledger.conservation(book).discovered) == (4, 4)
        commit(book, make, "a", "b")
        ledger.append(
            book, "run-1",
            sightings=[make.refusal("link"), make.deferral("x.txt"), make.deferral("y.txt"),
                       make.sighting(make.raw_file("d.txt", "a"), FileStatus.DUPLICATE)],
        )  # fmt: skip
        rejected = make.result(make.raw_file("r.txt", "r"), [], [make.reject()])
        ledger.append(book, "run-1", receipt=make.paper_receipt([rejected]))
        found = ledger.conservation(book)
        assert found.holds
        assert (found.discovered, found.ingested, found.duplicate, found.rejected, found.deferred, found.pending) == (
            9, 2, 1, 2, 2, 2,
        )  # fmt: skip

    def test_a_path_is_counted_at_its_newest_sighting(self, book: Ledger, make: Any) -> None:
        ledger.append(book, "run-1", sightings=[make.deferral("a.txt")])
        commit(book, make, "a")
        assert (ledger.conservation(book).discovered, ledger.conservation(book).ingested) == (1, 1)
        ledger.append(book, "run-1", sightings=[make.deferral("a.txt")])
        assert (ledger.conservation(book).discovered, ledger.conservation(book).deferred) == (1, 1)

    def test_a_changed_file_is_pending_until_it_is_settled(self, book: Ledger, make: Any) -> None:
        commit(book, make, "a")
        ledger.mark_pending(book, [make.raw_file("a.txt", "new")])
        found = ledger.conservation(book)
        assert (found.holds, found.discovered, found.pending, found.ingested) == (True, 1, 1, 0)

    def test_a_settled_path_that_no_commit_names_does_not_hold(self, book: Ledger, make: Any) -> None:
        commit(book, make, "a")
        ledger.restamp(book, [make.raw_file("lost.txt", "a")])
        assert not ledger.conservation(book).holds
        assert any("lost.txt" in problem for problem in ledger.chain_problems(book))

    def test_a_content_that_is_settled_but_unfinished_is_named(self, book: Ledger, make: Any) -> None:
        cut(book, make, 0, 9)
        ledger.append(book, "run-1", sightings=[make.sighting(make.raw_file("big.txt", "big"))])
        assert any("big.txt" in problem for problem in ledger.chain_problems(book))

    def test_records_that_are_neither_document_nor_reject_are_named(
        self, book: Ledger, make: Any, replaced: Callable[..., Any]
    ) -> None:
        lost = replaced(make.result(make.raw_file()), record_count=2)
        ledger.append(book, "run-1", receipt=make.paper_receipt([lost]))
        assert any("2 records" in problem and "1 documents" in problem for problem in ledger.chain_problems(book))

    def test_a_hole_between_cuts_is_named(self, book: Ledger, make: Any) -> None:
        cut(book, make, 0, 4)
        cut(book, make, 7, 9, is_last=True)
        assert any("from 5 to 6" in problem for problem in ledger.chain_problems(book))

    def test_a_content_that_does_not_begin_with_its_first_record_is_named(self, book: Ledger, make: Any) -> None:
        cut(book, make, 3, 9, is_last=True)
        assert any("from 0 to 2" in problem for problem in ledger.chain_problems(book))


class TestStamps:
    def test_pending_is_settled_by_its_commit(self, book: Ledger, make: Any) -> None:
        ledger.mark_pending(book, [make.raw_file("a.txt", "a")])
        assert known_files(book, "inbox")["a.txt"].state == "pending"
        commit(book, make, "a")
        assert known_files(book, "inbox")["a.txt"].state == "settled"

    def test_restamping_keeps_the_content(self, book: Ledger, make: Any) -> None:
        commit(book, make, "a")
        ledger.restamp(book, [make.raw_file("a.txt", "a", stamp=make.stamp(mtime_ns=99))])
        known = known_files(book, "inbox")["a.txt"]
        assert (known.state, known.stamp.mtime_ns, known.file_id) == ("settled", 99, make.content("a"))
        assert ledger.last_commit(book)[0] == 1

    def test_only_what_waited_is_gone(self, book: Ledger, make: Any) -> None:
        """Deleting a raw file that was read changes nothing; one that was only found leaves no trace."""
        commit(book, make, "a")
        ledger.mark_pending(book, [make.raw_file("b.txt", "b")])
        gone = [("inbox", "a.txt"), ("inbox", "b.txt"), ("inbox", "c.txt"), ("/srv", "a.txt")]
        assert ledger.append(book, "run-1", gone=gone) is None
        assert set(known_files(book, "inbox")) == {"a.txt"}
        assert known_files(book, "inbox")["a.txt"].stamp == make.stamp()
        assert ledger.conservation(book).discovered == 1

    def test_a_deferred_path_that_is_gone_is_no_longer_deferred(self, book: Ledger, make: Any) -> None:
        ledger.append(book, "run-1", sightings=[make.deferral("a.txt"), make.deferral("b.txt")])
        assert ledger.append(book, "run-1", gone=[("inbox", "a.txt")]) == 2
        assert ledger.append(book, "run-1", gone=[("inbox", "a.txt")]) is None
        assert (ledger.conservation(book).deferred, ledger.conservation(book).discovered) == (1, 1)
        assert list(ledger.chain_problems(book)) == []

    def test_a_path_that_comes_back_is_new_again(self, book: Ledger, make: Any) -> None:
        ledger.append(book, "run-1", sightings=[make.deferral("a.txt")])
        ledger.append(book, "run-1", gone=[("inbox", "a.txt")])
        assert ledger.append(book, "run-1", sightings=[make.deferral("a.txt")]) == 3
        assert ledger.conservation(book).deferred == 1

    def test_a_known_content_stays_when_its_unreadable_path_is_gone(self, book: Ledger, make: Any) -> None:
        """Read, then unreadable, then deleted: as if it had been deleted at once."""
        commit(book, make, "a")
        ledger.append(book, "run-1", sightings=[make.deferral("a.txt")])
        ledger.append(book, "run-1", gone=[("inbox", "a.txt")])
        found = ledger.conservation(book)
        assert (found.discovered, found.ingested, found.deferred) == (1, 1, 0)
        assert list(ledger.chain_problems(book)) == []
        known = known_files(book, "inbox")["a.txt"]
        assert (known.state, known.file_id) == ("settled", make.content("a"))
        # Should it come back, whatever it is then is read.
        assert known.stamp != make.stamp()

    def test_stamps_of_any_size_are_kept(self, book: Ledger, make: Any) -> None:
        """Nanoseconds, and the inodes of file systems that use all 64 bits."""
        stamp = make.stamp(size_bytes=1 << 45, mtime_ns=(1 << 63) - 1, ctime_ns=-1, inode=(1 << 63) - 1)
        ledger.mark_pending(book, [make.raw_file("a.txt", "a", stamp=stamp)])
        assert known_files(book, "inbox")["a.txt"].stamp == stamp

    @pytest.mark.parametrize("call", [ledger.mark_pending, ledger.restamp])
    def test_nothing_is_nothing(self, book: Ledger, call: Callable[[Ledger, Sequence[Any]], None]) -> None:
        call(book, [])
        assert ledger.known_roots(book) == []


class TestRuns:
    def test_a_run_has_a_beginning_and_an_end(self, book: Ledger) -> None:
        (run,) = ledger.recent_runs(book, 5)
        assert (run.run_id, run.status, run.finished_at, run.counts) == ("run-1", "running", None, {})
        ledger.finish_run(
            book, "run-1", RunStatus.FAILED, counts={"ingested": 2}, timings={"read": 1.23456}, error="why"
        )
        (run,) = ledger.recent_runs(book, 5)
        assert (run.status, run.counts, run.timings, run.error) == ("failed", {"ingested": 2}, {"read": 1.235}, "why")
        assert run.finished_at is not None
        assert run.finished_at >= run.started_at

    def test_a_run_that_ended_without_a_word_crashed(self, book: Ledger, begun: Any) -> None:
        begun(book, "run-2")
        ledger.finish_run(book, "run-2", RunStatus.COMPLETED, counts={}, timings={})
        assert ledger.mark_crashed(book) == 1
        assert {run.run_id: run.status for run in ledger.recent_runs(book, 5)} == {
            "run-1": "crashed", "run-2": "completed",
        }  # fmt: skip
        assert ledger.mark_crashed(book) == 0

    def test_the_newest_runs_come_first(self, book: Ledger, begun: Any) -> None:
        for number in range(2, 6):
            begun(book, f"run-{number}")
        execute(book, RUNS.update().where(RUNS.c.run_id == "run-1").values(started_at=0))
        assert len(ledger.recent_runs(book, 3)) == 3
        assert ledger.recent_runs(book, 5)[-1].run_id == "run-1"

    def test_runs_up_to_a_commit_are_those_that_made_one(self, book: Ledger, begun: Any, make: Any) -> None:
        begun(book, "run-2")
        begun(book, "run-3")
        commit(book, make, "a")
        ledger.append(book, "run-3", sightings=[make.refusal("link")])
        assert [run.run_id for run in ledger.runs_up_to(book, 1)] == ["run-1"]
        assert {run.run_id for run in ledger.runs_up_to(book, 2)} == {"run-1", "run-3"}


def test_text_of_any_kind_is_kept(book: Ledger, make: Any) -> None:
    """What comes from outside reaches the ledger as a value, never as SQL."""
    words = '\'; DROP TABLE commits; -- "%s" \\ \n ü😀'
    ledger.append(book, "run-1", sightings=[make.refusal("a%27.txt", detail=words, source=words)])
    (row,) = ledger.load_rows(book, 1).sightings
    assert (row.detail, row.source) == (words, words)
    assert list(ledger.chain_problems(book)) == []


def test_reading_does_not_wait_for_a_writer(book: Ledger, make: Any) -> None:
    commit(book, make, "a")
    with book.writing() as connection:
        connection.execute(STAMPS.update().values(source="changed"))
        assert ledger.last_commit(book)[0] == 1
        assert known_files(book, "inbox")["a.txt"].file_id == make.content("a")


def test_all_tables_are_described_once() -> None:
    assert set(METADATA.tables) == {
        "runs", "roots", "stamps", "commits", "parts", "spans", "sightings", "tombstones", "snapshots",
    }  # fmt: skip
