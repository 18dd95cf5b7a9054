"""What the rest of newsmill asks the ledger; nothing here writes.

Belongs here: SELECTs and their row types.  Does not belong here: deciding anything from the answers.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

import sqlalchemy as sa

from warehouse.ledger import bulk
from warehouse.ledger.account import content_now
from warehouse.ledger.bulk import one_of
from warehouse.ledger.chain import NO_HASH
from warehouse.ledger.compactions import followed, receipt
from warehouse.ledger.store import Ledger
from warehouse.ledger.tables import COMMITS, PARTS, ROOTS, SIGHTINGS, SPANS, STAMPS
from warehouse.ledger.tombstones import buried, is_void
from warehouse.records import Commit, PartReceipt, Stamp
from warehouse.vocabulary import CommitKind, FileStatus, Reason


class Known(NamedTuple):
    """What the ledger remembers of one path: its last stamp, and the content it had."""

    uri: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    state: str
    file_id: str | None

    @property
    def stamp(self) -> Stamp:
        """The last stamp."""
        return Stamp(*self[1:5])


# Read in one transaction: a long one would keep the ledger's log from being cut while a run writes it.
_PAGE = 5_000

# A uri and its stamp, as a walk has them; of a path that waits to be dealt with the inode is None, which none has.
Remembered = tuple[str, int, int, int, int | None]


def _of_root(root: str) -> sa.ColumnElement[bool]:
    return STAMPS.c.root_id == sa.select(ROOTS.c.root_id).where(ROOTS.c.location == root).scalar_subquery()


def remembered(ledger: Ledger, root: str, below: str = "") -> Iterator[list[Remembered]]:
    """Every path of a root in the order of uris; where ``below`` names a file or folder in it, at least its own.

    Read page by page while it is used: what is written meanwhile is seen or not.
    """
    settled = sa.case((STAMPS.c.state == "settled", STAMPS.c.inode))
    query = (
        sa.select(STAMPS.c.uri, STAMPS.c.size_bytes, STAMPS.c.mtime_ns, STAMPS.c.ctime_ns, settled)
        .where(_of_root(root))
        .order_by(STAMPS.c.uri)
        .limit(_PAGE)
    )
    if below:
        query = query.where(
            sa.or_(STAMPS.c.uri.in_([below, f"{below}/"]), STAMPS.c.uri.startswith(f"{below}/", autoescape=True))
        )
    last, is_full = "", True
    while is_full:
        with ledger.reading() as connection:
            page = bulk.rows(connection.execute(query.where(STAMPS.c.uri > last)))
        is_full = len(page) == _PAGE
        if page:
            yield page
            last = page[-1][0]


def known_files(ledger: Ledger, root: str, uris: Iterable[str]) -> dict[str, Known]:
    """What the ledger remembers of these paths of a root, of those that it knows."""
    query = sa.select(*(STAMPS.c[name] for name in Known._fields)).where(_of_root(root), one_of(STAMPS.c.uri, uris))
    with ledger.reading() as connection:
        return {row[0]: Known._make(row) for row in connection.execute(query)}


def known_roots(ledger: Ledger) -> list[str]:
    """The location of every root that was ever ingested from."""
    with ledger.reading() as connection:
        return list(connection.scalars(sa.select(ROOTS.c.location).order_by(ROOTS.c.location)))


def held_contents(ledger: Ledger, file_ids: Iterable[str]) -> tuple[set[str], dict[str, int]]:
    """Which of these contents are committed from their first record to their last, and where to go on in others.

    The latter by the first record that no current span holds, for those of which the first records are held.
    """
    query = (
        sa.select(SPANS.c.file_id, SPANS.c.first_ordinal, SPANS.c.last_ordinal, SPANS.c.is_last)
        .where(one_of(SPANS.c.file_id, file_ids), SPANS.c.retired_by.is_(None))
        .order_by(SPANS.c.file_id, SPANS.c.first_ordinal)
    )
    finished: set[str] = set()
    begun: dict[str, int] = {}
    with ledger.reading() as connection:
        for file_id, spans in itertools.groupby(connection.execute(query), key=itemgetter(0)):
            following = held = ends = end = 0
            for _, first, last, is_last in spans:
                if first == following:
                    following = last + 1
                held += last - first + 1
                ends += bool(is_last)
                end = max(end, last + 1)
            if ends == 1 and held == end:
                finished.add(file_id)
            elif following:
                begun[file_id] = following
    return finished, begun


def finished_contents(ledger: Ledger, file_ids: Iterable[str]) -> set[str]:
    """Which of these contents are committed from their first record to their last."""
    return held_contents(ledger, file_ids)[0]


@dataclass(frozen=True, slots=True)
class Place:
    """One uri where a content was seen, newest sighting of that pair."""

    root: str
    uri: str
    source: str
    file_id: str
    status: FileStatus
    stamp_size: int
    modified_ns: int
    is_newest: bool


def places(ledger: Ledger, file_ids: Iterable[str]) -> list[Place]:
    """Every uri at which these contents were seen, in the order of the first sightings."""
    found: dict[tuple[str, str, str], Place] = {}
    newer = SIGHTINGS.alias("newer")
    is_newest = ~sa.exists(
        sa.select(newer.c.sighting_no).where(
            newer.c.root_id == SIGHTINGS.c.root_id,
            newer.c.uri == SIGHTINGS.c.uri,
            newer.c.file_id.is_not(None),
            newer.c.sighting_no > SIGHTINGS.c.sighting_no,
        )
    )
    with ledger.reading() as connection:
        query = (
            sa.select(ROOTS.c.location, SIGHTINGS, is_newest.label("is_newest"))
            .join(ROOTS, ROOTS.c.root_id == SIGHTINGS.c.root_id)
            .where(one_of(SIGHTINGS.c.file_id, file_ids), ~is_void())
            .order_by(SIGHTINGS.c.sighting_no)
        )
        for row in connection.execute(query):
            found[(row.location, row.uri, row.file_id)] = Place(
                row.location, row.uri, row.source, row.file_id, FileStatus(row.status), row.size_bytes,
                row.modified_ns, bool(row.is_newest),
            )  # fmt: skip
    return list(found.values())


def sighted(ledger: Ledger, root: str, uris: Iterable[str]) -> dict[tuple[str, str], FileStatus]:
    """What the contents of before became at these uris of a root: (uri, file_id) -> status, of the newest sighting."""
    query = (
        sa.select(SIGHTINGS.c.uri, SIGHTINGS.c.file_id, SIGHTINGS.c.status)
        .join(ROOTS, ROOTS.c.root_id == SIGHTINGS.c.root_id)
        .where(ROOTS.c.location == root, one_of(SIGHTINGS.c.uri, uris), SIGHTINGS.c.file_id.is_not(None), ~is_void())
        .order_by(SIGHTINGS.c.sighting_no)
    )
    with ledger.reading() as connection:
        return {(row.uri, row.file_id): FileStatus(row.status) for row in connection.execute(query)}


def file_ids_like(ledger: Ledger, words: Sequence[str]) -> list[str]:
    """The contents that a person means: each word is a file_id, the beginning of one (8 digits at least), or a uri.

    The uri of an archive's member means the archive.
    """
    found: list[str] = []
    with ledger.reading() as connection:
        for word in words:
            match = SIGHTINGS.c.uri == word.partition("!/")[0]
            if len(word) >= 8 and set(word) <= set("0123456789abcdef"):
                match |= SIGHTINGS.c.file_id.like(word + "%")
            query = sa.select(SIGHTINGS.c.file_id).where(match, SIGHTINGS.c.file_id.is_not(None), ~is_void()).distinct()
            found.extend(connection.scalars(query))
    return sorted(set(found))


def stale_contents(ledger: Ledger, pipeline_version: str, settings_fingerprint: str) -> list[str]:
    """Contents whose current rows another pipeline version, or other settings, made.

    All others are equal to what a replay would give: parts are a pure function of their input.
    """
    query = (
        sa.select(SPANS.c.file_id)
        .join(COMMITS, COMMITS.c.commit_no == SPANS.c.commit_no)
        .where(
            SPANS.c.retired_by.is_(None),
            sa.or_(
                COMMITS.c.pipeline_version != pipeline_version,
                COMMITS.c.settings_fingerprint != settings_fingerprint,
            ),
        )
        .distinct()
        .order_by(SPANS.c.file_id)
    )
    with ledger.reading() as connection:
        return list(connection.scalars(query))


def last_commit(ledger: Ledger) -> tuple[int, str]:
    """Number and hash of the newest commit; (0, zeros) before the first."""
    query = sa.select(COMMITS.c.commit_no, COMMITS.c.commit_hash).order_by(COMMITS.c.commit_no.desc()).limit(1)
    with ledger.reading() as connection:
        row = connection.execute(query).first()
    return (row.commit_no, row.commit_hash) if row else (0, NO_HASH)


def commits_above(ledger: Ledger, commit_no: int) -> list[Commit]:
    """Every commit above a number, in order, with the parts that hold its rows now."""
    parts: dict[int, list[PartReceipt]] = {}
    replaced_by: dict[int, int | None] = {}
    with ledger.reading() as connection:
        # Whatever replaced a part stands above it.
        for row in connection.execute(sa.select(PARTS).where(PARTS.c.commit_no > commit_no).order_by(PARTS.c.kind)):
            parts.setdefault(row.commit_no, []).append(receipt(row))
            replaced_by[row.commit_no] = row.replaced_by
        rows = connection.execute(
            sa.select(COMMITS).where(COMMITS.c.commit_no > commit_no).order_by(COMMITS.c.commit_no)
        ).all()
    return [
        Commit(
            commit_no=row.commit_no,
            commit_hash=row.commit_hash,
            kind=CommitKind(row.kind),
            batch_id=row.batch_id,
            run_id=row.run_id,
            committed_at=row.committed_at,
            parts=tuple(parts.get(followed(replaced_by, row.commit_no), ())),
            is_moved=replaced_by.get(row.commit_no) is not None,
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class LoadRows:
    """What applying one commit needs of the ledger besides its parts; rows have the names of the tables' columns.

    ``spans`` are those of the commit, with ``retired_by``; ``retired`` the older spans that it replaced;
    ``sightings`` carry the root's location, the counts of the content as they are now, whether its content was
    forgotten since (``is_void``), and of a revisit the sighting that says what is current at the uri by then
    (``newest_no``); ``forgotten`` are the contents that the commit forgot.
    """

    spans: Sequence[sa.Row[Any]]
    retired: Sequence[sa.Row[Any]]
    sightings: Sequence[sa.Row[Any]]
    forgotten: Sequence[str]


def contents(ledger: Ledger, file_ids: Iterable[str]) -> list[dict[str, Any]]:
    """What these contents are now: encoding and counts."""
    with ledger.reading() as connection:
        return list(map(dict, connection.execute(content_now().where(one_of(SPANS.c.file_id, file_ids))).mappings()))


def load_rows(ledger: Ledger, commit_no: int) -> LoadRows:
    """What ``loader`` needs to apply one commit."""
    here = sa.select(SIGHTINGS.c.file_id).where(SIGHTINGS.c.commit_no == commit_no)
    content = content_now().where(SPANS.c.file_id.in_(here)).subquery()
    until = SIGHTINGS.alias("until")
    newest = sa.select(sa.func.max(until.c.sighting_no)).where(
        until.c.root_id == SIGHTINGS.c.root_id, until.c.uri == SIGHTINGS.c.uri,
        until.c.sighting_no <= SIGHTINGS.c.sighting_no,
        # Where the newest content was forgotten, the one before it does not come back.
        until.c.file_id.is_not(None) | (until.c.reason == Reason.FORGOTTEN),
    )  # fmt: skip
    sightings = (
        sa.select(SIGHTINGS, ROOTS.c.location, content.c.encoding, content.c.encoding_confidence,
                  content.c.document_count, content.c.reject_count, is_void().label("is_void"),
                  sa.case((SIGHTINGS.c.is_revisit, newest.scalar_subquery())).label("newest_no"))
        .join(ROOTS, ROOTS.c.root_id == SIGHTINGS.c.root_id)
        .outerjoin(content, content.c.file_id == SIGHTINGS.c.file_id)
        .where(SIGHTINGS.c.commit_no == commit_no)
        .order_by(SIGHTINGS.c.sighting_no)
    )  # fmt: skip
    with ledger.reading() as connection:
        return LoadRows(
            connection.execute(sa.select(SPANS).where(SPANS.c.commit_no == commit_no)).all(),
            connection.execute(sa.select(SPANS).where(SPANS.c.retired_by == commit_no)).all(),
            connection.execute(sightings).all(),
            buried(connection, commit_no),
        )
