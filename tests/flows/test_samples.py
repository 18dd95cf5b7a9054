"""Point 2: the samples go in, the tables answer, and a second ingest has nothing to do."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def first(new_mill: Any, samples: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Path]:
    mill, working = new_mill("samples", samples), tmp_path_factory.mktemp("working")
    return mill, mill.newsmill("ingest", "--direct", samples, "--format", "json", cwd=working), working


def test_every_sample_is_accounted_for(first: tuple[Any, Any, Path], samples: Path) -> None:
    mill, answer, _ = first
    assert answer.code == 0, answer.err
    counts = answer.json()["counts"]
    files = len(list(samples.iterdir()))
    assert files >= 30
    assert counts["ingested"] + counts["duplicate"] + counts["rejected"] == files
    assert counts["duplicate"] == 1
    assert counts["rejected"] == 4
    assert mill.problems(deep=True) == []


def test_nothing_is_written_beside_the_home(first: tuple[Any, Any, Path]) -> None:
    mill, _, working = first
    assert list(working.iterdir()) == []
    assert {path.name for path in mill.home.iterdir()} - {"ledger.sqlite-shm", "ledger.sqlite-wal"} == {
        "lake", "ledger.sqlite", "locks", "versions", "warehouse.duckdb",
    }  # fmt: skip


def test_the_monthly_table_answers(first: tuple[Any, Any, Path]) -> None:
    mill, *_ = first
    query = (
        "SELECT language, month, sum(documents) AS documents, sum(words) AS words "
        "FROM v_documents_monthly GROUP BY ALL ORDER BY ALL"
    )
    answer = mill.newsmill("sql", query, "--format", "json")
    assert answer.code == 0, answer.err
    rows = answer.json()
    assert len({row["language"] for row in rows}) >= 8
    assert all(int(row["words"]) > 0 for row in rows)
    assert sum(int(row["documents"]) for row in rows) == mill.one("SELECT count(*) FROM v_documents")


def test_the_languages_are_counted(first: tuple[Any, Any, Path]) -> None:
    mill, *_ = first
    answer = mill.cli("sql", "select language, count(*) from documents group by all", "--format", "json")
    found = {row["language"]: row["count_star()"] for row in answer.json()}
    assert found["de"] >= 10
    assert sum(found.values()) == mill.one("SELECT count(*) FROM documents")


def test_a_second_ingest_adds_nothing_and_says_so(first: tuple[Any, Any, Path], samples: Path) -> None:
    mill, *_ = first
    before, commit, hashes = mill.tree("ledger.sqlite"), mill.last_commit(), mill.hashes()
    answer = mill.newsmill("ingest", "--direct", samples)
    assert answer.code == 0, answer.err
    assert f"Nothing new: {len(list(samples.iterdir()))} files are unchanged." in answer.out
    assert mill.tree("ledger.sqlite") == before, "no new part, no new snapshot"
    assert mill.last_commit() == commit
    assert mill.hashes() == hashes


def test_the_order_on_the_command_line_changes_nothing(new_mill: Any, samples: Path) -> None:
    files = sorted(samples.iterdir())[:12]
    one, other = new_mill(), new_mill()
    one.ingest(*files)
    other.ingest(*reversed(files))
    assert one.parts() == other.parts()
