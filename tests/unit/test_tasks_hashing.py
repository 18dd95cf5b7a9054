"""Hashing: what files are, in the order they were named, and of those that have no hash why."""

import hashlib
import os
from pathlib import Path
from typing import Any

from tasks.hashing import Hashed, Hasher, hashed, joined, unhashed
from warehouse.errors import Deferred, Refusal
from warehouse.raw_files import stamp_of
from warehouse.vocabulary import DeferReason, Reason


def test_every_file_has_its_place(tmp_path: Path, make: Any) -> None:
    (tmp_path / "a").write_bytes(b"first")
    (tmp_path / "b").write_bytes(b"")
    (tmp_path / "big").write_bytes(b"x" * 3_000_000)
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 50_000_000)
    os.mkfifo(tmp_path / "fifo")
    names = ["a", "gone", "big", "fifo", "sparse", "b"]
    sizes = [5, 1, 3_000_000, 0, 50_000_000, 0]
    paths = [os.fsencode(tmp_path / name) for name in names]
    found = hashed(paths, sizes)
    assert {place: type(trouble) for place, trouble in found.troubles.items()} == {
        1: FileNotFoundError, 3: Deferred, 4: Refusal,
    }  # fmt: skip
    deferred, refused = found.troubles[3], found.troubles[4]
    assert isinstance(deferred, Deferred)
    assert isinstance(refused, Refusal)
    assert (deferred.reason, refused.reason) == (DeferReason.CHANGING, Reason.SPARSE)
    for place in (0, 2, 5):
        file = make.raw_file(names[place], first_ordinal=3, file_id="", path=paths[place])
        content = (tmp_path / names[place]).read_bytes()
        stamp = stamp_of(os.stat(paths[place]))
        assert found.of(file, place) == file._replace(file_id=hashlib.sha256(content).hexdigest(), stamp=stamp)


def test_pieces_are_as_good_as_the_whole(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text(name)
    paths = [os.fsencode(tmp_path / name) for name in ("gone", "a", "b", "nowhere", "c", "away")]
    want = hashed(paths, [1] * 6)
    for cut in range(7):
        found = joined([hashed(paths[:cut], [1] * cut), hashed(paths[cut:], [1] * (6 - cut))])
        assert found[:2] == want[:2]
        assert {place: repr(one) for place, one in found.troubles.items()} == {
            place: repr(one) for place, one in want.troubles.items()
        }


def test_what_could_not_be_hashed_has_its_places_too(tmp_path: Path, make: Any) -> None:
    (tmp_path / "a").write_text("a")
    known, trouble = hashed([os.fsencode(tmp_path / "a")], [1]), Deferred(DeferReason.STALLED, "said so")
    found = joined([unhashed(2, trouble), known])
    assert found.troubles == {0: trouble, 1: trouble}
    assert found.of(make.raw_file(), 2) == known.of(make.raw_file(), 0)


def test_who_hashes_at_once_wants_nothing_early(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"first")
    hasher = Hasher()
    assert hasher.ahead == 0
    assert hasher.begin([os.fsencode(tmp_path / "a")], [5])() == hashed([os.fsencode(tmp_path / "a")], [5])
    assert hasher.begin([], [])() == Hashed("", b"", {})
