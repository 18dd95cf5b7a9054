"""Discover: what is new is found, what is known is not read, and nothing is decided by a name or a clock alone."""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tasks.discover import DiscoverOptions, Discovery, discover, is_settled, wanted
from tasks.discover import Search as LongSearch
from tasks.roots import INBOX, Root, known_root, roots_of
from warehouse import ledger, raw_files
from warehouse.errors import ConfigError, Deferred
from warehouse.layout import Home
from warehouse.ledger import Ledger
from warehouse.uri import to_uri
from warehouse.vocabulary import DeferReason, FileStatus, Reason, Stage

Obedient = Callable[[], contextlib.AbstractContextManager[None]]
HOUR = 3600


class Search:
    """A folder, a ledger, and what discover says of the one against the other."""

    def __init__(self, home: Home, book: Ledger, make: Any, folder: Path) -> None:
        self.home, self.book, self.make, self.folder = home, book, make, folder

    def put(self, name: str | bytes, content: str = "text", *, seconds_ago: float = 60) -> bytes:
        path = os.path.join(os.fsencode(self.folder), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as stream:
            stream.write(content)
        moment = time.time() - seconds_ago
        os.utime(path, (moment, moment))
        return path

    def __call__(
        self, *paths: Path | bytes, source: str | None = None, reread: bool = False, **options: Any
    ) -> Discovery:
        known, roots = set(ledger.known_roots(self.book)), list[Root]()
        for path in paths or (self.folder,):
            roots += roots_of(os.fsencode(path), self.home, known, source)
            known.update(root.location for root in roots)
        return discover(self.book, roots, DiscoverOptions(**options), reread=reread)

    def take(self, found: Discovery) -> None:
        """Do with a discovery what a run does, without reading texts."""
        ledger.restamp(self.book, found.restamped)
        ledger.mark_pending(self.book, [*found.new, *found.copies])
        ledger.append(self.book, "run-1", sightings=found.sightings, gone=found.gone)
        if found.new:
            results = [self.make.result(file) for file in found.new]
            ledger.append(self.book, "run-1", receipt=self.make.paper_receipt(results))
        copies = [self.make.sighting(file, FileStatus.DUPLICATE) for file in found.copies]
        ledger.append(self.book, "run-1", sightings=copies)

    def settled(self, *paths: Path | bytes, **options: Any) -> Discovery:
        found = self(*paths, **options)
        self.take(found)
        return found


@pytest.fixture
def search(home: Home, sqlite_book: Ledger, make: Any, tmp_path: Path) -> Search:
    """Over a folder outside the home."""
    folder = tmp_path / "news"
    folder.mkdir()
    return Search(home, sqlite_book, make, folder)


@pytest.fixture
def inbox(home: Home, sqlite_book: Ledger, make: Any) -> Search:
    home.inbox.mkdir(parents=True)
    return Search(home, sqlite_book, make, home.inbox)


def uris(found: Sequence[Any]) -> list[str]:
    return [entry.uri for entry in found]


def is_quiet(found: Discovery) -> bool:
    """Whether there is nothing to do."""
    return not (found.new or found.sightings or found.copies or found.restamped or found.gone)


class TestRoots:
    def located(self, path: Path | bytes, home: Home, known: Sequence[str] = ()) -> list[tuple[str, bytes]]:
        return [(root.location, root.below) for root in roots_of(os.fsencode(path), home, known, None)]

    def test_the_inbox_is_a_root_of_its_own_name(self, inbox: Search) -> None:
        home = inbox.home
        path = inbox.put("wire/2019/a.txt")
        assert self.located(home.inbox, home) == [(INBOX, b"")]
        assert self.located(home.inbox / "wire", home) == [(INBOX, b"wire")]
        assert self.located(path, home) == [(INBOX, b"wire/2019/a.txt")]
        # Whatever else is known above it, and wherever the home is moved to.
        assert self.located(path, home, ["/", to_uri(os.fsencode(home.path.parent))]) == [(INBOX, b"wire/2019/a.txt")]

    def test_the_inbox_may_be_a_symlink(self, home: Home, tmp_path: Path) -> None:
        (tmp_path / "share" / "wire").mkdir(parents=True)
        home.path.mkdir()
        home.inbox.symlink_to(tmp_path / "share")
        assert self.located(home.inbox / "wire", home) == [(INBOX, b"wire")]
        assert self.located(tmp_path / "share" / "wire", home) == [(INBOX, b"wire")]

    def test_a_folder_elsewhere_is_its_own_root(self, search: Search) -> None:
        assert self.located(search.folder, search.home) == [(str(search.folder), b"")]

    def test_a_file_elsewhere_is_below_its_folder(self, search: Search) -> None:
        path = search.put(b"caf\xe9 [1].txt")
        (root,) = roots_of(path, search.home, (), "wire")
        assert (root.location, root.path, root.below) == (
            str(search.folder), os.fsencode(search.folder), b"caf\xe9 [1].txt",
        )  # fmt: skip
        assert root.source == "wire"

    def test_a_known_root_keeps_its_files(self, search: Search) -> None:
        path = search.put("2019/04/a.txt")
        known = [str(search.folder)]
        assert self.located(path, search.home, known) == [(str(search.folder), b"2019/04/a.txt")]
        assert self.located(search.folder / "2019", search.home, known) == [(str(search.folder), b"2019")]

    def test_the_nearest_known_root_wins(self, search: Search) -> None:
        path = search.put("2019/04/a.txt")
        known = [str(search.folder), str(search.folder / "2019"), str(search.folder.parent)]
        assert self.located(path, search.home, known) == [(str(search.folder / "2019"), b"04/a.txt")]

    def test_a_folder_whose_name_only_begins_alike_is_another(self, search: Search, tmp_path: Path) -> None:
        (tmp_path / "newsroom").mkdir()
        assert self.located(tmp_path / "newsroom", search.home, [str(search.folder)]) == [
            (str(tmp_path / "newsroom"), b"")
        ]

    def test_a_folder_above_known_roots_leaves_them_their_files(self, search: Search, tmp_path: Path) -> None:
        search.put("a.txt")
        above, inner = roots_of(os.fsencode(tmp_path), search.home, [str(search.folder)], "wire")
        assert (above.location, inner.location) == (str(tmp_path), str(search.folder))
        assert b"news" in above.skip
        assert (above.source, inner.source) == ("wire", "wire")

    def test_the_home_is_no_source(self, inbox: Search) -> None:
        for path in (inbox.home.path, inbox.home.path / "ledger.sqlite"):
            with pytest.raises(ConfigError, match=r"inbox"):
                roots_of(os.fsencode(path), inbox.home, (), None)

    def test_a_path_that_is_not_there_is_said_so(self, search: Search) -> None:
        with pytest.raises(ConfigError, match=r"does not exist"):
            roots_of(os.fsencode(search.folder / "nowhere"), search.home, (), None)

    def test_a_symlink_that_was_named_is_followed(self, search: Search, tmp_path: Path) -> None:
        search.put("a.txt")
        (tmp_path / "link").symlink_to(search.folder / "a.txt")
        assert self.located(tmp_path / "link", search.home) == [(str(search.folder), b"a.txt")]
        (tmp_path / "folder").symlink_to(search.folder)
        assert self.located(tmp_path / "folder", search.home) == [(str(search.folder), b"")]

    def test_a_dangling_symlink_that_was_named_is_said_so(self, tmp_path: Path, home: Home) -> None:
        (tmp_path / "link").symlink_to("nowhere")
        with pytest.raises(ConfigError, match=r"does not exist"):
            roots_of(os.fsencode(tmp_path / "link"), home, (), None)

    def test_a_relative_path_is_the_same_path(self, search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
        search.put("2019/a.txt")
        monkeypatch.chdir(search.folder)
        assert self.located(b"2019/../2019", search.home) == [(str(search.folder / "2019"), b"")]
        assert self.located(b".", search.home) == [(str(search.folder), b"")]

    def test_a_path_of_the_ledger_is_found_again_and_not_followed(self, inbox: Search, tmp_path: Path) -> None:
        inbox.home.inbox.joinpath("link").symlink_to(tmp_path)
        root = known_root(inbox.home, INBOX, "link")
        assert os.path.islink(os.path.join(root.path, root.below))
        root = known_root(inbox.home, "/srv/caf%E9", "a%20b.txt")
        assert os.path.join(root.path, root.below) == b"/srv/caf\xe9/a b.txt"

    def test_a_path_of_the_ledger_behind_a_symlink_is_refused_like_one(self, inbox: Search, tmp_path: Path) -> None:
        """A path that was refused is looked at again without a walk that would have met the symlink above it."""
        inbox.put("wire/2019/a.txt")
        root = known_root(inbox.home, INBOX, "wire/2019/a.txt")
        assert uris(discover(inbox.book, [root], DiscoverOptions(), reread=True).new) == ["wire/2019/a.txt"]
        os.rename(inbox.folder / "wire", tmp_path / "wire")
        (inbox.folder / "wire").symlink_to(tmp_path / "wire")
        found = discover(inbox.book, [root], DiscoverOptions(), reread=True)
        assert [(s.uri, s.reason, s.file_id) for s in found.sightings] == [("wire/2019/a.txt", Reason.SYMLINK, None)]
        assert found.new == []

    def test_a_symlink_in_the_place_of_a_known_root_is_not_followed(self, search: Search, tmp_path: Path) -> None:
        """Below another root it stands where who sends files can put it."""
        search.put("2019/a.txt")
        search.settled(search.folder / "2019")
        os.rename(search.folder / "2019", tmp_path / "aside")
        (search.folder / "2019").symlink_to(tmp_path / "aside")
        (tmp_path / "aside" / "secret.txt").write_text("secret")
        found = search()
        assert found.new == []
        assert sorted((s.root, s.uri, s.reason) for s in found.sightings) == [
            (str(search.folder), "2019", Reason.SYMLINK),
            (str(search.folder / "2019"), "/", DeferReason.CHANGING),
        ]


class TestNames:
    @pytest.mark.parametrize(
        "name", [b".hidden", b"..", b"a.txt.part", b"a.tmp", b"a.txt~", b".a.txt.swp", b"a.crdownload", b"\xff.part"]
    )
    def test_what_tools_write_meanwhile_is_ignored(self, name: bytes) -> None:
        assert wanted(DiscoverOptions())([os.fsdecode(name)]) == []

    @pytest.mark.parametrize("name", [b"a.txt", b"part", b"a.part.txt", b"tmp.txt", b"~a.txt", b"\xff", b"a"])
    def test_all_else_is_not(self, name: bytes) -> None:
        assert wanted(DiscoverOptions())([os.fsdecode(name)]) == [os.fsdecode(name)]

    def test_ignored_files_are_counted_and_left_alone(self, search: Search) -> None:
        for name in (".hidden.txt", "a.txt.part", "a.txt", "folder/b.txt~"):
            search.put(name)
        found = search()
        assert (uris(found.new), found.ignored) == (["a.txt"], 3)

    def test_what_lies_in_a_hidden_folder_is_hidden(self, search: Search) -> None:
        """rsync writes into ``.~tmp~/``; a clone has its ``.git/``."""
        search.put(".~tmp~/a.txt")
        search.put(".git/objects/b.txt")
        search.put("c.txt")
        assert uris(search().new) == ["c.txt"]

    def test_names_that_are_no_text_are_found(self, search: Search) -> None:
        names = [b"caf\xe9.txt", b"a\nb'\"[1]*?.txt", b"k=v.txt", b"--help.txt", "ü.txt".encode(), b"%41.txt"]
        for number, name in enumerate(names):
            search.put(name, str(number))
        found = search()
        assert sorted(uris(found.new)) == sorted(map(to_uri, names))
        search.take(found)
        assert search().unchanged == len(names)


class TestSources:
    def test_the_first_folder_below_the_inbox_names_the_source(self, inbox: Search) -> None:
        inbox.put("wire/2019/a.txt", "a")
        inbox.put("b.txt", "b")
        inbox.put(b"caf\xe9/c.txt", "c")
        found = {file.uri: file.source for file in inbox().new}
        assert found == {"wire/2019/a.txt": "wire", "b.txt": "default", "caf%E9/c.txt": "caf%E9"}

    def test_it_does_not_depend_on_where_the_walk_began(self, inbox: Search) -> None:
        path = inbox.put("wire/2019/a.txt")
        for begin in (inbox.folder / "wire", inbox.folder / "wire" / "2019", path):
            (file,) = inbox(begin).new
            assert (file.uri, file.source) == ("wire/2019/a.txt", "wire")

    def test_elsewhere_folders_name_nothing(self, search: Search) -> None:
        search.put("wire/a.txt")
        assert [file.source for file in search().new] == ["default"]

    def test_a_given_source_wins(self, search: Search, inbox: Search) -> None:
        search.put("a.txt", "a")
        inbox.put("wire/b.txt", "b")
        assert [file.source for file in search(source="agency").new] == ["agency"]
        assert [file.source for file in inbox(source="agency").new] == ["agency"]

    def test_refused_and_deferred_paths_have_one_too(self, inbox: Search) -> None:
        (inbox.folder / "wire").mkdir()
        (inbox.folder / "wire" / "link").symlink_to("nowhere")
        assert [sighting.source for sighting in inbox().sightings] == ["wire"]


class TestNew:
    def test_what_is_new_carries_all_that_reading_needs(self, search: Search, make: Any) -> None:
        path = search.put("2019/a.txt", "text")
        (file,) = search().new
        assert (file.root, file.uri, file.path) == (str(search.folder), "2019/a.txt", path)
        assert file.file_id == make.content("text")
        assert file.stamp == raw_files.stamp_of(os.stat(path))
        assert file.first_ordinal == 0

    def test_nothing_is_written(self, search: Search) -> None:
        search.put("a.txt")
        before = ledger.known_roots(search.book)
        search()
        assert list(ledger.remembered(search.book, str(search.folder))) == []
        assert ledger.known_roots(search.book) == before

    def test_what_is_unchanged_is_not_read(self, search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
        for n in range(3):
            search.put(f"{n}.txt", str(n))
        search.settled()
        monkeypatch.setattr(raw_files, "read", lambda path, *_: pytest.fail(f"read {path!r}"))
        found = search()
        assert is_quiet(found)
        assert found.unchanged == 3

    def test_a_single_file_is_looked_at_alone(self, search: Search) -> None:
        path = search.put("a.txt", "a")
        search.put("b.txt", "b")
        assert uris(search(path).new) == ["a.txt"]

    def test_equal_bytes_in_one_run_are_read_once(self, search: Search) -> None:
        for name in ("b.txt", "a.txt", "c.txt"):
            search.put(name, "same")
        found = search()
        assert uris(found.new) == ["a.txt"]
        assert uris(found.copies) == ["b.txt", "c.txt"]
        assert {file.file_id for file in found.copies} == {found.new[0].file_id}

    def test_the_source_decides_before_the_name_which_of_equals_is_first(self, inbox: Search) -> None:
        inbox.put("wire/a.txt", "same")
        inbox.put("agency/b.txt", "same")
        assert uris(inbox().new) == ["agency/b.txt"]

    def test_known_bytes_at_a_new_place_are_a_duplicate(self, search: Search) -> None:
        search.put("b.txt", "same")
        search.settled()
        search.put("a.txt", "same")
        found = search()
        assert found.new == []
        assert [(s.uri, s.status) for s in found.sightings] == [("a.txt", FileStatus.DUPLICATE)]
        search.take(found)
        assert search().unchanged == 2

    @pytest.mark.parametrize("again", ["", "a.txt", "2019/.."])
    def test_a_path_that_is_named_twice_is_seen_once(self, search: Search, again: str) -> None:
        search.put("a.txt", "a")
        search.put("2019/b.txt", "b")
        (search.folder / "link").symlink_to("a.txt")
        found = search(search.folder, search.folder / again)
        assert uris(found.new) == ["2019/b.txt", "a.txt"]
        assert found.copies == []
        assert uris(found.sightings) == ["link"]

    def test_a_folder_above_a_known_root_does_not_count_its_files_again(self, search: Search, tmp_path: Path) -> None:
        search.put("a.txt", "a")
        search.settled()
        (tmp_path / "other.txt").write_text("other")
        found = search(tmp_path)
        assert uris(found.new) == ["other.txt"]
        assert found.unchanged == 1
        assert found.sightings == found.copies == []

    def test_the_home_below_a_folder_is_not_entered(self, search: Search, inbox: Search, tmp_path: Path) -> None:
        """``newsmill ingest .`` in the folder that holds the home: parts and snapshots are no raw files."""
        search.put("a.txt", "a")
        inbox.put("wire/b.txt", "b")
        (search.home.lake / "documents").mkdir(parents=True)
        (search.home.lake / "documents" / "x.parquet").touch()
        found = search(tmp_path)
        assert [file.uri for file in found.new] == ["news/a.txt"]

    def test_progress_is_told(self, search: Search) -> None:
        for n in range(3):
            search.put(f"{n}.txt", str(n))
        seen = list[int]()
        (root,) = roots_of(os.fsencode(search.folder), search.home, (), None)
        discover(search.book, [root], DiscoverOptions(), on_file=seen.append)
        assert seen == [3]


class TestChange:
    def test_a_changed_file_is_new(self, search: Search, make: Any) -> None:
        search.put("a.txt", "first")
        search.settled()
        search.put("a.txt", "second")
        (file,) = search().new
        assert file.file_id == make.content("second")

    def test_a_change_that_keeps_size_and_time_is_seen(self, search: Search, make: Any) -> None:
        """Only the change time and the inode tell."""
        path = search.put("a.txt", "first")
        search.settled()
        before = os.stat(path)
        with open(path, "r+") as stream:
            stream.write("other")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        (file,) = search().new
        assert file.file_id == make.content("other")

    def test_changing_it_back_is_no_duplicate(self, search: Search) -> None:
        search.put("a.txt", "first")
        search.settled()
        search.put("a.txt", "second")
        search.settled()
        search.put("a.txt", "first")
        found = search()
        assert found.new == []
        assert [(s.uri, s.status) for s in found.sightings] == [("a.txt", FileStatus.INGESTED)]
        search.take(found)
        assert is_quiet(search())

    def test_changing_it_to_what_is_known_elsewhere_is_a_duplicate(self, search: Search) -> None:
        search.put("a.txt", "first")
        search.put("b.txt", "second")
        search.settled()
        search.put("a.txt", "second")
        assert [(s.uri, s.status) for s in search().sightings] == [("a.txt", FileStatus.DUPLICATE)]

    def test_a_touched_file_only_gets_a_new_stamp(self, search: Search) -> None:
        path = search.put("a.txt")
        search.settled()
        os.utime(path)
        found = search()
        assert uris(found.restamped) == ["a.txt"]
        assert found.new == found.sightings == found.copies == []
        before = ledger.last_commit(search.book)
        search.take(found)
        assert ledger.last_commit(search.book) == before
        assert is_quiet(search())

    def test_a_file_that_was_copied_over_itself_only_gets_a_new_stamp(self, search: Search) -> None:
        path = search.put("a.txt", "text")
        search.settled()
        os.unlink(path)
        search.put("a.txt", "text")
        assert uris(search().restamped) == ["a.txt"]

    def test_deleting_a_file_changes_nothing(self, search: Search) -> None:
        path = search.put("a.txt")
        search.settled()
        os.unlink(path)
        assert is_quiet(search())

    def test_with_reread_an_equal_stamp_counts_for_nothing(self, search: Search) -> None:
        (search.folder / "link").symlink_to("nowhere")
        search.settled()
        assert is_quiet(search())
        assert uris(search(reread=True).sightings) == ["link"]


class TestRefused:
    def test_what_is_no_file_is_refused_unread(self, search: Search) -> None:
        (search.folder / "link.txt").symlink_to("/etc/hostname")
        os.mkfifo(search.folder / "fifo.txt")
        found = search()
        assert found.new == []
        assert [(s.uri, s.status, s.stage, s.reason, s.file_id) for s in found.sightings] == [
            ("fifo.txt", FileStatus.REJECTED, Stage.DISCOVER, Reason.NOT_REGULAR, None),
            ("link.txt", FileStatus.REJECTED, Stage.DISCOVER, Reason.SYMLINK, None),
        ]
        assert all(s.detail for s in found.sightings)
        search.take(found)
        assert is_quiet(search())

    def test_a_link_that_becomes_a_file_is_read(self, search: Search) -> None:
        (search.folder / "a.txt").symlink_to("nowhere")
        search.settled()
        (search.folder / "a.txt").unlink()
        search.put("a.txt")
        assert uris(search().new) == ["a.txt"]

    def test_a_file_beyond_the_limit_is_refused_unread(self, search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
        search.put("a.txt", "x" * 101)
        search.put("b.txt", "x" * 100)
        with monkeypatch.context() as patch:
            real = raw_files.read
            patch.setattr(
                raw_files,
                "read",
                lambda path, *way: pytest.fail("read") if path.endswith(b"a.txt") else real(path, *way),
            )
            found = search.settled(max_file_bytes=100)
        assert uris(found.new) == ["b.txt"]
        assert [(s.uri, s.reason) for s in found.sightings] == [("a.txt", Reason.TOO_LARGE)]
        assert "101" in (found.sightings[0].detail or "")
        # A higher limit alone changes nothing for a path that is known; a replay reads it again.
        assert is_quiet(search())
        assert "a.txt" in uris(search(reread=True).new)


class TestDeferred:
    def test_an_unreadable_file_is_deferred_and_taken_when_it_can_be_read(
        self, search: Search, obedient: Obedient
    ) -> None:
        path = search.put("a.txt", "a")
        search.put("b.txt", "b")
        os.chmod(path, 0)
        with obedient():
            found = search()
        assert uris(found.new) == ["b.txt"]
        assert [(s.uri, s.status, s.reason, s.file_id) for s in found.sightings] == [
            ("a.txt", FileStatus.DEFERRED, DeferReason.PERMISSION, None)
        ]
        search.take(found)
        os.chmod(path, 0o644)
        assert uris(search().new) == ["a.txt"]

    def test_it_is_tried_at_every_run(self, search: Search, obedient: Obedient) -> None:
        os.chmod(search.put("a.txt"), 0)
        for _ in range(2):
            with obedient():
                found = search.settled()
            assert uris(found.sightings) == ["a.txt"]

    def test_a_known_file_that_cannot_be_read_now_is_deferred(self, search: Search, obedient: Obedient) -> None:
        path = search.put("a.txt", "a")
        search.settled()
        os.chmod(path, 0)
        with obedient():
            found = search.settled()
        assert [(s.uri, s.status) for s in found.sightings] == [("a.txt", FileStatus.DEFERRED)]
        os.chmod(path, 0o644)
        assert [(s.uri, s.status) for s in search().sightings] == [("a.txt", FileStatus.INGESTED)]

    def test_a_folder_that_cannot_be_listed_is_deferred_until_it_can(self, search: Search, obedient: Obedient) -> None:
        search.put("closed/a.txt")
        search.put("b.txt", "b")
        os.chmod(search.folder / "closed", 0)
        with obedient():
            found = search.settled()
        assert uris(found.new) == ["b.txt"]
        assert [(s.uri, s.reason) for s in found.sightings] == [("closed/", DeferReason.PERMISSION)]
        os.chmod(search.folder / "closed", 0o755)
        found = search.settled()
        assert uris(found.new) == ["closed/a.txt"]
        assert ledger.conservation(search.book).deferred == 0
        assert is_quiet(search())

    def test_what_waits_in_a_closed_folder_is_not_gone(self, search: Search, obedient: Obedient, make: Any) -> None:
        search.put("closed/a.txt", "a")
        search.put("closed2/b.txt", "b")
        ledger.mark_pending(search.book, search().new)
        os.unlink(search.folder / "closed2" / "b.txt")
        os.chmod(search.folder / "closed", 0)
        with obedient():
            found = search()
        assert found.gone == [(str(search.folder), "closed2/b.txt")]
        os.chmod(search.folder / "closed", 0o755)

    def test_a_file_that_was_changed_just_now_waits_until_it_settles(self, search: Search) -> None:
        search.put("new.txt", "new", seconds_ago=1)
        search.put("old.txt", "old", seconds_ago=HOUR)
        search.put("future.txt", "future", seconds_ago=-HOUR)
        found = search.settled(settle_seconds=60)
        assert uris(found.new) == ["future.txt", "old.txt"]
        assert [(s.uri, s.status, s.reason) for s in found.sightings] == [
            ("new.txt", FileStatus.DEFERRED, DeferReason.CHANGING)
        ]
        assert uris(search(settle_seconds=0).new) == ["new.txt"]

    @pytest.mark.parametrize(
        ("age", "seconds", "settled"),
        [(0, 0, True), (5, 0, True), (-5, 0, True), (9.9, 10, False), (10, 10, True), (0, 10, False), (-0.1, 10, True)],
    )
    def test_what_is_settled(self, age: float, seconds: float, settled: bool) -> None:
        now = 1_556_150_400_000_000_000
        assert is_settled(now - int(age * 1e9), now, seconds) is settled


class TestPending:
    def test_what_a_killed_run_found_is_not_hashed_again(self, search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
        search.put("a.txt", "a")
        first = search().new
        ledger.mark_pending(search.book, first)
        monkeypatch.setattr(raw_files, "read", lambda path, *_: pytest.fail(f"read {path!r}"))
        assert search().new == first

    def test_unless_it_has_changed_since(self, search: Search, make: Any) -> None:
        search.put("a.txt", "a")
        ledger.mark_pending(search.book, search().new)
        search.put("a.txt", "other")
        (file,) = search().new
        assert file.file_id == make.content("other")

    def test_a_copy_waits_for_its_content_until_the_ledger_has_it(
        self, search: Search, make: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Group by group: what was handed out before is no duplicate until it is committed."""
        monkeypatch.setattr("tasks.discover.HASHED_AT_ONCE", 1)
        for name in "abcd":
            search.put(f"{name}.txt", "same")
        roots = roots_of(os.fsencode(search.folder), search.home, (), None)
        looked = LongSearch(search.book, roots, DiscoverOptions())
        groups = looked.hashed()
        assert uris(next(groups).new) == ["a.txt"]
        found = next(groups)
        assert (uris(found.new), uris(found.copies)) == ([], ["b.txt"])
        # A batch that failed leaves its content as it was.
        looked.committed([])
        found = next(groups)
        assert (uris(found.new), uris(found.copies)) == ([], ["c.txt"])
        ledger.append(search.book, "run-1", receipt=make.paper_receipt([make.result(make.raw_file("a.txt", "same"))]))
        looked.committed([make.content("same")])
        found = next(groups)
        assert [(s.uri, s.status) for s in found.sightings] == [("d.txt", FileStatus.DUPLICATE)]

    def test_a_big_file_goes_on_behind_its_last_committed_cut(self, search: Search, make: Any) -> None:
        search.put("big.txt", "big")
        ledger.mark_pending(search.book, search().new)
        ledger.append(search.book, "run-1", receipt=make.paper_receipt([make.cut("big", 0, 9)]))
        ledger.append(search.book, "run-1", receipt=make.paper_receipt([make.cut("big", 10, 14)]))
        (file,) = search().new
        assert (file.uri, file.first_ordinal) == ("big.txt", 15)

    def test_a_pending_content_that_was_finished_elsewhere_is_a_duplicate(self, search: Search) -> None:
        search.put("a.txt", "same")
        search.put("b.txt", "same")
        found = search()
        ledger.mark_pending(search.book, found.new)
        search.take(search(search.folder / "b.txt"))
        assert [(s.uri, s.status) for s in search().sightings] == [("a.txt", FileStatus.DUPLICATE)]

    @pytest.mark.parametrize("state", ["pending", "deferred"])
    def test_what_waited_and_is_not_there_any_more_is_gone(self, search: Search, state: str) -> None:
        paths = [search.put(name, name) for name in ("a.txt", "a.txt.txt", "2019/c.txt", "2019/04/d.txt")]
        if state == "pending":
            ledger.mark_pending(search.book, search().new)
        else:
            search.settled(settle_seconds=HOUR)
        for path in paths:
            os.unlink(path)
        (search.folder / "a.txt").mkdir()
        root = str(search.folder)
        # Only what lies where somebody looked.
        assert search(search.folder / "2019" / "04").gone == [(root, "2019/04/d.txt")]
        assert sorted(search(search.folder / "2019").gone) == [(root, "2019/04/d.txt"), (root, "2019/c.txt")]
        assert search(search.folder / "a.txt").gone == [(root, "a.txt")]
        assert len(search().gone) == 4
        search.take(search())
        assert is_quiet(search())
        assert (ledger.conservation(search.book).pending, ledger.conservation(search.book).deferred) == (0, 0)

    def test_what_is_still_there_is_not_gone(self, search: Search) -> None:
        search.put("a.txt")
        search.settled(settle_seconds=HOUR)
        assert search(settle_seconds=HOUR).gone == []

    def test_a_file_that_vanishes_before_it_is_hashed_is_no_error(
        self, search: Search, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        search.put("a.txt", "a")
        search.put("b.txt", "b")
        real = raw_files.read

        def read(path: bytes, *way: Any) -> Any:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(search.folder / "a.txt")
            return real(path, *way)

        monkeypatch.setattr(raw_files, "read", read)
        found = search()
        assert uris(found.new) == ["b.txt"]
        assert found.sightings == []

    def test_a_file_that_changes_while_it_is_hashed_is_deferred(
        self, search: Search, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        search.put("a.txt", "a")

        def read(*_: Any) -> Any:
            raise Deferred(DeferReason.CHANGING, "changed while it was read")

        monkeypatch.setattr(raw_files, "read", read)
        assert [(s.uri, s.reason) for s in search().sightings] == [("a.txt", DeferReason.CHANGING)]
