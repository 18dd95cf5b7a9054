"""From the rows of a part to the rows of the public tables: what a part leaves out is derived here.

Belongs here: pure functions of Arrow tables; ids, offsets, counts and segment texts.  Does not belong here: DuckDB
(``loader``) or files (``parts``).
"""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.errors import DamagedError
from warehouse.parts import document_id
from warehouse.records import Commit, short_hash
from warehouse.schema import TABLES
from warehouse.uri import member_uri
from warehouse.vocabulary import FileStatus

# (file_id, first ordinal) -> last ordinal of the spans that count.
LIVE = dict[tuple[str, int], int]


def _is_live(live: LIVE, file_ids: pa.ChunkedArray, ordinals: pa.ChunkedArray) -> pa.Array:
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


def _hashes(texts: pa.Array) -> pa.Array:
    return pa.array([hashlib.sha256(t.encode()).hexdigest()[:32] for t in texts.to_pylist()], pa.string())


def document_tables(documents: pa.Table, files: pa.Table, live: LIVE) -> dict[str, pa.Table]:
    """The rows of ``documents``, ``paragraphs`` and ``segments`` that one batch adds.

    Raises ``DamagedError`` where the spans of a part do not add up to its texts.
    """
    documents = documents.filter(_is_live(live, documents["file_id"], documents["ordinal"])).combine_chunks()
    if documents.num_rows == 0:
        return {}
    column = {name: documents[name].combine_chunks() for name in documents.schema.names}
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
        np.array_equal(cuts[::2][_starts(segment_counts)], offsets)
        and np.array_equal(first[_starts(paragraph_counts)], _starts(segment_counts))
        and held.all()
    ):
        raise DamagedError("a part's segments do not add up to its texts; restore it from a backup and rebuild")
    characters = np.concatenate([[0], np.cumsum((data & 0xC0) != 0x80, dtype=np.int64)])
    document_of_segment = np.repeat(np.arange(len(text)), segment_counts)
    base = characters[offsets[:-1]][document_of_segment]
    starts, ends = characters[cuts[:-1:2]] - base, characters[cuts[1::2]] - base
    both = pa.StringArray.from_buffers(len(pieces), pa.py_buffer(cuts.astype(np.int32)), text.buffers()[2])
    segment_texts = both.take(pa.array(np.arange(0, len(pieces), 2)))

    paragraph_of_segment = np.repeat(np.arange(len(held)), held)
    paragraph_no = _numbers(paragraph_counts)
    nested = column["paragraphs"].flatten()
    document_of_paragraph = np.repeat(np.arange(len(text)), paragraph_counts)
    segment_no = _numbers(segment_counts)
    segment_ids = ids.take(pa.array(document_of_segment))

    identity = dict(zip(files["file_id"].to_pylist(), zip(files["uri"].to_pylist(), files["source"].to_pylist(),
                                                          strict=True), strict=True))  # fmt: skip
    found = [identity[file_id] for file_id in column["file_id"].to_pylist()]
    members = column["member"].to_pylist() if "member" in column else [None] * len(found)
    derived = {
        "document_id": ids,
        "uri": pa.array([member_uri(uri, inside) for (uri, _), inside in zip(found, members, strict=True)]),
        "source": pa.array([source for _, source in found]),
        "text_id": _hashes(text),
        "char_count": pa.array(np.diff(characters[offsets])),
        "paragraph_count": pa.array(paragraph_counts),
        "segment_count": pa.array(segment_counts),
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
        "segments": {
            "segment_id": pa.array(
                [f"{d}-{n:05d}" for d, n in zip(segment_ids.to_pylist(), segment_no.tolist(), strict=True)]
            ),
            "document_id": segment_ids,
            "paragraph_no": pa.array(paragraph_no[paragraph_of_segment]),
            "segment_no": pa.array(segment_no),
            "kind": nested.field("kind").take(pa.array(paragraph_of_segment)),
            "text": segment_texts,
            "separator": both.take(pa.array(np.arange(1, len(pieces), 2))),
            "char_start": pa.array(starts),
            "char_end": pa.array(ends),
            "text_id": _hashes(segment_texts),
            "language": column["language"].take(pa.array(document_of_segment)),
            "published_on": column["published_on"].take(pa.array(document_of_segment)),
        },
    }
    return {name: _typed(name, columns) for name, columns in rows.items()}


def _typed(table: str, columns: dict[str, pa.Array]) -> pa.Table:
    schema = TABLES[table]
    return pa.table([columns[field.name].cast(field.type) for field in schema], schema=schema)


def reject_table(commit: Commit, files: pa.Table, live: LIVE) -> pa.Table:
    """The rows of ``rejects`` that reading the files of one batch gave."""
    keys = zip(files["file_id"].to_pylist(), files["first_ordinal"].to_pylist(), strict=True)
    kept = files.filter(pa.array([key in live for key in keys], pa.bool_()))
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


def sighting_table(commit: Commit, sightings: list[dict[str, Any]]) -> pa.Table:
    """The rows of ``files`` that one commit adds, out of the ledger's sightings."""
    rows = []
    for sighting in sightings:
        documents, rejects = int(sighting["document_count"] or 0), int(sighting["reject_count"] or 0)
        is_first = sighting["status"] in (FileStatus.INGESTED, FileStatus.REJECTED)
        status = sighting["status"]
        if is_first and sighting["file_id"] is not None:
            status = FileStatus.INGESTED if documents else FileStatus.REJECTED
        rows.append(
            {
                "file_id": sighting["file_id"],
                "root": sighting["location"],
                "uri": sighting["uri"],
                "source": sighting["source"],
                "size_bytes": sighting["size_bytes"],
                "modified_at": sighting["modified_ns"] // 1000,
                "seen_at": commit.committed_at,
                "status": status,
                "reason": sighting["reason"],
                "encoding": sighting["encoding"],
                "encoding_confidence": sighting["encoding_confidence"],
                "document_count": documents if is_first else 0,
                "reject_count": rejects if is_first else 0,
                "is_current": sighting["file_id"] is not None,
                "sighting_no": sighting["sighting_no"],
                "run_id": commit.run_id,
            }
        )
    return pa.Table.from_pylist(rows, schema=TABLES["files"])


def content_table(contents: list[dict[str, Any]]) -> pa.Table:
    """Encoding and counts of contents, typed as in ``files``."""
    names = ("file_id", "encoding", "encoding_confidence", "document_count", "reject_count")
    schema = pa.schema([TABLES["files"].field(name) for name in names])
    rows = [{**row, **{name: int(row[name] or 0) for name in ("document_count", "reject_count")}} for row in contents]
    return pa.Table.from_pylist(rows, schema=schema)


def sighting_rejects(commit: Commit, sightings: list[dict[str, Any]]) -> pa.Table:
    """The rows of ``rejects`` for paths that were refused unread."""
    rows = [
        {
            "reject_id": short_hash(f"{sighting['location']}\n{sighting['uri']}"),
            "uri": sighting["uri"],
            "file_id": None,
            "ordinal": None,
            "stage": sighting["stage"],
            "reason": sighting["reason"],
            "detail": sighting["detail"] or "",
            "preview": None,
            "run_id": commit.run_id,
            "rejected_at": commit.committed_at,
        }
        for sighting in sightings
        if sighting["file_id"] is None and sighting["status"] == FileStatus.REJECTED
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["rejects"])
