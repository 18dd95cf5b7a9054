"""Merge small parts into larger ones.

Belongs here: which parts are worth merging, and the merge.  Does not belong here: the bytes of a part (``parts``), the
commit that moves rows (``ledger``), publishing (``loader``), removing what is replaced (``clean``).

The order is the promise: the merged parts are durable before one commit names them and lets go of those that they
replace.  A kill at any moment leaves orphans at most.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from warehouse import batches, ledger, parts
from warehouse.errors import LedgerError
from warehouse.layout import Home
from warehouse.ledger import Holder, Ledger
from warehouse.projection import live_documents, live_files
from warehouse.records import short_hash
from warehouse.schema import PARTS

# What a row costs in memory besides its values: places in lists and strings, and the key that it is sorted by.
ROW_BYTES = 500


@dataclass(frozen=True, slots=True)
class CompactOptions:
    """How large parts grow, and how tightly they are written; figures in docs/decisions/0007.

    ``part_bytes`` counts what stands on disk; ``memory_bytes`` what it is before compression, of which a merge holds
    about three times as much.
    """

    level: int = 19
    page_bytes: int = 8 << 20
    part_bytes: int = 32_000_000
    memory_bytes: int = 128_000_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A holder of rows and what it weighs: bytes of its parts on disk, and before compression."""

    holder: Holder
    size_bytes: int
    raw_bytes: int

    @property
    def live_share(self) -> float:
        """Which share of its rows counts."""
        return self.holder.live_count / self.holder.row_count if self.holder.row_count else 1.0

    @property
    def live_bytes(self) -> float:
        """What it adds to a merged part."""
        return self.size_bytes * self.live_share

    @property
    def is_wasteful(self) -> bool:
        """Whether a third of it or more are rows that were replaced since."""
        return self.live_share <= 2 / 3

    @property
    def is_hot(self) -> bool:
        """Whether an ingest wrote it, which is in a hurry."""
        return not self.holder.is_compaction

    def is_settled(self, options: CompactOptions) -> bool:
        """Whether it stays as it is: as large as a part gets, or too large for a merge."""
        if not self.holder.live_count:
            return False  # its rows need not even be read
        if self.raw_bytes > options.memory_bytes:
            return True
        return not self.is_hot and not self.is_wasteful and self.live_bytes > options.part_bytes / 2


def _packed(candidates: Iterable[Candidate], options: CompactOptions) -> Iterator[list[Candidate]]:
    """Neighbours that fit into one part."""
    run: list[Candidate] = []
    for candidate in candidates:
        if candidate.is_settled(options):
            yield run
            run = []
            continue
        more = [*run, candidate]
        if run and (
            sum(one.live_bytes for one in more) > options.part_bytes
            or sum(one.raw_bytes * one.live_share for one in more) > options.memory_bytes
        ):
            yield run
            more = [candidate]
        run = more
    yield run


def plan(candidates: Sequence[Candidate], options: CompactOptions) -> list[list[Candidate]]:
    """Which holders become one part each, all others stay as they are; ``candidates`` in the order of their batches.

    A part that was compacted before is written again only where what joins it is half as large: else a home that
    grows by a little every day would write all of it every day.
    """
    groups = []
    for run in _packed(candidates, options):
        group = list(run)
        while group:
            first, rest = group[0], group[1:]
            if first.is_hot or first.is_wasteful or first.live_bytes <= 2 * sum(one.live_bytes for one in rest):
                groups.append(group)
                break
            group = rest
    return groups


def candidates(home: Home, book: Ledger) -> list[Candidate]:
    """Every holder with what it weighs; reads the footers of those parts that hold a row that counts."""
    return [
        Candidate(
            holder,
            sum(part.size_bytes for part in holder.parts),
            sum(parts.raw_bytes(home, part) + ROW_BYTES * part.row_count for part in holder.parts)
            if holder.live_count
            else 0,
        )
        for holder in ledger.holders(book)
    ]


def _conformed(table: pa.Table, kind: str, name: str) -> pa.Table:
    """A part as this version writes it: columns that an older one did not know are NULL."""
    schema = PARTS[kind]
    if unknown := set(table.schema.names) - set(schema.names):
        raise LedgerError(f"part {kind}/{name} has a column {min(unknown)!r} of a newer newsmill; install that version")
    missing = {field.name: pa.nulls(len(table), field.type) for field in schema if field.name not in table.schema.names}
    return pa.table(
        [missing[field.name] if field.name in missing else table[field.name].cast(field.type) for field in schema],
        schema=schema,
    )


def _merged(home: Home, book: Ledger, group: Sequence[Candidate]) -> dict[str, pa.Table]:
    """The rows of a group that count, as both parts."""
    keep = {"documents": live_documents, "files": live_files}
    found: dict[str, list[pa.Table]] = {kind: [PARTS[kind].empty_table()] for kind in keep}
    for candidate in group:
        holder = candidate.holder
        if not holder.live_count:
            continue
        spans = ledger.live_spans(book, holder.origins)
        file_rows = sum(part.row_count for part in holder.parts if part.kind == "files")
        live = spans if len(spans) < file_rows else None
        for part in holder.parts:
            rows = keep[part.kind](parts.read(home, part), live)
            found[part.kind].append(_conformed(rows, part.kind, part.name))
    documents = pa.concat_tables(found.pop("documents")).combine_chunks()
    order = batches.document_order(
        documents["language"].to_pylist(),
        documents["published_on"].to_pylist(),
        zip(documents["file_id"].to_pylist(), documents["ordinal"].to_pylist(), strict=True),
    )
    return {"documents": documents.take(pa.array(order, pa.int64())), "files": pa.concat_tables(found.pop("files"))}


def _name(group: Sequence[Candidate]) -> str:
    """What a merged part is called after: the parts that it was made of."""
    return short_hash(json.dumps([[part.kind, part.name] for one in group for part in one.holder.parts]))


def merge(
    home: Home, book: Ledger, run_id: str, group: Sequence[Candidate], options: CompactOptions,
    *, pipeline_version: str, settings_fingerprint: str,
) -> int:  # fmt: skip
    """Write the rows of a group as one part of each kind and commit them; returns how many commits gave theirs.

    The caller holds the run lock.
    """
    seen = ledger.last_commit(book)
    how = parts.PartOptions(level=options.level, page_bytes=options.page_bytes)
    name = _name(group)
    written = [parts.write(home, kind, table, name, how) for kind, table in _merged(home, book, group).items()]
    ledger.compact(
        book,
        run_id,
        parts=written,
        replaced=[one.holder.commit_no for one in group],
        seen=seen,
        pipeline_version=pipeline_version,
        settings_fingerprint=settings_fingerprint,
    )
    return len(group)
