"""SQL on the newest snapshot reads its tables and touches nothing else."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from warehouse import queries, snapshots
from warehouse.errors import ConfigError, DamagedError, LedgerError, NewsmillError, QueryError
from warehouse.layout import Home
from warehouse.queries import QueryOptions

secret_variable = pa.table({"secret": ["of this process"]})


@pytest.fixture(scope="module")
def home(new_mill: Callable[..., Any], write_news: Callable[..., str]) -> Home:
    """A published home with three documents."""
    mill = new_mill("queries")
    mill.fill(3)
    mill.ingest()
    layout: Home = mill.settings().layout
    return layout


def test_a_query_answers(home: Home) -> None:
    assert queries.rows(home, "SELECT count(*) AS n FROM documents") == [{"n": 3}]
    assert queries.rows(home, "FROM v_languages SELECT language, documents") == [{"language": "de", "documents": 3}]


def test_parameters_are_values(home: Home) -> None:
    (row,) = queries.rows(home, "SELECT $a AS a, $b AS b", {"a": "'; DROP TABLE documents; --", "b": None})
    assert row == {"a": "'; DROP TABLE documents; --", "b": None}
    found = queries.rows(home, "SELECT count(*) AS n FROM documents WHERE language = $language", {"language": "de"})
    assert found == [{"n": 3}]
    assert queries.rows(home, "SELECT unnest($many) AS n", {"many": [1, 2]}) == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [("SELECT $a", None), ("SELECT $a", {"b": 1}), ("SELECT 1", {"a": 1}), ("SELECT ?", {"a": 1})],
)
def test_parameters_that_do_not_fit_are_one_error(home: Home, sql: str, parameters: dict[str, Any] | None) -> None:
    with pytest.raises(QueryError):
        queries.rows(home, sql, parameters)


OUT = "/tmp/newsmill-must-not-be-written"
FORBIDDEN = [
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM read_blob('/etc/hostname')",
    "SELECT * FROM read_csv('/etc/hostname')",
    "SELECT * FROM read_parquet('/etc/hostname')",
    "SELECT * FROM '/etc/hostname'",
    "SELECT * FROM '/etc/hostname.csv'",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM sniff_csv('/etc/hostname')",
    "SELECT * FROM parquet_metadata('/etc/hostname')",
    "SELECT * FROM read_duckdb('/etc/hostname')",
    f"COPY documents TO '{OUT}'",
    f"COPY (SELECT 1) TO '{OUT}' (FORMAT parquet)",
    "COPY (SELECT 1) TO '/dev/stdout'",
    f"EXPORT DATABASE '{OUT}'",
    "IMPORT DATABASE '/etc'",
    f"ATTACH '{OUT}'",
    "ATTACH 'ledger.sqlite' (TYPE sqlite)",
    "ATTACH 'dbname=postgres' (TYPE postgres)",
    "INSTALL httpfs",
    "INSTALL httpfs FROM community",
    "LOAD httpfs",
    f"LOAD '{OUT}'",
    "SELECT * FROM 'https://example.invalid/a.csv'",
    "SELECT * FROM read_csv('https://example.invalid/a.csv')",
    "SELECT * FROM read_text('s3://bucket/key')",
    "CREATE SECRET (TYPE s3, KEY_ID 'a', SECRET 'b')",
    "CREATE PERSISTENT SECRET kept (TYPE http, BEARER_TOKEN 'x')",
    "SET threads = 3",
    "SET memory_limit = '100GB'",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET python_enable_replacements = true",
    f"SET temp_directory = '{OUT}'",
    f"SET secret_directory = '{OUT}'",
    "RESET threads",
    "PRAGMA threads = 3",
    "PRAGMA enable_external_access",
    "SELECT * FROM secret_variable",
    "FROM home",
    "SELECT getenv('HOME')",
    "DELETE FROM documents",
    "UPDATE documents SET text = 'x'",
    "INSERT INTO documents SELECT * FROM documents",
    "DROP TABLE documents",
    "CREATE TABLE more AS SELECT 1",
    "CREATE VIEW more AS SELECT 1",
    "ALTER TABLE documents ADD COLUMN x INT",
    "COMMENT ON TABLE documents IS 'x'",
    "DETACH warehouse",
    # What DuckDB itself lets through a closed door: memory of its own, and the places that it writes to.
    "ATTACH ':memory:' AS mine",
    "CREATE TABLE memory.main.mine AS SELECT 1",
    "CREATE TEMP TABLE mine AS SELECT 1",
    "CREATE MACRO temp.mine() AS 1",
    "CREATE TYPE pivot AS ENUM ('a')",
    "COPY (SELECT 'pivot') TO '.tmp/out'",
    "SET VARIABLE mine = 1",
    "USE memory",
    "PREPARE mine AS SELECT 1",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN",
    "CALL enable_logging()",
    "CALL enable_profiling()",
    "PRAGMA enable_profiling",
    f"PRAGMA profiling_output = '{OUT}'",
    f"EXPLAIN ANALYZE COPY (SELECT 1) TO '{OUT}'",
    f"EXPLAIN (ANALYZE) COPY (SELECT 1) TO '{OUT}'",
    f"EXPLAIN /* x */ ANALYZE COPY (SELECT 1) TO '{OUT}'",
    f"EXPLAIN ANALYZE EXPLAIN ANALYZE COPY (SELECT 1) TO '{OUT}'",
    "EXPLAIN ANALYZE CREATE TABLE memory.main.mine AS SELECT 1",
    "SELECT * FROM read_text('../../../../../../../../../../etc/hostname')",
    "SELECT * FROM read_text('/proc/self/environ')",
    "SELECT * FROM read_text('file:///etc/hostname')",
    "SELECT * FROM query('COPY documents TO out')",
    "SELECT * FROM query_table('/etc/hostname')",
    "SELECT * FROM duckdb_secrets()",
    "FROM read_json('/etc/hostname')",
    "FROM sqlite_scan('ledger.sqlite', 'commits')",
    "no sql at all",
    "",
    "-- nothing",
]


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_all_else_is_refused(home: Home, sql: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Whatever it tries below the person's folder would be seen.
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(QueryError) as error:
        queries.rows(home, sql)
    assert str(error.value)
    assert not os.path.lexists(OUT)
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_no_way_around(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one that stands where the query runs."""
    (tmp_path / "link.txt").symlink_to("/etc/hostname")
    (tmp_path / "folder").symlink_to("/etc")
    monkeypatch.chdir(tmp_path)
    for name in ("link.txt", "folder/hostname", "./link.txt", "folder/../link.txt", str(tmp_path / "link.txt")):
        with pytest.raises(QueryError):
            queries.rows(home, f"FROM read_text('{name}')")


@pytest.mark.parametrize("ending", ["", ".wal", ".wal.checkpoint", ".wal.recovery"])
@pytest.mark.parametrize("begin", ["", "EXPLAIN ANALYZE ", "SELECT 1; ", "PIVOT (SELECT 1 AS a) ON a; "])
def test_nothing_is_written_beside_a_snapshot(home: Home, begin: str, ending: str) -> None:
    """DuckDB keeps the files of an attached database open to COPY; a stray .wal would stop every reader."""
    path = snapshots.newest(home)
    assert path is not None
    before = {entry.name: entry.stat().st_size for entry in home.versions.iterdir()}
    for target in (path.resolve(), home.warehouse):
        with pytest.raises(QueryError):
            queries.rows(home, f"{begin}COPY (SELECT 1) TO '{target}{ending}'")
    assert {entry.name: entry.stat().st_size for entry in home.versions.iterdir()} == before
    assert sorted(entry.name for entry in home.path.iterdir() if "wal" in entry.name) in ([], ["ledger.sqlite-wal"])


@pytest.mark.parametrize(
    "sql",
    [
        "FROM v_languages",
        "  SELECT 1 AS n;",
        "WITH a AS (SELECT 1 AS n) FROM a",
        "VALUES (1)",
        "TABLE documents",
        "SHOW TABLES",
        "DESCRIBE documents",
        "SUMMARIZE documents",
        "EXPLAIN SELECT 1",
        "explain analyze FROM documents",
        "EXPLAIN (FORMAT json) FROM documents",
        "PIVOT (SELECT language, char_count FROM documents) ON language USING sum(char_count)",
        "WITH p AS (PIVOT (SELECT language, char_count FROM documents) ON language USING count(*)) FROM p",
        "UNPIVOT (SELECT 1 AS a, 2 AS b) ON a, b",
        "FROM keyword_series('rat')",
        "SELECT * FROM query('SELECT 1 AS n')",
    ],
)
def test_what_reads_is_let_in(home: Home, sql: str) -> None:
    assert queries.rows(home, sql)


def test_a_query_that_takes_too_long_is_stopped(home: Home) -> None:
    for sql in ("SELECT count(*) FROM range(1000000000000)", "SELECT a.range FROM range(1000000) a, range(1000000) b"):
        with pytest.raises(QueryError, match=r"stopped after 0\.2 seconds"):
            queries.rows(home, sql, options=QueryOptions(seconds=0.2))
    assert queries.rows(home, "SELECT 1 AS n", options=QueryOptions(seconds=60)) == [{"n": 1}]
    with pytest.raises(QueryError, match="boom"):
        queries.rows(home, "SELECT error('boom')", options=QueryOptions(seconds=60))


def test_a_query_that_takes_too_much_memory_is_refused(home: Home) -> None:
    sql = "SELECT list(range::VARCHAR || repeat('x', 100)) AS many FROM range(3_000_000)"
    with pytest.raises(QueryError, match=r"(?i)memory"):
        queries.rows(home, sql, options=QueryOptions(memory="50MB"))
    with pytest.raises(ConfigError, match="2GB"):
        queries.rows(home, "SELECT 1", options=QueryOptions(memory="a lot"))


def test_a_large_sort_spills_and_leaves_nothing(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    sql = """
        SELECT max(n) AS n FROM (
            SELECT row_number() OVER (ORDER BY x) AS n
            FROM (SELECT hash(range)::VARCHAR || repeat('x', 100) AS x FROM range(700_000)))"""
    assert queries.rows(home, sql, options=QueryOptions(memory="90MB")) == [{"n": 700_000}]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "second", ["SELECT * FROM read_text('/etc/hostname')", f"COPY (SELECT 1) TO '{OUT}'", "SET threads=1"]
)
def test_a_second_statement_is_no_way_around(home: Home, second: str) -> None:
    with pytest.raises(QueryError):
        queries.rows(home, f"SELECT 1; {second}")
    with pytest.raises(QueryError):
        queries.rows(home, f"{second}; SELECT 1")


def test_what_a_query_sets_is_gone_with_it(home: Home) -> None:
    with pytest.raises(QueryError):
        queries.rows(home, "CREATE TEMP TABLE mine AS SELECT 1")
    with pytest.raises(QueryError):
        queries.rows(home, "FROM mine")


def test_an_error_late_in_a_result_is_one_error(home: Home) -> None:
    sql = "SELECT CAST(CASE WHEN range = 250000 THEN 'x' ELSE '1' END AS INTEGER) AS n FROM range(300000)"
    with pytest.raises(QueryError, match=r"Could not convert"):
        queries.rows(home, sql)
    with pytest.raises(QueryError), queries.streamed(home, sql) as reader:
        for _ in reader:
            pass


def test_text_that_is_no_unicode_is_one_error(home: Home) -> None:
    """What a terminal hands over where its bytes are no UTF-8."""
    with pytest.raises(NewsmillError):
        queries.rows(home, "SELECT '\udcff'")
    with pytest.raises(NewsmillError):
        queries.rows(home, "SELECT $a", {"a": "\udcff"})


def highest_kilobytes(*, anew: bool = False) -> int:
    """The most memory that this process had, or has had since it was asked ``anew``."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    (line,) = re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(line)


def test_a_result_is_streamed(home: Home) -> None:
    """More rows than fit: 400 MB of text, of which a reader takes a little."""
    before = highest_kilobytes(anew=True)
    with queries.streamed(home, "SELECT repeat('x', 1000) AS text FROM range(400_000)") as reader:
        batch = next(iter(reader))
        assert 0 < batch.num_rows <= 10_000
    assert highest_kilobytes() - before < 200_000


def test_more_than_fits_is_one_error(home: Home) -> None:
    """DuckDB has the rows one after the other; all of them as mappings take gigabytes."""
    sql, options = "FROM range(20_000_000)", QueryOptions(memory="100MB", is_alone=True)
    with pytest.raises(QueryError, match="more memory"):
        queries.rows(home, sql, options=options)
    with queries.streamed(home, sql, options=options) as reader:
        assert sum(batch.num_rows for batch in reader) == 20_000_000


def test_two_columns_of_one_name_are_both_shown(home: Home) -> None:
    with queries.streamed(home, "SELECT 1 AS a, 2 AS a") as reader:
        table = reader.read_all()
    assert [column.to_pylist() for column in table.columns] == [[1], [2]]


def test_a_query_leaves_no_file_beside_the_snapshot(home: Home) -> None:
    before = sorted(os.listdir(home.versions))
    queries.rows(home, "SELECT count(*) FROM documents, documents, segments ORDER BY ALL")
    assert sorted(os.listdir(home.versions)) == before


def test_nothing_published_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match=r"newsmill ingest"):
        queries.rows(Home(tmp_path / "nowhere"), "SELECT 1")
    assert not (tmp_path / "nowhere").exists()


def test_a_snapshot_that_is_taken_away_before_it_is_opened(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked up, then removed, while the next stands already."""
    real, looks = snapshots.newest, [home.versions / "warehouse-00000000.duckdb"]
    monkeypatch.setattr(snapshots, "newest", lambda of: looks.pop() if looks else real(of))
    assert queries.rows(home, "SELECT 1 AS one") == [{"one": 1}]
    assert looks == []
    monkeypatch.setattr(snapshots, "newest", lambda _: home.versions / "warehouse-00000000.duckdb")
    with pytest.raises(DamagedError, match="cannot be opened"):
        queries.rows(home, "SELECT 1 AS one")


def test_a_lost_ledger_stops_a_query(new_mill: Callable[..., Any]) -> None:
    mill = new_mill("lost")
    mill.fill(1)
    mill.ingest()
    layout = mill.settings().layout
    layout.ledger.rename(mill.home / "elsewhere")
    with pytest.raises(LedgerError, match=r"absent"):
        queries.rows(layout, "SELECT 1")
    assert queries.rows(layout, "SELECT 1 AS n", is_ledger_elsewhere=True) == [{"n": 1}]


_TOGETHER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from warehouse import queries
from warehouse.layout import Home
from warehouse.queries import QueryOptions
home = Home(Path(sys.argv[1]))
COUNT = "SELECT count(*) AS n FROM documents"
"""
_MANY = "SELECT * FROM documents, range(100_000)"


@pytest.mark.parametrize(
    "script",
    [
        f"with queries.streamed(home, '{_MANY}') as reader:\n  next(iter(reader))\n  print(queries.rows(home, COUNT))",
        # The first result is neither read to its end nor let go.
        f"with queries.streamed(home, '{_MANY}') as reader:\n  next(iter(reader))\nprint(queries.rows(home, COUNT))",
        (
            "with ThreadPoolExecutor(4) as pool:\n"
            "  found = [pool.submit(queries.rows, home, COUNT) for _ in range(40)]\n"
            "assert all(one.result() == found[0].result() for one in found)\nprint(found[0].result())"
        ),
    ],
    ids=["nested", "abandoned", "threads"],
)
def test_several_queries_in_one_process(home: Home, script: str) -> None:
    """DuckDB gives connections of one process to one file one instance, with its settings and its life."""
    done = subprocess.run(
        [sys.executable, "-c", _TOGETHER + script, home.path], capture_output=True, text=True, timeout=30
    )
    assert (done.stdout.strip(), done.returncode) == ("[{'n': 3}]", 0), done.stderr[-500:]


def test_variables_of_the_caller_are_no_tables(home: Home) -> None:
    """DuckDB looks for an unknown name among the variables of whoever calls it."""
    path = snapshots.newest(home)
    assert path is not None
    secret = pa.table({"secret": ["of this function"]})
    with queries.connected(path) as connection:
        for statement in ("FROM secret", "FROM secret_variable", "SELECT (SELECT secret FROM secret)"):
            with pytest.raises(duckdb.Error):
                connection.execute(statement)
    assert secret.num_rows == 1


def test_a_connection_of_our_own_is_no_way_around(home: Home) -> None:
    """The same file may be open without the lock-down in this process, as a publish has it."""
    path = snapshots.newest(home)
    assert path is not None
    with snapshots.opened(path), pytest.raises(QueryError):
        queries.rows(home, "SELECT * FROM read_text('/etc/hostname')")
    with queries.streamed(home, "FROM segments"), snapshots.opened(path) as connection:
        assert connection.execute("SELECT count(*) FROM documents").fetchone() == (3,)
