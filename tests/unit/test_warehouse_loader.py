"""Loading: a snapshot that grew commit by commit equals one that was built at once."""

import os
import random
import shutil
import stat
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

import warehouse.apply as applying
from warehouse import ahead, clean, compact, ddl, draft, gathering, ledger, loader, parts, snapshots, standing, verify
from warehouse.clock import now_us
from warehouse.durable import TEMPORARY
from warehouse.errors import DamagedError, LedgerError
from warehouse.layout import Home
from warehouse.ledger import Ledger
from warehouse.records import FileResult, RawFile, Sighting
from warehouse.schema import TABLES
from warehouse.vocabulary import DeferReason, FileStatus, Reason, RunStatus


class Yard:
    """A ledger and a lake that are filled by hand and published when a test says so.

    ``prefix`` stands before every name and content, so that many stories can be told in one home.
    """

    def __init__(self, home: Home, book: Ledger, make: Any) -> None:
        self.home, self.book, self.make = home, book, make
        self.prefix = ""

    def file(self, uri: str, content: str, **changes: Any) -> RawFile:
        file: RawFile = self.make.raw_file(self.prefix + uri, self.prefix + content, **changes)
        return file

    def result(self, uri: str, content: str, *, accepted: bool = True) -> FileResult:
        # What stands behind an equals sign makes other bytes of the same text.
        text = [[(f"Text {content.partition('=')[0]}.", " "), ("Ende.", "")]]
        documents, rejects = ([self.make.document(text)], []) if accepted else ([], [self.make.reject()])
        result: FileResult = self.make.result(self.file(uri, content), documents, rejects)
        return result

    def cut(self, first: int, last: int, *, is_last: bool = False, version: str = "v1") -> None:
        """Records of a big file."""
        content, uri = self.prefix + "big", self.prefix + "big.txt"
        self.batch(self.make.cut(content, first, last, is_last=is_last, uri=uri), version=version)

    def batch(self, *results: FileResult, version: str = "v1") -> None:
        ledger.append(self.book, "run-1", receipt=self.make.receipt(self.home, results, version=version))

    def read(self, uri: str, content: str, *, accepted: bool = True) -> None:
        """One file becomes one document, or one reject."""
        self.batch(self.result(uri, content, accepted=accepted))

    def again(self, uri: str, content: str, *, accepted: bool = True, version: str = "v2") -> None:
        """A replay: other rows of a known content, and nothing about its places."""
        receipt = self.make.receipt(self.home, [self.result(uri, content, accepted=accepted)], version=version)
        ledger.append(self.book, "run-1", receipt=replace(receipt, sightings=()))

    def sight(self, *sightings: Sighting) -> None:
        ledger.append(self.book, "run-1", sightings=sightings)

    def see(self, uri: str, content: str, status: FileStatus = FileStatus.INGESTED) -> None:
        """A known content is found again."""
        self.sight(self.make.sighting(self.file(uri, content), status))

    def duplicate(self, uri: str, content: str) -> None:
        self.see(uri, content, FileStatus.DUPLICATE)

    def defer(self, *uris: str, reason: DeferReason = DeferReason.PERMISSION, **changes: Any) -> None:
        self.sight(*(self.make.deferral(self.prefix + uri, reason, **changes) for uri in uris))

    def refuse(self, *uris: str, **changes: Any) -> None:
        self.sight(*(self.make.refusal(self.prefix + uri, **changes) for uri in uris))

    def gone(self, uri: str) -> None:
        ledger.append(self.book, "run-1", gone=[("inbox", self.prefix + uri)])

    def forget(self, content: str) -> None:
        """The tombstone alone; what stands on disks is another matter."""
        self._bury(ledger.forget, content)

    def lift(self, content: str) -> None:
        self._bury(ledger.lift, content)

    def _bury(self, how: Callable[..., int], content: str) -> None:
        file_id = self.make.content(self.prefix + content)
        how(self.book, "run-1", [file_id], pipeline_version="v1", settings_fingerprint="s")
        ledger.mark_erased(self.book, [file_id])

    def publish(self) -> Path:
        loader.publish(self.home, self.book)
        path = snapshots.newest(self.home)
        assert path is not None
        return path

    def compact(self, **options: Any) -> int:
        """Merge what is worth it and remove what was replaced, without any grace; how many compactions that were."""
        chosen, made = compact.CompactOptions(**{"level": 1, **options}), 0
        while groups := compact.plan(compact.candidates(self.home, self.book), chosen):
            for group in groups:
                compact.merge(
                    self.home, self.book, "run-1", group, chosen, pipeline_version="v1", settings_fingerprint="s"
                )
                made += 1
        clean.clean(self.home, self.book, now_us())
        return made

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        path = snapshots.newest(self.home)
        assert path is not None
        with snapshots.opened(path) as connection:
            return connection.execute(sql).fetchall()

    def problems(self) -> list[str]:
        return verify.verify(self.home, self.book, deep=True).problems


@pytest.fixture
def bare_yard(home: Home, sqlite_book: Ledger, make: Any) -> Yard:
    """Nothing was published yet."""
    return Yard(home, sqlite_book, make)


@pytest.fixture(scope="module")
def first_snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot without rows, to be copied: to make the tables costs more than most tests."""
    home = Home(tmp_path_factory.mktemp("first"))
    book = ledger.open_ledger(home, create=True)
    loader.publish(home, book)
    book.close()
    path = snapshots.newest(home)
    assert path is not None
    return path


@pytest.fixture
def yard(bare_yard: Yard, first_snapshot: Path) -> Yard:
    """An empty snapshot is published."""
    bare_yard.home.versions.mkdir()
    shutil.copy(first_snapshot, bare_yard.home.versions)
    snapshots.point(bare_yard.home)
    return bare_yard


Step = Callable[[Yard], None]
STORIES: dict[str, Sequence[Step]] = {
    "two batches": [lambda y: y.read("a", "1"), lambda y: y.read("b", "2")],
    "a duplicate": [lambda y: y.read("a", "1"), lambda y: y.duplicate("b", "1")],
    "a change": [lambda y: y.read("a", "1"), lambda y: y.read("a", "2")],
    "a change and back": [lambda y: y.read("a", "1"), lambda y: y.read("a", "2"), lambda y: y.see("a", "1")],
    "a change to a known content": [
        lambda y: y.read("a", "1"), lambda y: y.read("b", "2"), lambda y: y.duplicate("a", "2"),
    ],
    "a reject": [lambda y: y.read("a", "1", accepted=False)],
    "a reject that a replay accepts": [lambda y: y.read("a", "1", accepted=False), lambda y: y.again("a", "1")],
    "a document that a replay rejects": [lambda y: y.read("a", "1"), lambda y: y.again("a", "1", accepted=False)],
    "a reject with a duplicate that a replay accepts": [
        lambda y: y.read("a", "1", accepted=False), lambda y: y.duplicate("b", "1"), lambda y: y.again("a", "1"),
    ],
    "a replay and back": [
        lambda y: y.read("a", "1"), lambda y: y.again("a", "1"), lambda y: y.again("a", "1", version="v1"),
    ],
    "a replay of what was superseded": [
        lambda y: y.read("a", "1"), lambda y: y.duplicate("b", "1"), lambda y: y.read("a", "2"),
        lambda y: y.again("a", "1"),
    ],
    "deferred, then readable": [lambda y: y.defer("a"), lambda y: y.read("a", "1")],
    "deferred for one reason, then another": [
        lambda y: y.defer("a"), lambda y: y.defer("a", reason=DeferReason.CHANGING),
    ],
    "readable, deferred, readable again": [
        lambda y: y.read("a", "1"), lambda y: y.defer("a"), lambda y: y.see("a", "1"),
    ],
    "deferred, then gone": [lambda y: y.defer("a", "b"), lambda y: y.gone("a")],
    "readable, deferred, gone": [lambda y: y.read("a", "1"), lambda y: y.defer("a"), lambda y: y.gone("a")],
    "deferred, gone, back": [lambda y: y.defer("a"), lambda y: y.gone("a"), lambda y: y.read("a", "1")],
    "a symlink, then a file": [lambda y: y.refuse("a"), lambda y: y.read("a", "1")],
    "a file, then a symlink": [lambda y: y.read("a", "1"), lambda y: y.refuse("a")],
    "the same uri below two roots": [
        lambda y: (y.refuse("a"), y.refuse("a", root="/srv")), lambda y: y.read("a", "1"),
        lambda y: y.defer("b", root="/srv"),
    ],
    "a big file in cuts": [lambda y: y.cut(0, 2), lambda y: y.cut(3, 4, is_last=True)],
    "a big file cut otherwise": [
        lambda y: y.cut(0, 2), lambda y: y.cut(3, 5, is_last=True), lambda y: y.cut(0, 4, version="v2"),
        lambda y: y.cut(5, 5, is_last=True, version="v2"),
    ],
    "a big file that became shorter": [
        lambda y: y.cut(0, 2), lambda y: y.cut(3, 5, is_last=True), lambda y: y.cut(0, 1, is_last=True, version="v2"),
    ],
    "equal texts, of which the first changes": [
        lambda y: y.read("a", "1"), lambda y: y.read("b", "1="), lambda y: y.read("a", "2"),
    ],
    "equal texts, and one of them is refused later": [
        lambda y: (y.read("a", "1"), y.read("b", "1=")), lambda y: y.again("a", "1", accepted=False),
    ],
    "forgotten": [lambda y: (y.read("a", "1"), y.read("b", "1=")), lambda y: y.forget("1")],
    "forgotten, then the one before it is seen again": [
        lambda y: (y.read("a", "1"), y.read("a", "2")), lambda y: y.forget("2"), lambda y: y.see("a", "1"),
    ],
    "forgotten while it cannot be read": [
        lambda y: (y.read("a", "1"), y.read("a", "2")), lambda y: y.defer("a"), lambda y: y.forget("2"),
    ],
    "forgotten, replaced, then deferred": [
        lambda y: (y.read("a", "1"), y.read("a", "2")), lambda y: y.forget("2"), lambda y: y.defer("a"),
    ],
    "forgotten and let in again": [
        lambda y: (y.read("a", "1"), y.duplicate("b", "1")), lambda y: (y.forget("1"), y.lift("1")),
        lambda y: y.read("b", "1"), lambda y: y.duplicate("a", "1"),
    ],
    "a big file is forgotten in the middle": [lambda y: y.cut(0, 2), lambda y: y.forget("big")],
    "one file of a batch is read again": [
        lambda y: y.batch(*(y.result(name, name) for name in "abc")), lambda y: y.again("b", "b"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("compacted", [False, True], ids=["as written", "compacted"])
def test_growing_equals_building_anew(yard: Yard, compacted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every story told step by step, with a publish between the steps, then read back out of the parts at once.

    The latter by a process that reads ahead, and once more without for ``verify --deep``.  Compacted, no part that a
    batch wrote is left after any step, and the last step compacts what was compacted.
    """
    for step in range(max(map(len, STORIES.values()))):
        for number, steps in enumerate(STORIES.values()):
            yard.prefix = f"{number:02d}-"
            if step < len(steps):
                steps[step](yard)
        grown = yard.publish()
        if compacted:
            before = verify.table_hashes(grown)
            # Parts of a few stories each; what the next step replaces leaves them wasteful.
            assert yard.compact(part_bytes=100_000) > 0
            assert not any(holder.is_compaction is False for holder in ledger.holders(yard.book))
            grown = yard.publish()
            after = verify.table_hashes(grown)
            assert {name for name in TABLES if before[name] != after[name]} == {"loads"}
            assert yard.compact(part_bytes=100_000) == 0
    with monkeypatch.context() as patch:
        patch.setattr(ahead, "DOCUMENTS", 0)
        patch.setattr(ahead, "incoming", lambda *_: pytest.fail("not read by the process beside this one"))
        loader.publish(yard.home, yard.book, rebuild=True)
    built = snapshots.newest(yard.home)
    assert built != grown
    for table, columns in TABLES.items():
        query = f"SELECT {', '.join(columns.names)} FROM {table} ORDER BY ALL"
        with snapshots.opened(grown) as one, snapshots.opened(built) as other:
            # Names begin with the number of their story.
            assert one.execute(query).fetchall() == other.execute(query).fetchall()
    assert [problem for problem in yard.problems() if "newsmill forget" not in problem] == []
    assert yard.rows("SELECT count(*) FROM files WHERE is_current GROUP BY root, uri HAVING count(*) > 1") == []


@pytest.mark.parametrize("seed", range(3))
def test_growing_equals_building_anew_whatever_happens(yard: Yard, seed: int) -> None:
    """Many paths and contents in any order, several commits between two publishes."""
    chance = random.Random(seed)
    known: set[str] = set()
    forgotten: set[str] = set()
    for _ in range(30):
        uri, content = chance.choice("abcd"), chance.choice(["1", "1=", "2", "2=", "3"])
        kind = chance.choice(["read", "read", "read", "again", "again", "defer", "refuse", "gone", "compact", "forget"])
        if kind == "read" and content in forgotten and chance.random() < 0.5:
            yard.refuse(uri, reason=Reason.FORGOTTEN)
        elif kind == "read" and content in known:
            yard.duplicate(uri, content)
        elif kind == "read":
            if content in forgotten:
                yard.lift(content)
                forgotten.remove(content)
            known.add(content)
            yard.read(uri, content, accepted=chance.random() < 0.7)
        elif kind == "again" and content in known:
            # Under the name it was first read by, as a replay does.
            first = next(p for p in ledger.places(yard.book, [yard.make.content(content)]))
            yard.again(first.uri, content, accepted=chance.random() < 0.7, version=f"v{chance.randrange(3)}")
        elif kind == "defer":
            yard.defer(uri, reason=chance.choice(list(DeferReason)))
        elif kind == "forget" and content in known:
            yard.forget(content)
            known.remove(content)
            forgotten.add(content)
        elif kind == "compact":
            yard.compact()
        elif kind == "refuse":
            yard.refuse(uri)
        elif kind == "gone":
            yard.gone(uri)
        if chance.random() < 0.1:
            yard.publish()
    yard.publish()
    # Only the tombstones were set: parts and old snapshots still have what they name.
    assert [problem for problem in yard.problems() if "newsmill forget" not in problem] == []
    assert yard.rows("SELECT count(*) FROM files WHERE is_current GROUP BY root, uri HAVING count(*) > 1") == []


class TestStories:
    """What the tables say at the end, not only that both ways agree."""

    FILES = "SELECT uri, status, document_count, is_current FROM files ORDER BY sighting_no"

    def test_a_change_supersedes_and_back_is_current_again(self, yard: Yard) -> None:
        yard.read("a", "1")
        yard.read("a", "2")
        yard.publish()
        assert yard.rows(self.FILES) == [("a", "ingested", 1, False), ("a", "ingested", 1, True)]
        assert yard.rows("SELECT text FROM v_documents") == [("Text 2. Ende.",)]
        yard.see("a", "1")
        yard.publish()
        assert yard.rows("SELECT text FROM v_documents") == [("Text 1. Ende.",)]
        # Nothing is forgotten.
        assert yard.rows("SELECT count(*) FROM documents") == [(2,)]

    def test_a_duplicate_counts_nothing_twice(self, yard: Yard) -> None:
        yard.read("a", "1")
        yard.duplicate("b", "1")
        yard.publish()
        assert yard.rows(self.FILES) == [("a", "ingested", 1, True), ("b", "duplicate", 0, True)]
        assert yard.rows("SELECT count(*) FROM documents") == [(1,)]
        # Whoever changes the first place leaves the content current at the second.
        yard.read("a", "2")
        yard.publish()
        assert yard.rows("SELECT count(*) FROM v_documents") == [(2,)]

    def test_a_reject_that_is_accepted_is_no_reject_any_more(self, yard: Yard) -> None:
        yard.read("a", "1", accepted=False)
        yard.duplicate("b", "1")
        yard.publish()
        assert yard.rows("SELECT uri, ordinal, reason FROM rejects") == [("a", 0, "binary")]
        assert yard.rows(self.FILES) == [("a", "rejected", 0, True), ("b", "duplicate", 0, True)]
        yard.again("a", "1")
        yard.publish()
        assert yard.rows("SELECT count(*) FROM rejects") == [(0,)]
        assert yard.rows("SELECT count(*) FROM documents") == [(1,)]
        assert yard.rows("SELECT uri, status, encoding FROM files ORDER BY uri") == [
            ("a", "ingested", "utf-8"), ("b", "duplicate", "utf-8"),
        ]  # fmt: skip

    def test_a_replay_replaces_rows_and_nothing_else(self, yard: Yard) -> None:
        yard.batch(*(yard.result(name, name) for name in "abc"))
        yard.publish()
        yard.again("b", "b")
        yard.publish()
        assert yard.rows("SELECT uri, pipeline_version FROM documents ORDER BY uri") == [
            ("a", "v1"), ("b", "v2"), ("c", "v1"),
        ]  # fmt: skip
        for table, each in (("paragraphs", 1), ("segments", 2)):
            assert yard.rows(f"SELECT count(*) FROM {table}") == [(3 * each,)]

    def test_a_replay_does_not_make_an_old_content_current(self, yard: Yard) -> None:
        yard.read("a", "1")
        yard.duplicate("b", "1")
        yard.read("a", "2")
        yard.again("a", "1")
        yard.publish()
        assert yard.rows(
            "SELECT text FROM documents JOIN files USING (file_id) WHERE files.uri = 'a' AND is_current"
        ) == [("Text 2. Ende.",)]

    def test_a_deferred_path_is_one_row_that_goes_when_it_can_be_read(self, yard: Yard) -> None:
        yard.defer("a")
        yard.publish()
        assert yard.rows("SELECT uri, status, reason, file_id, is_current FROM files") == [
            ("a", "deferred", "permission", None, False)
        ]
        yard.read("a", "1")
        yard.publish()
        assert yard.rows(self.FILES) == [("a", "ingested", 1, True)]

    def test_what_cannot_be_read_now_keeps_its_content(self, yard: Yard) -> None:
        yard.read("a", "1")
        yard.defer("a")
        yard.publish()
        assert yard.rows(self.FILES) == [("a", "ingested", 1, True), ("a", "deferred", 0, False)]
        assert yard.rows("SELECT count(*) FROM v_documents") == [(1,)]

    def test_a_path_refused_unread_is_a_reject_until_it_is_something_else(self, yard: Yard) -> None:
        yard.refuse("a")
        yard.refuse("a", root="/srv")
        yard.publish()
        assert yard.rows("SELECT uri, stage, reason, file_id FROM rejects") == [("a", "discover", "symlink", None)] * 2
        yard.read("a", "1")
        yard.publish()
        assert yard.rows("SELECT uri FROM rejects") == [("a",)]
        assert yard.rows("SELECT root, status FROM files ORDER BY root") == [
            ("/srv", "rejected"),
            ("inbox", "ingested"),
        ]

    def test_loads_name_every_commit(self, yard: Yard) -> None:
        yard.batch(*(yard.result(name, name) for name in "abc"))
        yard.refuse("x")
        yard.publish()
        assert yard.rows(
            "SELECT commit_no, kind, file_count, document_count, segment_count FROM loads ORDER BY commit_no"
        ) == [(1, "batch", 3, 3, 6), (2, "sightings", 1, 0, 0)]
        (first, second) = ledger.commits_above(yard.book, 0)
        assert yard.rows("SELECT commit_hash FROM loads ORDER BY commit_no") == [
            (first.commit_hash,),
            (second.commit_hash,),
        ]

    def test_runs_show_how_they_ended(self, yard: Yard) -> None:
        yard.read("a", "1")
        yard.publish()
        assert yard.rows("SELECT run_id, status FROM runs") == [("run-1", "running")]
        ledger.finish_run(yard.book, "run-1", RunStatus.COMPLETED, counts={"ingested": 1}, timings={})
        yard.publish()
        assert yard.rows("SELECT run_id, status, counts FROM runs") == [("run-1", "completed", '{"ingested": 1}')]

    def test_runs_without_a_commit_are_not_shown(self, yard: Yard, begun: Any) -> None:
        begun(yard.book, "run-2")
        yard.read("a", "1")
        yard.publish()
        assert yard.rows("SELECT run_id FROM runs") == [("run-1",)]


class TestPublish:
    def test_nothing_new_publishes_nothing(self, yard: Yard) -> None:
        yard.read("a", "1")
        path = yard.publish()
        again = loader.publish(yard.home, yard.book)
        assert (again.path, again.commits) == (None, 0)
        assert snapshots.newest(yard.home) == path

    def test_nothing_new_still_mends_the_link(self, yard: Yard) -> None:
        yard.read("a", "1")
        path = yard.publish()
        yard.home.warehouse.unlink()
        loader.publish(yard.home, yard.book)
        assert yard.home.warehouse.resolve() == path.resolve()

    def test_only_what_is_new_is_applied(self, yard: Yard) -> None:
        yard.read("a", "1")
        yard.publish()
        yard.read("b", "2")
        yard.read("c", "3")
        seen: list[tuple[int, int]] = []
        done = loader.publish(yard.home, yard.book, on_commit=lambda n, of: seen.append((n, of)))
        assert done.commits == 2
        assert seen == [(1, 2), (2, 2)]
        assert done.path is not None
        assert snapshots.about(done.path).commit_no == 3

    def test_a_snapshot_is_whole_and_alone(self, bare_yard: Yard) -> None:
        bare_yard.read("a", "1")
        path = bare_yard.publish()
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
        assert os.listdir(bare_yard.home.versions) == [path.name]

    @pytest.mark.parametrize(("longest", "kind"), [(10, "DICT_FSST"), (1_000, "ZSTD")])
    def test_it_is_small(self, bare_yard: Yard, longest: int, kind: str) -> None:
        """Short texts are quick to read; DuckDB by itself stores all as they are where one has 16 KB."""
        chance = random.Random(1)
        words = ["Regen", "Sonne", "Stadt", "Fluss", "Haus", "Brücke", "Markt", "Schule"]
        documents = [
            bare_yard.make.document(
                [[(" ".join(chance.choices(words, k=5)) + ".", " ")] * count + [(f"Ende {number}.", "")]], number
            )
            for number, count in enumerate([5] * 300 + [longest])
        ]
        bare_yard.batch(bare_yard.make.result(bare_yard.make.raw_file(), documents))
        bare_yard.publish()
        assert bare_yard.rows("""
            SELECT DISTINCT compression FROM pragma_storage_info('documents')
            WHERE column_name = 'text' AND segment_type = 'VARCHAR'""") == [(kind,)]

    def test_commits_of_one_publish_are_stored_in_order(self, yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gathering, "SLICE", 1)
        for content in "4132":
            yard.read(content, content)
        yard.publish()
        order = yard.rows("SELECT language, published_on, document_id FROM documents")
        assert len(order) == 4
        assert order == sorted(order)
        assert yard.problems() == []

    @pytest.mark.parametrize(("limit", "is_held"), [(5, True), (1, False)])
    def test_no_more_is_held_back_than_is_enough(
        self, yard: Yard, monkeypatch: pytest.MonkeyPatch, limit: int, is_held: bool
    ) -> None:
        monkeypatch.setattr(gathering, "SLICE", 1)
        monkeypatch.setattr(loader, "BESIDE_WORK", gathering.Enough(limit, 1 << 30))
        for content in "4132":
            yard.read(content, content)
        yard.publish()
        texts = [text for (text,) in yard.rows("SELECT text FROM documents ORDER BY rowid")]
        assert ([text[5] for text in texts] != list("4132")) == is_held
        assert yard.problems() == []

    def test_what_a_later_commit_replaces_may_still_be_held_back(self, yard: Yard) -> None:
        with loader.drafted(yard.home, yard.book) as growing:
            for content in "12":
                yard.read(content, content)
            growing.take()
            yard.again("1", "1")
            yard.read("3", "3")
            loader.publish_draft(yard.home, yard.book, growing)
        assert yard.rows("SELECT count(*), count(DISTINCT file_id) FROM documents") == [(3, 3)]
        assert yard.problems() == []

    def test_a_signal_between_two_pieces_costs_the_draft_and_nothing_else(
        self, yard: Yard, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(gathering, "SLICE", 1)
        for content in "123":
            yard.read(content, content)
        pieces: list[str] = []
        real = applying.insert

        def insert(database: duckdb.DuckDBPyConnection, table: str, rows: Any) -> None:
            pieces.append(table)
            if pieces.count("documents") == 2:
                raise KeyboardInterrupt
            real(database, table, rows)

        with loader.drafted(yard.home, yard.book) as growing:
            growing.take()
            with monkeypatch.context() as patch:
                patch.setattr(applying, "insert", insert)
                with pytest.raises(KeyboardInterrupt):
                    growing.finish()
            with pytest.raises(duckdb.ConnectionException):
                loader.publish_draft(yard.home, yard.book, growing)
        assert yard.rows("SELECT count(*) FROM documents") == [(0,)]
        yard.publish()
        assert yard.rows("SELECT count(*) FROM documents") == [(3,)]
        assert yard.problems() == []

    @pytest.mark.parametrize("is_new", [False, True], ids=["grown", "anew"])
    def test_documents_are_put_in_order(self, yard: Yard, monkeypatch: pytest.MonkeyPatch, is_new: bool) -> None:
        for content in ("3", "1", "2", "1="):
            yard.read(content, content)
        before = verify.table_hashes(yard.publish())
        monkeypatch.setattr(draft, "ORDERED_FROM", 4)
        yard.read("new", "0")
        after = verify.table_hashes(yard.publish())
        loader.publish(yard.home, yard.book, rebuild=is_new, is_ordered=True)
        yard.read("newer", "5")
        loader.publish(yard.home, yard.book, rebuild=is_new, is_ordered=True)
        order = yard.rows("SELECT language, published_on, document_id FROM documents ORDER BY rowid")
        assert order == sorted(order, key=lambda row: (row[0], row[2]))
        assert before["documents"] != after["documents"]
        assert yard.problems() == []
        assert sorted(path.suffix for path in yard.home.versions.iterdir()) == [".duckdb"] * len(
            snapshots.numbered(yard.home)
        )
        views = yard.rows("SELECT count(*) FROM v_documents")
        assert views == [(5,)]

    def test_texts_too_large_for_a_sort_stay_in_the_order_of_time(
        self, yard: Yard, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The sort gets no more memory than its table's first blocks take."""
        for content in "4132":
            yard.read(content, content)
            yard.publish()
        monkeypatch.setattr(draft, "ORDERED_FROM", 4)
        monkeypatch.setattr(draft, "ORDER_MEMORY", 1_000_000)
        loader.publish(yard.home, yard.book, is_ordered=True)
        texts = [text for (text,) in yard.rows("SELECT text FROM documents ORDER BY rowid")]
        assert [text[5] for text in texts] == list("4132")
        assert yard.problems() == []

    def test_a_snapshot_that_the_ledger_does_not_know_is_told(self, yard: Yard) -> None:
        """It is noted before it gets its name, so that no kill leaves it so."""
        for content in "12":
            yard.read(content, content)
            path = yard.publish()
        assert yard.problems() == []
        with yard.book.writing() as connection:
            connection.exec_driver_sql("DELETE FROM snapshots WHERE name = ?", (path.name,))
        (told,) = yard.problems()
        assert told.startswith(f"ledger: it does not know the snapshot {path.name}")
        loader.publish(yard.home, yard.book, rebuild=True)
        assert yard.problems() == []

    def test_nothing_is_expected_of_a_ledger_that_knows_none(self, yard: Yard) -> None:
        """Snapshots of a newsmill that noted none."""
        yard.read("1", "1")
        yard.publish()
        with yard.book.writing() as connection:
            connection.exec_driver_sql("DELETE FROM snapshots")
        assert yard.problems() == []

    def test_a_comparison_that_needs_more_memory_gets_it(self, yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
        limits: list[Any] = []

        def settle(database: duckdb.DuckDBPyConnection, *arguments: Any, **options: Any) -> None:
            limits.extend(database.execute("SELECT current_setting('memory_limit')").fetchall())
            if len(limits) == 1:
                raise duckdb.OutOfMemoryException("failed to pin block")
            standing.settle(database, *arguments, **options)

        yard.read("a", "same")
        yard.read("b", "same=")
        monkeypatch.setattr(draft, "settle", settle)
        loader.publish(yard.home, yard.book)
        assert limits == [("91.5 MiB",), ("953.6 MiB",)]
        assert yard.rows(
            "SELECT DISTINCT copy_count FROM documents WHERE text_id IN (SELECT text_id FROM documents WHERE uri = 'a')"
        ) == [(2,)]
        assert yard.problems() == []

    def test_what_does_not_fit_into_memory_goes_beside_it(
        self, bare_yard: Yard, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[duckdb.DuckDBPyConnection] = []
        connect = duckdb.connect

        def noted(*given: Any, **named: Any) -> duckdb.DuckDBPyConnection:
            opened.append(connect(*given, **named))
            return opened[-1]

        folders: list[Path] = []

        def look(done: int, of: int) -> None:
            (folder,) = opened[-1].execute("SELECT current_setting('temp_directory')").fetchall()
            folders.append(Path(folder[0]))

        monkeypatch.setattr(duckdb, "connect", noted)
        bare_yard.read("a", "1")
        loader.publish(bare_yard.home, bare_yard.book, on_commit=look)
        assert [(folder.parent, folder.name.startswith(TEMPORARY)) for folder in folders] == [
            (bare_yard.home.versions, True)
        ]

    def test_an_empty_ledger_can_be_published(self, bare_yard: Yard) -> None:
        path = bare_yard.publish()
        assert snapshots.about(path).commit_no == 0
        assert bare_yard.rows("SELECT count(*) FROM documents") == [(0,)]
        assert snapshots.last_published(bare_yard.home) == (0, "")
        bare_yard.read("a", "1")
        bare_yard.publish()
        assert bare_yard.problems() == []

    def test_a_reader_is_not_disturbed(self, yard: Yard) -> None:
        yard.read("a", "1")
        with snapshots.opened(yard.publish()) as connection:
            yard.read("b", "2")
            yard.publish()
            assert connection.execute("SELECT count(*) FROM documents").fetchone() == (1,)
        assert yard.rows("SELECT count(*) FROM documents") == [(2,)]

    def test_other_tables_are_built_anew(self, bare_yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
        """A snapshot of another version of the tables is not migrated."""
        bare_yard.read("a", "1")
        with monkeypatch.context() as patch:
            patch.setattr(ddl, "ABOUT", ddl.ABOUT + " -- an older shape")
            bare_yard.publish()
        done = loader.publish(bare_yard.home, bare_yard.book)
        assert done.commits == 1
        assert bare_yard.rows("SELECT tables_fingerprint FROM about") == [(ddl.fingerprint(ddl.table_statements()),)]

    def test_other_views_are_renewed(self, yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
        yard.read("a", "1")
        with monkeypatch.context() as patch:
            patch.setattr(ddl, "VIEWS", ddl.VIEWS[:1])
            yard.publish()
        done = loader.publish(yard.home, yard.book)
        assert done.path is not None
        assert done.commits == 0
        assert yard.rows("SELECT count(*) FROM duckdb_views() WHERE NOT internal") == [(len(ddl.VIEWS),)]

    def test_rebuilding_gives_equal_tables_under_the_next_number(self, yard: Yard) -> None:
        yard.read("a", "1")
        yard.duplicate("b", "1")
        before = yard.publish()
        done = loader.publish(yard.home, yard.book, rebuild=True)
        assert done.path is not None
        assert done.path != before
        assert verify.table_hashes(done.path) == verify.table_hashes(before)

    @pytest.mark.parametrize("content", [b"", b"no database"])
    def test_a_snapshot_that_cannot_be_opened_is_rebuilt(self, yard: Yard, content: bytes) -> None:
        yard.read("a", "1")
        path = yard.publish()
        path.chmod(0o644)
        path.write_bytes(content)
        loader.check_rebuildable(yard.home, yard.book)
        loader.publish(yard.home, yard.book, rebuild=True)
        assert yard.problems() == []

    def test_a_ledger_that_ends_too_early_is_not_rebuilt_from(self, yard: Yard) -> None:
        yard.read("a", "1")
        yard.publish()
        with yard.book.writing() as connection:
            for table in ("commits", "parts", "spans", "sightings"):
                connection.exec_driver_sql(f"DELETE FROM {table}")
        with pytest.raises(LedgerError):
            loader.check_rebuildable(yard.home, yard.book)

    def test_what_killed_builds_left_is_gone(self, bare_yard: Yard) -> None:
        bare_yard.home.versions.mkdir(parents=True)
        (bare_yard.home.versions / f"{TEMPORARY}x.wal").touch()
        # What did not fit into memory.
        (bare_yard.home.versions / f"{TEMPORARY}x.tmp").mkdir()
        (bare_yard.home.versions / f"{TEMPORARY}x.tmp" / "duckdb_temp_storage_DEFAULT-0.tmp").touch()
        bare_yard.read("a", "1")
        path = bare_yard.publish()
        assert os.listdir(bare_yard.home.versions) == [path.name]


class TestDamage:
    @pytest.fixture
    def damaged(self, yard: Yard) -> Yard:
        """One commit published, and a second whose part was altered."""
        yard.read("a", "1")
        yard.publish()
        yard.read("b", "2")
        part = next(part for part in ledger.commits_above(yard.book, 1)[0].parts if part.kind == "documents")
        path = yard.home.part(part.kind, part.name)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)
        return yard

    def test_a_damaged_part_is_never_published(self, damaged: Yard) -> None:
        before = snapshots.newest(damaged.home)
        with pytest.raises(DamagedError, match=r"altered"):
            loader.publish(damaged.home, damaged.book)
        assert snapshots.newest(damaged.home) == before
        assert damaged.rows("SELECT count(*) FROM documents") == [(1,)]

    def test_a_failed_build_leaves_no_file(self, damaged: Yard) -> None:
        with pytest.raises(DamagedError):
            loader.publish(damaged.home, damaged.book)
        assert sorted(path.name for path in damaged.home.versions.iterdir()) == [
            "warehouse-00000001.duckdb", "warehouse-00000002.duckdb",
        ]  # fmt: skip

    def test_a_part_that_is_put_back_goes_on(self, damaged: Yard) -> None:
        part = next(part for part in ledger.commits_above(damaged.book, 1)[0].parts if part.kind == "documents")
        path = damaged.home.part(part.kind, part.name)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        assert parts.problem(damaged.home, part) is None
        damaged.publish()
        assert damaged.problems() == []

    def test_a_row_that_breaks_a_check_stops_the_build(self, yard: Yard) -> None:
        """What a bug upstream would bring: it stops here, not in an analyst's query."""
        yard.batch(yard.make.result(yard.make.raw_file(), [yard.make.document(language_confidence=1.5)]))
        before = snapshots.newest(yard.home)
        with pytest.raises((duckdb.Error, DamagedError)):
            loader.publish(yard.home, yard.book)
        assert snapshots.newest(yard.home) == before

    def test_a_segment_of_an_unknown_kind_stops_the_build(self, yard: Yard) -> None:
        """The kind of a segment is that of its paragraph, whose table has the check."""
        document = yard.make.document()
        (paragraph,) = document.paragraphs
        document = yard.make.document(paragraphs=(paragraph._replace(kind="footnote"),))
        yard.batch(yard.make.result(yard.make.raw_file(), [document]))
        before = snapshots.newest(yard.home)
        with pytest.raises(duckdb.Error, match="kind"):
            loader.publish(yard.home, yard.book)
        assert snapshots.newest(yard.home) == before
