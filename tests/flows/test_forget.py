"""Taking content down: it is nowhere any more, everything else is as it was, and the same bytes stay out."""

import contextlib
import dataclasses
import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from warehouse import search

NO_GRACE = ("--set", "compact_grace_seconds=0")
SECRET = "Zyxwolperdingerin"


def told(mill: Any, *words: str) -> dict[str, Any]:
    answer = mill.cli("forget", *words, "--format", "json")
    assert answer.code == 0, answer.err
    return dict(answer.json())


def secret(number: int) -> str:
    """A text with a word that stands nowhere else."""
    return f" date 2019-04 Der Name {SECRET}{number} wurde genannt. Mehr war am Abend nicht zu erfahren.\n"


def file_id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def traces(mill: Any, words: bytes) -> list[str]:
    """Files of the home in which some bytes stand, packed or not; the raw files and the ledger are left out."""
    found = []
    for path in sorted(mill.home.rglob("*")):
        name = path.relative_to(mill.home).as_posix()
        if not path.is_file() or path.is_symlink() or name.startswith(("inbox", "ledger", "locks")):
            continue
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += repr(pq.read_table(path, partitioning=None).to_pylist()).encode()
        elif path.suffix == ".duckdb":
            with duckdb.connect() as database:
                database.execute(f"ATTACH '{path}' AS looked (READ_ONLY)")
                for (table,) in database.execute(
                    "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = 'looked'"
                ).fetchall():
                    content += repr(database.execute(f"FROM looked.{table}").fetchall()).encode()
        if words in content:
            found.append(name)
    return found


def row_hashes(mill: Any, without: str) -> dict[str, Any]:
    """What analysts see of everything but one content and the paths that it was seen at."""
    queries = {
        "documents": "SELECT * FROM documents WHERE file_id <> $id ORDER BY document_id",
        "paragraphs": "SELECT paragraphs.* FROM paragraphs JOIN documents USING (document_id) WHERE file_id <> $id"
        " ORDER BY document_id, paragraph_no",
        "files": "SELECT * FROM files WHERE uri NOT IN "
        "(SELECT uri FROM files WHERE file_id = $id OR reason = 'forgotten') ORDER BY uri, file_id",
    }
    return {name: mill.rows(query, id=without) for name, query in queries.items()}


@pytest.fixture(scope="module")
def crowded_once(new_mill: Any) -> Any:
    """A home with ten files, a secret one among them that was also seen elsewhere, compacted once, and an index."""
    made = new_mill("crowded")
    mill = dataclasses.replace(made, raw=made.home / "inbox")
    mill.fill(5)
    mill.put("secret.txt", secret(1))
    mill.put("copy.txt", secret(1))
    mill.ingest(batch_files=3)
    assert mill.cli("compact", "--level", "3", *NO_GRACE).code == 0
    mill.fill(4, first=5)
    mill.ingest()
    search.build(mill.settings().layout)
    return mill


@pytest.fixture
def crowded(crowded_once: Any, tmp_path: Path) -> Any:
    """A copy of it."""
    shutil.copytree(crowded_once.home, tmp_path / "home", symlinks=True)
    return dataclasses.replace(crowded_once, home=tmp_path / "home", raw=tmp_path / "home" / "inbox")


def test_it_is_nowhere_any_more_and_all_else_is_as_it_was(crowded: Any) -> None:
    mill, gone = crowded, file_id(secret(1))
    before = row_hashes(mill, gone)
    assert len(traces(mill, SECRET.encode())) >= 4, "the look finds it while it is there"

    tree = mill.tree()
    planned = told(mill, gone[:10], "--dry-run")
    assert (planned["forgotten"], planned["documents"]) == ([gone], 1)
    assert sorted(path["uri"] for path in planned["paths"]) == ["copy.txt", "secret.txt"]
    assert mill.tree() == tree, "a dry run writes nothing"

    done = told(mill, gone[:10])
    assert done["rewritten_parts"] == 2
    assert done["removed_snapshots"] >= 2
    assert done["removed_indexes"] == 1
    assert sorted(Path(path).name for path in done["raw_files"]) == ["copy.txt", "secret.txt"]
    assert traces(mill, SECRET.encode()) == []
    assert traces(mill, gone.encode()) == []
    assert Path(mill.raw, "secret.txt").read_text() == secret(1), "raw files are never touched"
    assert mill.problems(deep=True) == []
    assert row_hashes(mill, gone) == before
    assert mill.rows("SELECT uri, status, reason, file_id FROM files WHERE reason IS NOT NULL ORDER BY uri") == [
        {"uri": uri, "status": "rejected", "reason": "forgotten", "file_id": None} for uri in ("copy.txt", "secret.txt")
    ]
    hits = mill.cli("search", SECRET + "1", "--format", "json")
    assert hits.json() == []
    assert mill.cli("search", "Brücke", "--format", "json").json() != []

    assert mill.cli("compact", *NO_GRACE).code == 0
    assert mill.problems() == []


def test_the_same_bytes_stay_out_until_they_are_let_in(crowded: Any) -> None:
    mill, gone = crowded, file_id(secret(1))
    mill.ingest()  # a copy of a home has other stamps
    told(mill, "--uri", "secret.txt")
    assert mill.ingest().counts == {"unchanged": 11}
    mill.put("again.txt", secret(1))
    mill.put("secret.txt", secret(1))  # touched
    answer = mill.cli("ingest", "--direct", mill.raw, "--format", "json").json()
    assert answer["reasons"] == {"forgotten": 2}
    assert mill.one("SELECT count(*) FROM documents WHERE file_id = $id", id=gone) == 0
    assert mill.column("SELECT uri FROM rejects WHERE reason = 'forgotten' ORDER BY uri") == [
        "again.txt", "copy.txt", "secret.txt"
    ]  # fmt: skip
    assert mill.cli("replay", "--reason", "forgotten", "--direct").code == 0, "reading again lets nothing in"
    assert mill.one("SELECT count(*) FROM documents WHERE file_id = $id", id=gone) == 0
    assert "forgotten" in mill.cli("rejects").out

    listed = mill.cli("forget", "--list", "--format", "json").json()
    assert [(row["file_id"], row["state"], row["uris"]) for row in listed] == [
        (gone, "erased", ["copy.txt", "secret.txt"])
    ]
    assert told(mill, "--lift", gone[:8]) == {"lifted": [gone]}
    counts = mill.ingest().counts
    assert (counts["ingested"], counts["duplicate"]) == (1, 2)
    assert mill.one("SELECT count(*) FROM documents WHERE file_id = $id", id=gone) == 1
    assert mill.one("SELECT count(*) FROM rejects") == 0
    assert mill.problems() == []
    told(mill, gone)
    assert mill.one("SELECT count(*) FROM documents WHERE file_id = $id", id=gone) == 0
    assert traces(mill, SECRET.encode()) == []
    assert mill.problems() == []
    states = [row["state"] for row in mill.cli("forget", "--list", "--format", "json").json()]
    assert states == ["let in again", "erased"]


def test_what_it_replaced_does_not_come_back(mill: Any) -> None:
    """An older version at the same uri stays what it was: not current; also after the path could not be read."""
    mill.put("a.txt", "Die erste Fassung war noch kurz und ohne Namen geblieben.\n")
    mill.ingest()
    mill.put("a.txt", secret(1))
    mill.ingest()
    told(mill, file_id(secret(1)))
    assert mill.rows("SELECT is_current, document_count FROM files WHERE file_id IS NOT NULL") == [
        {"is_current": False, "document_count": 1}
    ]
    assert mill.one("SELECT count(*) FROM v_documents") == 0
    assert mill.problems() == []
    path = Path(mill.raw, "a.txt")
    path.unlink()
    path.symlink_to("/nowhere")
    mill.ingest()
    assert mill.one("SELECT count(*) FROM files WHERE is_current") == 0
    path.unlink()
    mill.put("a.txt", "Eine dritte Fassung erschien am Tag darauf.\n")
    mill.ingest()
    assert mill.column("SELECT text FROM v_documents") == ["Eine dritte Fassung erschien am Tag darauf."]
    assert mill.problems() == []
    told(mill, "--uri", "a.txt")
    assert mill.one("SELECT count(*) FROM documents") == 0
    assert len(mill.cli("forget", "--list", "--format", "json").json()) == 3, "every content that was ever there"
    assert mill.problems(deep=True) == []


def test_a_source_goes_and_equal_texts_of_others_stay(mill: Any) -> None:
    text = "Der Rat tagte am Abend und beriet lange über den Haushalt.\n"
    mill.put("good/a.txt", " date 2019-04 " + text)
    mill.put("bad/a.txt", " date 2019-05 " + text)
    mill.put("bad/b.txt", secret(2))
    mill.ingest(Path(mill.raw, "good"), source="good")
    mill.ingest(Path(mill.raw, "bad"), source="bad")
    done = told(mill, "--source", "bad")
    assert (len(done["forgotten"]), done["documents"], done["same_text_elsewhere"]) == (2, 2, 1)
    assert mill.column("SELECT source FROM documents") == ["good"]
    assert mill.one("SELECT copy_count FROM v_documents") == 1
    assert traces(mill, SECRET.encode()) == []
    assert mill.problems() == []


def test_what_a_replay_and_a_killed_run_left_goes_too(
    mill: Any, write_news: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that count no more, in parts that do; a part that no commit names; a temporary file of an index."""
    from tasks import version

    mill.put("a.txt", secret(1))
    mill.put("b.txt", write_news(1))
    mill.ingest()
    orphan = next((mill.home / "lake" / "documents").iterdir())
    orphan.with_name(f"{'0' * 32}-{'0' * 16}.parquet").write_bytes(orphan.read_bytes())
    foreign = orphan.with_name("somebody-elses.txt")
    foreign.write_text("stays")
    monkeypatch.setattr(version, "pipeline_version", lambda: "2-faked")
    assert mill.cli("replay", "a.txt", "--direct").code == 0
    search.build(mill.settings().layout)
    (mill.home / "search" / ".tmp-dead").write_text(SECRET)
    assert len(traces(mill, SECRET.encode())) >= 4
    told(mill, "--uri", "a.txt")
    assert traces(mill, SECRET.encode()) == []
    assert foreign.read_text() == "stays"
    assert mill.problems() == []


def test_verify_finds_what_came_back_and_forget_removes_it(crowded: Any) -> None:
    mill, gone = crowded, file_id(secret(1))
    kept = {name: (mill.home / "lake" / name).read_bytes() for name in mill.parts()}
    snapshot, index = mill.newest(), search.numbered(mill.settings().layout)[-1][1]
    old = {snapshot.with_name("warehouse-00000001.duckdb"): snapshot.read_bytes(),
           index.with_name("search-00000000.duckdb"): index.read_bytes()}  # fmt: skip
    told(mill, gone)
    for name, content in kept.items():
        path = mill.home / "lake" / name
        if not path.exists():
            path.write_bytes(content)
    for path, content in old.items():
        path.write_bytes(content)
    problems = mill.problems()
    assert {problem.split()[0] for problem in problems} == {"part", "snapshot:", "search:"}, problems
    assert all("newsmill forget" in problem for problem in problems)
    assert mill.cli("forget").code == 0
    assert mill.problems() == []
    assert traces(mill, SECRET.encode()) == []
    assert "Nothing to finish" in mill.cli("forget").out


def test_a_reader_keeps_what_it_has_open_and_is_named(crowded: Any, started: Any) -> None:
    mill = crowded
    code = (
        "import duckdb, sys\n"
        "with duckdb.connect(sys.argv[1], read_only=True) as held:\n"
        "    print('open', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    print(held.execute('SELECT count(*) FROM documents').fetchone()[0], flush=True)\n"
    )
    reader = started(
        [sys.executable, "-c", code, mill.newest()], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )  # fmt: skip
    assert reader.stdout.readline() == b"open\n"
    done = told(mill, "--uri", "secret.txt")
    assert done["still_open_in"] == [reader.pid]
    reader.stdin.write(b"\n")
    reader.stdin.flush()
    assert reader.stdout.readline() == b"10\n", "what is open goes on answering"
    assert reader.wait(30) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dry-run"], "say which content"),
        (["--lift"], "say which content"),
        (["abc"], "no file_id"),
        (["0123456789abcdef"], "no content is known"),
        (["--uri", "nowhere.txt"], "no content is known of the uri"),
        (["--source", "nobody"], "no content is known of the source"),
        (["--uri", "a.zip!/b.txt"], "'a.zip'"),
        (["--lift", "--uri", "0001.txt"], "no content is forgotten"),
    ],
)
def test_what_is_meant_must_be_clear(mill: Any, words: list[str], said: str) -> None:
    mill.fill(2)
    mill.ingest()
    before = mill.tree("ledger.sqlite")
    answer = mill.cli("forget", *words)
    assert answer.code == 2
    assert said in answer.err
    assert len(answer.err.splitlines()) == 1
    assert mill.tree("ledger.sqlite") == before


def test_damage_is_told_before_anything_is_begun(mill: Any) -> None:
    mill.fill(2)
    mill.ingest()
    (path,) = (mill.home / "lake" / "documents").iterdir()
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    commit = mill.last_commit()
    answer = mill.cli("forget", "--uri", "0001.txt")
    assert answer.code == 1
    assert len(answer.err.splitlines()) == 1
    assert path.name in answer.err
    assert mill.last_commit() == commit
    assert mill.cli("ingest", "--direct", mill.raw).code == 0, "nothing was begun that an ingest would have to finish"


def test_a_person_reads_what_was_done(crowded: Any) -> None:
    mill = crowded
    planned = mill.cli("forget", "--uri", "secret.txt", "--dry-run").out
    assert "1 content with 1 document would be forgotten, seen at 2 paths" in planned
    done = mill.cli("forget", "--uri", "secret.txt").out
    assert "1 content with 1 document is forgotten" in done
    assert done.count("a raw file still has the bytes") == 2
    assert "exports" in done
    runs = json.loads(mill.cli("status", "--format", "json").out)["runs"]
    assert (runs[0]["flow"], runs[0]["status"]) == ("forget", "completed")


@pytest.mark.long
def test_what_a_temporary_server_was_told_is_taken_back(mill: Any) -> None:
    """Its database stands in the home, where the next temporary server finds it."""
    (mill.home / "inbox").mkdir(parents=True)
    row = {"title": f"Von der {SECRET}", "text": "Der Rat der Stadt tagte am Abend und beriet lange über die Brücke."}
    (mill.home / "inbox" / "rows.jsonl").write_text(json.dumps(row) + "\n{broken\n")

    def said() -> str:
        with contextlib.closing(sqlite3.connect(mill.home / "prefect" / "prefect.db")) as database:
            return "\n".join(database.iterdump())

    answer = mill.newsmill("ingest", env=mill.prefect_environment(), seconds=180)
    assert answer.code == 0, answer.err
    assert SECRET in said()
    answer = mill.newsmill("forget", "--uri", "rows.jsonl", env=mill.prefect_environment(), seconds=180)
    assert answer.code == 0, answer.err
    assert "were taken out of 2 artifacts on Prefect's pages" in " ".join(answer.out.split())
    assert SECRET not in said()
    assert "rows\\.jsonl" not in said(), "the example of a reject is gone, too"
    elsewhere = {**mill.prefect_environment(), "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    problem = mill.newsmill("forget", "--format", "json", env=elsewhere).json()["prefect"]["problem"]
    assert "http://127.0.0.1:9/api does not answer" in problem
    assert "newsmill up, which has a database of its own in the home, does not run" in problem


def saved(mill: Any, tmp_path: Path) -> Path:
    """A backup of ledger and parts; nobody is at work."""
    backup = tmp_path / "backup"
    backup.mkdir()
    mill.cli("status")
    shutil.copy2(mill.home / "ledger.sqlite", backup)
    shutil.copytree(mill.home / "lake", backup / "lake")
    return backup


def put_back(mill: Any, backup: Path) -> None:
    """The backup in the place of all that it stands for; the copy of the tombstones stays."""
    for path in mill.home.glob("ledger.sqlite*"):
        path.unlink()
    for name in ("lake", "versions"):
        shutil.rmtree(mill.home / name)
    (mill.home / "warehouse.duckdb").unlink()
    shutil.copy2(backup / "ledger.sqlite", mill.home)
    shutil.copytree(backup / "lake", mill.home / "lake")


@pytest.fixture
def dated(mill: Any) -> Any:
    """A home with two files and a secret one."""
    mill.fill(2)
    mill.put("secret.txt", secret(1))
    mill.ingest()
    return mill


def states(mill: Any) -> dict[str, str]:
    return {row["file_id"]: row["state"] for row in mill.cli("forget", "--list", "--format", "json").json()}


@pytest.mark.parametrize("command", [("rebuild",), ("ingest", "--direct"), ("forget",)], ids=" ".join)
def test_what_was_forgotten_after_a_backup_is_forgotten_again(
    dated: Any, tmp_path: Path, command: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    backup = saved(dated, tmp_path)
    told(dated, file_id(secret(1)))
    put_back(dated, backup)
    assert any("ledger.tombstones" in problem for problem in dated.problems())
    answer = dated.cli(*command, *([str(dated.raw)] if "ingest" in command else []))
    assert answer.code == 0, answer.err
    (line,) = [record.getMessage() for record in caplog.records if "ledger.tombstones" in record.getMessage()]
    assert "1 contents are forgotten again" in line
    assert states(dated) == {file_id(secret(1)): "erased"}
    dated.put("again.txt", secret(1))
    assert dated.ingest().reasons["forgotten"] >= 1
    assert dated.one("SELECT count(*) FROM documents") == 2
    assert traces(dated, SECRET.encode()) == []
    assert dated.problems(deep=True) == []
    assert len(caplog.records) == 1, "it is said once"


def test_a_kill_while_it_is_forgotten_again_loses_nothing(
    dated: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warehouse import forget, ledger

    def killed(*_arguments: Any, **_options: Any) -> None:
        raise OSError("killed")

    backup = saved(dated, tmp_path)
    told(dated, file_id(secret(1)))
    put_back(dated, backup)
    for module, step in ((ledger, "forget"), (forget, "rewrite")):
        with monkeypatch.context() as patch:
            patch.setattr(module, step, killed)
            assert dated.cli("ingest", "--direct", dated.raw).code == 1
    dated.ingest()
    assert states(dated) == {file_id(secret(1)): "erased"}
    assert traces(dated, SECRET.encode()) == []
    assert dated.problems(deep=True) == []


def test_what_was_let_in_after_a_backup_stays_in(dated: Any, tmp_path: Path) -> None:
    backup = saved(dated, tmp_path)
    told(dated, file_id(secret(1)))
    assert dated.cli("forget", "--lift", file_id(secret(1))).code == 0
    put_back(dated, backup)
    assert dated.cli("rebuild").code == 0
    assert dated.one("SELECT count(*) FROM documents") == 3
    assert states(dated) == {}
    assert dated.problems(deep=True) == []


def test_what_was_forgotten_before_a_backup_and_let_in_after_it_is_let_in(dated: Any, tmp_path: Path) -> None:
    told(dated, file_id(secret(1)))
    backup = saved(dated, tmp_path)
    assert dated.cli("forget", "--lift", file_id(secret(1))).code == 0
    put_back(dated, backup)
    assert dated.cli("rebuild").code == 0
    assert states(dated) == {file_id(secret(1)): "let in again"}
    dated.ingest()
    assert dated.one("SELECT count(*) FROM documents") == 3
    assert dated.problems(deep=True) == []


def test_a_kill_between_ledger_and_copy_changes_nothing_of_what_the_ledger_says(
    dated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warehouse import mirror

    wrote = mirror.write

    def killed(home: Any, marks: Any) -> None:
        if not mirror.is_current(home, marks):
            raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(mirror, "write", killed)
        assert dated.cli("forget", file_id(secret(1))).code == 1
    dated.ingest()
    assert states(dated) == {file_id(secret(1)): "erased"}
    with monkeypatch.context() as patch:
        patch.setattr(mirror, "write", killed)
        assert dated.cli("forget", "--lift", file_id(secret(1))).code == 1
    assert mirror.write is wrote
    dated.ingest()
    assert states(dated) == {file_id(secret(1)): "let in again"}
    assert dated.one("SELECT count(*) FROM documents") == 3
    assert dated.problems(deep=True) == []


def test_a_home_that_is_begun_anew_keeps_out_what_was_forgotten(dated: Any) -> None:
    told(dated, file_id(secret(1)))
    for path in dated.home.glob("ledger.sqlite*"):
        path.unlink()
    for name in ("lake", "versions"):
        shutil.rmtree(dated.home / name)
    (dated.home / "warehouse.duckdb").unlink()
    assert dated.ingest().reasons["forgotten"] == 1
    assert dated.one("SELECT count(*) FROM documents") == 2
    assert dated.problems(deep=True) == []


def test_what_the_ledger_has_lost_does_not_go_along(mill: Any, tmp_path: Path) -> None:
    """An older ledger, and a part of a later compaction: it has a row that goes and one that stands nowhere else."""
    mill.put("secret.txt", secret(1))
    mill.ingest()
    saved(mill, tmp_path)
    mill.fill(1)
    mill.ingest()
    pairs = {path.name: path for path in (mill.home / "lake" / "documents").iterdir()}
    (own,) = (name for name in pairs if not (tmp_path / "backup" / "lake" / "documents" / name).exists())
    assert mill.cli("compact").code == 0
    for path in (mill.home / "lake").glob(f"*/{own.partition('-')[0]}-*"):
        path.unlink()
    for path in mill.home.glob("ledger.sqlite*"):
        path.unlink()
    shutil.copy2(tmp_path / "backup" / "ledger.sqlite", mill.home)
    shutil.rmtree(mill.home / "versions")
    (mill.home / "warehouse.duckdb").unlink()
    shutil.rmtree(mill.raw)
    before = mill.parts()
    answer = mill.cli("forget", file_id(secret(1)))
    assert answer.code == 1
    assert "newsmill rebuild --ledger" in answer.err
    assert mill.parts() == before
    assert mill.cli("rebuild", "--ledger", "--root", mill.raw).code == 0
    told(mill, file_id(secret(1)))
    assert mill.column("SELECT uri FROM documents") == ["0000.txt"]
    assert traces(mill, SECRET.encode()) == []
    assert mill.problems(deep=True) == []
