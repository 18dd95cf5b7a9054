"""From the results of a batch to its name, its spans, and the rows of its parts.

Belongs here: pure functions of results; Arrow columns of ``schema.PARTS``.  Does not belong here: bytes of a part
(``parts``), what is derived from a part's rows later (``projection``).
"""

import itertools
import json
from collections.abc import Iterable, Sequence
from datetime import date
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa

from warehouse.records import Document, FileResult, Span, short_hash
from warehouse.schema import PARTS

_REJECT_FIELDS = ("ordinal", "stage", "reason", "detail", "preview", "member")


def document_id(file_id: str, ordinal: int) -> str:
    """The id of a document: first 32 hex digits of sha256 of the ASCII ``file_id:ordinal``.

    >>> document_id("0" * 64, 0)
    '6a2ea17ca8998eeb90196b94c7fbf983'
    """
    return short_hash(f"{file_id}:{ordinal}")


def spans_of(results: Iterable[FileResult]) -> tuple[Span, ...]:
    """What the ledger must know of each file of a batch."""
    return tuple(
        Span(
            file_id=result.file.file_id,
            first_ordinal=result.file.first_ordinal,
            last_ordinal=result.file.first_ordinal + result.record_count - 1,
            is_last=result.is_last,
            encoding=result.encoding,
            encoding_confidence=result.encoding_confidence,
            document_count=len(result.documents),
            reject_count=len(result.rejects),
            paragraph_count=sum(len(document.paragraphs) for document in result.documents),
            segment_count=sum(len(document.segments) for document in result.documents),
        )
        for result in results
    )


def batch_id(spans: Iterable[Span], pipeline_version: str, settings_fingerprint: str) -> str:
    """The id of a batch: 32 hex digits over its (file_id, first, last ordinal) list, version and settings."""
    members = sorted((span.file_id, span.first_ordinal, span.last_ordinal) for span in spans)
    return short_hash(json.dumps([members, pipeline_version, settings_fingerprint]))


def _lists(lengths: Sequence[int], columns: dict[str, pa.Array | Sequence[Any]], of: pa.DataType) -> pa.Array:
    """A list of structs a document, out of one column a field that goes through all documents."""
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int32)]).astype(np.int32)
    arrays = [pa.array(columns[field.name], field.type) for field in of.value_type]
    return pa.ListArray.from_arrays(
        pa.array(starts), pa.StructArray.from_arrays(arrays, fields=list(of.value_type))
    ).cast(of)


def _byte_cuts(documents: Sequence[Document], data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Where segments begin and end in the bytes of all these texts, one behind the other: shape (segments, 2)."""
    first = np.concatenate([[0], np.cumsum([len(document.text) for document in documents], dtype=np.int64)])
    counts = [len(document.segments) for document in documents]
    cuts = np.concatenate([document.segments.rows[:, 1:] for document in documents])
    cuts = cuts + np.repeat(first[:-1], counts)[:, None]
    # What follows the first byte of a character, and how many characters begin before it.
    inner = np.flatnonzero((data & 0xC0) == 0x80)
    inner -= np.arange(len(inner))
    found: np.ndarray[Any, Any] = cuts + np.searchsorted(inner, cuts, side="right")
    return found


def _segment_spans(documents: Sequence[Document], texts: pa.Array) -> pa.Array:
    """Lengths in bytes of segments and of what follows them, found in the one buffer that holds all texts."""
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    ends = np.frombuffer(texts.buffers()[1] or b"", np.int32)
    counts = [len(document.segments) for document in documents]
    # So many at once that what is kept of every byte stays small.
    bounds = itertools.pairwise([*range(0, len(documents), 250), len(documents)])
    cuts = np.concatenate(
        [ends[low] + _byte_cuts(documents[low:high], data[ends[low] : ends[high]]) for low, high in bounds]
    )
    following = np.append(cuts[1:, 0], len(data))
    # Behind the last segment of a document nothing follows.
    last = np.cumsum(counts) - 1
    following[last] = cuts[last, 1]
    return _lists(
        counts,
        {"byte_count": cuts[:, 1] - cuts[:, 0], "separator_count": following - cuts[:, 1]},
        PARTS["documents"].field("segments").type,
    )


def _paragraph_spans(documents: Sequence[Document]) -> pa.Array:
    paragraphs = [paragraph for document in documents for paragraph in document.paragraphs]
    counts = [len(document.paragraphs) for document in documents]
    first = np.cumsum([0, *counts[:-1]])
    numbers = np.concatenate([document.segments.rows[:, 0] for document in documents]).astype(np.int64)
    numbers += np.repeat(first, [len(document.segments) for document in documents])
    return _lists(
        counts,
        {
            "kind": [paragraph.kind for paragraph in paragraphs],
            "credit": [paragraph.credit for paragraph in paragraphs],
            "language": [paragraph.language for paragraph in paragraphs],
            "language_confidence": [paragraph.language_confidence for paragraph in paragraphs],
            "segment_count": np.bincount(numbers, minlength=len(paragraphs)),
        },
        PARTS["documents"].field("paragraphs").type,
    )


def _documents_table(rows: Sequence[tuple[str, Document]], version: str, batch: str) -> pa.Table:
    """The rows of a documents part: one column after the other, which takes a fifth of the time of row after row."""
    schema = PARTS["documents"]
    documents = [document for _, document in rows]
    if not documents:
        return schema.empty_table()
    texts = pa.array([document.text for document in documents], schema.field("text").type)
    repairs = [repair for document in documents for repair in document.repairs]
    made: dict[str, pa.Array | Sequence[Any]] = {
        "file_id": [file_id for file_id, _ in rows],
        "text": texts,
        "repairs": _lists(
            [len(document.repairs) for document in documents],
            {"step": [step for step, _ in repairs], "count": [count for _, count in repairs]},
            schema.field("repairs").type,
        ),
        "flags": [document.flags for document in documents],
        "source_metadata": [_json(document.source_metadata) for document in documents],
        "pipeline_version": [version] * len(documents),
        "batch_id": [batch] * len(documents),
        "paragraphs": _paragraph_spans(documents),
        "segments": _segment_spans(documents, texts),
    }
    columns = [
        pa.array(made[field.name] if field.name in made else list(map(attrgetter(field.name), documents)), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _json(metadata: dict[str, object]) -> str:
    return json.dumps(metadata, sort_keys=True, ensure_ascii=False, default=str) if metadata else "{}"


def _files_table(results: Sequence[FileResult], spans: Sequence[Span], version: str, batch: str) -> pa.Table:
    """The rows of a files part, one column after the other."""
    schema = PARTS["files"]
    rejects = [reject for result in results for reject in result.rejects]
    made: dict[str, pa.Array | Sequence[Any]] = {
        "uri": [result.file.uri for result in results],
        "source": [result.file.source for result in results],
        "size_bytes": [result.file.stamp.size_bytes for result in results],
        "reader": [result.reader for result in results],
        "rejects": _lists(
            [len(result.rejects) for result in results],
            {name: [getattr(reject, name) for reject in rejects] for name in _REJECT_FIELDS},
            schema.field("rejects").type,
        ),
        "pipeline_version": [version] * len(results),
        "batch_id": [batch] * len(results),
    }
    columns = [
        pa.array(made[field.name] if field.name in made else list(map(attrgetter(field.name), spans)), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def document_order(
    languages: Iterable[str], dates: Iterable[date | None], keys: Iterable[tuple[str, int]]
) -> list[int]:
    """Which documents stand where in a part: by language, date and id, so that a reader of one month skips the rest.

    >>> document_order(["fr", "de", "de"], [None, date(2019, 4, 1), None], [("a", 0), ("a", 1), ("a", 2)])
    [2, 1, 0]
    """
    ranks = [
        (language, str(day or ""), document_id(*key)) for language, day, key in zip(languages, dates, keys, strict=True)
    ]
    return sorted(range(len(ranks)), key=ranks.__getitem__)


def tables(results: Sequence[FileResult], version: str, batch: str) -> dict[str, pa.Table]:
    """The rows of both parts of a batch as Arrow tables of ``schema.PARTS``."""
    rows = [(result.file.file_id, document) for result in results for document in result.documents]
    order = document_order(
        (document.language for _, document in rows),
        (document.published_on for _, document in rows),
        ((file_id, document.ordinal) for file_id, document in rows),
    )
    rows = [rows[place] for place in order]
    return {
        "documents": _documents_table(rows, version, batch),
        "files": _files_table(results, spans_of(results), version, batch),
    }
