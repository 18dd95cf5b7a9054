"""Which batches of a lost ledger count, and which parts hold them: pure choices among what stands in the lake.

Belongs here: retiring, holes, the order of batches that no snapshot knows, choosing among parts that hold the same.
Does not belong here: the commits that follow from it (``recount``), reading what stands there (``remains``).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from warehouse.remains import HeldSpan, Pair

KEY = tuple[str, str, int]


def alive(spans: Iterable[tuple[int, HeldSpan]], stones: Sequence[Mapping[str, Any]]) -> dict[KEY, int | None]:
    """For each span, in the order of commits, the number of the commit that retired it, None where it counts."""
    by_file: dict[str, list[tuple[int, HeldSpan]]] = {}
    for number, held in spans:
        by_file.setdefault(held.span.file_id, []).append((number, held))
    buried: dict[str, list[int]] = {}
    for stone in stones:
        buried.setdefault(stone["file_id"], []).append(stone["commit_no"])
    found: dict[KEY, int | None] = {}
    for file_id, some in by_file.items():
        events: list[tuple[int, HeldSpan | None]] = [*some, *((number, None) for number in buried.get(file_id, ()))]
        current: list[HeldSpan] = []
        for number, event in sorted(events, key=lambda item: item[0]):
            for old in [one for one in current if event is None or _covers(event, one)]:
                found[old.key] = number
                current.remove(old)
            if event is not None:
                found[event.key] = None
                current.append(event)
    return found


def _covers(new: HeldSpan, old: HeldSpan) -> bool:
    is_behind = old.span.last_ordinal >= new.span.first_ordinal
    return is_behind and (new.span.is_last or old.span.first_ordinal <= new.span.last_ordinal)


def whole(spans: Iterable[HeldSpan]) -> tuple[set[str], list[HeldSpan]]:
    """The contents that are there from first to last record, and the spans that stand behind a hole."""
    finished: set[str] = set()
    stranded: list[HeldSpan] = []
    ends: dict[str, int] = {}
    for held in sorted(spans, key=lambda held: (held.span.file_id, held.span.first_ordinal)):
        span = held.span
        if ends.get(span.file_id, 0) != span.first_ordinal:
            stranded.append(held)
            continue
        ends[span.file_id] = span.last_ordinal + 1
        if span.is_last:
            finished.add(span.file_id)
    return finished, stranded


def accepted(
    pairs: Sequence[Pair], known: Mapping[str, int], stones: Sequence[Mapping[str, Any]], last_at: int
) -> list[str]:
    """Batches that only parts know, in the order in which they were written: those that go on where the known end.

    A content that is known already is read anew only by what was written after the last commit that is known;
    whatever has rows of a content that was forgotten was left over.
    """
    refused = {stone["file_id"] for stone in stones if stone["lifted_by"] is None}
    ends: dict[str, int] = {}
    for pair in pairs:
        for held in pair.spans:
            if held.batch_id in known:
                ends[held.span.file_id] = max(ends.get(held.span.file_id, 0), held.span.last_ordinal + 1)
    unknown: dict[str, tuple[int, dict[KEY, HeldSpan]]] = {}
    for pair in pairs:
        for held in pair.spans:
            if held.batch_id not in known:
                written, spans = unknown.get(held.batch_id, (pair.modified_at, {}))
                spans[held.key] = held
                unknown[held.batch_id] = (min(written, pair.modified_at), spans)
    found: list[str] = []
    waiting = sorted(unknown, key=lambda batch: (unknown[batch][0], batch))
    while batch := next((b for b in waiting if _goes_on(*unknown[b], ends, refused, last_at)), None):
        found.append(batch)
        waiting.remove(batch)
        for held in unknown[batch][1].values():
            ends[held.span.file_id] = held.span.last_ordinal + 1
    return found


def _goes_on(
    written: int, spans: Mapping[KEY, HeldSpan], ends: Mapping[str, int], refused: set[str], last_at: int
) -> bool:
    """Whether every span of a batch begins where its content ends, or is a reading that came later."""
    return all(
        held.span.file_id not in refused
        and (
            held.span.first_ordinal == ends.get(held.span.file_id, 0)
            or (held.span.first_ordinal == 0 and written > last_at)
        )
        for held in spans.values()
    )


def chosen(pairs: Sequence[Pair], order: Mapping[str, int], stones: Sequence[Mapping[str, Any]]) -> list[Pair]:
    """Pairs that hold every batch that counts once: merged ones first, of two alike the one with fewer dead rows."""
    usable = [pair for pair in pairs if pair.spans and pair.batches <= order.keys()]
    every = {held.key: held for pair in usable for held in pair.spans}
    life = alive(((order[held.batch_id], held) for held in every.values()), stones)

    def rank(pair: Pair) -> tuple[int, int, str]:
        live = [held for held in pair.spans if life[held.key] is None]
        return -len({held.batch_id for held in live}), len(pair.spans) - len(live), pair.name

    found: list[Pair] = []
    taken: set[str] = set()
    for pair in sorted(usable, key=rank):
        if rank(pair)[0] < 0 and taken.isdisjoint(pair.batches):
            found.append(pair)
            taken |= pair.batches
    return found
