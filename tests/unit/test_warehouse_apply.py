"""What a commit brings is stored by full row groups."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from warehouse.apply import ROW_GROUP_ROWS, Store


@pytest.fixture
def database(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        # Nothing is compressed by itself here.
        opened.execute("SET checkpoint_threshold = '1TB'")
        opened.execute(f"ATTACH '{tmp_path / 'w.duckdb'}' AS w (ROW_GROUP_SIZE {ROW_GROUP_ROWS})")
        opened.execute("USE w")
        opened.execute("CREATE TABLE documents (document_id BIGINT, text VARCHAR)")
        opened.execute("CREATE TABLE rejects (document_id BIGINT, text VARCHAR)")
        yield opened


def rows(first: int, count: int) -> pa.Table:
    numbers = range(first, first + count)
    return pa.table({"document_id": numbers, "text": [f"Satz {number}." for number in numbers]})


def on_disk(database: duckdb.DuckDBPyConnection, table: str = "documents") -> dict[int, bool]:
    """Whether each row group is compressed in the file."""
    database.execute(
        f"SELECT row_group_id, bool_and(persistent) FROM pragma_storage_info('{table}') GROUP BY ALL ORDER BY 1"
    )
    return dict(database.fetchall())


@pytest.mark.parametrize("step", [ROW_GROUP_ROWS, ROW_GROUP_ROWS // 3, 2_048, 2_000, 3 * ROW_GROUP_ROWS])
def test_a_row_group_is_compressed_when_it_is_full_and_no_sooner(
    database: duckdb.DuckDBPyConnection, step: int
) -> None:
    store, total = Store(database), 0
    while total < 3 * ROW_GROUP_ROWS:
        store("documents", rows(total, step))
        total += step
        full, begun = divmod(total, ROW_GROUP_ROWS)
        assert on_disk(database) == {number: number < full for number in range(full + (begun > 0))}
    assert database.execute("SELECT document_id, text FROM documents ORDER BY rowid").fetchall() == [
        (number, f"Satz {number}.") for number in range(total)
    ]


def test_documents_of_an_earlier_snapshot_are_not_compressed_again(database: duckdb.DuckDBPyConnection) -> None:
    database.execute("INSERT INTO documents SELECT i, 'Satz ' || i FROM range(10_000) AS r(i)")
    database.execute("CHECKPOINT")
    database.execute("DELETE FROM documents WHERE document_id % 7 = 0")
    store = Store(database)
    store("documents", rows(10_000, 10_000))
    assert on_disk(database) == {0: True, 1: False}
    store("documents", rows(20_000, 10_000))
    assert on_disk(database)[1]
    assert database.execute("SELECT count(*), max(document_id) FROM documents").fetchone() == (28_571, 29_999)


def test_other_tables_wait_for_documents(database: duckdb.DuckDBPyConnection) -> None:
    store = Store(database)
    for first in range(0, 2 * ROW_GROUP_ROWS, 10_000):
        store("rejects", rows(first, 10_000))
    assert set(on_disk(database, "rejects").values()) == {False}


def test_no_rows_are_no_work(database: duckdb.DuckDBPyConnection) -> None:
    Store(database)("documents", rows(0, 0))
    assert on_disk(database) == {}
