"""Homes of earlier and later versions of newsmill: the ones are brought up to date, the others are refused."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
from alembic import command

from warehouse.ledger.store import HEAD, _config, _known_revisions

EARLIER = sorted(_known_revisions() - {HEAD})


def made_at(version: str, ledger: Path) -> None:
    """Put a ledger of an earlier version in the place of one, with all of its rows that this version could have."""
    old = ledger.with_name("old.sqlite")
    engine, config = sa.create_engine(f"sqlite:///{old}"), _config()
    with engine.connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    engine.dispose()
    with sqlite3.connect(old) as connection:
        connection.execute("ATTACH ? AS today", [str(ledger)])
        tables = [name for (name,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")]
        for table in set(tables) - {"alembic_version"}:
            columns = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
            connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM today.{table}")
    connection.close()
    for leftover in ledger.parent.glob("ledger.sqlite*"):
        leftover.unlink()
    old.rename(ledger)


@pytest.mark.parametrize("version", EARLIER)
def test_a_home_of_an_earlier_version_is_migrated_and_works(
    mill: Any, write_news: Callable[[int], str], version: str
) -> None:
    mill.fill(4)
    mill.put("empty.txt", b"")
    mill.put("again.txt", write_news(1))
    mill.ingest(batch_files=2)
    mill.put("0002.txt", write_news(99))
    mill.ingest()
    rows = mill.hashes()
    made_at(version, mill.home / "ledger.sqlite")

    assert mill.problems() == [], "the chain is whole"
    assert mill.hashes() == rows
    with sqlite3.connect(mill.home / "ledger.sqlite") as ledger:
        assert ledger.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
    ledger.close()
    assert mill.ingest().counts == {"unchanged": 6}
    mill.fill(1, first=10)
    assert mill.ingest().counts["ingested"] == 1
    assert mill.cli("compact", "--level", "3", "--set", "compact_grace_seconds=0").code == 0
    assert mill.cli("forget", "--uri", "0003.txt").code == 0
    assert mill.one("SELECT count(*) FROM documents") == 5
    assert mill.problems(deep=True) == []


def test_a_home_of_a_newer_version_is_refused_in_one_line(mill: Any) -> None:
    mill.fill(1)
    mill.ingest()
    with sqlite3.connect(mill.home / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE alembic_version SET version_num = '9999'")
    ledger.close()
    before = mill.tree()
    for words in (["ingest", "--direct", mill.raw], ["status"], ["publish"], ["rebuild"], ["verify"], ["compact"],
                  ["replay", "--stale"], ["forget", "--uri", "0000.txt"], ["forget", "--list"]):  # fmt: skip
        answer = mill.cli(*words)
        assert answer.code == 1, words
        assert "newer newsmill" in answer.err
        assert "9999" in answer.err
        assert len(answer.err.splitlines()) == 1
    assert mill.tree() == before


@pytest.mark.parametrize("words", [["publish"], ["verify", "--deep", "--repair"]], ids=" ".join)
def test_a_snapshot_of_an_earlier_version_is_no_riddle(mill: Any, words: list[str]) -> None:
    """Between the installation of a new version and its first publish."""
    mill.fill(3)
    mill.ingest()
    rows, newest = mill.hashes(), mill.newest()
    newest.chmod(0o644)
    with duckdb.connect(newest) as database:
        views = database.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        for (view,) in views:
            database.execute(f"DROP VIEW {view}")
        database.execute("ALTER TABLE documents DROP COLUMN segment_places")
        database.execute("UPDATE about SET tables_fingerprint = 'of another day'")
    for deep in ([], ["--deep"]):
        answer = mill.cli("verify", "--format", "json", *deep)
        assert answer.code == 1
        (problem, *_) = answer.json()["problems"]
        assert (
            problem == f"snapshot: {newest.name} was published by another version of newsmill; run `newsmill publish`"
        )
    assert mill.cli(*words).code == 0
    assert mill.problems() == []
    assert mill.hashes() == rows
