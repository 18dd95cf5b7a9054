"""The account: how many of everything there are, by the ledger alone.

Belongs here: sums that others are held against.  Does not belong here: single rows (``queries``), judging
(``verification``, ``warehouse.verify``).
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from warehouse.ledger.commits import GONE
from warehouse.ledger.store import Ledger
from warehouse.ledger.tables import COMMITS, SIGHTINGS, SPANS, STAMPS
from warehouse.ledger.tombstones import is_void
from warehouse.vocabulary import FileStatus


def content_now() -> sa.Select[Any]:
    """What each content is now, over its spans that nobody retired."""
    return (
        sa.select(
            SPANS.c.file_id,
            sa.func.max(SPANS.c.encoding).label("encoding"),
            sa.func.max(SPANS.c.encoding_confidence).label("encoding_confidence"),
            sa.func.sum(SPANS.c.document_count).label("document_count"),
            sa.func.sum(SPANS.c.reject_count).label("reject_count"),
        )
        .where(SPANS.c.retired_by.is_(None))
        .group_by(SPANS.c.file_id)
    )


@dataclass(frozen=True, slots=True)
class Conservation:
    """Paths by what became of them: each path that was ever found is counted once, at its newest sighting."""

    discovered: int
    ingested: int
    duplicate: int
    rejected: int
    deferred: int
    pending: int

    @property
    def holds(self) -> bool:
        """Whether every discovered path is in exactly one state."""
        settled = self.ingested + self.duplicate + self.rejected + self.deferred
        return self.discovered == settled + self.pending


def replaced_documents(ledger: Ledger, run_id: str) -> int:
    """How many documents the commits of a run took the place of."""
    replaced = sa.select(sa.func.coalesce(sa.func.sum(SPANS.c.document_count), 0)).join(
        COMMITS, COMMITS.c.commit_no == SPANS.c.retired_by
    )
    with ledger.reading() as connection:
        return int(connection.execute(replaced.where(COMMITS.c.run_id == run_id)).scalar_one())


def conservation(ledger: Ledger) -> Conservation:
    """Count every path once: by what its content became, or what it waits for."""
    newest = (
        sa.select(
            SIGHTINGS.c.root_id,
            SIGHTINGS.c.uri,
            SIGHTINGS.c.file_id,
            sa.func.max(SIGHTINGS.c.sighting_no).label("sighting_no"),
        )
        .group_by(SIGHTINGS.c.root_id, SIGHTINGS.c.uri, SIGHTINGS.c.file_id)
        .subquery()
    )
    content = content_now().subquery()
    outcome = sa.case(
        (STAMPS.c.state != "settled", STAMPS.c.state),
        (SIGHTINGS.c.status == FileStatus.DUPLICATE, SIGHTINGS.c.status),
        (SIGHTINGS.c.status.is_(None), "unknown"),
        (content.c.document_count > 0, FileStatus.INGESTED.value),
        else_=FileStatus.REJECTED.value,
    ).label("outcome")
    query = (
        sa.select(outcome, sa.func.count().label("paths"))
        .select_from(STAMPS)
        .outerjoin(
            newest,
            sa.and_(
                newest.c.root_id == STAMPS.c.root_id,
                newest.c.uri == STAMPS.c.uri,
                newest.c.file_id.is_not_distinct_from(STAMPS.c.file_id),
            ),
        )
        .outerjoin(SIGHTINGS, SIGHTINGS.c.sighting_no == newest.c.sighting_no)
        .outerjoin(content, content.c.file_id == STAMPS.c.file_id)
        .group_by(outcome)
    )
    with ledger.reading() as connection:
        found = {row.outcome: row.paths for row in connection.execute(query)}
    return Conservation(
        discovered=sum(found.values()), **{word: found.get(word, 0) for word in (*FileStatus, "pending")}
    )


def batch_counts(ledger: Ledger) -> dict[str, dict[str, int]]:
    """Documents, paragraphs and segments that each batch holds in spans nobody retired."""
    query = (
        sa.select(
            COMMITS.c.batch_id,
            *(sa.func.sum(SPANS.c[f"{word}_count"]).label(f"{word}s") for word in ("document", "paragraph", "segment")),
        )
        .join(SPANS, SPANS.c.commit_no == COMMITS.c.commit_no)
        .where(SPANS.c.retired_by.is_(None))
        .group_by(COMMITS.c.batch_id)
    )
    with ledger.reading() as connection:
        return {
            row["batch_id"]: {name: int(row[name]) for name in ("documents", "paragraphs", "segments")}
            for row in connection.execute(query).mappings()
        }


def row_counts(ledger: Ledger) -> dict[str, int]:
    """How many rows the ledger says that ``files``, ``rejects`` and ``loads`` have."""
    newest = (
        sa.select(sa.func.max(SIGHTINGS.c.sighting_no).label("sighting_no"))
        .group_by(SIGHTINGS.c.root_id, SIGHTINGS.c.uri)
        .subquery()
    )
    unread = (
        sa.select(SIGHTINGS.c.status, sa.func.count().label("paths"))
        .join(newest, newest.c.sighting_no == SIGHTINGS.c.sighting_no)
        .where(SIGHTINGS.c.file_id.is_(None), SIGHTINGS.c.status != GONE)
        .group_by(SIGHTINGS.c.status)
    )
    seen = (
        sa.select(SIGHTINGS.c.root_id, SIGHTINGS.c.uri, SIGHTINGS.c.file_id)
        .where(SIGHTINGS.c.file_id.is_not(None), ~is_void())
        .distinct()
        .subquery()
    )
    rejects = sa.select(sa.func.coalesce(sa.func.sum(SPANS.c.reject_count), 0)).where(SPANS.c.retired_by.is_(None))
    with ledger.reading() as connection:
        paths = {row.status: row.paths for row in connection.execute(unread)}
        return {
            "files": (connection.scalar(sa.select(sa.func.count()).select_from(seen)) or 0) + sum(paths.values()),
            "rejects": int(connection.scalar(rejects) or 0) + paths.get(FileStatus.REJECTED, 0),
            "loads": connection.scalar(sa.select(sa.func.count()).select_from(COMMITS)) or 0,
        }


def unfinished_contents(ledger: Ledger) -> list[str]:
    """Contents that are committed in part: a big file whose last cut is still to come."""
    query = (
        sa.select(SPANS.c.file_id)
        .where(SPANS.c.retired_by.is_(None))
        .group_by(SPANS.c.file_id)
        .having(sa.func.sum(sa.cast(SPANS.c.is_last, sa.Integer)) == 0)
        .order_by(SPANS.c.file_id)
    )
    with ledger.reading() as connection:
        return list(connection.scalars(query))
