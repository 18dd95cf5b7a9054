"""Documents that are long, one as the other: DuckDB holds all texts of a vector while it stores them."""

import json

import duckdb
import pytest

from flows import compacting
from warehouse import draft, memory
from warehouse.errors import TransientError

SIZE = 100_000


def write(mill, name, first, count):
    """Records of one long word each, which costs the text core little."""
    with (mill.raw / name).open("w") as file:
        for number in range(first, first + count):
            file.write(json.dumps({"id": number, "text": f"{number:08}" * (SIZE // 8)}) + "\n")


@pytest.fixture(scope="module")
def shelf(new_mill):
    """120 MB in one vector, then 40 more: neither fits into what a draft has for ordinary documents."""
    made = new_mill("shelf")
    for name, first, count in (("a.jsonl", 0, 1_200), ("b.jsonl", 1_200, 400)):
        write(made, name, first, count)
        made.ingest()
    return made


def texts(mill):
    return mill.column("SELECT left(text, 8) FROM documents ORDER BY 1")


def test_they_are_stored_and_built_anew(shelf):
    expected = [f"{number:08}" for number in range(1_600)]
    assert texts(shelf) == expected
    assert shelf.column("SELECT DISTINCT strlen(text) FROM documents") == [SIZE]
    assert shelf.problems(deep=True) == []


def test_few_more_go_behind_many(shelf):
    """What is rewritten is what was there, not what came."""
    write(shelf, "c.jsonl", 1_600, 1)
    shelf.ingest()
    assert len(texts(shelf)) == 1_601
    assert shelf.problems() == []


def test_they_are_put_in_order(shelf, monkeypatch):
    monkeypatch.setattr(draft, "ORDERED_FROM", 1)
    monkeypatch.setattr(draft, "ORDER_MEMORY", draft.MEMORY)
    before = texts(shelf)
    assert compacting.compact(shelf.settings(compact_level=1)).replaced > 0
    assert texts(shelf) == before
    ids = shelf.column("SELECT document_id FROM documents ORDER BY rowid")
    assert ids == sorted(ids)
    assert shelf.problems(deep=True) == []


def test_a_machine_too_small_for_them_is_one_line(shelf, monkeypatch):
    """DuckDB is never allowed what the machine does not have, and what is committed waits for a larger one."""
    before, small = shelf.newest(), 150_000_000
    write(shelf, "d.jsonl", 1_601, 1)
    with monkeypatch.context() as patched:
        patched.setattr(memory, "of_setting", lambda size: small)
        with pytest.raises(TransientError, match=r"what is committed is safe, run `newsmill publish`") as caught:
            shelf.ingest()
    assert "\n" not in str(caught.value)
    assert shelf.newest() == before
    shelf.ingest()
    assert len(texts(shelf)) == 1_602
    assert shelf.problems() == []


def test_a_draft_takes_no_more_than_duckdb_would():
    def held(database):
        return memory.of_setting(*database.execute("SELECT current_setting('memory_limit')").fetchone())

    with duckdb.connect() as database:
        left_to_itself = held(database)
        draft.allow(database, 1 << 60)
        assert 0.9 * left_to_itself < held(database) <= left_to_itself
        draft.allow(database, 96 << 20)
        assert held(database) == 96 << 20
