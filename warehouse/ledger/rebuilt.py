"""A ledger written anew out of what is known besides it, and whether the one that stands there is whole.

Belongs here: the transaction that writes commits with numbers and times of before, and the look at an old ledger.  Does
not belong here: finding out what those commits were (``warehouse.remains``, ``warehouse.recount``).

The chain is a new one: hashes cover rows of which no snapshot keeps the older ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from warehouse.errors import LedgerError
from warehouse.layout import Home
from warehouse.ledger import bulk, stamps
from warehouse.ledger.chain import NO_HASH, Rows
from warehouse.ledger.commits import insert_commit, part_rows, span_rows
from warehouse.ledger.store import Ledger, check_beside, open_ledger
from warehouse.ledger.tables import PARTS, RUNS, SIGHTINGS, SPANS, STAMPS, TOMBSTONES
from warehouse.ledger.tombstones import buried, lifted
from warehouse.ledger.verification import chain_problems
from warehouse.records import PartReceipt, Span
from warehouse.vocabulary import CommitKind

# No file has as many bytes: whatever stands at the path is read once.
NO_SIZE = -1


@dataclass(slots=True)
class Commitment:
    """One commit as far as it is known; sightings have a ``location`` instead of a ``root_id``.

    ``replaced_by`` and the numbers beside the spans are those of later commits.
    """

    commit_no: int
    kind: CommitKind
    run_id: str
    committed_at: int
    batch_id: str | None = None
    pipeline_version: str = ""
    settings_fingerprint: str = ""
    parts: tuple[PartReceipt, ...] = ()
    replaced_by: int | None = None
    spans: list[tuple[Span, int | None]] = field(default_factory=list)
    sightings: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Account:
    """All that is known of a ledger: its commits in order, runs, tombstones, and the state of every path.

    ``paths`` go by root and uri: source, state, content, and modification time in nanoseconds.
    """

    commits: list[Commitment]
    runs: Sequence[Mapping[str, Any]]
    tombstones: Sequence[Mapping[str, Any]]
    paths: Mapping[tuple[str, str], tuple[str, str, str | None, int]]


def trouble(home: Home, url: str | None, published: tuple[int, str] | None) -> str | None:
    """Why a home's ledger cannot be worked with, in its own words; None where it is whole."""
    try:
        book = open_ledger(home, url)
    except LedgerError as error:
        return str(error)
    try:
        check_beside(book, home, published)
        return next(chain_problems(book), None)
    except LedgerError as error:
        return str(error)
    except sa.exc.DatabaseError as error:
        return str(error.orig)
    finally:
        book.close()


def _sightings(connection: sa.Connection, rows: Iterable[Mapping[str, Any]], commit_no: int) -> Rows:
    ordered = sorted(rows, key=lambda row: int(row["sighting_no"]))
    roots = stamps.root_ids(connection, {row["location"] for row in ordered})
    names = tuple(column.name for column in SIGHTINGS.columns)
    full = [{**row, "commit_no": commit_no, "root_id": roots[row["location"]]} for row in ordered]
    return Rows(names, [tuple(row[name] for name in names) for row in full])


def write(ledger: Ledger, account: Account) -> None:
    """Write an account into an empty ledger, in one transaction."""
    replaces: dict[int, list[dict[str, Any]]] = {}
    for commit in account.commits:
        if commit.replaced_by is not None:
            kinds = sorted(part.kind for part in commit.parts)
            replaces.setdefault(commit.replaced_by, []).extend(
                {"commit_no": commit.commit_no, "kind": kind} for kind in kinds
            )
    with ledger.writing() as connection:
        if account.runs:
            connection.execute(RUNS.insert(), [dict(run) for run in account.runs])
        if account.tombstones:
            connection.execute(TOMBSTONES.insert(), [dict(row) for row in account.tombstones])
        previous = NO_HASH
        for commit in account.commits:
            number = commit.commit_no
            rows: dict[str, Any] = {
                "parts": part_rows(number, commit.parts),
                "spans": span_rows(number, (span for span, _ in commit.spans)),
                "sightings": _sightings(connection, commit.sightings, number),
            }
            later = {(span.file_id, span.first_ordinal): by for span, by in commit.spans}
            if commit.kind is CommitKind.COMPACTION:
                rows["replaces"] = replaces.get(number, [])
            if commit.kind is CommitKind.TOMBSTONES:
                rows |= {"tombstones": buried(connection, number), "lifts": lifted(connection, number)}
            previous = insert_commit(
                connection,
                previous,
                rows,
                commit_no=number,
                kind=commit.kind,
                batch_id=commit.batch_id,
                run_id=commit.run_id,
                pipeline_version=commit.pipeline_version,
                settings_fingerprint=commit.settings_fingerprint,
                committed_at=commit.committed_at,
            )
            parts, spans = rows["parts"], rows["spans"]
            parts = Rows((*parts.names, "replaced_by"), [(*row, commit.replaced_by) for row in parts.rows])
            # Behind the number of the commit come the content and the first ordinal.
            spans = Rows((*spans.names, "retired_by"), [(*row, later[row[1], row[2]]) for row in spans.rows])
            for table, new in ((PARTS, parts), (SPANS, spans), (SIGHTINGS, rows["sightings"])):
                bulk.insert(connection, table, new)
        _stamps(connection, account)


def _stamps(connection: sa.Connection, account: Account) -> None:
    roots = stamps.root_ids(connection, {root for root, _ in account.paths})
    names = ("root_id", "uri", "source", "state", "file_id", "size_bytes", "mtime_ns", "ctime_ns", "inode")
    rows = [
        (roots[root], uri, source, state, file_id, NO_SIZE, mtime_ns, 0, 0)
        for (root, uri), (source, state, file_id, mtime_ns) in account.paths.items()
    ]
    bulk.insert(connection, STAMPS, Rows(names, rows))
