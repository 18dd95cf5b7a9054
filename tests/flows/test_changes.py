"""Point 6, over time: duplicates, changes, changing back, touching, deleting, and files that move under our hands."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from flows import execution, run
from tasks import discover
from warehouse import ledger

News = Callable[[int], str]


def current(mill: Any) -> dict[str, str]:
    """The beginning of the current text of each uri."""
    query = """
        SELECT files.uri, left(text, 17) AS text FROM files JOIN documents USING (file_id)
        WHERE is_current ORDER BY files.uri"""
    return {row["uri"]: row["text"] for row in mill.rows(query)}


def states(mill: Any) -> dict[str, list[str]]:
    """Every status a uri has a row of, in the order of the sightings."""
    found: dict[str, list[str]] = {}
    for row in mill.rows("SELECT uri, status FROM files ORDER BY sighting_no"):
        found.setdefault(row["uri"], []).append(row["status"])
    return found


def test_the_same_bytes_at_a_second_path_are_a_duplicate(mill: Any, write_news: News) -> None:
    mill.put("a.txt", write_news(1))
    mill.put("z.txt", write_news(1))
    outcome = mill.ingest()
    assert (outcome.counts["ingested"], outcome.counts["duplicate"]) == (1, 1)
    mill.put("later/b.txt", write_news(1))
    parts = mill.parts()
    assert mill.ingest().counts == {"unchanged": 2, "duplicate": 1}
    assert mill.parts() == parts, "a duplicate is not read into a part again"
    assert states(mill) == {"a.txt": ["ingested"], "z.txt": ["duplicate"], "later/b.txt": ["duplicate"]}
    assert mill.one("SELECT count(*) FROM documents") == 1
    assert mill.one("SELECT sum(document_count) FROM files") == 1
    assert mill.problems(deep=True) == []
    assert mill.ingest().counts == {"unchanged": 3}


def test_a_folder_that_comes_again_is_committed_in_pieces(
    mill: Any, write_news: News, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths that need no reading are as many as they like: neither a commit nor its load holds all of them."""
    monkeypatch.setattr(execution, "SIGHTINGS", 4)
    monkeypatch.setattr(run, "SIGHTINGS", 4)
    monkeypatch.setattr(discover, "HASHED_AT_ONCE", 3)
    for number in range(11):
        mill.put(f"first/{number:02}.txt", write_news(number))
    mill.ingest()
    for number in range(11):
        mill.put(f"again/{number:02}.txt", write_news(number))
    mill.put("z/new.txt", write_news(11))
    append, calls = ledger.append, list[int]()

    def killed(*words: Any, **what: Any) -> int | None:
        if what.get("receipt") is None:
            calls.append(len(what["sightings"]))
            if len(calls) == 2:
                raise OSError("the plug")
        return append(*words, **what)

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "append", killed)
        with pytest.raises(OSError, match="the plug"):
            mill.ingest()
    before = mill.one("SELECT count(*) FROM loads")
    assert mill.ingest().counts["duplicate"] == 11 - 4
    assert calls[0] == 4
    assert mill.one("SELECT count(*) FROM loads WHERE kind = 'sightings' AND file_count > 4") == 0
    assert mill.one("SELECT count(*) FROM loads") > before
    assert mill.column("SELECT count(*) FROM files WHERE status = 'duplicate'") == [11]
    assert mill.one("SELECT count(*) FROM documents") == 12
    assert mill.problems(deep=True) == []
    assert mill.ingest().counts == {"unchanged": 23}


def test_equal_rejects_are_duplicates_too(mill: Any, write_news: News) -> None:
    mill.put("a.txt", b"")
    mill.put("b.txt", b"")
    mill.put("c.txt", write_news(1))
    assert mill.ingest().counts["rejected"] == 1
    assert states(mill) == {"a.txt": ["rejected"], "b.txt": ["duplicate"], "c.txt": ["ingested"]}
    assert mill.one("SELECT count(*) FROM rejects") == 1
    assert mill.problems(deep=True) == []


def test_a_changed_file_supersedes_and_changing_back_brings_the_first_back(mill: Any, write_news: News) -> None:
    first, second = write_news(1), write_news(2)
    mill.put("a.txt", first)
    mill.ingest()
    mill.put("a.txt", second)
    mill.ingest()
    assert current(mill) == {"a.txt": "Meldung Nummer 2,"}
    assert mill.one("SELECT count(*) FROM documents") == 2, "what was superseded is still there"
    assert mill.column("SELECT left(text, 17) FROM v_documents") == ["Meldung Nummer 2,"]
    assert mill.problems() == []

    parts = mill.parts()
    mill.put("a.txt", first)
    mill.ingest()
    assert mill.parts() == parts, "a known content is not read into a part again"
    assert current(mill) == {"a.txt": "Meldung Nummer 1,"}
    assert mill.column("SELECT left(text, 17) FROM v_documents") == ["Meldung Nummer 1,"]
    assert mill.problems(deep=True) == []

    mill.put("a.txt", second)
    mill.ingest()
    assert current(mill) == {"a.txt": "Meldung Nummer 2,"}
    assert mill.one("SELECT count(*) FROM files") == 2
    before = mill.hashes()
    assert mill.cli("rebuild").code == 0
    assert mill.hashes() == before


def test_a_file_that_becomes_a_reject_and_good_again(mill: Any, write_news: News) -> None:
    mill.put("a.txt", write_news(1))
    mill.ingest()
    mill.put("a.txt", b"")
    assert mill.ingest().counts == {"rejected": 1, "record_rejects": 1}
    assert current(mill) == {}
    assert mill.one("SELECT count(*) FROM v_documents") == 0
    mill.put("a.txt", write_news(1))
    mill.ingest()
    assert current(mill) == {"a.txt": "Meldung Nummer 1,"}
    assert mill.problems(deep=True) == []


def test_a_duplicate_takes_over_when_the_first_place_changes(mill: Any, write_news: News) -> None:
    mill.put("a.txt", write_news(1))
    mill.put("b.txt", write_news(1))
    mill.ingest()
    mill.put("a.txt", write_news(2))
    mill.ingest()
    assert current(mill) == {"a.txt": "Meldung Nummer 2,", "b.txt": "Meldung Nummer 1,"}
    assert mill.one("SELECT count(*) FROM v_documents") == 2
    assert mill.problems(deep=True) == []


def test_two_files_that_change_places(mill: Any, write_news: News) -> None:
    mill.put("a.txt", write_news(1))
    mill.put("b.txt", write_news(2))
    mill.ingest()
    parts = mill.parts()
    os.rename(mill.raw / "a.txt", mill.raw / "x.part")
    os.rename(mill.raw / "b.txt", mill.raw / "a.txt")
    os.rename(mill.raw / "x.part", mill.raw / "b.txt")
    mill.ingest()
    assert current(mill) == {"a.txt": "Meldung Nummer 2,", "b.txt": "Meldung Nummer 1,"}
    assert mill.parts() == parts
    assert mill.problems(deep=True) == []


def test_a_touched_file_is_unchanged(mill: Any, write_news: News) -> None:
    path = mill.put("a.txt", write_news(1))
    mill.ingest()
    before, commit = mill.hashes(), mill.last_commit()
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert mill.ingest().counts == {"unchanged": 1}
    copy = mill.put("x.part", write_news(1))
    os.rename(copy, path)  # another inode with the same bytes
    assert mill.ingest().counts == {"unchanged": 1}
    assert mill.last_commit() == commit
    assert mill.hashes() == before
    assert mill.problems(deep=True) == []


def test_a_rewrite_of_equal_length_and_time_is_seen(mill: Any, write_news: News) -> None:
    path = mill.put("a.txt", write_news(1))
    stamp = os.stat(path)
    mill.ingest()
    with open(path, "r+b") as stream:
        stream.write(write_news(2)[: stamp.st_size].encode()[: stamp.st_size])
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert os.stat(path).st_size == stamp.st_size
    assert mill.ingest().counts["ingested"] == 1
    assert current(mill) == {"a.txt": "Meldung Nummer 2,"}


def test_deleting_a_raw_file_changes_nothing(mill: Any, write_news: News) -> None:
    mill.fill(3)
    mill.ingest()
    before, commit = mill.hashes(), mill.last_commit()
    for path in mill.raw.iterdir():
        path.unlink()
    outcome = mill.ingest()
    assert outcome.published is None
    assert mill.last_commit() == commit
    assert mill.hashes() == before
    assert mill.one("SELECT count(*) FROM v_documents") == 3
    assert mill.problems(deep=True) == []
    mill.put("0001.txt", write_news(1))
    assert mill.ingest().counts == {"unchanged": 1}, "put back, it is what it was"


def test_a_file_that_becomes_a_symlink_is_refused_and_its_text_stays(mill: Any, write_news: News) -> None:
    path = mill.put("a.txt", write_news(1))
    mill.ingest()
    os.unlink(path)
    os.symlink("/etc/hostname", path)
    assert mill.ingest().reasons == {"symlink": 1}
    assert current(mill) == {"a.txt": "Meldung Nummer 1,"}
    os.unlink(path)
    mill.put("a.txt", write_news(1))
    mill.ingest()
    assert mill.one("SELECT count(*) FROM rejects") == 0, "a refusal goes when the path is good again"
    assert mill.problems(deep=True) == []


def test_a_file_that_becomes_a_folder(mill: Any, write_news: News) -> None:
    path = mill.put("a.txt", write_news(1))
    mill.ingest()
    os.unlink(path)
    mill.put("a.txt/b.txt", write_news(2))
    assert mill.ingest().counts["ingested"] == 1
    assert current(mill) == {"a.txt": "Meldung Nummer 1,", "a.txt/b.txt": "Meldung Nummer 2,"}
    assert mill.problems(deep=True) == []


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, list[Callable[[], None]]], list[int]]:
    """Let something happen to a file while it is read: one action for each time that its bytes are first read."""

    def install(path: bytes, actions: list[Callable[[], None]]) -> list[int]:
        real, times = os.read, [0]

        def read(fd: int, count: int, /) -> bytes:
            data = real(fd, count)
            if data and os.readlink(f"/proc/self/fd/{fd}") == os.fsdecode(os.path.realpath(path)):
                if times[0] < len(actions):
                    actions[times[0]]()
                times[0] += 1
            return data

        monkeypatch.setattr(os, "read", read)
        return times

    return install


def nothing() -> None:
    """Nothing happens."""


def test_a_file_that_grows_while_it_is_hashed_is_deferred(mill: Any, write_news: News, reading: Any) -> None:
    path = mill.put("a.txt", write_news(1))
    mill.put("b.txt", write_news(2))

    def grow() -> None:
        with open(path, "ab") as stream:
            stream.write(b"Noch ein Satz.\n")

    times = reading(path, [grow])
    outcome = mill.ingest()
    assert times[0] >= 1
    assert outcome.counts == {"ingested": 1, "documents": 1, "segments": outcome.counts["segments"], "deferred": 1}
    assert outcome.reasons == {"changing": 1}
    assert current(mill) == {"b.txt": "Meldung Nummer 2,"}
    assert mill.problems() == []
    assert mill.ingest().counts["ingested"] == 1
    assert mill.one("SELECT text FROM documents WHERE uri = 'a.txt'").endswith("Noch ein Satz.")
    assert mill.rows("SELECT uri FROM files WHERE status = 'deferred'") == []
    assert mill.problems(deep=True) == []


def test_a_file_that_is_rewritten_in_place_while_it_is_read_is_deferred(
    mill: Any, write_news: News, reading: Any
) -> None:
    """Equal length, equal modification time: only the change time gives it away."""
    path = mill.put("a.txt", write_news(1))
    stamp = os.stat(path)

    def rewrite() -> None:
        with open(path, "r+b") as stream:
            stream.write(b" date 2018-12 ")
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))

    reading(path, [rewrite])
    assert mill.ingest().reasons == {"changing": 1}
    assert mill.ingest().counts["ingested"] == 1
    assert str(mill.one("SELECT published_on FROM documents")) == "2018-12-01"


def test_a_file_that_changes_after_it_was_found_is_deferred(mill: Any, write_news: News, reading: Any) -> None:
    path = mill.put("a.txt", write_news(1))
    mill.put("b.txt", write_news(2))
    # Replaced by another whole file between the hash and the batch, as a delivery by rename does.
    fresh = mill.put("a.txt.part", write_news(3))
    times = reading(path, [nothing])
    real_rename = os.rename

    import tasks.direct

    process = tasks.direct.process

    def process_and_replace(home: Any, batches: Any, *arguments: Any) -> Any:
        planned = list(batches)
        real_rename(fresh, path)
        return process(home, planned, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks.direct, "process", process_and_replace)
        outcome = mill.ingest()
    assert times[0] >= 1
    assert outcome.counts["deferred"] == 1
    assert outcome.counts["ingested"] == 1
    assert mill.problems() == []
    mill.ingest()
    assert current(mill) == {"a.txt": "Meldung Nummer 3,", "b.txt": "Meldung Nummer 2,"}
    assert mill.problems(deep=True) == []


def test_a_duplicate_of_a_file_that_changes_under_our_hands_lands_in_the_next_run(
    mill: Any, write_news: News, reading: Any
) -> None:
    path = mill.put("a.txt", write_news(1))
    mill.put("b.txt", write_news(1))

    def rewrite() -> None:
        mill.put("a.txt", write_news(2))

    reading(path, [nothing, rewrite])
    outcome = mill.ingest()
    assert mill.problems() == []
    accounted = sum(outcome.counts.get(name, 0) for name in ("ingested", "duplicate", "deferred", "pending"))
    assert accounted == 2, "every file that was found is in one of the counts"
    mill.ingest()
    assert current(mill) == {"a.txt": "Meldung Nummer 2,", "b.txt": "Meldung Nummer 1,"}
    assert mill.problems(deep=True) == []


@pytest.mark.parametrize("reads", [0, 1])
def test_a_file_that_vanishes_is_no_error(
    mill: Any, write_news: News, monkeypatch: pytest.MonkeyPatch, reads: int
) -> None:
    """Between the listing and the hash, and between the hash and the batch."""
    from warehouse import raw_files

    path = mill.put("a.txt", write_news(1))
    mill.put("b.txt", write_news(2))
    real, times = raw_files.read, [0]

    def read(wanted: bytes, *way: Any) -> Any:
        if wanted == os.path.realpath(path):
            if times[0] == reads:
                Path(os.fsdecode(path)).unlink(missing_ok=True)
            times[0] += 1
        return real(wanted, *way)

    monkeypatch.setattr(raw_files, "read", read)
    outcome = mill.ingest()
    assert times[0] == reads + 1
    assert outcome.failures == []
    assert outcome.counts["ingested"] == 1
    assert states(mill) == {"b.txt": ["ingested"]}
    assert mill.problems() == []
    assert mill.cli("status", "--format", "json").json()["paths"]["pending"] == 0
    mill.put("a.txt", write_news(1))
    assert mill.ingest().counts["ingested"] == 1
    assert mill.problems(deep=True) == []


def test_a_known_file_that_changes_and_vanishes_stays_as_it_was(
    mill: Any, write_news: News, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warehouse import raw_files

    mill.put("a.txt", write_news(1))
    mill.ingest()
    path = mill.put("a.txt", write_news(2))
    real, times = raw_files.read, [0]

    def read(wanted: bytes, *way: Any) -> Any:
        times[0] += 1
        if times[0] == 2:
            os.unlink(path)
        return real(wanted, *way)

    monkeypatch.setattr(raw_files, "read", read)
    mill.ingest()
    assert times[0] == 2
    assert current(mill) == {"a.txt": "Meldung Nummer 1,"}
    paths = mill.cli("status", "--format", "json").json()["paths"]
    assert (paths["discovered"], paths["ingested"], paths["pending"]) == (1, 1, 0)
    assert mill.problems(deep=True) == []


def test_a_folder_that_vanishes_while_it_is_walked_is_no_error(
    mill: Any, write_news: News, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    mill.put("a/x.txt", write_news(1))
    mill.put("b/y.txt", write_news(2))
    real = os.scandir

    def scandir(path: Any) -> Any:
        found = real(path)
        if isinstance(path, int) and os.readlink(f"/proc/self/fd/{path}").endswith("raw") and (mill.raw / "b").exists():
            entries = list(found)
            shutil.rmtree(mill.raw / "b")
            return FakeScan(entries)
        return found

    class FakeScan(list[Any]):
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            return None

    monkeypatch.setattr(os, "scandir", scandir)
    outcome = mill.ingest()
    assert outcome.counts["ingested"] == 1
    assert outcome.counts.get("deferred", 0) == 0


def test_a_file_is_left_alone_until_it_has_settled(mill: Any, write_news: News) -> None:
    path = mill.put("a.txt", write_news(1))
    assert mill.ingest(settle_seconds=3600).reasons == {"changing": 1}
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert mill.ingest(settle_seconds=3600).counts["ingested"] == 1
    assert mill.problems(deep=True) == []


def test_a_file_too_large_is_refused_unread(mill: Any, write_news: News) -> None:
    mill.put("a.txt", write_news(1))
    path = mill.put("big.txt", b"")
    os.truncate(path, 10_000_000_000)  # sparse
    outcome = mill.ingest()
    assert outcome.counts["ingested"] == 1
    assert outcome.reasons == {"too_large": 1}
    assert mill.problems(deep=True) == []


def test_naming_a_file_of_a_known_folder_finds_it_there(mill: Any, write_news: News) -> None:
    mill.fill(3)
    mill.ingest()
    mill.put("0001.txt", write_news(9))
    mill.put("new.txt", write_news(8))
    outcome = mill.ingest(mill.raw / "0001.txt", mill.raw / "new.txt")
    assert outcome.counts["ingested"] == 2
    assert current(mill)["0001.txt"] == "Meldung Nummer 9,"
    assert mill.one("SELECT count(DISTINCT root) FROM files") == 1
    assert mill.ingest().counts == {"unchanged": 4}


def test_naming_one_file_forgets_no_other(mill: Any, write_news: News) -> None:
    """A pending file is only given up when it is looked for and gone; one with a longer name is another."""
    from flows import run
    from warehouse import ledger

    mill.put("a", write_news(1))
    mill.put("a.txt", write_news(2))
    mill.put("ab/c.txt", write_news(3))

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "append", crash)
        with pytest.raises(KeyboardInterrupt):
            mill.ingest()
    with run.opened(mill.settings()) as book:
        assert ledger.conservation(book).pending == 3
    mill.ingest(mill.raw / "a")
    with run.opened(mill.settings()) as book:
        assert ledger.conservation(book).pending == 2
    mill.ingest()
    assert mill.problems(deep=True) == []
