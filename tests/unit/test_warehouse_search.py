"""Full-text search: the right words in every language, beside a warehouse that goes on."""

import importlib.util
from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from warehouse import queries, search
from warehouse.errors import ConfigError, QueryError
from warehouse.schema import quoted

TEXTS = {
    "de1.txt": "Die Gespräche über die neue Brücke in der Stadt Hallingen wurden am Abend ohne ein Ergebnis vertagt.",
    "de2.txt": "Der Rat der Stadt tagte am Abend und beriet lange über den Haushalt des kommenden Jahres.",
    "de3.txt": "Ein Gespräch mit dem Minister, ein zweites Gespräch mit dem Rat: die Brücke wird im Juni gebaut.",
    "en1.txt": "The skippers on the east coast were fishing yesterday and said that they would fish again tomorrow.",
    "ja1.txt": "東京の気象庁は昨日、地震の後に津波の恐れはないと発表しました。住民は落ち着いて行動しています。",
    "ru1.txt": "Власти города обещали восстановить отопление к вечеру среды, сообщил представитель администрации.",
}


@pytest.fixture(scope="module")
def mill(new_mill: Callable[..., Any]) -> Any:
    made = new_mill("searched")
    for name, text in TEXTS.items():
        made.put(name, f" date 2019-04 {text}\n")
    made.ingest()
    search.build(made.settings().layout)
    return made


def names(mill: Any, words: str, **options: Any) -> list[str]:
    """Which files hold what was found, best first."""
    found = search.find(mill.settings().layout, words, **options)
    uris = {row["document_id"]: row["uri"] for row in mill.rows("SELECT document_id, uri FROM documents")}
    assert [row["score"] for row in found] == sorted((row["score"] for row in found), reverse=True)
    return [uris[row["document_id"]] for row in found]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Gespräch", ["de3.txt", "de1.txt"]),
        ("gesprächen", ["de3.txt", "de1.txt"]),
        ("BRÜCKEN", ["de1.txt", "de3.txt"]),
        ("fished", ["en1.txt"]),
        ("地震", ["ja1.txt"]),
        ("отопления", ["ru1.txt"]),
        ("der und", []),
        ("Brontosaurus", []),
        ("", []),
        ("'; DROP TABLE documents; --", []),
        ('"%_\\', []),
    ],
)
def test_words_are_found_in_their_forms(mill: Any, words: str, expected: list[str]) -> None:
    assert sorted(names(mill, words)) == sorted(expected)


def test_what_says_it_more_often_comes_first(mill: Any) -> None:
    assert names(mill, "Gespräch")[0] == "de3.txt"
    assert names(mill, "Gespräch", most=1) == ["de3.txt"]


def test_all_words_or_one(mill: Any) -> None:
    assert set(names(mill, "Brücke Ergebnis")) == {"de1.txt", "de3.txt"}
    assert names(mill, "Brücke Ergebnis", is_every=True) == ["de1.txt"]


def test_one_language(mill: Any) -> None:
    assert names(mill, "Minister fishing", language="de") == ["de3.txt"]
    assert names(mill, "Minister", language="fr") == []


def test_the_sentence_that_has_the_words_is_shown(new_mill: Callable[..., Any]) -> None:
    mill = new_mill("sentences")
    mill.put("a.txt", " date 2019-04 Der Rat tagte am Abend. Die Brücke bleibt gesperrt. Niemand wurde verletzt.\n")
    mill.ingest()
    search.build(mill.settings().layout)
    (row,) = search.find(mill.settings().layout, "gesperrte Brücken")
    assert row["sentence"] == "Die Brücke bleibt gesperrt."


def test_scores_are_those_of_the_extension(mill: Any) -> None:
    """The formula with whole names and DuckDB's own give the same."""
    with duckdb.connect() as connection:
        connection.execute(f"LOAD {quoted(str(search.extension()))}")
        path = mill.settings().layout.search.resolve()
        connection.execute(f"ATTACH {quoted(str(path))} AS search (READ_ONLY)")
        ours = connection.execute("SELECT document_id, score FROM search.matches_de('Gespräch Brücke Rat')").fetchall()
        connection.execute("USE search")
        theirs = connection.execute("""
            SELECT document_id, fts_main_documents_de.match_bm25(document_id, 'Gespräch Brücke Rat') AS score
            FROM documents_de""").fetchall()
    # The extension takes the logarithm to base ten: a constant factor, the same order.
    wanted = {document: score for document, score in theirs if score is not None}
    assert len(wanted) == 3
    assert {document: score / 2.302585092994046 for document, score in ours} == pytest.approx(wanted)


def test_an_index_beside_a_locked_door(mill: Any) -> None:
    layout = mill.settings().layout
    attach = search.attacher(layout)
    (row,) = queries.rows(
        layout, "SELECT count(*) AS n FROM search.matches('Brücke') JOIN v_documents USING (document_id)", attach=attach
    )
    assert row == {"n": 2}
    for sql in ("SELECT * FROM read_text('/etc/hostname')", f"COPY (SELECT 1) TO '{layout.search}.wal'", "LOAD fts"):
        with pytest.raises(QueryError):
            queries.rows(layout, sql, attach=attach)
    assert queries.rows(layout, "FROM keyword_series('rat')", attach=attach), "macros of the warehouse still answer"


def test_a_new_index_takes_the_place_of_the_old(new_mill: Callable[..., Any]) -> None:
    mill = new_mill("renewed")
    layout = mill.settings().layout
    with pytest.raises(QueryError, match="newsmill ingest"):
        search.build(layout)
    mill.put("a.txt", " date 2019-04 Der Zirkus kommt im Sommer in die Stadt, sagte der Direktor am Montag.\n")
    mill.ingest()
    with pytest.raises(QueryError, match="newsmill index"):
        search.find(layout, "Zirkus")
    built = search.build(layout)
    assert built.documents == {"de": 1}
    assert list(search.behind(layout)) == []
    held = duckdb.connect(str(layout.search), read_only=True)
    mill.put("a.txt", " date 2019-05 Die Oper bleibt im Sommer geschlossen, sagte der Direktor am Montag.\n")
    mill.ingest()
    assert list(search.behind(layout)) == [1]
    assert search.find(layout, "Zirkus") == [], "what has gone is not found, though the index still has it"
    assert search.find(layout, "Oper") == []
    killed = layout.path / f".tmp-1-{layout.search.name}"
    killed.symlink_to("nowhere")
    for _ in range(3):
        search.build(layout)
    assert not killed.is_symlink()
    assert len(search.find(layout, "Oper")) == 1
    assert [path.name for path in sorted(layout.indexes.iterdir())] == [
        "search-00000003.duckdb", "search-00000004.duckdb",
    ]  # fmt: skip
    assert layout.search.resolve().name == "search-00000004.duckdb"
    assert layout.search.resolve().stat().st_mode & 0o777 == 0o444
    assert held.execute("SELECT count(*) FROM documents_de").fetchone() == (1,), "who has one open keeps it"
    held.close()


def test_without_the_extension_it_says_what_to_install(mill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for act in (lambda: search.build(mill.settings().layout), lambda: search.find(mill.settings().layout, "Rat")):
        with pytest.raises(ConfigError, match=r"newsmill\[search\]"):
            act()


def test_a_build_that_fails_leaves_the_old_index(mill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = mill.settings().layout
    before = sorted(layout.indexes.iterdir())
    monkeypatch.setattr(search, "_index", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        search.build(layout)
    assert sorted(layout.indexes.iterdir()) == before
    assert names(mill, "fished") == ["en1.txt"]


def test_nothing_to_index(new_mill: Callable[..., Any]) -> None:
    mill = new_mill("hollow")
    mill.put("a.txt", "")
    mill.ingest()
    assert search.build(mill.settings().layout).documents == {}
    assert search.find(mill.settings().layout, "Rat") == []


def test_the_commands(mill: Any) -> None:
    answer = mill.cli("search", "Brücke", "--language", "de", "--format", "json")
    assert {row["language"] for row in answer.json()} == {"de"}
    assert len(answer.json()) == 2
    assert "Brücke" in mill.cli("search", "Brücke").out
    answer = mill.cli("sql", "--search", "SELECT count(*) AS n FROM search.matches('Brücke')", "--format", "json")
    assert answer.json() == [{"n": 2}]
    answer = mill.cli("sql", "SELECT count(*) AS n FROM search.matches('Brücke')")
    assert answer.code == 1
    assert mill.cli("index", "--format", "json").json()["documents"]["de"] == 3
