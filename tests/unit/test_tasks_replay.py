"""Replay: each content is found under the name it was first read by, wherever its bytes are now."""

import os
from pathlib import Path
from typing import Any

import pytest

from tasks.replay import again
from warehouse import ledger
from warehouse.layout import Home
from warehouse.ledger import Ledger
from warehouse.raw_files import stamp_of
from warehouse.records import RawFile
from warehouse.uri import to_uri
from warehouse.vocabulary import FileStatus


class Places:
    """Files in the inbox and elsewhere, as the ledger has seen them."""

    def __init__(self, home: Home, book: Ledger, make: Any, elsewhere: Path) -> None:
        self.home, self.book, self.make, self.elsewhere = home, book, make, elsewhere

    def put(self, uri: str, content: str, *, outside: bool = False) -> RawFile:
        folder = self.elsewhere if outside else self.home.inbox
        path = folder / uri
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        root = to_uri(os.fsencode(folder)) if outside else "inbox"
        file: RawFile = self.make.raw_file(
            uri, content, root=root, source="wire", path=os.fsencode(path), stamp=stamp_of(path.stat())
        )
        return file

    def first(self, file: RawFile, *, rejected: bool = False) -> None:
        result = self.make.result(file, [], [self.make.reject()]) if rejected else self.make.result(file)
        ledger.append(self.book, "run-1", receipt=self.make.paper_receipt([result]))

    def copy(self, file: RawFile) -> None:
        ledger.append(self.book, "run-1", sightings=[self.make.sighting(file, FileStatus.DUPLICATE)])

    def again(self, *contents: str) -> tuple[list[RawFile], list[str]]:
        found = again(self.book, self.home, [self.make.content(content) for content in contents])
        return found.files, found.missing


@pytest.fixture
def places(home: Home, sqlite_book: Ledger, make: Any, tmp_path: Path) -> Places:
    return Places(home, sqlite_book, make, tmp_path / "elsewhere")


@pytest.mark.parametrize("outside", [True, False])
@pytest.mark.parametrize("rejected", [True, False])
def test_a_content_is_read_where_it_was(places: Places, outside: bool, rejected: bool) -> None:
    file = places.put("2019/a.txt", "text", outside=outside)
    places.first(file, rejected=rejected)
    (found,), missing = places.again("text")
    assert missing == []
    assert (found.root, found.uri, found.source, found.path, found.file_id) == (
        file.root, file.uri, "wire", file.path, file.file_id,
    )  # fmt: skip
    assert found.stamp == file.stamp


def test_a_content_whose_first_place_is_gone_is_read_at_another(places: Places) -> None:
    file = places.put("a.txt", "text")
    places.first(file)
    copy = places.put("b.txt", "text", outside=True)
    places.copy(copy)
    os.unlink(file.path)
    (found,), missing = places.again("text")
    assert missing == []
    # The same bytes give the same rows, so the name stays.
    assert (found.root, found.uri, found.path) == (file.root, file.uri, copy.path)
    assert found.stamp.size_bytes == file.stamp.size_bytes


def test_a_place_that_has_another_content_now_is_passed_over(places: Places) -> None:
    places.first(places.put("a.txt", "first"))
    copy = places.put("b.txt", "first")
    places.copy(copy)
    places.first(places.put("a.txt", "second"))
    (found,), _ = places.again("first")
    assert (found.uri, found.path) == ("a.txt", copy.path)


def test_a_place_that_was_changed_since_is_passed_over(places: Places) -> None:
    """The ledger has not seen the change yet, the stamp has."""
    file = places.put("a.txt", "first")
    places.first(file)
    copy = places.put("b.txt", "first")
    places.copy(copy)
    places.put("a.txt", "second, which is longer")
    (found,), _ = places.again("first")
    assert found.path == copy.path


def test_a_symlink_in_the_place_of_a_file_is_passed_over(places: Places) -> None:
    file = places.put("a.txt", "text")
    places.first(file)
    copy = places.put("b.txt", "text")
    places.copy(copy)
    os.unlink(file.path)
    os.symlink("b.txt", file.path)
    (found,), _ = places.again("text")
    assert found.path == copy.path


def test_a_place_behind_a_symlink_is_passed_over(places: Places, tmp_path: Path) -> None:
    file = places.put("2019/a.txt", "text")
    places.first(file)
    copy = places.put("b.txt", "text")
    places.copy(copy)
    os.rename(places.home.inbox / "2019", tmp_path / "aside")
    os.symlink(tmp_path / "aside", places.home.inbox / "2019")
    (found,), _ = places.again("text")
    assert found.path == copy.path


def test_an_inbox_that_is_a_symlink_is_followed(places: Places, tmp_path: Path) -> None:
    places.first(places.put("2019/a.txt", "text"))
    os.rename(places.home.inbox, tmp_path / "share")
    os.symlink(tmp_path / "share", places.home.inbox)
    (found,), _ = places.again("text")
    assert found.path == os.fsencode(tmp_path / "share" / "2019" / "a.txt")


def test_a_content_that_is_nowhere_any_more_is_missing(places: Places, make: Any) -> None:
    gone = places.put("a.txt", "gone")
    places.first(gone)
    places.first(places.put("b.txt", "here"))
    os.unlink(gone.path)
    files, missing = places.again("gone", "here")
    assert [file.uri for file in files] == ["b.txt"]
    assert missing == [make.content("gone")]


def test_a_content_that_was_replaced_is_missing(places: Places, make: Any) -> None:
    places.first(places.put("a.txt", "first"))
    places.first(places.put("a.txt", "second"))
    files, missing = places.again("first", "second")
    assert [file.file_id for file in files] == [make.content("second")]
    assert missing == [make.content("first")]


def test_a_content_that_nobody_knows_is_missing(places: Places, make: Any) -> None:
    assert places.again("never seen") == ([], [make.content("never seen")])


def test_a_content_that_came_back_is_found(places: Places) -> None:
    first = places.put("a.txt", "first")
    places.first(first)
    places.first(places.put("a.txt", "second"))
    first = places.put("a.txt", "first")
    ledger.append(places.book, "run-1", sightings=[places.make.sighting(first)])
    (found,), missing = places.again("first")
    assert (found.uri, missing) == ("a.txt", [])


def test_names_that_are_no_text_are_found_again(places: Places) -> None:
    path = os.path.join(os.fsencode(places.home.inbox), b"caf\xe9\n[1].txt")
    os.makedirs(os.path.dirname(path))
    with open(path, "w") as stream:
        stream.write("text")
    places.first(places.make.raw_file("caf%E9%0A%5B1%5D.txt", "text", path=path, stamp=stamp_of(os.stat(path))))
    (found,), _ = places.again("text")
    assert found.path == path


def test_nothing_is_asked_for(places: Places) -> None:
    assert places.again() == ([], [])
