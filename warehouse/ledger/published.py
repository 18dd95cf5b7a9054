"""Published snapshots: the checksum of each file, so that ``verify --deep`` knows a damaged one.

Belongs here: noting and asking.  Does not belong here: hashing, names and files (``warehouse.snapshots``).
"""

from collections.abc import Iterable

import sqlalchemy as sa

from warehouse.ledger.store import Ledger
from warehouse.ledger.tables import SNAPSHOTS


def note_snapshot(ledger: Ledger, name: str, sha256: str, size_bytes: int, kept: Iterable[str]) -> None:
    """Record a snapshot that is about to get its name, and forget all others but those that are ``kept``.

    Before the rename: a row without a file says nothing, but a file without a row could not be proven.
    """
    with ledger.writing() as connection:
        connection.execute(sa.delete(SNAPSHOTS).where(SNAPSHOTS.c.name.not_in(list(kept))))
        connection.execute(SNAPSHOTS.insert().values(name=name, sha256=sha256, size_bytes=size_bytes))


def snapshot_sums(ledger: Ledger) -> dict[str, tuple[str, int]]:
    """By name, the sha256 and the length of every snapshot that is known."""
    with ledger.reading() as connection:
        return {row.name: (row.sha256, row.size_bytes) for row in connection.execute(sa.select(SNAPSHOTS))}
