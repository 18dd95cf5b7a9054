"""Deferrals: how often a path was put off since anything came of it.

Belongs here: asking that, and why.  Does not belong here: what follows from it (``tasks.plan``).
"""

from collections.abc import Iterable
from typing import NamedTuple

import sqlalchemy as sa

from warehouse.ledger.bulk import one_of
from warehouse.ledger.store import Ledger
from warehouse.ledger.tables import ROOTS, SIGHTINGS, STAMPS
from warehouse.vocabulary import FileStatus


class Deferral(NamedTuple):
    """One time that a path was put off: why, and as what the store knew it then; the time in nanoseconds."""

    reason: str
    size_bytes: int
    modified_ns: int


def deferrals(ledger: Ledger, root: str, uris: Iterable[str]) -> dict[str, list[Deferral]]:
    """How these paths of a root were put off since they were last ingested or refused, oldest first."""
    query = (
        sa.select(*(SIGHTINGS.c[name] for name in ("uri", "status", *Deferral._fields)))
        .join(ROOTS, ROOTS.c.root_id == SIGHTINGS.c.root_id)
        .where(ROOTS.c.location == root, one_of(SIGHTINGS.c.uri, uris))
        .order_by(SIGHTINGS.c.sighting_no)
    )
    found: dict[str, list[Deferral]] = {}
    with ledger.reading() as connection:
        for uri, status, *facts in connection.execute(query):
            if status == FileStatus.DEFERRED:
                found.setdefault(uri, []).append(Deferral(*facts))
            else:
                found.pop(uri, None)
    return found


def has_put_off(ledger: Ledger, reasons: Iterable[str]) -> bool:
    """Whether a path that is put off, or pending again, ever was put off for one of these reasons."""
    query = (
        sa.select(sa.true())
        .select_from(STAMPS)
        .join(SIGHTINGS, sa.and_(SIGHTINGS.c.root_id == STAMPS.c.root_id, SIGHTINGS.c.uri == STAMPS.c.uri))
        .where(
            STAMPS.c.state != "settled",
            SIGHTINGS.c.status == FileStatus.DEFERRED,
            SIGHTINGS.c.reason.in_(list(reasons)),
        )
        .limit(1)
    )
    with ledger.reading() as connection:
        return connection.execute(query).first() is not None
