"""One batch: what can be read becomes parts, what cannot is put off, and the home's own errors are raised."""

import contextlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.ingest_batch import ingest_batch
from tasks.options import BatchOptions, DocumentOptions
from warehouse import parts, raw_files
from warehouse.layout import Home
from warehouse.records import Batch, RawFile, Receipt
from warehouse.vocabulary import DeferReason, FileStatus

OPTIONS = BatchOptions(document=DocumentOptions(), pipeline_version="1-aaaa", settings_fingerprint="5" * 16)


@pytest.fixture
def found(make: Any, tmp_path: Path, write_news: Callable[..., str]) -> Callable[..., RawFile]:
    """Write a file and find it."""

    def found_(name: str, content: str | bytes | None = None) -> RawFile:
        path = tmp_path / name
        text = write_news(len(name)) if content is None else content
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        read = raw_files.read(os.fsencode(path))
        file: RawFile = make.raw_file(name, file_id=read.file_id, path=os.fsencode(path), stamp=read.stamp)
        return file

    return found_


def ingest(home: Home, *files: RawFile, number: int = 3) -> Receipt:
    (receipt,) = ingest_batch(home, Batch(number=number, files=files), OPTIONS)
    return receipt


def outcome(receipt: Receipt) -> dict[str, FileStatus]:
    return {sighting.uri: sighting.status for sighting in receipt.sightings}


def test_a_batch_becomes_two_parts_and_a_receipt(home: Home, found: Callable[..., RawFile]) -> None:
    one, two = found("a.txt"), found("b.txt", b"")
    receipt = ingest(home, one, two)
    assert outcome(receipt) == {"a.txt": FileStatus.INGESTED, "b.txt": FileStatus.REJECTED}
    assert (receipt.number, receipt.pipeline_version, receipt.settings_fingerprint) == (3, "1-aaaa", "5" * 16)
    rows = {part.kind: parts.read(home, part) for part in receipt.parts}
    assert rows["documents"]["file_id"].to_pylist() == [one.file_id]
    assert sorted(rows["files"]["uri"].to_pylist()) == ["a.txt", "b.txt"]
    assert [(span.document_count, span.reject_count, span.is_last) for span in receipt.spans] == [
        (1, 0, True),
        (0, 1, True),
    ]
    assert set(rows["documents"]["batch_id"].to_pylist()) == {receipt.batch_id}
    assert {"read", "normalise", "detect", "segment", "write"} == receipt.timings.keys()


def test_the_same_batch_gives_the_same_bytes_anywhere(tmp_path: Path, found: Callable[..., RawFile]) -> None:
    """Stamps, roots, places and the number of the batch are no part of a part."""
    file = found("a.txt")
    moved = tmp_path / "moved.txt"
    moved.write_bytes(Path(os.fsdecode(file.path)).read_bytes())
    other = file._replace(
        root="/elsewhere", path=os.fsencode(moved), stamp=file.stamp._replace(mtime_ns=1, ctime_ns=1, inode=1)
    )
    first = ingest(Home(tmp_path / "one"), file)
    second = ingest(Home(tmp_path / "two"), other, number=9)
    assert first.parts == second.parts
    assert first.batch_id == second.batch_id
    assert first.spans == second.spans


def test_what_cannot_be_read_is_put_off_and_the_others_go_on(
    home: Home, found: Callable[..., RawFile], obedient: Callable[[], contextlib.AbstractContextManager[None]]
) -> None:
    closed, good = found("a.txt"), found("bb.txt")
    os.chmod(closed.path, 0)
    with obedient():
        receipt = ingest(home, closed, good)
    assert outcome(receipt) == {"a.txt": FileStatus.DEFERRED, "bb.txt": FileStatus.INGESTED}
    assert [span.file_id for span in receipt.spans] == [good.file_id]
    (deferred,) = (sighting for sighting in receipt.sightings if sighting.file_id is None)
    assert deferred.reason is DeferReason.PERMISSION


def test_what_has_changed_since_is_put_off(home: Home, found: Callable[..., RawFile]) -> None:
    file = found("a.txt")
    found("a.txt", "Something else stands here now, and it is in English.")
    receipt = ingest(home, file)
    assert [(s.uri, s.status, s.reason, s.file_id) for s in receipt.sightings] == [
        ("a.txt", FileStatus.DEFERRED, DeferReason.CHANGING, None)
    ]
    assert (receipt.parts, receipt.spans) == ((), ())
    assert not home.lake.exists()


def test_what_is_gone_is_said_to_be(home: Home, found: Callable[..., RawFile]) -> None:
    file, good = found("a.txt"), found("bb.txt")
    os.unlink(file.path)
    receipt = ingest(home, file, good)
    assert receipt.gone == (("inbox", "a.txt"),)
    assert outcome(receipt) == {"bb.txt": FileStatus.INGESTED}


def test_a_symlink_in_the_place_of_a_file_is_not_followed(home: Home, found: Callable[..., RawFile]) -> None:
    file, other = found("a.txt"), found("bb.txt")
    os.unlink(file.path)
    os.symlink(other.path, file.path)
    assert outcome(ingest(home, file)) == {"a.txt": FileStatus.DEFERRED}


def test_errors_of_the_home_are_raised(home: Home, found: Callable[..., RawFile]) -> None:
    home.path.mkdir()
    home.lake.write_text("a file where the lake should be")
    with pytest.raises(OSError):
        ingest(home, found("a.txt"))


def test_a_receipt_crosses_a_process_border(home: Home, found: Callable[..., RawFile]) -> None:
    batch = Batch(number=0, files=(found("a.txt"),))
    assert pickle.loads(pickle.dumps(batch)) == batch
    assert pickle.loads(pickle.dumps(OPTIONS)) == OPTIONS
    (receipt,) = ingest_batch(home, batch, OPTIONS)
    assert pickle.loads(pickle.dumps(receipt)) == receipt


def test_raw_files_are_left_as_they_were(home: Home, found: Callable[..., RawFile], tmp_path: Path) -> None:
    file = found("a.txt")
    before = os.stat(file.path)
    ingest(home, file)
    after = os.stat(file.path)
    assert raw_files.stamp_of(after) == raw_files.stamp_of(before)
    assert after.st_mode == before.st_mode
