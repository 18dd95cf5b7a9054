"""From the rows of a part to the rows of the public tables: what a part leaves out is derived here.

Belongs here: pure functions of Arrow tables; ids, offsets, counts and places.  Does not belong here: DuckDB
(``loader``) or files (``parts``).
"""

import hashlib
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.batches import document_id
from warehouse.errors import DamagedError
from warehouse.records import Commit, short_hash
from warehouse.schema import TABLES
from warehouse.uri import member_uri
from warehouse.vocabulary import FileStatus

# (file_id, first ordinal) -> last ordinal of the spans that count; None where all of a part do.
LIVE = dict[tuple[str, int], int] | None

_FIRST = (FileStatus.INGESTED, FileStatus.REJECTED)


def _is_live(live: dict[tuple[str, int], int], file_ids: pa.ChunkedArray, ordinals: pa.ChunkedArray) -> pa.Array:
    ranges: dict[str, list[tuple[int, int]]] = {}
    for (file_id, first), last in live.items():
        ranges.setdefault(file_id, []).append((first, last))
    return pa.array(
        [
            any(first <= ordinal <= last for first, last in ranges.get(file_id, ()))
            for file_id, ordinal in zip(file_ids.to_pylist(), ordinals.to_pylist(), strict=True)
        ],
        pa.bool_(),
    )


def live_documents(documents: pa.Table, live: LIVE) -> pa.Table:
    """The rows of a documents part whose spans count."""
    if live is None:
        return documents
    return documents.filter(_is_live(live, documents["file_id"], documents["ordinal"]))


def live_files(files: pa.Table, live: LIVE) -> pa.Table:
    """The rows of a files part whose spans count."""
    if live is None:
        return files
    keys = zip(files["file_id"].to_pylist(), files["first_ordinal"].to_pylist(), strict=True)
    return files.filter(pa.array([key in live for key in keys], pa.bool_()))


def _starts(lengths: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Where each of consecutive pieces begins, with the end of the last behind: n lengths, n + 1 positions."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _flat(lists: pa.ListArray, field: str) -> np.ndarray[Any, Any]:
    return np.asarray(lists.flatten().field(field)).astype(np.int64)


def _lengths(lists: pa.ListArray) -> np.ndarray[Any, Any]:
    return np.asarray(pc.list_value_length(lists)).astype(np.int64)


def _numbers(lengths: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """0, 1, 2 … anew for each of the lengths."""
    numbers: np.ndarray[Any, Any] = np.arange(lengths.sum()) - np.repeat(_starts(lengths)[:-1], lengths)
    return numbers


def _continues(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Whether a byte of UTF-8 is not the first of its character."""
    continues: np.ndarray[Any, Any] = data.view(np.int8) < -64
    return continues


def _character_counts(data: np.ndarray[Any, Any], cuts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Characters between each two of the byte positions: n + 1 positions, n counts."""
    # Bytes that continue a character are few in most texts.
    continuing = np.flatnonzero(_continues(data))
    counts: np.ndarray[Any, Any] = np.diff(cuts) - np.diff(np.searchsorted(continuing, cuts))
    return counts


def _hashes(data: np.ndarray[Any, Any], offsets: np.ndarray[Any, Any]) -> pa.Array:
    """Of each piece of the bytes, where they lie: as strings all texts of a batch would be there twice more."""
    return pa.array(
        [hashlib.sha256(data[a:b].tobytes()).hexdigest()[:32] for a, b in itertools.pairwise(offsets.tolist())],
        pa.string(),
    )


def document_tables(documents: pa.Table, files: pa.Table, live: LIVE) -> dict[str, pa.Table]:
    """The rows of ``documents`` and ``paragraphs`` that one batch adds.

    Raises ``DamagedError`` where the spans of a part do not add up to its texts.
    """
    documents = live_documents(documents, live)
    documents = documents.combine_chunks()
    if documents.num_rows == 0:
        return {}
    column = {name: documents[name].chunk(0) for name in documents.schema.names}
    text: pa.Array = column["text"]
    ids = pa.array([document_id(f, o) for f, o in zip(column["file_id"].to_pylist(), column["ordinal"].to_pylist(),
                                                      strict=True)])  # fmt: skip
    # Byte positions in the one buffer that holds all texts of the batch, back to back.
    offsets = np.frombuffer(text.buffers()[1], np.int32)[text.offset : text.offset + len(text) + 1].astype(np.int64)
    data = np.frombuffer(text.buffers()[2] or b"", np.uint8)
    segment_counts = _lengths(column["segments"])
    sizes = _flat(column["segments"], "byte_count")
    pieces = np.column_stack([sizes, _flat(column["segments"], "separator_count")]).ravel()
    cuts = _starts(pieces) + offsets[0]
    paragraph_counts = _lengths(column["paragraphs"])
    held = _flat(column["paragraphs"], "segment_count")
    first = _starts(held)
    if not (
        (pieces >= 0).all()
        and np.array_equal(cuts[::2][_starts(segment_counts)], offsets)
        and not _continues(data[cuts[cuts < len(data)]]).any()
        and np.array_equal(first[_starts(paragraph_counts)], _starts(segment_counts))
        and held.all()
    ):
        raise DamagedError("a part's segments do not add up to its texts; restore it from a backup and rebuild")
    characters = _starts(_character_counts(data, cuts))
    document_of_segment = np.repeat(np.arange(len(text)), segment_counts)
    bounds = characters[::2][_starts(segment_counts)]
    base = bounds[:-1][document_of_segment]
    starts, ends = characters[:-1:2] - base, characters[1::2] - base
    paragraph_of_segment = np.repeat(np.arange(len(held)), held)
    paragraph_no = _numbers(paragraph_counts)
    nested = column["paragraphs"].flatten()
    document_of_paragraph = np.repeat(np.arange(len(text)), paragraph_counts)

    identity = dict(zip(files["file_id"].to_pylist(), zip(files["uri"].to_pylist(), files["source"].to_pylist(),
                                                          strict=True), strict=True))  # fmt: skip
    found = [identity[file_id] for file_id in column["file_id"].to_pylist()]
    members = column["member"].to_pylist() if "member" in column else [None] * len(found)
    derived = {
        "document_id": ids,
        "uri": pa.array([member_uri(uri, inside) for (uri, _), inside in zip(found, members, strict=True)]),
        "source": pa.array([source for _, source in found]),
        "text_id": _hashes(data, offsets),
        "char_count": pa.array(np.diff(bounds)),
        "paragraph_count": pa.array(paragraph_counts),
        "segment_count": pa.array(segment_counts),
        # What most are; ``standing`` looks at those that may not be.
        "is_distinct": pa.array([True] * len(text)),
        "copy_count": pa.array([1] * len(text)),
        "segment_places": _places(
            segment_counts,
            paragraph_no=paragraph_no[paragraph_of_segment],
            kind=nested.field("kind").take(pa.array(paragraph_of_segment)),
            byte_start=cuts[:-1:2] - offsets[:-1][document_of_segment],
            byte_count=sizes,
            separator_count=pieces[1::2],
            char_start=starts,
            char_count=ends - starts,
        ),
    }
    rows = {
        "documents": {**column, **derived},
        "paragraphs": {
            "document_id": ids.take(pa.array(document_of_paragraph)),
            "paragraph_no": pa.array(paragraph_no),
            **{name: nested.field(name) for name in ("kind", "credit", "language", "language_confidence")},
            "char_start": pa.array(starts[first[:-1]]),
            "char_end": pa.array(ends[first[1:] - 1]),
        },
    }
    return {name: _typed(name, columns) for name, columns in rows.items()}


def _places(counts: np.ndarray[Any, Any], **columns: np.ndarray[Any, Any] | pa.Array) -> pa.Array:
    kind = TABLES["documents"].field("segment_places").type
    fields = list(kind.value_type)
    structs = pa.StructArray.from_arrays(
        [pa.array(columns[field.name]).cast(field.type) for field in fields], fields=fields
    )
    return pa.ListArray.from_arrays(pa.array(_starts(counts).astype(np.int32)), structs).cast(kind)


def _typed(table: str, columns: dict[str, pa.Array]) -> pa.Table:
    schema = TABLES[table]
    return pa.table([columns[field.name].cast(field.type) for field in schema], schema=schema)


def reject_table(commit: Commit, files: pa.Table, live: LIVE) -> pa.Table:
    """The rows of ``rejects`` that reading the files of one batch gave."""
    kept = live_files(files, live).filter(pc.field("reject_count") > 0)
    rows = [
        {
            **reject,
            "reject_id": short_hash(f"{row['file_id']}:{reject['ordinal']}"),
            "uri": member_uri(row["uri"], reject.get("member")),
            "file_id": row["file_id"],
            "run_id": commit.run_id,
            "rejected_at": commit.committed_at,
        }
        for row in kept.select(["file_id", "uri", "rejects"]).to_pylist()
        for reject in row["rejects"]
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["rejects"])


def columns(rows: Sequence[Any]) -> dict[str, Sequence[Any]]:
    """Named tuples, of which there is at least one, column by column: asked row by row each name is looked up anew."""
    return dict(zip(rows[0]._fields, zip(*rows, strict=True), strict=True))


def sighting_table(commit: Commit, sightings: Sequence[Any]) -> pa.Table:
    """The rows of ``files`` that one commit adds, out of the ledger's sightings."""
    schema = TABLES["files"]
    if not sightings:
        return schema.empty_table()
    of = columns(sightings)
    # The row that its content's documents and rejects are counted in: not a duplicate.
    counted = [
        file_id is not None and status in _FIRST for file_id, status in zip(of["file_id"], of["status"], strict=True)
    ]
    counts = {
        name: [int(found or 0) if own else 0 for found, own in zip(of[name], counted, strict=True)]
        for name in ("document_count", "reject_count")
    }
    derived: dict[str, Sequence[Any]] = {
        **counts,
        "root": of["location"],
        "modified_at": [ns // 1000 for ns in of["modified_ns"]],
        "seen_at": [commit.committed_at] * len(sightings),
        "status": [
            (FileStatus.INGESTED if held else FileStatus.REJECTED) if own else status
            for status, own, held in zip(of["status"], counted, counts["document_count"], strict=True)
        ],
        "is_current": [file_id is not None for file_id in of["file_id"]],
        "run_id": [commit.run_id] * len(sightings),
    }
    found = of | derived
    return pa.table([pa.array(found[field.name], field.type) for field in schema], schema=schema)


def content_table(contents: list[dict[str, Any]]) -> pa.Table:
    """Encoding and counts of contents, typed as in ``files``."""
    names = ("file_id", "encoding", "encoding_confidence", "document_count", "reject_count")
    schema = pa.schema([TABLES["files"].field(name) for name in names])
    rows = [{**row, **{name: int(row[name] or 0) for name in ("document_count", "reject_count")}} for row in contents]
    return pa.Table.from_pylist(rows, schema=schema)


def sighting_rejects(commit: Commit, sightings: Sequence[Any]) -> pa.Table:
    """The rows of ``rejects`` for paths that were refused unread."""
    rows = [
        {
            "reject_id": short_hash(f"{sighting.location}\n{sighting.uri}"),
            "uri": sighting.uri,
            "file_id": None,
            "ordinal": None,
            "stage": sighting.stage,
            "reason": sighting.reason,
            "detail": sighting.detail or "",
            "preview": None,
            "run_id": commit.run_id,
            "rejected_at": commit.committed_at,
        }
        for sighting in sightings
        if sighting.file_id is None and sighting.status == FileStatus.REJECTED
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["rejects"])
