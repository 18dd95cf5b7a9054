"""Tombstones: contents that were taken down, and are refused from then on.

Belongs here: the transactions that forget contents and let them in again, and asking which those are.  Does not belong
here: erasing what stands on disks (``warehouse.forget``), choosing contents (``flows``).

A tombstone retires the spans of its content and voids every sighting before it: all that follows from spans and
sightings follows from that.  What a ledger keeps of a content is its hash, where it was seen, and counts; no text.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from warehouse.clock import now_us
from warehouse.ledger import bulk, stamps
from warehouse.ledger.bulk import one_of
from warehouse.ledger.chain import NO_HASH
from warehouse.ledger.commits import insert_commit, sighting_rows
from warehouse.ledger.store import Ledger
from warehouse.ledger.tables import COMMITS, ROOTS, SIGHTINGS, SPANS, STAMPS, TOMBSTONES
from warehouse.records import Sighting, Stamp
from warehouse.vocabulary import CommitKind, FileStatus, Reason, Stage


def is_void() -> sa.ColumnElement[bool]:
    """Whether a sighting was made before its content was forgotten; counts for nothing then."""
    return sa.exists().where(
        TOMBSTONES.c.file_id == SIGHTINGS.c.file_id, TOMBSTONES.c.commit_no > SIGHTINGS.c.commit_no
    )


def detail(file_id: str) -> str:
    """What a reject says of bytes that are refused."""
    return f"its bytes ({file_id[:12]}…) were taken down; see `newsmill forget --list`"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One content that was forgotten; ``forgotten_at`` in microseconds, ``uris`` where it had been seen by then."""

    file_id: str
    forgotten_at: int
    is_lifted: bool
    is_erased: bool
    uris: tuple[str, ...]


def tombstones(ledger: Ledger) -> list[Tombstone]:
    """Every tombstone, oldest first."""
    query = sa.select(TOMBSTONES, COMMITS.c.committed_at).join(COMMITS, COMMITS.c.commit_no == TOMBSTONES.c.commit_no)
    seen = sa.select(TOMBSTONES.c.commit_no, TOMBSTONES.c.file_id, SIGHTINGS.c.uri).join(
        SIGHTINGS, SIGHTINGS.c.file_id == TOMBSTONES.c.file_id
    )
    seen = seen.where(SIGHTINGS.c.commit_no < TOMBSTONES.c.commit_no).distinct().order_by(SIGHTINGS.c.uri)
    uris: dict[tuple[int, str], list[str]] = {}
    with ledger.reading() as connection:
        rows = connection.execute(query.order_by(TOMBSTONES.c.commit_no, TOMBSTONES.c.file_id)).all()
        for commit_no, file_id, uri in connection.execute(seen):
            uris.setdefault((commit_no, file_id), []).append(uri)
    return [
        Tombstone(
            row.file_id,
            row.committed_at,
            row.lifted_by is not None,
            row.erased_at is not None,
            tuple(uris.get((row.commit_no, row.file_id), ())),
        )
        for row in rows
    ]


def marks(ledger: Ledger) -> list[dict[str, Any]]:
    """Every tombstone as its row, oldest first."""
    query = sa.select(TOMBSTONES).order_by(TOMBSTONES.c.commit_no, TOMBSTONES.c.file_id)
    with ledger.reading() as connection:
        return list(map(dict, connection.execute(query).mappings()))


def refused(ledger: Ledger, file_ids: Iterable[str] | None = None) -> set[str]:
    """Which of these contents, or of all, are forgotten now."""
    stands = sa.select(TOMBSTONES.c.file_id).where(TOMBSTONES.c.lifted_by.is_(None))
    with ledger.reading() as connection:
        if file_ids is None:
            return set(connection.scalars(stands))
        return set(connection.scalars(stands.where(one_of(TOMBSTONES.c.file_id, file_ids))))


def unerased(ledger: Ledger) -> list[str]:
    """Contents whose forgetting was begun and is not at its end: something of them may still stand somewhere."""
    query = sa.select(TOMBSTONES.c.file_id).where(TOMBSTONES.c.erased_at.is_(None)).distinct()
    with ledger.reading() as connection:
        return list(connection.scalars(query.order_by(TOMBSTONES.c.file_id)))


def mark_erased(ledger: Ledger, file_ids: Iterable[str]) -> None:
    """Say of these contents that nothing of them stands anywhere."""
    with ledger.writing() as connection:
        unmarked = one_of(TOMBSTONES.c.file_id, file_ids), TOMBSTONES.c.erased_at.is_(None)
        connection.execute(TOMBSTONES.update().where(*unmarked).values(erased_at=now_us()))


def commits_with(ledger: Ledger, file_ids: Iterable[str]) -> set[int]:
    """The commits of the batches that ever read one of these contents."""
    with ledger.reading() as connection:
        query = sa.select(SPANS.c.commit_no).where(one_of(SPANS.c.file_id, file_ids)).distinct()
        return set(connection.scalars(query))


def record_counts(ledger: Ledger, file_ids: Iterable[str]) -> dict[str, int]:
    """How many records each of these contents ever had, whatever became of them."""
    query = sa.select(SPANS.c.file_id, sa.func.max(SPANS.c.last_ordinal) + 1)
    query = query.where(one_of(SPANS.c.file_id, file_ids)).group_by(SPANS.c.file_id)
    with ledger.reading() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def contents_of(
    ledger: Ledger, *, word: str | None = None, uri: str | None = None, source: str | None = None, forgotten: bool
) -> list[str]:
    """The contents that a file_id or its beginning, a uri or a source means: forgotten ones, or all others."""
    seen: list[sa.Select[Any]] = []
    for table in (SIGHTINGS, STAMPS):
        query = sa.select(table.c.file_id).where(table.c.file_id.is_not(None))
        if word is not None:
            query = query.where(table.c.file_id.like(f"{word}%"))
        if uri is not None:
            query = query.where(table.c.uri == uri)
        if source is not None:
            query = query.where(table.c.source == source)
        if table is SIGHTINGS:
            query = query.where(is_void() if forgotten else ~is_void())
        seen.append(query)
    if word is not None and forgotten:
        # In a ledger that was made anew no sighting of it is left.
        seen.append(sa.select(TOMBSTONES.c.file_id).where(TOMBSTONES.c.file_id.like(f"{word}%")))
    with ledger.reading() as connection:
        found = {file_id for query in seen for file_id in connection.scalars(query)}
    stands = refused(ledger, found)
    return sorted(found & stands if forgotten else found - stands)


def _last_contents(connection: sa.Connection, file_ids: Sequence[str]) -> list[tuple[Sighting, bool]]:
    """What each path becomes whose content is forgotten, and whether its stamp says so: a path may wait for another."""
    newer = SIGHTINGS.alias("newer")
    is_newest = ~sa.exists().where(
        newer.c.root_id == SIGHTINGS.c.root_id,
        newer.c.uri == SIGHTINGS.c.uri,
        newer.c.file_id.is_not(None),
        newer.c.sighting_no > SIGHTINGS.c.sighting_no,
    )
    found: dict[tuple[str, str], tuple[Sighting, bool]] = {}
    sighted = sa.select(ROOTS.c.location, SIGHTINGS).join(ROOTS, ROOTS.c.root_id == SIGHTINGS.c.root_id)
    for row in connection.execute(sighted.where(one_of(SIGHTINGS.c.file_id, file_ids), is_newest)):
        stamp = Stamp(size_bytes=row.size_bytes, mtime_ns=row.modified_ns, ctime_ns=0, inode=0)
        found[row.location, row.uri] = _refusal(row, stamp), False
    stamped = sa.select(ROOTS.c.location, STAMPS).join(ROOTS, ROOTS.c.root_id == STAMPS.c.root_id)
    for row in connection.execute(stamped.where(one_of(STAMPS.c.file_id, file_ids))):
        # A stamp that no file has counts bytes below zero.
        size = max(0, row.size_bytes)
        stamp = Stamp(size_bytes=size, mtime_ns=row.mtime_ns, ctime_ns=row.ctime_ns, inode=row.inode)
        found[row.location, row.uri] = _refusal(row, stamp), True
    return list(found.values())


def _refusal(row: sa.Row[Any], stamp: Stamp) -> Sighting:
    return Sighting(
        root=row.location, uri=row.uri, source=row.source, file_id=None, stamp=stamp, status=FileStatus.REJECTED,
        stage=Stage.DISCOVER, reason=Reason.FORGOTTEN, detail=detail(row.file_id),
    )  # fmt: skip


def _commit(
    connection: sa.Connection, run_id: str, rows: dict[str, Any], pipeline_version: str, settings_fingerprint: str
) -> None:
    newest = sa.select(COMMITS.c.commit_hash).order_by(COMMITS.c.commit_no.desc()).limit(1)
    insert_commit(
        connection,
        connection.scalar(newest) or NO_HASH,
        {"parts": [], "spans": [], **rows},
        commit_no=_next(connection),
        kind=CommitKind.TOMBSTONES,
        run_id=run_id,
        pipeline_version=pipeline_version,
        settings_fingerprint=settings_fingerprint,
    )


def _next(connection: sa.Connection) -> int:
    return 1 + (connection.scalar(sa.select(sa.func.coalesce(sa.func.max(COMMITS.c.commit_no), 0))) or 0)


def buried(connection: sa.Connection, commit_no: int) -> list[str]:
    """The contents that a commit forgot, as its hash covers them."""
    query = sa.select(TOMBSTONES.c.file_id).where(TOMBSTONES.c.commit_no == commit_no)
    return list(connection.scalars(query.order_by(TOMBSTONES.c.file_id)))


def lifted(connection: sa.Connection, commit_no: int) -> list[list[Any]]:
    """The tombstones that a commit lifted, as its hash covers them."""
    query = sa.select(TOMBSTONES.c.commit_no, TOMBSTONES.c.file_id).where(TOMBSTONES.c.lifted_by == commit_no)
    return [list(row) for row in connection.execute(query.order_by(TOMBSTONES.c.commit_no, TOMBSTONES.c.file_id))]


def forget(
    ledger: Ledger, run_id: str, file_ids: Sequence[str], *, pipeline_version: str, settings_fingerprint: str
) -> int:
    """Commit the tombstones of contents; returns the commit's number.  They do not count from here on.

    Their paths become paths that are refused unread.  The caller holds the run lock and erases what stands on disks.
    """
    with ledger.writing() as connection:
        commit_no = _next(connection)
        last = _last_contents(connection, file_ids)
        roots = stamps.root_ids(connection, (sighting.root for sighting, _ in last))
        sightings = sighting_rows(connection, commit_no, [sighting for sighting, _ in last], roots)
        stamps.settle(connection, [sighting for sighting, is_stamped in last if is_stamped], roots)
        current = one_of(SPANS.c.file_id, file_ids), SPANS.c.retired_by.is_(None)
        connection.execute(SPANS.update().where(*current).values(retired_by=commit_no))
        connection.execute(
            TOMBSTONES.insert(), [{"commit_no": commit_no, "file_id": file_id} for file_id in sorted(set(file_ids))]
        )
        rows = {"sightings": sightings, "tombstones": buried(connection, commit_no), "lifts": []}
        _commit(connection, run_id, rows, pipeline_version, settings_fingerprint)
        bulk.insert(connection, SIGHTINGS, sightings)
    return commit_no


def lift(
    ledger: Ledger, run_id: str, file_ids: Sequence[str], *, pipeline_version: str, settings_fingerprint: str
) -> int:
    """Commit that contents may come in again; returns the commit's number.

    Every path that was refused for a tombstone is looked at by the next ingest.
    """
    with ledger.writing() as connection:
        commit_no = _next(connection)
        stands = one_of(TOMBSTONES.c.file_id, file_ids), TOMBSTONES.c.lifted_by.is_(None)
        connection.execute(TOMBSTONES.update().where(*stands).values(lifted_by=commit_no))
        refused_here = sa.exists().where(
            SIGHTINGS.c.root_id == STAMPS.c.root_id,
            SIGHTINGS.c.uri == STAMPS.c.uri,
            SIGHTINGS.c.reason == Reason.FORGOTTEN,
        )
        # A stamp that no file has.
        connection.execute(STAMPS.update().where(STAMPS.c.file_id.is_(None), refused_here).values(size_bytes=-1))
        rows = {"sightings": [], "tombstones": [], "lifts": lifted(connection, commit_no)}
        _commit(connection, run_id, rows, pipeline_version, settings_fingerprint)
    return commit_no
