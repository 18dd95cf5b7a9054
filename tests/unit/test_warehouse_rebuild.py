"""A ledger that is made anew on PostgreSQL, and pure choices of what counts."""

from collections.abc import Callable
from typing import Any

import pytest

from warehouse.records import PartReceipt, Span
from warehouse.remains import HeldSpan, Pair
from warehouse.survivors import accepted, alive, chosen, whole


def held(batch: str, file_id: str, first: int = 0, last: int = 0, *, is_last: bool = True) -> HeldSpan:
    span = Span(
        file_id=file_id, first_ordinal=first, last_ordinal=last, is_last=is_last, encoding=None,
        encoding_confidence=None, document_count=last - first + 1, reject_count=0, paragraph_count=0, segment_count=0,
    )  # fmt: skip
    return HeldSpan(batch_id=batch, pipeline_version="1", uri="a", source="s", size_bytes=1, span=span)


def pair(name: str, *spans: HeldSpan, modified_at: int = 0) -> Pair:
    part = PartReceipt(kind="files", name=name, sha256="", size_bytes=0, row_count=len(spans))
    return Pair(name, (part,), spans, modified_at)


def test_a_later_reading_retires_what_it_covers_and_a_tombstone_everything_before_it() -> None:
    first, second, other = held("a", "x", 0, 4), held("b", "x", 0, 2, is_last=False), held("a", "y")
    spans = [(1, first), (2, second), (1, other)]
    assert alive(spans, []) == {first.key: 2, second.key: None, other.key: None}
    stones = [{"file_id": "x", "commit_no": 3, "lifted_by": None}]
    assert alive(spans, stones) == {first.key: 2, second.key: 3, other.key: None}
    assert alive([(4, first)], stones) == {first.key: None}, "let in again"


def test_behind_a_hole_nothing_counts() -> None:
    spans = [held("a", "x", 0, 4, is_last=False), held("b", "x", 7, 9), held("c", "y")]
    finished, stranded = whole(spans)
    assert finished == {"y"}
    assert stranded == [spans[1]]


@pytest.mark.parametrize(
    ("spans", "modified_at", "is_taken"),
    [
        ([held("new", "z")], 5, True),
        ([held("new", "x", 5, 9)], 5, True),
        ([held("new", "x", 6, 9)], 5, False),
        ([held("new", "x", 0, 9)], 5, False),
        ([held("new", "x", 0, 9)], 11, True),
        ([held("new", "z"), held("new", "gone")], 5, False),
    ],
    ids=["new", "goes on", "behind a hole", "older reading", "later reading", "forgotten"],
)
def test_which_batches_of_no_snapshot_are_taken(spans: list[HeldSpan], modified_at: int, is_taken: bool) -> None:
    pairs = [pair("old", held("old", "x", 0, 4, is_last=False)), pair("new", *spans, modified_at=modified_at)]
    stones = [{"file_id": "gone", "commit_no": 1, "lifted_by": None}]
    assert accepted(pairs, {"old": 1}, stones, last_at=10) == (["new"] if is_taken else [])


def test_cuts_are_taken_in_their_order_whatever_they_are_called() -> None:
    cuts = [held("c", "x", 0, 1, is_last=False), held("a", "x", 2, 3, is_last=False), held("b", "x", 4, 5)]
    assert accepted([pair("merged", *cuts)], {}, [], 0) == ["c", "a", "b"]


def test_each_batch_is_held_once_by_the_pair_with_the_fewest_dead_rows() -> None:
    one, two = held("a", "x"), held("b", "y")
    loose, merged, smaller = pair("a", one), pair("merged", one, two), pair("rewritten", two)
    order = {"a": 1, "b": 2}
    assert chosen([loose, merged, pair("b", two)], order, []) == [merged]
    stones = [{"file_id": "x", "commit_no": 3, "lifted_by": None}]
    assert chosen([merged, smaller, loose], order, stones) == [smaller], "what was forgotten is not chosen again"


def test_a_ledger_is_made_anew_on_postgresql(
    mill: Any, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mill.fill(4)
    mill.put("again.txt", (mill.raw / "0001.txt").read_bytes())
    monkeypatch.setenv("NEWSMILL_LEDGER_URL", new_database())
    assert mill.cli("ingest", "--direct", mill.raw).code == 0
    before = {name: found for name, found in mill.hashes().items() if name not in ("loads", "runs")}
    assert mill.cli("rebuild", "--ledger").code == 1, "it is whole"
    refused = mill.cli("rebuild", "--ledger", "--force")
    assert refused.code == 1
    assert "has newsmill's tables already" in refused.err
    monkeypatch.setenv("NEWSMILL_LEDGER_URL", new_database())
    assert mill.cli("status").code == 1
    made = mill.cli("rebuild", "--ledger", "--format", "json")
    assert made.code == 0, made.err
    assert made.json()["aside"] is None
    assert {name: found for name, found in mill.hashes().items() if name not in ("loads", "runs")} == before
    assert mill.cli("verify", "--deep").code == 0
    assert mill.cli("ingest", "--direct", mill.raw, "--format", "json").json()["counts"] == {"unchanged": 5}
