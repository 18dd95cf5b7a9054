"""What stands in a home besides its ledger: whole pairs of parts with their spans, and what a snapshot says.

Belongs here: reading and proving what is left, without a ledger.  Does not belong here: what follows from it
(``recount``), writing a ledger (``ledger``).

A part proves itself: its name ends with the beginning of its sha256, and its rows name their batch.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse import snapshots
from warehouse.errors import DamagedError
from warehouse.layout import Home
from warehouse.listing import LakeFile, lake_files, ours
from warehouse.records import PartReceipt, Span
from warehouse.schema import PARTS

_COUNTED = {
    "paragraph_count": "paragraphs.list.element.segment_count",
    "segment_count": "segments.list.element.byte_count",
}
_FILES = (
    "file_id", "uri", "source", "size_bytes", "encoding", "encoding_confidence", "first_ordinal", "last_ordinal",
    "is_last", "document_count", "reject_count", "pipeline_version", "batch_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HeldSpan:
    """One span that a part has the rows of, and what the part says of its file."""

    batch_id: str
    pipeline_version: str
    uri: str
    source: str
    size_bytes: int
    span: Span

    @property
    def key(self) -> tuple[str, str, int]:
        """What tells it from every other span."""
        return self.batch_id, self.span.file_id, self.span.first_ordinal


@dataclass(frozen=True, slots=True)
class Pair:
    """Both parts that were written together; ``is_merged`` where a compaction made them."""

    name: str
    parts: tuple[PartReceipt, ...]
    spans: tuple[HeldSpan, ...]
    modified_at: int

    @property
    def batches(self) -> frozenset[str]:
        """The batches whose rows it has."""
        return frozenset(held.batch_id for held in self.spans)

    @property
    def is_merged(self) -> bool:
        """Whether it has the rows of other batches' parts."""
        return self.name not in self.batches


@dataclass(frozen=True, slots=True)
class Told:
    """What the newest readable snapshot says; rows have the names of its tables' columns, times are microseconds.

    ``unread`` are snapshots that are newer and cannot be read.
    """

    path: Path | None
    unread: tuple[str, ...]
    loads: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    files: list[dict[str, Any]]
    rejects: dict[str, dict[str, Any]]


_QUERIES = {
    "loads": """
        SELECT commit_no, kind, batch_id, run_id, epoch_us(committed_at) AS committed_at
        FROM loads ORDER BY commit_no""",
    "runs": """
        SELECT run_id, flow, orchestrator, status, epoch_us(started_at) AS started_at,
            epoch_us(finished_at) AS finished_at, pipeline_version, settings_fingerprint, CAST(versions AS VARCHAR)
            AS versions, CAST(counts AS VARCHAR) AS counts, CAST(timings AS VARCHAR) AS timings
        FROM runs ORDER BY run_id""",
    "files": """
        SELECT sighting_no, root, uri, source, file_id, status, reason, size_bytes,
            epoch_us(modified_at) AS modified_at, epoch_us(seen_at) AS seen_at, run_id
        FROM files ORDER BY sighting_no""",
    "rejects": "SELECT reject_id, stage, detail FROM rejects WHERE file_id IS NULL",
}


def told(home: Home) -> Told:
    """What the newest snapshot that can be read says; nothing where there is none."""
    unread: list[str] = []
    for _, path in reversed(snapshots.numbered(home)):
        try:
            with snapshots.opened(path) as database:
                snapshots.about_open(database, path)
                found = {}
                for name, query in _QUERIES.items():
                    answer = database.execute(query)
                    columns = [column[0] for column in answer.description or ()]
                    found[name] = [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]
        except DamagedError:
            unread.append(path.name)
            continue
        rejects = {row["reject_id"]: row for row in found["rejects"]}
        return Told(path, tuple(unread), found["loads"], found["runs"], found["files"], rejects)
    return Told(None, tuple(unread), [], [], [], {})


@dataclass(frozen=True, slots=True)
class Lake:
    """What the lake holds: whole pairs, and in a few words each file that is none of one."""

    pairs: tuple[Pair, ...]
    odd: tuple[str, ...]


def lake(home: Home, files: Iterable[LakeFile] | None = None) -> Lake:
    """Every pair of parts that is as it was written, among these files where some are named; every byte is read."""
    found: dict[str, dict[str, list[tuple[PartReceipt, pa.Table, int]]]] = {}
    odd: list[str] = []
    for file in ours(lake_files(home) if files is None else files):
        batch, _, rest = file.name.partition("-")
        path = home.part(file.kind, file.name)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if not rest.startswith(digest[:16]):
            if not file.name.startswith("."):
                odd.append(f"part {file.kind}/{file.name} was altered")
            continue
        rows = (
            _documents(path) if file.kind == "documents" else pq.read_table(path, columns=[*_FILES], partitioning=None)
        )
        receipt = PartReceipt(
            kind=file.kind,
            name=file.name,
            sha256=digest,
            size_bytes=file.size_bytes,
            row_count=pq.read_metadata(path).num_rows,
        )
        found.setdefault(batch, {}).setdefault(file.kind, []).append((receipt, rows, file.modified_at))
    pairs = []
    for name, kinds in sorted(found.items()):
        pair = _pair(name, kinds) if kinds.keys() == PARTS.keys() else None
        if pair is None:
            odd.append(f"parts of {name} are no whole pair")
        else:
            pairs.append(pair)
    return Lake(tuple(pairs), tuple(odd))


def _documents(path: Path) -> pa.Table:
    """By batch and content, how many documents, paragraphs and segments a part has."""
    # One number of each list is enough to know how long it is: texts are not unpacked.
    table = pq.ParquetFile(path).read(columns=["file_id", "batch_id", *_COUNTED.values()])
    lengths = {name: pc.list_value_length(table[column.partition(".")[0]]) for name, column in _COUNTED.items()}
    counted = pa.table({"file_id": table["file_id"], "batch_id": table["batch_id"], **lengths})
    return counted.group_by(["batch_id", "file_id"]).aggregate(
        [([], "count_all"), ("paragraph_count", "sum"), ("segment_count", "sum")]
    )


def _pair(name: str, kinds: dict[str, list[tuple[PartReceipt, pa.Table, int]]]) -> Pair | None:
    """The pair of these parts, None where they do not add up; of several of one kind the first that does."""
    for documents, counts, written in kinds["documents"]:
        for files, rows, later in kinds["files"]:
            spans = tuple(_spans(rows.to_pylist(), counts.to_pylist()))
            if sum(held.span.document_count for held in spans) == documents.row_count and len(spans) == files.row_count:
                return Pair(name, (documents, files), spans, max(written, later))
    return None


def _spans(rows: list[dict[str, Any]], counts: list[dict[str, Any]]) -> Iterator[HeldSpan]:
    by_file = {(row["batch_id"], row["file_id"]): row for row in counts}
    for row in rows:
        count = by_file.get((row["batch_id"], row["file_id"]), {})
        if count.get("count_all", 0) != row["document_count"]:
            continue
        yield HeldSpan(
            batch_id=row["batch_id"],
            pipeline_version=row["pipeline_version"],
            uri=row["uri"],
            source=row["source"],
            size_bytes=row["size_bytes"],
            span=Span(
                file_id=row["file_id"],
                first_ordinal=row["first_ordinal"],
                last_ordinal=row["last_ordinal"],
                is_last=row["is_last"],
                encoding=row["encoding"],
                encoding_confidence=row["encoding_confidence"],
                document_count=row["document_count"],
                reject_count=row["reject_count"],
                paragraph_count=count.get("paragraph_count_sum", 0),
                segment_count=count.get("segment_count_sum", 0),
            ),
        )
