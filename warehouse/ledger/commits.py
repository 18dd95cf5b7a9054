"""Commits: the acknowledgement of a batch, and of files that needed none.

Belongs here: the one transaction that makes parts and sightings exist, and the hash chain over all of them.  Does
not belong here: writing the parts (``warehouse.parts``) or reading commits back (``queries``).
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from warehouse.clock import now_us
from warehouse.ledger import bulk, stamps
from warehouse.ledger.bulk import one_of
from warehouse.ledger.chain import NO_HASH, UNCHAINED, Rows, chain_hash
from warehouse.ledger.store import Ledger
from warehouse.ledger.tables import COMMITS, PARTS, SIGHTINGS, SPANS
from warehouse.records import PartReceipt, Receipt, Sighting, Span
from warehouse.vocabulary import CommitKind, DeferReason, FileStatus

# The end of a deferral: the path is gone, no row of the public tables is left of it.
GONE = "gone"

_PART = ("kind", "name", "sha256", "size_bytes", "row_count")
_SPAN = Span._fields
_SIGHTING = ("sighting_no", "commit_no", "root_id", "uri", "source", "file_id", "status", "stage", "reason", "detail",
             "size_bytes", "modified_ns", "is_revisit")  # fmt: skip
# A member's own ``value`` is found by a function in Python, and a commit asks for thousands.
_WORDS = {status: status.value for status in FileStatus}


def part_rows(commit_no: int, parts: Iterable[PartReceipt]) -> Rows:
    """The rows of ``parts`` that a commit adds, as its hash covers them."""
    ordered = sorted(parts, key=lambda part: part.kind)
    return Rows(
        ("commit_no", *_PART),
        [(commit_no, part.kind, part.name, part.sha256, part.size_bytes, part.row_count) for part in ordered],
    )


def span_rows(commit_no: int, spans: Iterable[Span]) -> Rows:
    """The rows of ``spans`` that a commit adds, as its hash covers them."""
    # By content and first ordinal, of which there are no two alike.
    return Rows(("commit_no", *_SPAN), [(commit_no, *span) for span in sorted(spans, key=itemgetter(0, 1))])


def _newest(connection: sa.Connection, root_id: int, uris: Sequence[str]) -> dict[str, Any]:
    query = (
        sa.select(SIGHTINGS.c.uri, SIGHTINGS.c.status, SIGHTINGS.c.reason)
        .where(SIGHTINGS.c.root_id == root_id, one_of(SIGHTINGS.c.uri, uris))
        .order_by(SIGHTINGS.c.sighting_no)
    )
    return {row.uri: row for row in connection.execute(query)}


def sighting_rows(
    connection: sa.Connection,
    commit_no: int,
    sightings: Sequence[Sighting],
    roots: dict[str, int],
    gone: Iterable[tuple[str, str]] = (),
) -> Rows:
    """The rows of ``sightings`` that a commit adds: those that are news, then the ends of deferrals.

    ``gone`` names paths that are not there any more; the stamps of those that waited are dropped.
    """
    by_root: dict[str, list[str]] = {}
    for sighting in sightings:
        by_root.setdefault(sighting.root, []).append(sighting.uri)
    newest = {root: _newest(connection, roots[root], uris) for root, uris in by_root.items()}
    number = _last_sighting(connection)
    rows: list[tuple[Any, ...]] = []
    for root, uri, source, file_id, stamp, status, stage, reason, detail in sorted(sightings, key=itemgetter(0, 1)):
        before = newest[root].get(uri)
        # Still unreadable or refused for the same reason is no news, and a run without news commits nothing; but how
        # often a worker was killed is counted.
        is_same = before is not None and (before.status, before.reason) == (status, reason)
        if file_id is None and is_same and reason is not DeferReason.KILLED:
            continue
        number += 1
        rows.append(
            (number, commit_no, roots[root], uri, source, file_id, _WORDS[status], stage and stage.value,
             reason and reason.value, detail, stamp[0], stamp[1], before is not None)
        )  # fmt: skip
    for root_id, uri in _told(connection, gone):
        number += 1
        rows.append((number, commit_no, root_id, uri, "", None, GONE, None, None, None, 0, 0, True))
    return Rows(_SIGHTING, rows)


def _told(connection: sa.Connection, gone: Iterable[tuple[str, str]]) -> list[tuple[int, str]]:
    """Those paths (root number, uri) that are gone of which the tables say that they were put off; their stamps go."""
    paths = sorted(gone)
    roots = stamps.root_ids(connection, {root for root, _ in paths}) if paths else {}
    newest = {
        root: _newest(connection, root_id, [uri for of, uri in paths if of == root]) for root, root_id in roots.items()
    }
    stamps.drop(connection, [(roots[root], uri) for root, uri in paths])
    return [
        (roots[root], uri)
        for root, uri in paths
        if (found := newest[root].get(uri)) and found.status == FileStatus.DEFERRED
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
    content: Mapping[str, Any],
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
        gone = [*gone, *(receipt.gone if receipt else ())]
        rows = sighting_rows(connection, commit_no, sightings, roots, gone)
        stamps.settle(connection, sightings, roots)
        batch = receipt if receipt is not None and receipt.parts else None
        if batch is None and not rows.rows:
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
            bulk.insert(connection, table, new)
    return commit_no
