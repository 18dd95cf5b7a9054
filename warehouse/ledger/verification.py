"""Proofs over the ledger alone: the chain of commits, and that every content is whole.

Belongs here: checks that need only the ledger.  Does not belong here: parts and DuckDB (``warehouse.verify``).
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from warehouse.ledger.chain import NO_HASH, UNCHAINED, chain_hash
from warehouse.ledger.compactions import replacements, takers
from warehouse.ledger.store import Ledger
from warehouse.ledger.tables import COMMITS, PARTS, SIGHTINGS, SPANS, STAMPS, TOMBSTONES
from warehouse.ledger.tombstones import buried, lifted
from warehouse.vocabulary import CommitKind

# Of a file that is damaged all over.
_MOST_LINES = 10
# What changes in place stays out of the hash of the commit that it stands at.
LATER = ("retired_by", "replaced_by")


def _own_rows(connection: sa.Connection, table: sa.Table, commit_no: int, order: list[str]) -> list[dict[str, Any]]:
    query = sa.select(*(c for c in table.columns if c.name not in LATER))
    query = query.where(table.c.commit_no == commit_no).order_by(*(table.c[name] for name in order))
    return list(map(dict, connection.execute(query).mappings()))


def chain_problems(ledger: Ledger) -> Iterator[str]:
    """What is wrong with the ledger, one line each: gaps, changed commits, spans that overlap or leave a hole."""
    with ledger.reading() as connection:
        previous, expected = NO_HASH, 1
        for commit in connection.execute(sa.select(COMMITS).order_by(COMMITS.c.commit_no)).mappings().all():
            if commit["commit_no"] != expected:
                yield f"ledger: commit {expected} is missing"
            head = {key: value for key, value in commit.items() if key not in UNCHAINED}
            rows = {
                "parts": _own_rows(connection, PARTS, commit["commit_no"], ["kind"]),
                "spans": _own_rows(connection, SPANS, commit["commit_no"], ["file_id", "first_ordinal"]),
                "sightings": _own_rows(connection, SIGHTINGS, commit["commit_no"], ["sighting_no"]),
            }
            replaces = replacements(connection, commit["commit_no"])
            if replaces or commit["kind"] == CommitKind.COMPACTION:
                rows["replaces"] = replaces
            forgotten: dict[str, list[Any]] = {
                "tombstones": buried(connection, commit["commit_no"]),
                "lifts": lifted(connection, commit["commit_no"]),
            }
            if any(forgotten.values()) or commit["kind"] == CommitKind.TOMBSTONES:
                rows |= forgotten
            if chain_hash(previous, head, rows) != commit["commit_hash"]:
                yield f"ledger: commit {commit['commit_no']} was changed, or the one before it"
            previous, expected = commit["commit_hash"], commit["commit_no"] + 1
        for table in (PARTS, SPANS, SIGHTINGS, TOMBSTONES):
            strays = sa.select(table.c.commit_no).where(table.c.commit_no.not_in(sa.select(COMMITS.c.commit_no)))
            for number in connection.scalars(strays.distinct().order_by(table.c.commit_no)):
                yield f"ledger: commit {number} was removed, but its {table.name} are there"
        yield from _compaction_problems(connection)
        yield from _span_problems(connection)
        yield from _stamp_problems(connection)
        yield from _tombstone_problems(connection)


def storage_problems(ledger: Ledger) -> Iterator[str]:
    """What SQLite finds wrong with the ledger's own pages, one line each; a server looks after its own.

    Reads the whole file.  A row and the index that leads to it both hold some columns, and a query reads them from
    either: what the chain proves of one says nothing of the other.
    """
    if ledger.engine.dialect.name != "sqlite":
        return
    with ledger.reading() as connection:
        for line in connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST_LINES})").scalars():
            if line != "ok":
                yield (
                    f"ledger: SQLite finds its file damaged ({line}); put it back from a backup, else run "
                    "`newsmill rebuild --ledger`"
                )


def _compaction_problems(connection: sa.Connection) -> Iterator[str]:
    """A compaction holds exactly those rows that were current when it was made."""
    parts = connection.execute(sa.select(PARTS).order_by(PARTS.c.commit_no, PARTS.c.kind)).all()
    numbers = set(connection.scalars(sa.select(COMMITS.c.commit_no)))
    for part in parts:
        if part.replaced_by is not None and part.replaced_by not in numbers:
            yield f"ledger: commit {part.replaced_by} replaced the part {part.name}, but was removed"
    query = sa.select(
        SPANS.c.commit_no,
        SPANS.c.retired_by,
        sa.func.count().label("files"),
        sa.func.sum(SPANS.c.document_count).label("documents"),
    ).group_by(SPANS.c.commit_no, SPANS.c.retired_by)
    spans: dict[int, list[sa.Row[Any]]] = {}
    for row in connection.execute(query):
        spans.setdefault(row.commit_no, []).append(row)
    replaced_by = {part.commit_no: part.replaced_by for part in parts}
    wanted: Counter[tuple[int, str]] = Counter()
    for origin, rows in spans.items():
        for holder in takers(replaced_by, origin):
            for row in rows:
                if row.retired_by is None or row.retired_by > holder:
                    wanted[holder, "files"] += row.files
                    wanted[holder, "documents"] += int(row.documents)
    compactions = sa.select(COMMITS.c.commit_no).where(COMMITS.c.kind == CommitKind.COMPACTION)
    made = set(connection.scalars(compactions))
    for part in parts:
        if part.commit_no in made and part.row_count != wanted[part.commit_no, part.kind]:
            yield (
                f"ledger: part {part.name} of compaction {part.commit_no} has {part.row_count} rows, but "
                f"{wanted[part.commit_no, part.kind]} were current"
            )


def _span_problems(connection: sa.Connection) -> Iterator[str]:
    current = sa.select(SPANS).where(SPANS.c.retired_by.is_(None)).order_by(SPANS.c.file_id, SPANS.c.first_ordinal)
    file_id, expected = None, 0
    for span in connection.execute(current):
        if span.file_id != file_id:
            file_id, expected = span.file_id, 0
        if span.first_ordinal != expected:
            yield f"ledger: file {file_id} has no current records from {expected} to {span.first_ordinal - 1}"
        records = span.last_ordinal - span.first_ordinal + 1
        if records != span.document_count + span.reject_count:
            yield (
                f"ledger: file {file_id}: {records} records read, but {span.document_count} documents "
                f"and {span.reject_count} rejects"
            )
        expected = span.last_ordinal + 1


def _stamp_problems(connection: sa.Connection) -> Iterator[str]:
    settled = sa.select(STAMPS.c.uri, STAMPS.c.file_id).where(
        STAMPS.c.state == "settled",
        STAMPS.c.file_id.is_not(None),
        ~sa.exists().where(SPANS.c.file_id == STAMPS.c.file_id, SPANS.c.is_last, SPANS.c.retired_by.is_(None)),
    )
    for row in connection.execute(settled):
        yield f"ledger: {row.uri} counts as settled, but its content {row.file_id} is not committed to its end"
    unseen = sa.select(STAMPS.c.uri).where(
        STAMPS.c.state != "pending",
        ~sa.exists().where(SIGHTINGS.c.root_id == STAMPS.c.root_id, SIGHTINGS.c.uri == STAMPS.c.uri),
    )
    for row in connection.execute(unseen):
        yield f"ledger: {row.uri} counts as settled, but no commit names it"


def _tombstone_problems(connection: sa.Connection) -> Iterator[str]:
    """What is forgotten counts nowhere, and its forgetting came to its end."""
    current = sa.exists().where(SPANS.c.file_id == TOMBSTONES.c.file_id, SPANS.c.retired_by.is_(None))
    for row in connection.execute(sa.select(TOMBSTONES).order_by(TOMBSTONES.c.commit_no, TOMBSTONES.c.file_id)):
        if row.erased_at is None:
            yield f"ledger: the forgetting of {row.file_id} was begun and not finished; run `newsmill forget`"
    forgotten = sa.select(TOMBSTONES.c.file_id).where(TOMBSTONES.c.lifted_by.is_(None), current)
    for file_id in connection.scalars(forgotten):
        yield f"ledger: {file_id} was forgotten, but a commit holds records of it that count"
