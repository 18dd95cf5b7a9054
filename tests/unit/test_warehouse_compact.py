"""What is worth merging, what a merge holds, and how the ledger says so."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from warehouse import batches, compact, ledger, parts
from warehouse.compact import Candidate, CompactOptions
from warehouse.errors import DamagedError, LedgerError, WarehouseBusy
from warehouse.layout import Home
from warehouse.ledger import Holder, Ledger
from warehouse.ledger.tables import COMMITS, PARTS, SPANS
from warehouse.records import PartReceipt
from warehouse.schema import PARTS as PART_SCHEMAS

MB = 1_000_000


def candidate(
    number: int, megabytes: float, *, hot: bool = True, live: float = 1.0, raw: float | None = None
) -> Candidate:
    """A holder of 1,000 rows, compressed to a third where nothing else is said."""
    holder = Holder(
        commit_no=number,
        is_compaction=not hot,
        parts=(),
        origins=(number,),
        row_count=1000,
        live_count=int(1000 * live),
    )
    return Candidate(holder, int(megabytes * MB), int((3 * megabytes if raw is None else raw) * MB))


def planned(*given: Candidate, **options: Any) -> list[list[int]]:
    groups = compact.plan(given, CompactOptions(**options))
    return [[one.holder.commit_no for one in group] for group in groups]


class TestPlan:
    def test_nothing_is_planned_where_nothing_is(self) -> None:
        assert planned() == []

    def test_neighbours_are_merged_up_to_the_size_of_a_part(self) -> None:
        assert planned(*(candidate(n, 10) for n in range(1, 6))) == [[1, 2, 3], [4, 5]]

    def test_what_is_larger_uncompressed_than_memory_allows_is_not_merged(self) -> None:
        assert planned(*(candidate(n, 1, raw=60) for n in range(1, 5))) == [[1, 2], [3, 4]]
        assert planned(candidate(1, 1), candidate(2, 1, raw=129), candidate(3, 1)) == [[1], [3]]

    def test_a_hot_part_alone_is_written_more_tightly_and_a_compacted_one_is_left(self) -> None:
        assert planned(candidate(1, 5)) == [[1]]
        assert planned(candidate(1, 5, hot=False)) == []
        assert planned(candidate(1, 20, hot=False), candidate(2, 20, hot=False)) == []

    def test_a_compacted_part_waits_until_what_joins_it_is_half_as_large(self) -> None:
        old = candidate(1, 8, hot=False)
        assert planned(old, candidate(2, 3)) == [[2]]
        assert planned(old, candidate(2, 3), candidate(3, 1)) == [[1, 2, 3]]
        assert planned(old, candidate(2, 2, hot=False), candidate(3, 1)) == [[2, 3]]
        assert planned(old, candidate(2, 3, hot=False)) == []

    def test_growing_by_a_little_every_day_writes_everything_a_few_times_only(self) -> None:
        standing: list[Candidate] = []
        written = 0.0
        for day in range(1, 301):
            standing.append(candidate(1000 * day, 0.1))
            while groups := compact.plan(standing, CompactOptions()):
                for group in groups:
                    size = sum(one.live_bytes for one in group) / MB
                    written += size
                    place = standing.index(group[0])
                    standing[place : place + len(group)] = [candidate(group[0].holder.commit_no, size, hot=False)]
        assert len(standing) < 15
        assert written < 30 * 12

    def test_rows_that_were_replaced_weigh_nothing(self) -> None:
        assert planned(candidate(1, 30, hot=False, live=0.5), candidate(2, 15)) == [[1, 2]]
        assert planned(candidate(1, 30, hot=False, live=0.9), candidate(2, 1)) == [[2]]
        assert planned(candidate(1, 200, live=0, raw=2000)) == [[1]], "it need not even be read"
        assert planned(candidate(1, 200, live=0.1, raw=2000)) == [], "it would have to be read"


class Shed:
    """Batches of one document a file in a home, and their compaction."""

    def __init__(self, home: Home, book: Ledger, make: Any) -> None:
        self.home, self.book, self.make = home, book, make

    def read(self, *names: str, version: str = "v1") -> int:
        results = [self.make.result(self.make.raw_file(name, name)) for name in names]
        number = ledger.append(self.book, "run-1", receipt=self.make.receipt(self.home, results, version=version))
        assert number is not None
        return number

    def merge(self, numbers: Sequence[int] | None = None) -> None:
        group = [
            one
            for one in compact.candidates(self.home, self.book)
            if numbers is None or one.holder.commit_no in numbers
        ]
        options = CompactOptions(level=1)
        compact.merge(self.home, self.book, "run-1", group, options, pipeline_version="v1", settings_fingerprint="s")

    def problems(self) -> list[str]:
        return list(ledger.chain_problems(self.book))

    def execute(self, statement: Any) -> None:
        with self.book.writing() as connection:
            connection.execute(statement)

    def standing(self) -> dict[str, pa.Table]:
        (holder,) = ledger.holders(self.book)
        return {part.kind: parts.read(self.home, part) for part in holder.parts}


@pytest.fixture
def shed(home: Home, sqlite_book: Ledger, make: Any) -> Shed:
    return Shed(home, sqlite_book, make)


def test_a_merged_part_holds_the_rows_of_all_in_the_order_of_a_part(shed: Shed, make: Any) -> None:
    for names in ("ab", "c", "de"):
        shed.read(*names)
    before = [parts.read(shed.home, part) for holder in ledger.holders(shed.book) for part in holder.parts]
    shed.merge()
    after = shed.standing()
    for kind, schema in PART_SCHEMAS.items():
        rows = [row for table in before if table.schema.names == schema.names for row in table.to_pylist()]
        assert sorted(map(repr, after[kind].to_pylist())) == sorted(map(repr, rows))
    ids = [batches.document_id(row["file_id"], row["ordinal"]) for row in after["documents"].to_pylist()]
    assert ids == sorted(ids)
    (holder,) = ledger.holders(shed.book)
    assert (holder.commit_no, holder.origins, holder.row_count, holder.live_count) == (4, (1, 2, 3), 10, 10)
    assert all(commit.parts == holder.parts for commit in ledger.commits_above(shed.book, 0))


def test_the_same_parts_give_the_same_bytes_and_the_same_chain(shed: Shed, make: Any, tmp_path: Path) -> None:
    other_home = Home(tmp_path / "other")
    book = ledger.open_ledger(other_home, create=True)
    other = Shed(other_home, book, make)
    for one in (shed, other):
        one.read("a", "b")
        one.read("c")
        one.merge()
    assert ledger.holders(shed.book) == ledger.holders(book)
    assert ledger.last_commit(shed.book) == ledger.last_commit(book)
    book.close()


def test_rows_that_were_replaced_are_left_out(shed: Shed) -> None:
    first = shed.read("a", "b", "c")
    shed.merge()
    shed.read("b", version="v2")
    shed.merge()
    assert len(shed.standing()["documents"]) == len(shed.standing()["files"]) == 3
    assert ledger.holders(shed.book)[0].origins == (first, 3)
    assert sorted(shed.standing()["documents"]["pipeline_version"].to_pylist()) == ["v1", "v1", "v2"]
    assert shed.problems() == []


def test_a_part_of_which_nothing_counts_is_not_read(shed: Shed) -> None:
    shed.read("a", "b")
    (old,) = ledger.holders(shed.book)
    shed.read("a", "b", version="v2")
    for part in old.parts:
        shed.home.part(part.kind, part.name).unlink()
    shed.merge()
    assert len(shed.standing()["documents"]) == 2


def test_a_damaged_part_is_not_merged(shed: Shed) -> None:
    shed.read("a")
    (holder,) = ledger.holders(shed.book)
    path = shed.home.part("documents", next(part.name for part in holder.parts if part.kind == "documents"))
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(DamagedError, match="altered"):
        shed.merge()
    assert ledger.last_commit(shed.book)[0] == 1
    path.unlink()
    with pytest.raises(DamagedError, match="missing"):
        compact.candidates(shed.home, shed.book)


def test_an_older_part_gains_what_it_lacks_and_a_newer_one_is_refused(
    shed: Shed, monkeypatch: pytest.MonkeyPatch
) -> None:
    shed.read("a")
    extra = pa.field("extra", pa.string())
    newer = {kind: schema.append(extra) for kind, schema in PART_SCHEMAS.items()}
    monkeypatch.setattr(compact, "PARTS", newer)
    shed.merge()
    assert shed.standing()["files"]["extra"].to_pylist() == [None]
    monkeypatch.undo()
    shed.read("b")
    with pytest.raises(LedgerError, match="newer newsmill"):
        shed.merge()


class TestChain:
    @pytest.fixture
    def twice(self, shed: Shed) -> Shed:
        """Commits 1 and 2, merged by 3; 4, merged with 3 by 5; and 6, on its own."""
        for names in ("ab", "c"):
            shed.read(*names)
        shed.merge()
        shed.read("d")
        shed.merge()
        shed.read("e")
        return shed

    def test_a_compaction_of_a_compaction_is_recomputed(self, twice: Shed) -> None:
        assert twice.problems() == []
        with twice.book.reading() as connection:
            found = connection.execute(PARTS.select().where(PARTS.c.kind == "files").order_by(PARTS.c.commit_no)).all()
        assert [(row.commit_no, row.replaced_by) for row in found] == [
            (1, 3), (2, 3), (3, 5), (4, 5), (5, None), (6, None),
        ]  # fmt: skip
        assert [holder.origins for holder in ledger.holders(twice.book)] == [(1, 2, 4), (6,)]
        assert [commit.is_moved for commit in ledger.commits_above(twice.book, 0)] == [
            True, True, True, True, False, False,
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("kind", "part", "value", "named"),
        [
            ("documents", 1, None, 3),
            ("files", 1, 5, 3),
            ("documents", 1, 5, 5),
            ("files", 6, 5, 5),
            ("documents", 6, 4, 4),
            ("files", 6, 99, 99),
            ("documents", 3, None, 5),
            ("files", 4, 3, 3),
        ],
    )
    def test_what_a_compaction_replaced_cannot_be_changed(
        self, twice: Shed, kind: str, part: int, value: int | None, named: int
    ) -> None:
        here = (PARTS.c.commit_no == part, PARTS.c.kind == kind)
        twice.execute(PARTS.update().where(*here).values(replaced_by=value))
        assert any(problem.startswith(f"ledger: commit {named} ") for problem in twice.problems())

    def test_a_compaction_that_was_removed_is_named(self, twice: Shed) -> None:
        for table in (COMMITS, PARTS):
            twice.execute(table.delete().where(table.c.commit_no == 3))
        assert "ledger: commit 3 is missing" in twice.problems()

    def test_rows_that_a_compaction_lost_are_told(self, twice: Shed) -> None:
        """Also where the hash fits: a merge that dropped what counts would chain what it wrote."""
        twice.execute(SPANS.update().where(SPANS.c.commit_no == 2).values(retired_by=1))
        assert [problem for problem in twice.problems() if "has 3 rows, but 2 were current" in problem]

    @pytest.mark.parametrize("seen", [(1, "0" * 64), (6, "0" * 64)])
    def test_a_commit_that_came_meanwhile_stops_it(self, twice: Shed, seen: tuple[int, str]) -> None:
        self.refused(twice, [6], seen)

    def test_what_another_compaction_replaced_is_not_replaced_again(self, twice: Shed) -> None:
        self.refused(twice, [4, 6], ledger.last_commit(twice.book))

    @staticmethod
    def refused(shed: Shed, replaced: list[int], seen: tuple[int, str]) -> None:
        part = PartReceipt(kind="files", name="x", sha256="0" * 64, size_bytes=1, row_count=1)
        before = ledger.holders(shed.book)
        with pytest.raises(WarehouseBusy, match="newsmill compact"):
            ledger.compact(
                shed.book, "run-1", parts=[part], replaced=replaced, seen=seen, pipeline_version="v",
                settings_fingerprint="s",
            )  # fmt: skip
        assert ledger.holders(shed.book) == before
        assert shed.problems() == []


def test_on_either_database(book: Ledger, home: Home, make: Any) -> None:
    shed = Shed(home, book, make)
    shed.read("a", "b")
    shed.read("c")
    shed.merge()
    shed.read("a", version="v2")
    shed.merge()
    assert [(holder.origins, holder.live_count) for holder in ledger.holders(book)] == [((1, 2, 4), 6)]
    assert shed.problems() == []
