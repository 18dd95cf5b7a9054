"""Stamps: what the store said of every path, so that what is unchanged is not read again.

Belongs here: marking what is about to be read, settling it, and which contents stamps name.  Does not belong here:
taking a stamp (``raw_files``) or comparing it (``tasks.plan``).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from warehouse.ledger import bulk
from warehouse.ledger.bulk import one_of
from warehouse.ledger.chain import Rows
from warehouse.ledger.store import Ledger
from warehouse.ledger.tables import ROOTS, SIGHTINGS, STAMPS
from warehouse.records import RawFile, Sighting, Span
from warehouse.vocabulary import FileStatus


def root_ids(connection: sa.Connection, locations: Iterable[str]) -> dict[str, int]:
    """The number of each root, made where it is new."""
    wanted = set(locations)
    found: dict[str, int] = {
        row.location: row.root_id for row in connection.execute(sa.select(ROOTS).where(ROOTS.c.location.in_(wanted)))
    }
    for location in sorted(wanted - found.keys()):
        made = connection.execute(ROOTS.insert().values(location=location)).inserted_primary_key
        assert made is not None
        found[location] = made[0]
    return found


# A stamp's own fields come last, in its order.
_NAMES = tuple(column.name for column in STAMPS.columns)


def _upsert(connection: sa.Connection, rows: list[tuple[Any, ...]]) -> None:
    bulk.insert(connection, STAMPS, Rows(_NAMES, rows), replaces=True)


def _mark(ledger: Ledger, files: Iterable[RawFile], state: str) -> None:
    found = list(files)
    if not found:
        return
    with ledger.writing() as connection:
        roots = root_ids(connection, (file.root for file in found))
        _upsert(connection, [(roots[f.root], f.uri, f.source, state, f.file_id, *f.stamp) for f in found])


def mark_pending(ledger: Ledger, files: Iterable[RawFile]) -> None:
    """Record that these are found and hashed but not settled: what a crash leaves is then known, not forgotten."""
    _mark(ledger, files, "pending")


def stamped_contents(ledger: Ledger, file_ids: Iterable[str]) -> set[str]:
    """Which of these contents a path has, read or still waiting for it."""
    with ledger.reading() as connection:
        return set(connection.scalars(sa.select(STAMPS.c.file_id).where(one_of(STAMPS.c.file_id, file_ids))))


def restamp(ledger: Ledger, files: Iterable[RawFile]) -> None:
    """Record new stamps of paths whose content is what it was: touched, copied back, or moved in place."""
    _mark(ledger, files, "settled")


def follow_cuts(connection: sa.Connection, spans: Iterable[Span]) -> None:
    """Let a big file wait again while it is cut anew, and settle it with its last cut: a restart goes on there."""
    for span in spans:
        if span.is_last and not span.first_ordinal:
            continue
        here = STAMPS.c.file_id == span.file_id
        if not span.is_last:
            connection.execute(STAMPS.update().where(here, STAMPS.c.state == "settled").values(state="pending"))
        else:
            sighted = sa.exists().where(
                SIGHTINGS.c.root_id == STAMPS.c.root_id,
                SIGHTINGS.c.uri == STAMPS.c.uri,
                SIGHTINGS.c.file_id == STAMPS.c.file_id,
            )
            connection.execute(
                STAMPS.update().where(here, STAMPS.c.state == "pending", sighted).values(state="settled")
            )


def drop(connection: sa.Connection, paths: Iterable[tuple[int, str]]) -> None:
    """Drop paths (root number, uri) that were waiting and are gone; one whose content is known keeps it."""
    for root_id, uri in paths:
        here = (STAMPS.c.root_id == root_id, STAMPS.c.uri == uri, STAMPS.c.state != "settled")
        content = connection.scalar(
            sa.select(SIGHTINGS.c.file_id)
            .where(SIGHTINGS.c.root_id == root_id, SIGHTINGS.c.uri == uri, SIGHTINGS.c.file_id.is_not(None))
            .order_by(SIGHTINGS.c.sighting_no.desc())
            .limit(1)
        )
        if content is None:
            connection.execute(STAMPS.delete().where(*here))
        else:
            # A stamp that no file has: should the path come back, it is read.
            connection.execute(STAMPS.update().where(*here).values(state="settled", file_id=content, size_bytes=-1))


def settle(connection: sa.Connection, sightings: Iterable[Sighting], roots: Mapping[str, int]) -> None:
    """Record the outcome of sightings, inside the transaction that commits them."""
    _upsert(
        connection,
        [
            (
                roots[s.root],
                s.uri,
                s.source,
                "deferred" if s.status is FileStatus.DEFERRED else "settled",
                s.file_id,
                *s.stamp,
            )
            for s in sightings
        ],
    )
