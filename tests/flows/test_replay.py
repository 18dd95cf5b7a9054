"""Replay: what comes out otherwise replaces its rows once, what comes out equal changes nothing."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

News = Callable[[int], str]
# Undecodable without a hint: nothing says which single-byte encoding this is, or it is text in none.
CP1250 = " date 2019-04 Příliš žluťoučký kůň úpěl ďábelské ódy, řekl starosta města v neděli večer.".encode("cp1250")


@pytest.fixture
def faked_version(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the pipeline have another version."""
    from tasks import version

    def fake(number: str) -> None:
        monkeypatch.setattr(version, "pipeline_version", lambda: number)

    return fake


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that takes only UTF-8 and what it is told to take, so that a hint can mend a reject."""
    from tasks.readers import plain
    from tasks.text import encoding
    from warehouse.errors import Refusal
    from warehouse.vocabulary import Reason, Stage

    def decode(data: bytes, hint: str | None = None) -> Any:
        if hint is None:
            try:
                data.decode("utf-8")
            except UnicodeDecodeError as error:
                raise Refusal(Stage.DECODE, Reason.UNDECODABLE, str(error)) from error
        return encoding.decode(data, hint)

    monkeypatch.setattr(plain, "decode", decode)


@pytest.mark.usefixtures("strict")
def test_a_reject_becomes_a_document_after_a_change_of_a_setting(mill: Any, write_news: News) -> None:
    mill.put("good.txt", write_news(1))
    mill.put("czech.txt", CP1250)
    mill.put("empty.txt", b"")
    mill.ingest()
    assert mill.column("SELECT reason FROM rejects ORDER BY uri") == ["undecodable", "empty"]
    answer = mill.cli("replay", "--reason", "undecodable", "--direct", "--set", "encoding=cp1250", "--format", "json")
    assert answer.code == 0, answer.err
    assert answer.json()["counts"]["ingested"] == 1
    assert mill.one("SELECT text FROM documents WHERE uri = 'czech.txt'") == CP1250[14:].decode("cp1250")
    assert mill.column("SELECT reason FROM rejects") == ["empty"], "its reject rows are gone, the others are not"
    (file,) = mill.rows("SELECT * FROM files WHERE uri = 'czech.txt'")
    assert (file["status"], file["is_current"], file["encoding"]) == ("ingested", True, "cp1250")
    assert (file["document_count"], file["reject_count"]) == (1, 0)
    assert mill.problems(deep=True) == []
    assert mill.ingest().counts == {"unchanged": 3}
    before = mill.hashes()
    assert mill.cli("rebuild").code == 0
    assert mill.hashes() == before


@pytest.mark.usefixtures("strict")
def test_back_again_it_is_a_reject(mill: Any) -> None:
    mill.put("czech.txt", CP1250)
    mill.ingest()
    mill.cli("replay", "czech.txt", "--direct", "--set", "encoding=cp1250")
    assert mill.one("SELECT count(*) FROM documents") == 1
    mill.cli("replay", "czech.txt", "--direct")
    assert mill.one("SELECT count(*) FROM documents") == 0
    assert mill.column("SELECT reason FROM rejects") == ["undecodable"]
    assert mill.problems(deep=True) == []


def test_a_replay_that_changes_nothing_commits_nothing(mill: Any) -> None:
    mill.fill(5)
    mill.put("empty.txt", b"")
    mill.put("again.txt", (mill.raw / "0003.txt").read_bytes())
    mill.ingest()
    commit, parts, hashes = mill.last_commit(), mill.parts(), mill.hashes()
    snapshots = len(list((mill.home / "versions").iterdir()))
    for words in (["0002.txt"], ["0001.txt", "0003.txt"], ["--reason", "any"], ["--reason", "empty"], ["--stale"]):
        answer = mill.cli("replay", *words, "--direct", "--format", "json")
        assert answer.code == 0, answer.err
        assert answer.json()["published"] is None, words
        assert mill.last_commit() == commit, words
        assert mill.hashes() == hashes
    named = mill.column("SELECT file_id FROM documents")
    assert mill.cli("replay", *named, "--direct").code == 0
    assert mill.last_commit() == commit
    assert mill.parts() == parts, "not even an orphan"
    assert len(list((mill.home / "versions").iterdir())) == snapshots


def test_a_new_pipeline_version_replaces_every_row_once(mill: Any, faked_version: Callable[[str], None]) -> None:
    mill.fill(6)
    mill.put("empty.txt", b"")
    mill.put("again.txt", (mill.raw / "0003.txt").read_bytes())
    mill.ingest(batch_files=4)
    before = mill.rows("SELECT * EXCLUDE (pipeline_version, batch_id) FROM documents ORDER BY document_id")
    files = mill.rows("SELECT uri, status, is_current, document_count, reject_count FROM files ORDER BY uri")
    rejects = mill.rows("SELECT reject_id, reason FROM rejects")
    faked_version("2-faked")
    assert mill.ingest().counts == {"unchanged": 8}, "an upgrade re-processes nothing by itself"
    answer = mill.cli("replay", "--stale", "--direct", "--format", "json")
    assert answer.code == 0, answer.err
    assert answer.json()["counts"]["documents"] == 6
    assert mill.column("SELECT DISTINCT pipeline_version FROM documents") == ["2-faked"]
    assert mill.rows("SELECT * EXCLUDE (pipeline_version, batch_id) FROM documents ORDER BY document_id") == before
    query = "SELECT uri, status, is_current, document_count, reject_count FROM files ORDER BY uri"
    assert mill.rows(query) == files
    assert mill.rows("SELECT reject_id, reason FROM rejects") == rejects
    assert mill.problems(deep=True) == []
    commit = mill.last_commit()
    assert mill.cli("replay", "--stale", "--direct").code == 0
    assert mill.last_commit() == commit, "nothing is stale any more"
    hashes = mill.hashes()
    assert mill.cli("rebuild").code == 0
    assert mill.hashes() == hashes


def test_a_stale_replay_of_what_is_gone_leaves_its_rows(
    mill: Any, write_news: News, faked_version: Callable[[str], None]
) -> None:
    mill.fill(3)
    mill.ingest()
    (mill.raw / "0001.txt").unlink()
    mill.put("0002.txt", write_news(50))
    mill.ingest()
    faked_version("2-faked")
    answer = mill.cli("replay", "--stale", "--direct", "--format", "json")
    assert answer.code == 0
    assert len(answer.json()["missing"]) == 2
    assert mill.one("SELECT count(*) FROM documents") == 4
    assert mill.one("SELECT count(*) FROM documents WHERE pipeline_version = '2-faked'") == 2
    assert mill.problems(deep=True) == []


def test_a_replay_makes_no_old_content_current(
    mill: Any, write_news: News, faked_version: Callable[[str], None]
) -> None:
    mill.put("a.txt", write_news(1))
    mill.ingest()
    old = mill.one("SELECT file_id FROM files")
    mill.put("b.txt", write_news(1))
    mill.put("a.txt", write_news(2))
    mill.ingest()
    query = "SELECT uri, file_id, is_current FROM files ORDER BY uri, file_id"
    before = mill.rows(query)
    faked_version("2-faked")
    assert mill.cli("replay", old, "--direct").code == 0
    assert mill.column("SELECT pipeline_version FROM documents WHERE file_id = $id", id=old) == ["2-faked"]
    assert mill.rows(query) == before
    assert mill.ingest().published is None
    assert mill.cli("replay", "--stale", "--direct").code == 0
    assert mill.rows(query) == before
    assert mill.problems(deep=True) == []


def test_a_replay_follows_no_symlink(mill: Any, write_news: News, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(write_news(99))
    mill.put("good.txt", write_news(1))
    (mill.raw / "link.txt").symlink_to(secret)
    (mill.raw / "dangling.txt").symlink_to("nowhere")
    (mill.raw / "leaving.txt").symlink_to(secret)
    mill.ingest()
    (mill.raw / "leaving.txt").unlink()
    for reason in ("symlink", "any"):
        answer = mill.cli("replay", "--reason", reason, "--direct")
        assert answer.code == 0, answer.err
        assert mill.column("SELECT uri FROM documents") == ["good.txt"]
        assert mill.one("SELECT count(DISTINCT root) FROM files") == 1
    assert set(mill.column("SELECT uri FROM rejects")) >= {"dangling.txt", "link.txt"}
    assert mill.problems(deep=True) == []


def test_a_replay_follows_no_symlink_in_the_place_of_a_folder(mill: Any, write_news: News, tmp_path: Path) -> None:
    """Above a path that was refused, and above a content that is read again."""
    mill.put("src/d/good.txt", write_news(1))
    os.mkfifo(mill.raw / "src" / "d" / "notes.txt")
    mill.ingest()
    assert mill.column("SELECT reason FROM rejects") == ["not_regular"]
    os.rename(mill.raw / "src", tmp_path / "outside")
    (mill.raw / "src").symlink_to(tmp_path / "outside")
    (tmp_path / "outside" / "d" / "notes.txt").unlink()
    (tmp_path / "outside" / "d" / "notes.txt").write_text(write_news(99))
    answer = mill.cli("replay", "--reason", "any", "--direct")
    assert answer.code == 0, answer.err
    assert mill.rows("SELECT uri, reason FROM rejects") == [{"uri": "src/d/notes.txt", "reason": "symlink"}]
    answer = mill.cli("replay", "src/d/good.txt", "--direct", "--set", "encoding=cp1250", "--format", "json")
    assert len(answer.json()["missing"]) == 1, answer
    assert mill.column("SELECT uri FROM documents") == ["src/d/good.txt"]
    assert mill.problems(deep=True) == []


def test_what_was_refused_unread_is_taken_when_it_is_good_now(mill: Any, write_news: News) -> None:
    mill.put("good.txt", write_news(1))
    mill.put("big.txt", write_news(2) * 30)
    os.mkfifo(mill.raw / "pipe.txt")
    mill.ingest(max_file_bytes=1000)
    assert mill.column("SELECT reason FROM rejects ORDER BY reason") == ["not_regular", "too_large"]
    (mill.raw / "pipe.txt").unlink()
    mill.put("pipe.txt", write_news(3))
    answer = mill.cli("replay", "--reason", "any", "--direct", "--format", "json")
    assert answer.code == 0, answer.err
    assert sorted(mill.column("SELECT uri FROM documents")) == ["big.txt", "good.txt", "pipe.txt"]
    assert mill.one("SELECT count(*) FROM rejects") == 0
    assert mill.problems(deep=True) == []


def test_a_replay_reads_a_moved_file_where_it_is_now(
    mill: Any, write_news: News, faked_version: Callable[[str], None]
) -> None:
    mill.put("a.txt", write_news(1))
    mill.ingest()
    os.rename(mill.raw / "a.txt", mill.raw / "b.txt")
    mill.ingest()
    before = mill.rows("SELECT * EXCLUDE (pipeline_version, batch_id) FROM documents")
    faked_version("2-faked")
    assert mill.cli("replay", "--stale", "--direct").code == 0
    assert mill.rows("SELECT * EXCLUDE (pipeline_version, batch_id) FROM documents") == before
    assert mill.column("SELECT pipeline_version FROM documents") == ["2-faked"]
    assert mill.problems(deep=True) == []
    assert mill.ingest().published is None


@pytest.mark.parametrize("words", [[], ["no-such-file.txt"], ["ffffffff"], ["--reason", "no-such-reason"]])
def test_what_to_replay_must_be_said_and_known(mill: Any, words: list[str]) -> None:
    mill.fill(1)
    mill.ingest()
    answer = mill.cli("replay", *words, "--direct")
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 1
    assert all(word in answer.err for word in words if not word.startswith("--"))


@pytest.mark.parametrize("encoding", ["no-such-codec", "rot13", "base64"])
def test_a_setting_that_cannot_be_is_no_property_of_the_files(mill: Any, encoding: str) -> None:
    mill.fill(2)
    answer = mill.cli("ingest", "--direct", str(mill.raw), "--set", f"encoding={encoding}")
    assert answer.code == 2, answer
    assert encoding in answer.err
    assert not (mill.home / "versions").exists(), "nothing was refused for a slip of the keyboard"
