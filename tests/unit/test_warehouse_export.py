"""Exports hold what was chosen, whole or not at all, and other tools read them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from warehouse import ddl, export
from warehouse.errors import ConfigError
from warehouse.export import ExportOptions


@pytest.fixture(scope="module")
def mill(new_mill: Callable[..., Any], samples: Path) -> Any:
    made = new_mill("exported", samples)
    made.ingest(source="wire")
    extra = made.home.parent / "blog"
    extra.mkdir()
    (extra / "a.txt").write_text(
        " date 2019-04-17 Der Rat der Stadt tagte am Abend und beriet lange über die Brücke.\n"
    )
    (extra / "b.txt").write_text(
        " date 2019-04-17 Der Rat der Stadt tagte am Abend und beriet lange über die Brücke.\n\n"
    )
    made.ingest(extra, source="blog")
    return made


def test_fineweb_has_its_columns_in_their_order_and_types(mill: Any, tmp_path: Path) -> None:
    path = tmp_path / "corpus.parquet"
    count = export.export(mill.settings().layout, path, ExportOptions(is_fineweb=True))
    table = pq.read_table(path)
    assert table.num_rows == count == mill.one("SELECT count(*) FROM v_documents") > 40
    assert table.schema.names == [
        "text", "id", "dump", "url", "date", "language", "language_score", "token_count", "file_path",
    ]  # fmt: skip
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds == {**dict.fromkeys(kinds, "string"), "language_score": "double", "token_count": "int64"}
    assert set(table["id"].to_pylist()) == set(mill.column("SELECT document_id FROM v_documents"))


def test_filters_are_those_of_the_rows(mill: Any, tmp_path: Path) -> None:
    for number, (words, condition) in enumerate([
        (["--language", "de"], "language = 'de'"),
        (["--language", "de", "-l", "fr"], "language IN ('de', 'fr')"),
        (["--source", "blog"], "source = 'blog'"),
        (["--since", "2018-12-01", "--until", "2019-01-31"], "published_on BETWEEN '2018-12-01' AND '2019-01-31'"),
        (["--source", "nobody's"], "false"),
    ]):  # fmt: skip
        wanted = mill.rows(f"FROM v_documents WHERE {condition} ORDER BY language, published_on, document_id")
        path = tmp_path / f"{number}.parquet"
        answer = mill.cli("export", path, *words, "--format", "json")
        assert answer.code == 0, answer.err
        assert answer.json()["documents"] == len(wanted)
        assert pq.read_table(path).to_pylist() == wanted
        fine = tmp_path / f"{number}.jsonl"
        assert mill.cli("export", fine, "--fineweb", *words).code == 0
        ids = [json.loads(line)["id"] for line in fine.read_text(encoding="utf-8").splitlines()]
        assert ids == [row["document_id"] for row in wanted]


def test_json_lines(mill: Any, tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    assert mill.cli("export", path).code == 0
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    stored = mill.rows("FROM v_documents ORDER BY language, published_on, document_id")
    assert [row["text"] for row in rows] == [row["text"] for row in stored]
    assert [row["repairs"] for row in rows] == [row["repairs"] for row in stored]


def test_one_file_that_answers_alone(mill: Any, tmp_path: Path) -> None:
    path = tmp_path / "share.duckdb"
    assert mill.cli("export", path, "--language", "de").code == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["share.duckdb"]
    with duckdb.connect(str(path), read_only=True) as alone:
        for table in ("documents", "segments"):
            (count,) = alone.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[misc]
            assert count == mill.one(f"SELECT count(*) FROM {table} WHERE language = 'de'") > 0
        (torn,) = alone.execute("""
            SELECT count(*) FROM documents LEFT JOIN (
                SELECT document_id, string_agg(text || separator, '' ORDER BY segment_no) AS joined
                FROM segments GROUP BY document_id
            ) USING (document_id) WHERE text IS DISTINCT FROM joined""").fetchone()  # type: ignore[misc]
        assert torn == 0
        monthly = "SELECT * FROM v_documents_monthly WHERE language = 'de' ORDER BY ALL"
        assert alone.execute(monthly).fetchall() == [tuple(row.values()) for row in mill.rows(monthly)]
        for view in ddl.VIEWS:
            alone.execute(f"FROM {view}").fetchall()
        for macro in ddl.MACROS:
            alone.execute(ddl.macro_header(macro).example).fetchall()
        comments = alone.execute("SELECT count(*) FROM duckdb_columns() WHERE comment IS NULL AND NOT internal "
                                 "AND table_name <> 'about'").fetchone()  # fmt: skip
        assert comments == (0,)


def test_the_same_snapshot_gives_the_same_bytes(mill: Any, tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet", "a.jsonl", "b.jsonl"):
        export.export(mill.settings().layout, tmp_path / name, ExportOptions())
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["corpus.csv"], ".parquet"),
        (["corpus"], ".parquet"),
        (["corpus.duckdb", "--fineweb"], ".jsonl"),
        (["there.parquet"], "--replace"),
        (["no/folder.parquet"], "no folder"),
        (["corpus.parquet", "--since", "yesterday"], "2019-04-25"),
    ],
)
def test_what_cannot_be_written_is_said_in_one_line(
    mill: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.parquet").write_text("kept")
    answer = mill.cli("export", *words)
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 1
    assert says in answer.err
    assert [entry.name for entry in tmp_path.iterdir()] == ["there.parquet"]
    assert (tmp_path / "there.parquet").read_text() == "kept"


def test_an_export_that_fails_leaves_the_old_file(mill: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "corpus.parquet"
    path.write_text("kept")
    monkeypatch.setattr(export, "_parquet", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export.export(mill.settings().layout, path, ExportOptions(), is_replacing=True)
    assert path.read_text() == "kept"
    assert [entry.name for entry in tmp_path.iterdir()] == ["corpus.parquet"]
    monkeypatch.undo()
    assert export.export(mill.settings().layout, path, ExportOptions(), is_replacing=True) > 40
    with pytest.raises(ConfigError):
        export.export(mill.settings().layout, path, ExportOptions())
