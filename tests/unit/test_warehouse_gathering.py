"""What is held back comes out once, and documents in order."""

import datetime as dt
import random
from typing import Any

import pyarrow as pa
import pytest

from warehouse.gathering import TABLE_BYTES, Enough, Gathered

SCHEMA = pa.schema(
    [
        ("document_id", pa.string()),
        ("language", pa.string()),
        ("published_on", pa.date32()),
        ("text", pa.string()),
        ("segment_places", pa.list_(pa.struct([("kind", pa.string()), ("byte_start", pa.int32())]))),
    ]
)


def rows(seed: int, count: int) -> pa.Table:
    """Documents in no order, some without a date or a language."""
    chance = random.Random(seed)
    return pa.Table.from_pylist(
        [
            {
                "document_id": f"{chance.getrandbits(64):016x}",
                "language": chance.choice(["de", "en", "fr", None]),
                "published_on": chance.choice([None, dt.date(2015, 1, 1) + dt.timedelta(chance.randrange(900))]),
                "text": "ü" * chance.randrange(40),
                "segment_places": [{"kind": "body", "byte_start": n} for n in range(chance.randrange(4))],
            }
            for _ in range(count)
        ],
        schema=SCHEMA,
    )


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    """What comes first; an absent value is the last."""
    return (row["language"] is None, row["language"], row["published_on"] or dt.date.max, row["document_id"])


def gathered(*tables: pa.Table) -> list[pa.Table]:
    held = Gathered()
    for table in tables:
        held.add("documents", table)
    out = [*held.released(), *held.released()]
    assert {name for name, _ in out} <= {"documents"}
    return [table for _, table in out]


@pytest.mark.parametrize("counts", [(1, 1), (300, 1, 700), (3_000, 0, 2_500, 2_048), (2_048, 2_048)])
def test_what_comes_out_is_what_came_in_and_in_order(counts: tuple[int, ...]) -> None:
    tables = [rows(number, count) for number, count in enumerate(counts)]
    out = gathered(*tables)
    came = sorted((row for table in tables for row in table.to_pylist()), key=key)
    assert [row for table in out for row in sorted(table.to_pylist(), key=key)] == came
    assert [table.num_rows for table in out[:-1]] == [2_048] * (len(out) - 1)


def test_a_batch_that_is_alone_is_not_touched() -> None:
    table = rows(1, 5_000)
    assert [out is table for out in gathered(table)] == [True]


def test_of_none_comes_none() -> None:
    assert gathered() == []


def test_rows_of_other_tables_come_as_they_came() -> None:
    held = Gathered()
    tables = [rows(number, 5) for number in range(3)]
    held.add("files", tables[0])
    held.add("documents", rows(3, 5))
    held.add("loads", tables[1])
    held.add("files", tables[2])
    out = list(held.released())
    found = dict(out)
    assert [name for name, _ in out] == ["files", "loads", "documents"]
    assert found["files"].to_pylist() == tables[0].to_pylist() + tables[2].to_pylist()
    assert found["loads"].to_pylist() == tables[1].to_pylist()


@pytest.mark.parametrize(
    ("enough", "table"),
    [
        (Enough(11, 1 << 40), "documents"),
        (Enough(1 << 40, 11 * (TABLE_BYTES + 40)), "documents"),
        (Enough(1, 11 * (TABLE_BYTES + 40)), "files"),
    ],
    ids=["documents", "bytes", "bytes of others"],
)
def test_there_is_enough_when_documents_or_bytes_are(enough: Enough, table: str) -> None:
    held = Gathered(enough)
    some = pa.table({"document_id": ["a" * 36], "language": ["de"], "published_on": [None]})
    seen = []
    for _ in range(11):
        held.add(table, some)
        seen.append(held.is_enough)
    assert seen[:8] == [False] * 8
    assert seen[-1]
    assert list(held.released())
    assert not held.is_enough


def test_it_is_told_before_how_much_may_lie_in_one_vector() -> None:
    """Of 2,048 rows that follow one another, whatever came before them."""
    told: list[int] = []
    held = Gathered(on_vector=told.append)
    sizes: list[int] = []
    for seed, count in enumerate((3_000, 1_000, 1_000, 1_000, 10)):
        some = rows(seed, count)
        held.add("documents", some)
        sizes.append(some.nbytes)
        for _, out in held.released():
            assert out is some
            assert len(told) == len(sizes)
    first, second, third, fourth, _ = sizes
    assert told == [first, first + second, first + second + third, second + third + fourth, sum(sizes[1:])]
