"""Point 4: verify names what does not hold; a lost or outdated ledger stops every command; rebuild changes nothing."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def whole(new_mill: Any) -> Any:
    """A home with three batches, a duplicate, a reject, a superseded file and a replayed one."""
    mill = new_mill("whole")
    mill.fill(6)
    mill.put("empty.txt", b"")
    mill.put("again.txt", (mill.raw / "0001.txt").read_bytes())
    mill.ingest(batch_files=3)
    mill.put("0002.txt", (mill.raw / "0003.txt").read_text() + "\nNoch ein Satz kam dazu.\n")
    mill.fill(2, first=10)
    mill.ingest()
    mill.cli("replay", "0004.txt", "--direct", "--set", "encoding=utf-8")
    assert mill.problems() == []
    return mill


@pytest.fixture
def copied(whole: Any, tmp_path: Path) -> Any:
    """A copy of that home, which a test may damage; the raw folder is shared and only read."""
    home = tmp_path / "home"
    shutil.copytree(whole.home, home, symlinks=True)
    return type(whole)(home=home, raw=whole.raw)


def change(mill: Any, *statements: str) -> None:
    """Change the ledger behind newsmill's back."""
    with sqlite3.connect(mill.home / "ledger.sqlite") as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0, statement
    connection.close()


def lines(answer: Any) -> list[str]:
    """What `verify --format json` found."""
    assert answer.code == 1, answer
    report = answer.json()
    assert report["holds"] is False
    return list(report["problems"])


def test_a_whole_home_holds(whole: Any) -> None:
    answer = whole.newsmill("verify", "--deep")
    assert answer.code == 0, answer
    assert "everything holds" in answer.out


@pytest.mark.parametrize("kind", ["documents", "files"])
def test_an_altered_part_is_named(copied: Any, kind: str) -> None:
    part = sorted((copied.home / "lake" / kind).iterdir())[0]
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.chmod(0o644)
    part.write_bytes(data)
    assert [line for line in lines(copied.cli("verify", "--format", "json")) if part.name in line and "altered" in line]


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: os.truncate(path, 100)])
def test_a_missing_or_short_part_is_named(copied: Any, damage: Callable[[Path], None]) -> None:
    part = sorted((copied.home / "lake" / "documents").iterdir())[-1]
    part.chmod(0o644)
    damage(part)
    found = [line for line in lines(copied.cli("verify", "--format", "json")) if part.name in line]
    assert found
    assert "missing" in found[0] or "100 bytes" in found[0]


def test_the_table_form_says_which_and_ends_with_1(copied: Any) -> None:
    part = sorted((copied.home / "lake" / "files").iterdir())[0]
    part.unlink()
    answer = copied.newsmill("verify")
    assert answer.code == 1
    assert part.name in answer.out.replace("\n", "")
    assert "Traceback" not in answer.err


def test_a_removed_commit_is_named(copied: Any) -> None:
    change(copied, "DELETE FROM commits WHERE commit_no = 2")
    assert "ledger: commit 2 is missing" in lines(copied.cli("verify", "--format", "json"))


def test_a_removed_last_commit_is_named(copied: Any) -> None:
    last = copied.last_commit()
    change(copied, f"DELETE FROM commits WHERE commit_no = {last}")
    assert [line for line in lines(copied.cli("verify", "--format", "json")) if f"commit {last}" in line]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE commits SET batch_id = substr(batch_id, 2) || substr(batch_id, 1, 1) WHERE commit_no = 2",
        "UPDATE commits SET pipeline_version = 'x' WHERE commit_no = 2",
        "UPDATE commits SET commit_hash = substr(commit_hash, 2) || substr(commit_hash, 1, 1) WHERE commit_no = 2",
        "UPDATE sightings SET uri = uri || 'x' WHERE commit_no = 2",
        "UPDATE sightings SET status = 'duplicate' WHERE commit_no = 2",
        "DELETE FROM sightings WHERE commit_no = 2",
        "UPDATE parts SET row_count = row_count + 1 WHERE commit_no = 2",
        "UPDATE parts SET sha256 = substr(sha256, 2) || substr(sha256, 1, 1) WHERE commit_no = 2",
        "DELETE FROM parts WHERE commit_no = 2",
        "UPDATE spans SET segment_count = segment_count + 1 WHERE commit_no = 2",
        "DELETE FROM spans WHERE commit_no = 2",
    ],
)
def test_a_changed_commit_is_named(copied: Any, statement: str) -> None:
    change(copied, statement)
    assert [line for line in lines(copied.cli("verify", "--format", "json")) if "commit 2 was changed" in line]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE spans SET retired_by = 1 WHERE commit_no = 1 AND retired_by IS NULL",
        "UPDATE spans SET retired_by = NULL WHERE retired_by IS NOT NULL",
        "UPDATE commits SET committed_at = committed_at + 1 WHERE commit_no = 1",
        "UPDATE roots SET location = '/elsewhere'",
    ],
)
def test_what_the_chain_does_not_cover_is_found_by_a_deep_look(copied: Any, statement: str) -> None:
    change(copied, statement)
    assert lines(copied.cli("verify", "--deep", "--format", "json"))


def test_a_lost_stamp_costs_a_reading_and_is_no_problem(copied: Any) -> None:
    change(copied, "DELETE FROM stamps WHERE uri = '0000.txt'")
    commit = copied.last_commit()
    assert copied.cli("verify").code == 0
    copied.ingest()
    assert copied.problems() == []
    assert copied.one("SELECT count(*) FROM documents") == len(set(copied.column("SELECT document_id FROM documents")))
    assert copied.last_commit() <= commit + 1


def test_a_snapshot_that_lacks_a_commit_is_named(copied: Any) -> None:
    snapshots = sorted((copied.home / "versions").iterdir())
    assert len(snapshots) >= 2
    snapshots[-1].unlink()
    copied.home.joinpath("warehouse.duckdb").unlink()
    copied.home.joinpath("warehouse.duckdb").symlink_to(f"versions/{snapshots[-2].name}")
    last = copied.last_commit()
    found = lines(copied.cli("verify", "--format", "json"))
    assert [line for line in found if f"lacks commit {last}" in line]
    assert copied.cli("publish").code == 0
    assert copied.problems() == []


def test_a_symlink_that_points_elsewhere_is_named_and_publish_mends_it(copied: Any) -> None:
    link = copied.home / "warehouse.duckdb"
    oldest = sorted((copied.home / "versions").iterdir())[0]
    link.unlink()
    link.symlink_to(f"versions/{oldest.name}")
    assert [line for line in lines(copied.cli("verify", "--format", "json")) if "does not point" in line]
    assert copied.cli("publish").code == 0
    assert copied.problems() == []


def test_a_damaged_snapshot_is_named_and_rebuild_mends_it(copied: Any, whole: Any) -> None:
    newest = copied.newest()
    newest.chmod(0o644)
    os.truncate(newest, newest.stat().st_size // 2)
    answer = copied.cli("verify", "--format", "json")
    assert [line for line in lines(answer) if newest.name in line and "newsmill rebuild" in line]
    for command in (["ingest", "--direct", str(copied.raw)], ["sql", "FROM files"], ["status"]):
        stopped = copied.cli(*command)
        assert stopped.code == 1, command
        assert "newsmill rebuild" in stopped.err
    assert copied.cli("rebuild").code == 0
    assert copied.problems() == []
    assert copied.hashes() == whole.hashes()


def rows_in(path: Path, statement: str) -> list[Any]:
    """Rows of a snapshot that another name stands for, read with plain DuckDB."""
    import duckdb

    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(statement).fetchall()


def test_rows_changed_inside_a_snapshot_are_found(copied: Any) -> None:
    import duckdb

    newest = copied.newest()
    newest.chmod(0o644)
    with duckdb.connect(str(newest)) as connection:
        connection.execute("UPDATE documents SET title = 'forged' WHERE uri = '0000.txt'")
    newest.chmod(0o444)
    assert copied.cli("verify").code == 0, "a quick look does not read every row"
    assert [line for line in lines(copied.cli("verify", "--deep", "--format", "json")) if "documents differs" in line]


@pytest.mark.parametrize("table", ["documents", "paragraphs", "segments", "rejects", "files", "runs"])
def test_rows_missing_in_a_snapshot_are_found(copied: Any, table: str) -> None:
    import duckdb

    newest = copied.newest()
    newest.chmod(0o644)
    with duckdb.connect(str(newest)) as connection:
        newest_row = f"WHERE rowid IN (SELECT max(rowid) FROM {'documents' if table == 'segments' else table})"
        if table == "segments":
            # A segment is a place in its document; its row is gone with it.
            connection.execute(f"UPDATE documents SET segment_places = segment_places[:-2] {newest_row}")
        else:
            connection.execute(f"DELETE FROM {table} {newest_row}")
    newest.chmod(0o444)
    assert lines(copied.cli("verify", "--format", "json")), f"rows in DuckDB = rows in the named parts, for {table}"


COMMANDS = {
    "status": ["status"],
    "ingest": ["ingest", "--direct", "RAW"],
    "dry run": ["ingest", "--dry-run", "RAW"],
    "sql": ["sql", "SELECT count(*) FROM documents"],
    "rejects": ["rejects"],
    "replay a file": ["replay", "0001.txt", "--direct"],
    "replay rejects": ["replay", "--reason", "any", "--direct"],
    "replay stale": ["replay", "--stale", "--direct"],
    "publish": ["publish"],
    "rebuild": ["rebuild"],
    "verify": ["verify"],
}


def remove(ledger: Path) -> None:
    ledger.unlink()


def empty(ledger: Path) -> None:
    ledger.write_bytes(b"")


def go_back(ledger: Path) -> None:
    """Put a copy back that was made before the last commits."""
    ledger.unlink()
    shutil.copy(ledger.with_name("old-ledger"), ledger)


@pytest.fixture(scope="module")
def with_old_ledger(new_mill: Any) -> Any:
    mill = new_mill("old")
    mill.fill(3)
    mill.put("empty.txt", b"")
    mill.ingest()
    shutil.copy(mill.home / "ledger.sqlite", mill.home / "old-ledger")
    mill.fill(1, first=3)
    mill.ingest()
    return mill


@pytest.mark.parametrize("loss", [remove, empty, go_back])
@pytest.mark.parametrize("command", COMMANDS)
def test_without_its_ledger_every_command_stops(
    with_old_ledger: Any, tmp_path: Path, loss: Callable[[Path], None], command: str
) -> None:
    home = tmp_path / "home"
    shutil.copytree(with_old_ledger.home, home, symlinks=True)
    mill = type(with_old_ledger)(home=home, raw=with_old_ledger.raw)
    mill.put("new.txt", "Das ist neu und will hinein.")
    loss(home / "ledger.sqlite")
    before = mill.tree()
    answer = mill.cli(*(str(mill.raw) if word == "RAW" else word for word in COMMANDS[command]))
    assert answer.code == 1, answer
    told = answer.err + (answer.out if command == "verify" else "")
    assert "ledger" in told
    assert "backup" in told or command == "verify"
    assert "Traceback" not in told
    assert command == "verify" or len(answer.err.splitlines()) == 1, "one line: what, where, what to do next"
    assert mill.tree() == before, "nothing was changed"


def test_the_words_name_the_way_out(with_old_ledger: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(with_old_ledger.home, home, symlinks=True)
    mill = type(with_old_ledger)(home=home, raw=with_old_ledger.raw)
    newest = home / "newest-ledger"
    shutil.copy(home / "ledger.sqlite", newest)
    go_back(home / "ledger.sqlite")
    assert "commit" in mill.cli("status").err
    shutil.copy(newest, home / "ledger.sqlite")
    assert mill.cli("status").code == 0, "the newest ledger put back is all it needs"
    assert mill.problems() == []


def test_without_its_ledger_an_ingest_stops_before_it_starts_a_server(copied: Any) -> None:
    (copied.home / "ledger.sqlite").unlink()
    before = copied.tree()
    answer = copied.newsmill("ingest", copied.raw)
    assert answer.code == 1
    assert "ledger" in answer.err
    assert "temporary" not in answer.err, "no need for a server to know this"
    assert copied.tree() == before


def test_a_home_that_never_was_says_how_to_begin(mill: Any) -> None:
    for command in ("status", "rejects", "publish", "rebuild", "verify"):
        answer = mill.cli(command)
        assert answer.code == 1
        assert "newsmill ingest" in answer.err
        assert not mill.home.exists()
    answer = mill.cli("sql", "FROM files")
    assert answer.code == 1
    assert "newsmill ingest" in answer.err


def test_a_newer_ledger_is_refused(copied: Any) -> None:
    change(copied, "UPDATE alembic_version SET version_num = '9999'")
    before = copied.tree()
    answer = copied.cli("ingest", "--direct", str(copied.raw))
    assert answer.code == 1
    assert "newer newsmill" in answer.err
    assert copied.tree() == before


def test_a_ledger_that_is_no_database_is_refused(copied: Any) -> None:
    (copied.home / "ledger.sqlite").write_bytes(b"not a database at all, " * 100)
    before = copied.tree()
    for command in (["status"], ["ingest", "--direct", str(copied.raw)], ["sql", "FROM files"], ["verify"]):
        answer = copied.cli(*command)
        assert answer.code == 1, command
        assert "ledger" in answer.err
        assert "backup" in answer.err
        assert "Traceback" not in answer.err
    assert copied.tree() == before


def test_rebuild_gives_identical_contents(copied: Any) -> None:
    before = copied.hashes()
    empty = [table for table, (rows, _) in before.items() if not rows]
    assert empty == ["translations"], "every table that an ingest fills has rows to compare"
    answer = copied.cli("rebuild", "--format", "json")
    assert answer.code == 0
    assert answer.json()["commits"] == copied.last_commit()
    assert copied.hashes() == before
    assert copied.problems() == []


def test_rebuild_from_parts_and_ledger_alone(copied: Any) -> None:
    before = copied.hashes()
    shutil.rmtree(copied.home / "versions")
    (copied.home / "warehouse.duckdb").unlink()
    assert copied.cli("rebuild").code == 0
    assert copied.hashes() == before
    assert rows_in(copied.home / "warehouse.duckdb", "SELECT count(*) FROM documents") == [(before["documents"][0],)]
    assert copied.problems() == []


def test_views_answer_alike_after_a_rebuild(copied: Any) -> None:
    views = ("v_documents", "v_documents_monthly", "v_languages", "v_rejects_by_reason")
    before = {view: sorted(map(repr, copied.rows(f"FROM {view}"))) for view in views}
    assert copied.cli("rebuild").code == 0
    assert {view: sorted(map(repr, copied.rows(f"FROM {view}"))) for view in views} == before


def test_rebuild_refuses_a_damaged_part_and_keeps_the_old_snapshot(copied: Any) -> None:
    part = sorted((copied.home / "lake" / "documents").iterdir())[0]
    part.unlink()
    before = copied.tree("ledger.sqlite")
    answer = copied.cli("rebuild")
    assert answer.code == 1
    assert part.name in answer.err
    assert copied.tree("ledger.sqlite") == before
    assert copied.one("SELECT count(*) FROM documents") > 0


def test_an_ingest_of_nothing_after_versions_were_deleted_publishes_again(copied: Any) -> None:
    before = copied.hashes()
    shutil.rmtree(copied.home / "versions")
    copied.ingest()
    assert copied.hashes() == before
    assert copied.problems() == []


def test_parts_that_no_commit_names_do_not_exist(copied: Any) -> None:
    folder = copied.home / "lake" / "documents"
    orphan = folder / f"{'0' * 32}-{'0' * 16}.parquet"
    shutil.copy(sorted(folder.iterdir())[0], orphan)
    before = copied.hashes()
    assert copied.cli("rebuild").code == 0
    assert copied.hashes() == before
    assert copied.cli("verify", "--deep").code == 0


def test_reading_leaves_the_home_as_it_was(copied: Any) -> None:
    copied.cli("status")  # makes the lock files, once
    before = sorted(path.name for path in copied.home.rglob("*"))
    for command in (["sql", "FROM v_languages"], ["rejects"], ["status"], ["settings"], ["verify"]):
        assert copied.cli(*command).code == 0
        assert sorted(path.name for path in copied.home.rglob("*")) == before, command


NO_GRACE = ("--set", "compact_grace_seconds=0")


@pytest.fixture
def behind(mill: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Three runs, of which only the first was published, and the ledger as it was by then."""
    from tasks import direct
    from warehouse.loader import Published

    mill.fill(2)
    mill.ingest()
    mill.cli("status")
    shutil.copy(mill.home / "ledger.sqlite", mill.home / "old-ledger")
    with monkeypatch.context() as patch:
        patch.setattr(direct, "publish", lambda *_a, **_k: Published(None, 0, 0.0))
        for number in (2, 3):
            mill.fill(1, first=number)
            mill.ingest()
    assert mill.last_commit() == 3
    for path in mill.home.glob("ledger.sqlite*"):
        path.unlink()
    (mill.home / "old-ledger").rename(mill.home / "ledger.sqlite")
    assert mill.cli("status").code == 0, "no snapshot is newer than this ledger"
    return mill


def test_what_only_parts_know_is_never_removed(behind: Any) -> None:
    shutil.rmtree(behind.raw)
    before = behind.parts()
    for command in (["compact", *NO_GRACE], ["compact", "--dry-run", *NO_GRACE]):
        answer = behind.cli(*command)
        assert answer.code == 1, answer
        assert len(answer.err.splitlines()) == 1
        assert "2 contents" in answer.err
        assert "newsmill rebuild --ledger" in answer.err
        assert before.items() <= behind.parts().items()
    found = lines(behind.cli("verify", "--format", "json"))
    assert len(found) == 2
    assert all("documents/" in line and "files/" in line and "rebuild --ledger" in line for line in found)
    assert behind.cli("verify", "--repair").code == 1, "the projection is what the ledger says"
    assert behind.cli("rebuild", "--ledger", "--root", behind.raw).code == 0, "no --force is wanted"
    assert sorted(behind.column("SELECT uri FROM documents")) == [f"{number:04d}.txt" for number in range(4)]
    assert behind.cli("compact", *NO_GRACE).code == 0
    assert behind.one("SELECT count(*) FROM documents") == 4
    assert behind.problems(deep=True) == []


def test_an_older_ledger_grows_and_is_made_anew_all_the_same(behind: Any) -> None:
    newest = (behind.raw / "0002.txt").read_text() + "\nEin Satz kam dazu.\n"
    behind.put("0002.txt", newest)
    (behind.raw / "0003.txt").unlink()
    behind.fill(1, first=4)
    behind.ingest()
    assert behind.cli("compact", *NO_GRACE).code == 1
    assert behind.cli("rebuild", "--ledger").code == 0
    behind.ingest()
    assert behind.one("SELECT count(*) FROM documents") == 6
    current = "SELECT uri FROM files WHERE is_current ORDER BY uri"
    assert behind.column(current) == [f"{number:04d}.txt" for number in range(5)]
    assert behind.one("SELECT text FROM v_documents WHERE uri = '0002.txt'").endswith("Ein Satz kam dazu.")
    assert behind.problems(deep=True) == []


def test_what_is_read_again_needs_no_other_ledger(behind: Any) -> None:
    behind.ingest(batch_files=1)
    assert behind.problems(deep=True) == []
    assert behind.cli("compact", *NO_GRACE).code == 0
    assert behind.one("SELECT count(*) FROM documents") == 4
    assert behind.problems(deep=True) == []


def test_parts_of_another_home_are_named(copied: Any, new_mill: Callable[..., Any]) -> None:
    other = new_mill("other")
    other.fill(1, first=90)
    other.ingest()
    for kind in ("documents", "files"):
        for part in (other.home / "lake" / kind).iterdir():
            shutil.copy2(part, copied.home / "lake" / kind)
    found = lines(copied.cli("verify", "--format", "json"))
    assert len(found) == 1
    assert "1 contents" in found[0]
    before = copied.parts()
    answer = copied.cli("compact", *NO_GRACE)
    assert answer.code == 1
    assert "another home" in answer.err
    assert before.items() <= copied.parts().items()


def test_what_a_run_left_that_came_to_no_end_stays_and_is_no_problem(
    mill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warehouse import ledger

    mill.fill(2)
    mill.ingest()
    mill.fill(1, first=2)

    def full(*_arguments: Any, **_options: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "append", full)
        assert mill.cli("ingest", "--direct", mill.raw).code == 1
    (mill.raw / "0002.txt").unlink()
    mill.ingest()
    assert mill.problems(deep=True) == []
    answer = mill.cli("compact", *NO_GRACE, "--format", "json")
    assert answer.code == 0, answer.err
    kept = answer.json()["kept"]
    assert sorted(name.partition("/")[0] for name in kept) == ["documents", "files"]
    assert "2 files" in mill.cli("compact", *NO_GRACE).out
    assert all((mill.home / "lake" / name).exists() for name in kept)
    assert mill.cli("verify").code == 0
    assert mill.cli("rebuild", "--ledger").code == 1, "the ledger is whole"
    assert mill.cli("rebuild", "--ledger", "--force", "--root", mill.raw).code == 0
    assert mill.one("SELECT count(*) FROM documents WHERE uri = '0002.txt'") == 1
    assert mill.problems(deep=True) == []
