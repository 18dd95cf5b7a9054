"""A lost, older or damaged ledger is made anew: the tables are what they were, and an ingest adds nothing."""

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NO_GRACE = ("--set", "compact_grace_seconds=0")
SECRET = " date 2019-04 Der Name Zyxwolperdingerin wurde genannt. Mehr war am Abend nicht zu erfahren.\n"
FILE_ID = hashlib.sha256(SECRET.encode()).hexdigest()
# The rest of loads counts what a commit had by then; the chain of hashes is a new one.
LOADS = "SELECT commit_no, kind, batch_id, run_id, committed_at FROM loads ORDER BY commit_no"


def known(mill: Any) -> dict[str, Any]:
    """What must be as before: every table but loads and runs whole, and of those what a rebuild can know."""
    found = {name: value for name, value in mill.hashes().items() if name not in ("loads", "runs")}
    last = mill.one("SELECT max(commit_no) FROM loads")
    return {
        **found,
        "loads": mill.rows(LOADS),
        "current": mill.rows("SELECT * FROM v_languages ORDER BY ALL"),
        "n": last,
    }


def lose(mill: Any) -> None:
    for path in mill.home.glob("ledger.sqlite*"):
        path.unlink()


def empty(mill: Any) -> None:
    lose(mill)
    (mill.home / "ledger.sqlite").write_bytes(b"")


def flip(mill: Any) -> None:
    """A bit in the middle of every page: whatever SQLite reads is wrong somewhere."""
    path = mill.home / "ledger.sqlite"
    content = bytearray(path.read_bytes())
    for at in range(200, len(content), 4096):
        content[at] ^= 4
    path.write_bytes(content)


LOSSES = {"lost": lose, "empty": empty, "flipped": flip}


def rebuilt(mill: Any, *words: str | Path) -> dict[str, Any]:
    answer = mill.cli("rebuild", "--ledger", *words, "--format", "json")
    assert answer.code == 0, answer.err
    return dict(answer.json())


def assert_holds(mill: Any) -> None:
    """Verify finds nothing, with a rebuild of every row; and an ingest finds nothing new."""
    assert mill.problems(deep=True) == []
    before = mill.last_commit()
    counts = mill.ingest().counts
    assert set(counts) <= {"unchanged", "rejected", "deferred"}, counts
    assert mill.last_commit() == before
    assert mill.problems() == []


@pytest.fixture(scope="module")
def rich_once(new_mill: Callable[..., Any], write_news: Callable[[int], str]) -> Any:
    """Everything that a ledger records: copies, refusals, replaced files, a big file in cuts, a replay, compactions."""
    made = new_mill("rich")
    mill = dataclasses.replace(made, raw=made.home / "inbox")
    mill.fill(6)
    mill.put("wire/copy.txt", write_news(1))
    mill.put("empty.txt", b"")
    mill.put("lines.jsonl", "\n".join([f'{{"text": "{write_news(50 + n)!r}"}}' for n in range(7)] + ["{broken"]))
    (mill.raw / "link.txt").symlink_to("0001.txt")
    mill.ingest(batch_files=3, batch_records=2)
    mill.put("0002.txt", write_news(20))
    mill.put("0003.txt", write_news(4))
    mill.ingest()
    assert mill.cli("compact", "--level", "3", *NO_GRACE).code == 0
    assert mill.cli("replay", "0004.txt", "--direct", "--set", "encoding=utf-8").code == 0
    mill.put("0002.txt", write_news(2))  # as it was first
    mill.fill(3, first=30)
    mill.ingest(batch_files=2)
    assert mill.problems() == []
    return mill


@pytest.fixture
def rich(rich_once: Any, tmp_path: Path) -> Any:
    return copied(rich_once, tmp_path)


def copied(mill: Any, tmp_path: Path) -> Any:
    """A copy of a home; its files are hashed once, since their stamps are others."""
    home = tmp_path / "home"
    shutil.copytree(mill.home, home, symlinks=True)
    return dataclasses.replace(mill, home=home, raw=home / "inbox")


@pytest.mark.parametrize(
    ("loss", "compacted"), [("lost", False), ("flipped", True), ("empty", False)], ids=["lost", "flipped", "empty"]
)
def test_a_ledger_is_made_of_the_snapshot_and_the_parts(rich: Any, loss: str, compacted: bool) -> None:
    mill = rich
    if compacted:
        assert mill.cli("compact", "--level", "3", *NO_GRACE).code == 0
    before = known(mill)
    LOSSES[loss](mill)
    assert mill.cli("status").code == 1 or loss == "flipped"
    told = rebuilt(mill)
    assert (told["added_batches"], told["forgotten"]) == (0, 0)
    assert told["snapshot"] is not None
    assert any("stamps" in line for line in told["unknown"])
    assert known(mill) == before
    assert_holds(mill)
    assert (told["aside"] is None) == (loss == "lost")
    if told["aside"]:
        assert Path(told["aside"]).exists(), "the old one is kept"
    assert mill.cli("compact", "--level", "3", *NO_GRACE).code == 0
    assert mill.problems() == []
    assert known(mill)["documents"] == before["documents"]


def test_an_older_copy_of_the_ledger_gives_way(rich: Any, write_news: Callable[[int], str]) -> None:
    mill = rich
    older = mill.home / "older"
    with_log = mill.cli("status")
    assert with_log.code == 0
    shutil.copy(mill.home / "ledger.sqlite", older)
    mill.put("new.txt", write_news(77))
    mill.ingest()
    before = known(mill)
    lose(mill)
    older.rename(mill.home / "ledger.sqlite")
    assert "rebuild --ledger" in mill.cli("status").err
    rebuilt(mill)
    assert known(mill) == before
    assert_holds(mill)


def test_batches_that_no_snapshot_has_are_taken_from_their_parts(
    rich: Any, monkeypatch: pytest.MonkeyPatch, write_news: Callable[[int], str]
) -> None:
    from tasks import direct
    from warehouse.loader import Published

    mill = rich
    mill.put("late.txt", write_news(300))
    mill.put("later.jsonl", "\n".join(f'{{"text": "{write_news(310 + n)!r}"}}' for n in range(5)))
    with monkeypatch.context() as patch:
        patch.setattr(direct, "publish", lambda *_a, **_k: Published(None, 0, 0.0))
        mill.ingest(batch_files=1, batch_records=2)
    lose(mill)
    told = rebuilt(mill)
    assert told["added_batches"] == 4, "one, and three cuts of the other"
    assert mill.one("SELECT count(*) FROM documents WHERE uri IN ('late.txt', 'later.jsonl')") == 6
    assert any("4 batches" in line for line in told["unknown"])
    assert_holds(mill)


def test_without_a_snapshot_the_parts_alone_give_every_document(rich: Any) -> None:
    mill = rich
    query = "SELECT document_id, text_id, language, uri FROM documents ORDER BY document_id"
    current = "SELECT document_id FROM v_documents ORDER BY ALL"
    before, standing = mill.rows(query), mill.rows(current)
    lose(mill)
    shutil.rmtree(mill.home / "versions")
    (mill.home / "warehouse.duckdb").unlink()
    told = rebuilt(mill)
    assert told["snapshot"] is None
    assert any("there is no snapshot" in line for line in told["unknown"])
    assert mill.problems(deep=True) == []
    # Of two readings of the same content the later counts; which raw file is current is what lies there now.
    assert [row["document_id"] for row in mill.rows(query)] == [row["document_id"] for row in before]
    mill.ingest()
    assert mill.rows(query) == before
    assert mill.rows(current) == standing
    assert_holds(mill)


def test_a_folder_that_is_no_inbox_is_named(mill: Any) -> None:
    mill.fill(3)
    mill.ingest()
    root = mill.one("SELECT DISTINCT root FROM files")
    lose(mill)
    shutil.rmtree(mill.home / "versions")
    (mill.home / "warehouse.duckdb").unlink()
    rebuilt(mill, "--root", mill.raw)
    assert mill.column("SELECT DISTINCT root FROM files") == [root]
    assert_holds(mill)


def test_a_whole_ledger_stays(rich: Any) -> None:
    mill = rich
    mill.cli("status")
    before = mill.tree()
    answer = mill.cli("rebuild", "--ledger")
    assert answer.code == 1
    assert "is whole and stays" in answer.err
    assert mill.tree() == before
    rows = known(mill)
    told = rebuilt(mill, "--force")
    assert Path(told["aside"]).exists()
    assert known(mill) == rows
    assert_holds(mill)


def test_a_damaged_part_is_left_out_and_its_files_are_read_again(rich: Any) -> None:
    mill = rich
    before = mill.rows("SELECT document_id, text_id FROM documents ORDER BY document_id")
    largest = max((mill.home / "lake" / "documents").iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.chmod(0o644)
    largest.write_bytes(content)
    lose(mill)
    told = rebuilt(mill)
    assert any(largest.name in line and "altered" in line for line in told["unknown"])
    assert any("read again" in line for line in told["unknown"])
    assert mill.problems(deep=True) == []
    assert 0 < mill.one("SELECT count(*) FROM documents") < len(before)
    mill.ingest()
    found = mill.rows("SELECT document_id, text_id FROM documents ORDER BY document_id")
    # A version that was replaced since lies in no inbox any more.
    assert [row for row in found if row not in before] == []
    assert len(before) - len(found) <= 2
    assert_holds(mill)


def test_a_kill_between_ledger_and_publish_is_finished_by_the_same_command(
    rich: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warehouse import loader

    mill = rich
    before = known(mill)
    lose(mill)

    def killed(*_arguments: Any, **_options: Any) -> None:
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(loader, "publish", killed)
        assert mill.cli("rebuild", "--ledger").code == 1
    assert "rebuild --ledger" in mill.cli("ingest", "--direct", mill.raw).err
    rebuilt(mill)
    assert known(mill) == before
    assert_holds(mill)


@pytest.fixture(scope="module")
def forgetful_once(new_mill: Callable[..., Any]) -> Any:
    made = new_mill("forgetful")
    mill = dataclasses.replace(made, raw=made.home / "inbox")
    mill.fill(4)
    mill.put("secret.txt", SECRET)
    mill.put("let-in.txt", SECRET + "Und noch ein Satz, der wieder herein darf.\n")
    mill.ingest(batch_files=3)
    for word in ("secret.txt", "let-in.txt"):
        assert mill.cli("forget", "--uri", word).code == 0
    assert mill.cli("forget", "--lift", "--uri", "let-in.txt").code == 0
    mill.ingest()
    assert mill.one("SELECT count(*) FROM documents") == 5
    return mill


@pytest.fixture
def forgetful(forgetful_once: Any, tmp_path: Path) -> Any:
    return copied(forgetful_once, tmp_path)


@pytest.mark.parametrize("with_snapshot", [True, False], ids=["snapshot", "parts alone"])
def test_what_was_forgotten_stays_out(forgetful: Any, with_snapshot: bool) -> None:
    mill = forgetful
    before = known(mill)
    lose(mill)
    if not with_snapshot:
        shutil.rmtree(mill.home / "versions")
        (mill.home / "warehouse.duckdb").unlink()
    assert rebuilt(mill)["forgotten"] == 1
    if with_snapshot:
        assert known(mill) == before
        assert_holds(mill)
    mill.put("again.txt", SECRET)
    assert mill.ingest().reasons["forgotten"] >= 1
    assert mill.one("SELECT count(*) FROM documents WHERE file_id = $id", id=FILE_ID) == 0
    assert mill.one("SELECT count(*) FROM documents") == 5
    assert mill.problems(deep=True) == []
    listed = mill.cli("forget", "--list", "--format", "json").json()
    assert sorted(row["state"] for row in listed) == ["erased", "let in again"]
    assert mill.cli("forget", "--lift", FILE_ID[:12]).code == 0
    mill.ingest()
    assert mill.one("SELECT count(*) FROM documents WHERE file_id = $id", id=FILE_ID) == 1


@pytest.mark.parametrize("damage", ["lost", "flipped"])
def test_where_nobody_knows_what_was_forgotten_it_is_said_first(forgetful: Any, damage: str) -> None:
    mill = forgetful
    copy = mill.home / "ledger.tombstones"
    assert copy.stat().st_mode & 0o077 == 0, "as private as the ledger"
    if damage == "lost":
        copy.unlink()
    else:
        copy.write_bytes(copy.read_bytes().replace(b'"', b"'", 1))
    assert any("ledger.tombstones" in problem for problem in mill.problems())
    lose(mill)
    before = mill.tree()
    answer = mill.cli("rebuild", "--ledger")
    assert answer.code == 1
    assert "secret.txt" in answer.err
    assert mill.tree() == before
    told = rebuilt(mill, "--force")
    assert "secret.txt" in told["unknown"][0]
    assert mill.problems(deep=True) == []
    mill.ingest()
    assert mill.one("SELECT count(*) FROM documents WHERE file_id = $id", id=FILE_ID) == 1, "as it was said"


def test_a_forgetting_that_was_begun_is_finished(forgetful: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from warehouse import forget

    mill = forgetful

    def killed(*_arguments: Any, **_options: Any) -> None:
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(forget, "rewrite", killed)
        assert mill.cli("forget", "--uri", "0001.txt").code == 1
    lose(mill)
    rebuilt(mill)
    assert mill.one("SELECT count(*) FROM documents") == 4
    assert mill.problems(deep=True) == []
    mill.ingest()
    assert mill.one("SELECT count(*) FROM documents WHERE uri = '0001.txt'") == 0
    assert mill.problems() == []


def test_nothing_is_made_of_nothing(mill: Any) -> None:
    answer = mill.cli("rebuild", "--ledger")
    assert answer.code == 1
    assert "newsmill ingest" in answer.err
    assert not (mill.home / "ledger.sqlite").exists()


def test_a_person_reads_what_is_not_known(rich: Any) -> None:
    lose(rich)
    answer = rich.cli("rebuild", "--ledger")
    assert answer.code == 0
    assert "ledger made anew from warehouse-" in answer.out
    assert "Not known:" in answer.out
    assert "published" in answer.out
