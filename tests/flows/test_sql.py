"""`newsmill sql` and the JSON of every command: what a script reads."""

import csv
import io
import json
import math
import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="no /proc here: what memory a process has cannot be asked for"
)


@pytest.fixture(scope="module")
def milled(new_mill: Any, samples: Path) -> Any:
    mill = new_mill("asked", samples)
    mill.ingest()
    return mill


QUERY = "SELECT uri, published_on, char_count, repairs, title FROM documents ORDER BY uri"


def test_json(milled: Any) -> None:
    rows = milled.cli("sql", QUERY, "--format", "json").json()
    assert [row["uri"] for row in rows] == milled.column("SELECT uri FROM documents ORDER BY uri")
    assert isinstance(rows[0]["char_count"], int)
    assert isinstance(rows[0]["repairs"], list)
    assert milled.cli("sql", "SELECT 1 AS a WHERE false", "--format", "json").json() == []


def test_jsonl(milled: Any) -> None:
    answer = milled.cli("sql", QUERY, "--format", "jsonl")
    assert [json.loads(line) for line in answer.out.splitlines()] == milled.cli("sql", QUERY, "--format", "json").json()


def test_csv(milled: Any) -> None:
    answer = milled.cli("sql", "SELECT document_id, text, title FROM documents ORDER BY 1", "--format", "csv")
    rows = list(csv.reader(io.StringIO(answer.out)))
    assert rows[0] == ["document_id", "text", "title"]
    stored = milled.rows("SELECT document_id, text FROM documents ORDER BY 1")
    assert [row[:2] for row in rows[1:]] == [[row["document_id"], row["text"]] for row in stored]
    assert {row[2] for row in rows[1:]} <= {"", *(row["title"] or "" for row in milled.rows("FROM documents"))}


def test_parquet(milled: Any, tmp_path: Path) -> None:
    path = tmp_path / "out [1].parquet"
    answer = milled.cli("sql", "FROM documents ORDER BY document_id", "--format", "parquet", "-o", str(path))
    assert answer.code == 0, answer.err
    assert pq.read_table(path).to_pylist() == milled.rows("FROM documents ORDER BY document_id")
    assert milled.cli("sql", QUERY, "--format", "parquet").code == 2


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    '=HYPERLINK("http://example.org")',
    "=cmd|' /C calc'!A0",
]


def test_csv_is_no_formula_for_a_spreadsheet(milled: Any) -> None:
    """Texts come from outside, and a spreadsheet runs what begins with one of these signs."""
    quoted = ", ".join("('" + text.replace("'", "''") + "')" for text in FORMULAS)
    query = f'SELECT t AS "=column", -1 AS whole, -1.5::DECIMAL(3, 1) AS part FROM (VALUES {quoted}) AS v(t)'
    rows = list(csv.reader(io.StringIO(milled.cli("sql", query, "--format", "csv").out, newline="")))
    assert rows[0] == ["'=column", "whole", "part"]
    assert [row[0] for row in rows[1:]] == [f"'{text}" for text in FORMULAS]
    assert {(row[1], row[2]) for row in rows[1:]} == {("-1", "-1.5")}, "numbers stay numbers"
    raw = list(csv.reader(io.StringIO(milled.cli("sql", query, "--format", "csv", "--raw").out, newline="")))
    assert [row[0] for row in raw] == ["=column", *FORMULAS]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("gut;=HYPERLINK(1)", "gut;'=HYPERLINK(1)"),
        ("gut\t@SUM(A1)", "gut\t'@SUM(A1)"),
        ('gut;"=1+1;', "gut;'\"=1+1;"),
        (";;-1", ";;'-1"),
        ("=1;+1", "'=1;'+1"),
        ("gut; = 1", "gut; = 1"),
        ("a=b;c", "a=b;c"),
        ("– Ja.\n- Nein.", "– Ja.\n- Nein."),
    ],
)
def test_csv_is_no_formula_where_semicolons_or_tabs_part_the_cells(milled: Any, text: str, written: str) -> None:
    query = "SELECT $t AS t, [$t] AS l"
    for words, wanted in (([], written), (["--raw"], text)):
        out = milled.cli("sql", query, "-p", f"t={text}", "--format", "csv", *words).out
        _, (cell, inner) = csv.reader(io.StringIO(out, newline=""))
        assert cell == wanted
        parted = [part.lstrip('"') for part in inner.replace("\\t", "\t").split(";")]
        assert words or not any(part.startswith(("=", "+", "-", "@")) for part in parted[1:])


def test_values_of_every_kind_in_csv_and_in_a_table(milled: Any) -> None:
    query = """
        SELECT true AS t, NULL AS n, '\\xFF\\x00'::BLOB AS b, INTERVAL 3 DAY AS i, DATE '2019-04-01' AS d,
               TIMESTAMP '2019-04-01 12:00' AS m, [1, 2] AS l, {'a': 'x'} AS s, 2.50::DECIMAL(9, 2) AS p"""
    row = list(csv.reader(io.StringIO(milled.cli("sql", query, "--format", "csv").out, newline="")))[1]
    assert row == ["true", "", "ff00", "3 days", "2019-04-01", "2019-04-01 12:00:00", "[1, 2]", '{"a": "x"}', "2.50"]
    table = milled.cli("sql", query).out
    for words in ("ff00", "3 days", "2019-04-01 12:00:00", "[1, 2]", "2.50"):
        assert words in table


def test_limits_are_options(milled: Any) -> None:
    answer = milled.cli("sql", "SELECT count(*) FROM range(1000000000000)", "--seconds", "0.2")
    assert (answer.code, answer.out) == (1, "")
    assert "stopped after 0.2 seconds" in answer.err
    assert milled.cli("sql", "SELECT 1", "--memory", "500MB", "--seconds", "60").code == 0
    for words in (["--memory", "a lot"], ["--seconds", "0"], ["--rows", "0"], ["--seconds", "soon"]):
        answer = milled.cli("sql", "SELECT 1", *words)
        assert answer.code == 2, words
        assert len(answer.err.splitlines()) == 1


@needs_proc
@pytest.mark.parametrize("value", ["range(1000000000)", "len(range(1000000000))", "repeat('a', 2000000000)"])
def test_one_value_that_is_larger_than_memory_is_refused(milled: Any, value: str) -> None:
    """DuckDB does not count what a single value takes: without a limit of ours the first takes 22 GB."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    answer = milled.newsmill("sql", f"SELECT {value} AS a", "--memory", "200MB")
    assert answer.code == 1
    assert answer.err.startswith("newsmill: Out of Memory Error")
    assert answer.err.count("\n") == 1
    assert milled.cli("sql", f"SELECT {value} AS a", "--memory", "200MB").code == 1
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


@needs_proc
def test_a_stricter_limit_of_the_shell_stays(milled: Any) -> None:
    mebibytes = 900
    limit = ["sh", "-c", f'ulimit -S -d {mebibytes * 1024}; exec "$@"', "-", *milled.command("sql", "--memory", "2GB")]
    done = subprocess.run([*limit, "SELECT len(repeat('a', 1000000000))"], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"Out of Memory" in done.stderr


def test_a_file_keeps_its_mode_and_a_link_its_target(milled: Any, tmp_path: Path) -> None:
    path, link = tmp_path / "out.csv", tmp_path / "link.csv"
    path.write_text("before")
    path.chmod(0o640)
    link.symlink_to(path)
    assert milled.cli("sql", "SELECT 1 AS n", "--format", "csv", "-o", link).code == 0
    assert link.is_symlink()
    assert path.read_text() == "n\n1\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert milled.cli("sql", "SELECT 1 AS n", "--format", "csv", "-o", "/dev/null").code == 0
    assert milled.cli("sql", "SELECT 1 AS n", "-o", tmp_path / "no" / "folder").code == 2


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "table"])
def test_to_a_file(milled: Any, tmp_path: Path, form: str) -> None:
    path = tmp_path / "out"
    answer = milled.cli("sql", QUERY, "--format", form, "--output", str(path))
    assert (answer.code, answer.out) == (0, "")
    assert path.read_text(encoding="utf-8") == milled.cli("sql", QUERY, "--format", form).out


def test_from_a_file_and_from_standard_input(milled: Any, tmp_path: Path) -> None:
    path = tmp_path / "query.sql"
    path.write_text("SELECT count(*) AS n FROM documents -- a comment\n;\n")
    expected = [{"n": milled.one("SELECT count(*) FROM documents")}]
    for words, stdin in (
        (["-f", str(path)], ""), (["--file", str(path)], ""), (["-"], path.read_text()), ([], path.read_text())
    ):  # fmt: skip
        answer = milled.cli("sql", *words, "--format", "json", stdin=stdin)
        assert answer.code == 0, answer.err
        assert answer.json() == expected
    real = milled.newsmill("sql", "--format", "json", stdin=path.read_text())
    assert real.json() == expected


def test_parameters_are_bound_not_pasted(milled: Any) -> None:
    query = "SELECT count(*) AS n FROM documents WHERE language = $lang"
    answer = milled.cli("sql", query, "-p", "lang=de", "--format", "json")
    assert answer.json() == [{"n": milled.one("SELECT count(*) FROM documents WHERE language = 'de'")}]
    answer = milled.cli("sql", query, "--param", "lang=x' OR 'a'='a", "--format", "json")
    assert answer.json() == [{"n": 0}]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["SELEC 1"], 1),
        (["SELECT nothing FROM documents"], 1),
        (["FROM no_such_table"], 1),
        (["SELECT error('boom') FROM documents"], 1),
        (["SELECT CAST(text AS INTEGER) FROM documents"], 1),
        (["CREATE TABLE mine (i INTEGER)"], 1),
        (["DELETE FROM documents"], 1),
        (["SELECT * FROM read_text('/etc/hostname')"], 1),
        (["COPY documents TO '/tmp/newsmill-test-copy.csv'"], 1),
        (["ATTACH '/tmp/newsmill-test-other.duckdb' AS other"], 1),
        (["SET enable_external_access = true"], 1),
        (["INSTALL httpfs"], 1),
        (["SELECT $a", "-p", "b=1"], 1),
        ([""], 1),
        (["SELECT 1", "-p", "novalue"], 2),
        (["SELECT 1", "-f", "both.sql"], 2),
        (["SELECT 1", "--format", "yaml"], 2),
        (["-f", "/no/such/file.sql"], 2),
        (["SELECT 1", "--no-such-option"], 2),
        (["SELECT 1", "SELECT 2"], 2),
    ],
)
def test_errors_are_one_line_and_an_exit_code(milled: Any, words: list[str], code: int) -> None:
    before = milled.tree("ledger.sqlite")
    for form in ([], ["--format", "json"]) if "--format" not in words else ([],):
        answer = milled.cli("sql", *words, *form)
        assert answer.code == code, answer
        assert answer.err.startswith("newsmill: ")
        assert len(answer.err.splitlines()) == 1
        assert "Traceback" not in answer.err
    assert milled.tree("ledger.sqlite") == before


def test_a_query_that_fails_leaves_no_file_that_looks_whole(milled: Any, tmp_path: Path) -> None:
    query = "SELECT CASE WHEN n < 90000 THEN n ELSE error('boom') END AS n FROM range(100000) t(n)"
    for form in ("csv", "json", "jsonl", "parquet"):
        path = tmp_path / f"out.{form}"
        path.write_text("what stood here before")
        assert milled.cli("sql", query, "--format", form, "-o", str(path)).code == 1
        assert path.read_text() == "what stood here before", form
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out.csv", "out.json", "out.jsonl", "out.parquet"]


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "parquet", "table"])
def test_columns_of_one_name_keep_their_values(milled: Any, tmp_path: Path, form: str) -> None:
    path = tmp_path / "out"
    answer = milled.cli("sql", "SELECT 1 AS a, 2 AS a, 3 AS b", "--format", form, "-o", str(path))
    assert answer.code == 0
    if form == "parquet":
        assert list(pq.read_table(path).to_pylist()[0].values()) == [1, 2, 3]
    elif form == "csv":
        assert path.read_text().splitlines()[1] == "1,2,3"
    elif form == "table":
        assert [word for word in path.read_text().split() if word.isdigit()][:3] == ["1", "2", "3"]
    else:
        found = json.loads(path.read_text())
        assert list((found[0] if form == "json" else found).values()) == [1, 2, 3]


def test_every_type_becomes_json(milled: Any) -> None:
    query = """
        SELECT 'nan'::DOUBLE AS nan, '-inf'::DOUBLE AS inf, 1.5::DECIMAL(9, 2) AS d,
               170141183460469231731687303715884::HUGEINT AS h,
               '\\xFF\\x00'::BLOB AS b, INTERVAL 3 DAY AS i, DATE '2019-04-01' AS on_,
               TIMESTAMP '2019-04-01 12:00' AS at_,
               {'a': [1, NULL]} AS s, MAP {'k': 'v'} AS m, NULL AS n, true AS t"""
    for form in ("json", "jsonl"):
        row = milled.cli("sql", query, "--format", form)
        assert row.code == 0, row.err
        found = row.json()
        found = found[0] if form == "json" else found
        assert found["n"] is None
        assert found["t"] is True
        assert found["on_"] == "2019-04-01"
        assert found["s"] == {"a": [1, None]}
        assert found["nan"] is None or isinstance(found["nan"], str)
        assert math.isclose(float(found["d"]), 1.5)


def test_a_reader_that_goes_away_is_no_error(milled: Any) -> None:
    """As in `newsmill sql ... | head`."""
    process = subprocess.Popen(
        milled.command("sql", "FROM range(1000000)", "--format", "csv"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"range\n"
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    process.wait(60)
    assert "Traceback" not in err
    assert err == "", "who closes the pipe has seen enough"


def test_rows_of_a_table_are_cut_and_it_says_so(milled: Any) -> None:
    answer = milled.cli("sql", "FROM range(1000)", "--rows", "3")
    assert "first 3 rows" in answer.out
    assert len(milled.cli("sql", "FROM range(1000)", "--format", "csv").out.splitlines()) == 1001


JSON_COMMANDS: dict[str, list[str]] = {
    "ingest": ["ingest", "--direct", "RAW"],
    "dry run": ["ingest", "--dry-run", "RAW"],
    "inspect": ["inspect", "FILE"],
    "sql": ["sql", "FROM v_languages"],
    "status": ["status"],
    "rejects": ["rejects"],
    "rejects, all": ["rejects", "--all"],
    "rejects for a reason": ["rejects", "--reason", "binary"],
    "rejects for no reason": ["rejects", "--reason", "nothing"],
    "replay": ["replay", "--reason", "any", "--direct"],
    "verify": ["verify", "--deep"],
    "publish": ["publish"],
    "compact": ["compact"],
    "forget": ["forget"],
    "forget, dry run": ["forget", "--source", "default", "--dry-run"],
    "forgotten": ["forget", "--list"],
    "settings": ["settings"],
    "index": ["index"],
    "search": ["search", "winter"],
    "export": ["export", "OUT", "--replace"],
    "rebuild": ["rebuild"],
}


WITHOUT_EXTENSION = pytest.mark.skipif(
    not duckdb.__version__.startswith("1."), reason="the extension for full-text search exists for DuckDB 1 only"
)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, marks=WITHOUT_EXTENSION) if command in ("index", "search") else command
        for command in JSON_COMMANDS
    ],
)
def test_the_json_of_every_command_parses(milled: Any, tmp_path: Path, command: str) -> None:
    file = str(sorted(milled.raw.iterdir())[0])
    words = [
        {"RAW": str(milled.raw), "FILE": file, "OUT": str(tmp_path / "out.jsonl")}.get(word, word)
        for word in JSON_COMMANDS[command]
    ]
    if command == "search":
        assert milled.cli("index").code == 0
    answer = milled.cli(*words, "--format", "json")
    assert answer.code == 0, answer.err
    assert isinstance(answer.json(), dict | list)
    assert answer.err == ""
    table = milled.cli(*words)
    assert table.code == 0
    assert table.out


def test_every_command_of_the_table_is_here() -> None:
    from flows.cli import COMMANDS

    # What runs until it is stopped has no answer; a server is needed to deploy, whose test reads its JSON.
    assert {words[0] for words in JSON_COMMANDS.values()} == set(COMMANDS) - {"watch", "up", "down", "deploy"}


def test_names_that_are_no_text_come_out_as_json(new_mill: Any, write_news: Callable[[int], str]) -> None:
    mill = new_mill("odd")
    path = mill.put(b"\xff\xfe [1]\n.txt", write_news(1))
    mill.put(b"\xff\xfe [2]\n.txt", b"")
    for words in (["ingest", "--direct", mill.raw], ["inspect", path]):
        answer = mill.newsmill(*words, "--format", "json")
        assert answer.code == 0, answer.err
        answer.json()
    for command in ("status", "rejects"):
        assert mill.cli(command, "--format", "json").json()


def test_the_errors_of_a_command_can_be_traced(milled: Any) -> None:
    done = subprocess.run(
        [*milled.command("sql", "SELEC 1"), b"--debug"], capture_output=True, env={**os.environ, "NO_COLOR": "1"}
    )
    assert done.returncode == 1
    assert b"Traceback" in done.stderr


@pytest.mark.parametrize("form", ["csv", "json", "table"])
def test_a_terminal_or_pipe_that_is_not_utf8(milled: Any, form: str) -> None:
    query = "SELECT 'Привет, Zürich' AS words"
    answer = subprocess.run(
        [*milled.command("sql", query), b"--format", form.encode()],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert answer.returncode == 0, answer.stderr
    assert form == "table" or "Привет, Zürich" in answer.stdout.decode("utf-8"), "what a machine reads is UTF-8"
    assert answer.stdout


def test_without_a_standard_input(milled: Any) -> None:
    done = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *milled.command("sql")], capture_output=True, text=True)
    assert done.returncode == 2, done
    assert "give a query" in done.stderr
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *milled.command("sql", "SELECT 42 AS n")], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "42" in done.stdout
