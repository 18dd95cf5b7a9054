"""Commits: the acknowledgement of a batch, and of files that needed none.

Belongs here: the one transaction that makes parts and sightings exist, and the hash chain over all of them.  Does
not belong here: writing the parts (``warehouse.parts``) or reading commits back (``queries``).
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from warehouse.clock import now_us
from warehouse.ledger import bulk, stamps
from warehouse.ledger.bulk import one_of
from warehouse.ledger.store import Ledger
from warehouse.ledger.tables import COMMITS, PARTS, SIGHTINGS, SPANS
from warehouse.records import PartReceipt, Receipt, Sighting, Span
from warehouse.vocabulary import CommitKind, FileStatus

NO_HASH = "0" * 64
# The end of a deferral: the path is gone, no row of the public tables is left of it.
GONE = "gone"
# The chain covers content only, so that equal input gives equal hashes in every home, whoever ran it and when.
UNCHAINED = ("commit_hash", "run_id", "committed_at")


def chain_hash(previous: str, head: dict[str, Any], rows: dict[str, list[dict[str, Any]]]) -> str:
    """The hash of a commit: sha256 over the hash before it and the commit's own rows as canonical JSON."""
    payload = json.dumps([previous, head, rows], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(payload.encode()).hexdigest()


def part_rows(commit_no: int, parts: Iterable[PartReceipt]) -> list[dict[str, Any]]:
    """The rows of ``parts`` that a commit adds, as its hash covers them."""
    return [
        {
            "commit_no": commit_no,
            "kind": part.kind,
            "name": part.name,
            "sha256": part.sha256,
            "size_bytes": part.size_bytes,
            "row_count": part.row_count,
        }
        for part in sorted(parts, key=lambda part: part.kind)
    ]


def span_rows(commit_no: int, spans: Iterable[Span]) -> list[dict[str, Any]]:
    """The rows of ``spans`` that a commit adds, as its hash covers them."""
    return [
        {
            "commit_no": commit_no,
            "file_id": span.file_id,
            "first_ordinal": span.first_ordinal,
            "last_ordinal": span.last_ordinal,
            "is_last": span.is_last,
            "encoding": span.encoding,
            "encoding_confidence": span.encoding_confidence,
            "document_count": span.document_count,
            "reject_count": span.reject_count,
            "paragraph_count": span.paragraph_count,
            "segment_count": span.segment_count,
        }
        for span in sorted(spans, key=lambda span: (span.file_id, span.first_ordinal))
    ]


def _newest(connection: sa.Connection, root_id: int, uris: Sequence[str]) -> dict[str, Any]:
    query = (
        sa.select(SIGHTINGS.c.uri, SIGHTINGS.c.status, SIGHTINGS.c.reason)
        .where(SIGHTINGS.c.root_id == root_id, one_of(SIGHTINGS.c.uri, uris))
        .order_by(SIGHTINGS.c.sighting_no)
    )
    return {row.uri: row for row in connection.execute(query)}


def sighting_rows(
    connection: sa.Connection, commit_no: int, sightings: Sequence[Sighting], roots: dict[str, int]
) -> list[dict[str, Any]]:
    """The rows of ``sightings`` that a commit adds: those that are news."""
    by_root: dict[str, list[str]] = {}
    for sighting in sightings:
        by_root.setdefault(sighting.root, []).append(sighting.uri)
    newest = {root: _newest(connection, roots[root], uris) for root, uris in by_root.items()}
    number = _last_sighting(connection)
    rows = []
    for sighting in sorted(sightings, key=lambda s: (s.root, s.uri)):
        before = newest[sighting.root].get(sighting.uri)
        # Still unreadable or refused for the same reason is no news, and a run without news commits nothing.
        if (
            sighting.file_id is None
            and before is not None
            and (before.status, before.reason) == (sighting.status, sighting.reason)
        ):
            continue
        number += 1
        rows.append(
            {
                "sighting_no": number,
                "commit_no": commit_no,
                "root_id": roots[sighting.root],
                "uri": sighting.uri,
                "source": sighting.source,
                "file_id": sighting.file_id,
                "status": sighting.status.value,
                "stage": sighting.stage and sighting.stage.value,
                "reason": sighting.reason and sighting.reason.value,
                "detail": sighting.detail,
                "size_bytes": sighting.stamp.size_bytes,
                "modified_ns": sighting.stamp.mtime_ns,
                "is_revisit": before is not None,
            }
        )
    return rows


def _gone_rows(
    connection: sa.Connection, commit_no: int, gone: Sequence[tuple[str, str]], before: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Rows that end what the tables say of paths that were deferred and are gone; what was only pending needs none."""
    roots = stamps.root_ids(connection, (root for root, _ in gone))
    paths = [(roots[root], uri) for root, uri in sorted(gone)]
    told = [
        (root_id, uri)
        for root_id, uri in paths
        if (found := _newest(connection, root_id, [uri]).get(uri)) and found.status == FileStatus.DEFERRED
    ]
    stamps.drop(connection, paths)
    number = before[-1]["sighting_no"] if before else _last_sighting(connection)
    return [
        {
            "sighting_no": number + position,
            "commit_no": commit_no,
            "root_id": root_id,
            "uri": uri,
            "source": "",
            "file_id": None,
            "status": GONE,
            "stage": None,
            "reason": None,
            "detail": None,
            "size_bytes": 0,
            "modified_ns": 0,
            "is_revisit": True,
        }
        for position, (root_id, uri) in enumerate(told, start=1)
    ]


def _last_sighting(connection: sa.Connection) -> int:
    return connection.scalar(sa.select(sa.func.coalesce(sa.func.max(SIGHTINGS.c.sighting_no), 0))) or 0


def _retire(connection: sa.Connection, commit_no: int, spans: Sequence[Span]) -> None:
    """Retire every older span that a new one covers, and behind a file's last cut whatever an older cutting left."""
    held = sa.select(SPANS.c.file_id).where(one_of(SPANS.c.file_id, {span.file_id for span in spans}))
    older = set(connection.scalars(held.distinct()))
    for span in spans if older else ():
        if span.file_id not in older:
            continue
        covered = SPANS.c.last_ordinal >= span.first_ordinal
        if not span.is_last:
            covered &= SPANS.c.first_ordinal <= span.last_ordinal
        connection.execute(
            sa.update(SPANS)
            .where(
                SPANS.c.file_id == span.file_id, SPANS.c.retired_by.is_(None), SPANS.c.commit_no < commit_no, covered
            )
            .values(retired_by=commit_no)
        )


def insert_commit(
    connection: sa.Connection,
    previous: str,
    content: dict[str, Any],
    *,
    commit_no: int,
    kind: CommitKind,
    run_id: str,
    pipeline_version: str,
    settings_fingerprint: str,
    batch_id: str | None = None,
    committed_at: int | None = None,
) -> str:
    """The row of a commit, chained to the hash of the one before, which is now unless another time is known.

    ``content`` is all else that its hash covers.  Returns the hash.
    """
    head = {
        "commit_no": commit_no,
        "kind": kind.value,
        "batch_id": batch_id,
        "run_id": run_id,
        "committed_at": now_us() if committed_at is None else committed_at,
        "pipeline_version": pipeline_version,
        "settings_fingerprint": settings_fingerprint,
    }
    chained = {name: value for name, value in head.items() if name not in UNCHAINED}
    commit_hash = chain_hash(previous, chained, content)
    connection.execute(COMMITS.insert().values(commit_hash=commit_hash, **head))
    return commit_hash


def add_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows that have the same names in the same order."""
    if rows:
        bulk.insert(connection, table, list(rows[0]), [tuple(row.values()) for row in rows])


def append(
    ledger: Ledger,
    run_id: str,
    *,
    receipt: Receipt | None = None,
    sightings: Sequence[Sighting] = (),
    gone: Sequence[tuple[str, str]] = (),
    pipeline_version: str = "",
    settings_fingerprint: str = "",
) -> int | None:
    """Commit a batch, or sightings that needed none, in one durable transaction.

    ``gone`` names by root and uri the paths that were waiting to be read and are not there any more.
    Returns the commit's number, or None when there was no news: nothing is written then but stamps.
    """
    if receipt is not None:
        sightings = receipt.sightings
        pipeline_version, settings_fingerprint = receipt.pipeline_version, receipt.settings_fingerprint
    with ledger.writing() as connection:
        last = connection.execute(
            sa.select(COMMITS.c.commit_no, COMMITS.c.commit_hash).order_by(COMMITS.c.commit_no.desc()).limit(1)
        ).first()
        commit_no, previous = (last.commit_no + 1, last.commit_hash) if last else (1, NO_HASH)
        roots = stamps.root_ids(connection, (sighting.root for sighting in sightings))
        rows = sighting_rows(connection, commit_no, sightings, roots)
        stamps.settle(connection, sightings, roots)
        rows += _gone_rows(connection, commit_no, [*gone, *(receipt.gone if receipt else ())], rows)
        batch = receipt if receipt is not None and receipt.parts else None
        if batch is None and not rows:
            return None
        parts = part_rows(commit_no, batch.parts if batch else ())
        spans = span_rows(commit_no, batch.spans if batch else ())
        if batch:
            _retire(connection, commit_no, batch.spans)
            stamps.follow_cuts(connection, batch.spans)
        insert_commit(
            connection,
            previous,
            {"parts": parts, "spans": spans, "sightings": rows},
            commit_no=commit_no,
            kind=CommitKind.BATCH if batch else CommitKind.SIGHTINGS,
            batch_id=batch.batch_id if batch else None,
            run_id=run_id,
            pipeline_version=pipeline_version,
            settings_fingerprint=settings_fingerprint,
        )
        for table, new in ((PARTS, parts), (SPANS, spans), (SIGHTINGS, rows)):
            add_rows(connection, table, new)
    return commit_no
