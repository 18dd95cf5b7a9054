"""Compactions: commits whose parts take over the rows of others' parts.

Belongs here: who holds which rows now, and the transaction that moves them.  Does not belong here: which parts are
worth it, merging, and removing files (``warehouse.compact``).

Spans stay with the commit that read them; only the place of their rows changes.  A part is replaced once: of a
compaction that is compacted again the rows go on to the next, and ``followed`` says where they end.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from warehouse.errors import WarehouseBusy
from warehouse.ledger import bulk
from warehouse.ledger.commits import insert_commit, part_rows
from warehouse.ledger.store import Ledger
from warehouse.ledger.tables import COMMITS, PARTS, SPANS
from warehouse.records import PartReceipt
from warehouse.vocabulary import CommitKind

# What one statement asks for.
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Holder:
    """One commit whose parts count, and whose rows those are.

    ``origins`` are the commits of the batches, in order; ``row_count`` goes over both parts, ``live_count`` are those
    rows whose span nobody retired.
    """

    commit_no: int
    is_compaction: bool
    parts: tuple[PartReceipt, ...]
    origins: tuple[int, ...]
    row_count: int
    live_count: int


def takers(replaced_by: Mapping[int, int | None], commit_no: int) -> Iterator[int]:
    """The compactions that took a commit's rows over, one after the other.

    >>> list(takers({1: 3, 2: None, 3: 4, 4: None}, 1))
    [3, 4]
    """
    # A ledger that somebody changed could go in circles; a compaction comes after what it replaces.
    while (successor := replaced_by.get(commit_no)) is not None and successor > commit_no:
        yield successor
        commit_no = successor


def followed(replaced_by: Mapping[int, int | None], commit_no: int) -> int:
    """The commit that holds a commit's rows now: itself where nobody took them over."""
    return max(takers(replaced_by, commit_no), default=commit_no)


def receipt(row: sa.Row[Any]) -> PartReceipt:
    """A row of ``parts`` as what a batch handed back."""
    return PartReceipt(
        kind=row.kind, name=row.name, sha256=row.sha256, size_bytes=row.size_bytes, row_count=row.row_count
    )


def holders(ledger: Ledger) -> list[Holder]:
    """Every commit whose parts hold rows now, in the order of the oldest batch that each holds."""
    live = sa.select(SPANS.c.commit_no, sa.func.count().label("files"), sa.func.sum(SPANS.c.document_count).label("d"))
    live = live.where(SPANS.c.retired_by.is_(None)).group_by(SPANS.c.commit_no)
    with ledger.reading() as connection:
        rows = connection.execute(sa.select(PARTS).order_by(PARTS.c.commit_no, PARTS.c.kind)).all()
        counts = {row.commit_no: row.files + int(row.d) for row in connection.execute(live)}
        made = sa.select(COMMITS.c.commit_no).where(COMMITS.c.kind == CommitKind.COMPACTION)
        compactions = set(connection.scalars(made))
    replaced_by = {row.commit_no: row.replaced_by for row in rows}
    parts: dict[int, list[PartReceipt]] = {}
    origins: dict[int, list[int]] = {}
    for row in rows:
        if row.replaced_by is None:
            parts.setdefault(row.commit_no, []).append(receipt(row))
    for commit_no in replaced_by:
        if commit_no not in compactions:
            origins.setdefault(followed(replaced_by, commit_no), []).append(commit_no)
    found = [
        Holder(
            commit_no=commit_no,
            is_compaction=commit_no in compactions,
            parts=tuple(own),
            origins=tuple(origins.get(commit_no, ())),
            row_count=sum(part.row_count for part in own),
            live_count=sum(counts.get(origin, 0) for origin in origins.get(commit_no, ())),
        )
        for commit_no, own in parts.items()
    ]
    return sorted(found, key=lambda holder: (holder.origins[:1], holder.commit_no))


def live_spans(ledger: Ledger, commits: Sequence[int]) -> dict[tuple[str, int], int]:
    """The spans of these commits that nobody retired: (file_id, first ordinal) -> last ordinal."""
    found: dict[tuple[str, int], int] = {}
    with ledger.reading() as connection:
        for start in range(0, len(commits), _CHUNK):
            query = sa.select(SPANS.c.file_id, SPANS.c.first_ordinal, SPANS.c.last_ordinal).where(
                SPANS.c.commit_no.in_(commits[start : start + _CHUNK]), SPANS.c.retired_by.is_(None)
            )
            found.update(((row.file_id, row.first_ordinal), row.last_ordinal) for row in connection.execute(query))
    return found


def replacements(connection: sa.Connection, commit_no: int) -> list[dict[str, Any]]:
    """What a compaction replaced, as its hash covers it."""
    query = sa.select(PARTS.c.commit_no, PARTS.c.kind).where(PARTS.c.replaced_by == commit_no)
    return list(map(dict, connection.execute(query.order_by(PARTS.c.commit_no, PARTS.c.kind)).mappings()))


def compact(
    ledger: Ledger,
    run_id: str,
    *,
    parts: Iterable[PartReceipt],
    replaced: Sequence[int],
    seen: tuple[int, str],
    pipeline_version: str,
    settings_fingerprint: str,
) -> int:
    """Commit parts that hold the rows of the ``replaced`` commits from now on; returns the commit's number.

    ``seen`` is the last commit, number and hash, that the rows were chosen by: ``WarehouseBusy`` where another came
    meanwhile, since it may have retired some of them.
    """
    with ledger.writing() as connection:
        newest = sa.select(COMMITS.c.commit_no, COMMITS.c.commit_hash).order_by(COMMITS.c.commit_no.desc()).limit(1)
        last = connection.execute(newest).one()
        if tuple(last) != seen:
            raise WarehouseBusy(
                f"commit {last.commit_no} came while parts were merged and none was replaced; "
                "run `newsmill compact` again"
            )
        commit_no: int = last.commit_no + 1
        for start in range(0, len(replaced), _CHUNK):
            some = PARTS.c.commit_no.in_(replaced[start : start + _CHUNK])
            connection.execute(PARTS.update().where(some, PARTS.c.replaced_by.is_(None)).values(replaced_by=commit_no))
        replaces = replacements(connection, commit_no)
        if {row["commit_no"] for row in replaces} != set(replaced):
            raise WarehouseBusy("parts were replaced by another compaction meanwhile; run `newsmill compact` again")
        rows = part_rows(commit_no, parts)
        insert_commit(
            connection,
            last.commit_hash,
            {"parts": rows, "spans": [], "sightings": [], "replaces": replaces},
            commit_no=commit_no,
            kind=CommitKind.COMPACTION,
            run_id=run_id,
            pipeline_version=pipeline_version,
            settings_fingerprint=settings_fingerprint,
        )
        bulk.insert(connection, PARTS, rows)
    return commit_no


@dataclass(frozen=True, slots=True)
class Naming:
    """One part file as the ledger names it; ``replaced_at`` (microseconds) is None while it counts.

    A file can have several: the same batch committed twice gives the same name.
    """

    part: PartReceipt
    replaced_at: int | None
    holder_no: int


def namings(ledger: Ledger) -> Iterator[Naming]:
    """Every part that a commit names, replaced ones too."""
    query = (
        sa.select(PARTS, COMMITS.c.committed_at)
        .outerjoin(COMMITS, COMMITS.c.commit_no == PARTS.c.replaced_by)
        .order_by(PARTS.c.commit_no, PARTS.c.kind)
    )
    with ledger.reading() as connection:
        rows = connection.execute(query).all()
    replaced_by = {row.commit_no: row.replaced_by for row in rows}
    for row in rows:
        yield Naming(receipt(row), row.committed_at, followed(replaced_by, row.commit_no))
