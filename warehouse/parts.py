"""Write, checksum and read parts: the one place where rows become Parquet and come back.

Belongs here: the layout of a part in bytes.  Does not belong here: which parts count (``ledger``), what a table
looks like in DuckDB (``loader``).

A part is a pure function of its rows and of pyarrow's version: nothing here knows a time, a run or a machine.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.durable import hash_file, rename_durably, temporary_file
from warehouse.errors import DamagedError
from warehouse.layout import Home
from warehouse.records import Document, FileResult, PartReceipt, Span, short_hash
from warehouse.schema import PARTS

# zstd 3 while hot: 1.25 of tar | zstd -19 at a fortieth of its CPU; dictionaries only where values repeat.
COMPRESSION_LEVEL = 3
DICTIONARIES = {
    "documents": [
        "published_on", "published_precision", "published_source", "language", "language_decided_by", "detector_label",
        "second_language", "script", "pipeline_version", "batch_id",
        "paragraphs.list.element.kind", "paragraphs.list.element.credit", "paragraphs.list.element.language",
        "repairs.list.element.step", "flags.list.element",
        "segments.list.element.separator_count", "paragraphs.list.element.segment_count",
    ],
    "files": [
        "source", "reader", "encoding", "encoding_confidence", "pipeline_version", "batch_id",
        "rejects.list.element.stage", "rejects.list.element.reason",
    ],
}  # fmt: skip


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


def _segment_spans(documents: Sequence[Document], texts: pa.Array) -> pa.Array:
    """Lengths in bytes of segments and of what follows them, found in the one buffer that holds all texts."""
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    # Where each character begins; one more entry for the end.
    begins = np.append(np.flatnonzero((data & 0xC0) != 0x80), len(data))
    first = np.concatenate([[0], np.cumsum([len(document.text) for document in documents], dtype=np.int64)])
    counts = [len(document.segments) for document in documents]
    cuts = np.array([(segment[1], segment[2]) for document in documents for segment in document.segments], np.int64)
    cuts = begins[cuts.reshape(-1, 2) + np.repeat(first[:-1], counts)[:, None]]
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
    numbers = np.array([segment[0] for document in documents for segment in document.segments], np.int64)
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


def _file_row(result: FileResult, span: Span, version: str, batch: str) -> dict[str, Any]:
    return {
        "file_id": span.file_id,
        "uri": result.file.uri,
        "source": result.file.source,
        "size_bytes": result.file.stamp.size_bytes,
        "reader": result.reader,
        "encoding": span.encoding,
        "encoding_confidence": span.encoding_confidence,
        "first_ordinal": span.first_ordinal,
        "last_ordinal": span.last_ordinal,
        "is_last": span.is_last,
        "document_count": span.document_count,
        "reject_count": span.reject_count,
        "rejects": [
            {
                "ordinal": reject.ordinal,
                "stage": str(reject.stage),
                "reason": str(reject.reason),
                "detail": reject.detail,
                "preview": reject.preview,
                "member": reject.member,
            }
            for reject in result.rejects
        ],
        "pipeline_version": version,
        "batch_id": batch,
    }


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
    files = [_file_row(result, span, version, batch) for result, span in zip(results, spans_of(results), strict=True)]
    return {
        "documents": _documents_table(rows, version, batch),
        "files": pa.Table.from_pylist(files, schema=PARTS["files"]),
    }


@dataclass(frozen=True, slots=True)
class PartOptions:
    """How tightly a part is written: the level of zstd, and how long a page is, which is compressed by itself."""

    level: int = COMPRESSION_LEVEL
    page_bytes: int = 1 << 20


HOT = PartOptions()


def write(home: Home, kind: str, table: pa.Table, batch: str, options: PartOptions = HOT) -> PartReceipt:
    """Write one part durably under a name made of its batch and its bytes; the same rows give the same file."""
    folder = home.part(kind, "")
    with temporary_file(folder) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=options.level,
            data_page_size=options.page_bytes,
            use_dictionary=DICTIONARIES[kind],
            write_page_checksum=True,
            write_statistics=[name for name in table.schema.names if name not in ("text", "source_metadata")],
        )
        digest = hash_file(temporary)
        name = f"{batch}-{digest[:16]}.parquet"
        temporary.chmod(0o444)
        size = temporary.stat().st_size
        rename_durably(temporary, home.part(kind, name))
    return PartReceipt(kind=kind, name=name, sha256=digest, size_bytes=size, row_count=table.num_rows)


def problem(home: Home, part: PartReceipt) -> str | None:
    """What is wrong with a part on disk, in a few words; None where it is as it was written."""
    path = home.part(part.kind, part.name)
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != part.size_bytes:
        return f"has {path.stat().st_size} bytes instead of {part.size_bytes}"
    if hash_file(path) != part.sha256:
        return "was altered: its sha256 is not the ledger's"
    return None


def raw_bytes(home: Home, part: PartReceipt) -> int:
    """How long the columns of a part are before compression, by its footer; raises ``DamagedError``."""
    path = home.part(part.kind, part.name)
    try:
        footer = pq.read_metadata(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise _damaged(home, part) from error
    return sum(footer.row_group(number).total_byte_size for number in range(footer.num_row_groups))


def _damaged(home: Home, part: PartReceipt) -> DamagedError:
    return DamagedError(
        f"part {home.part(part.kind, part.name)} {problem(home, part) or 'cannot be read'}; "
        "restore it from a backup, or move the home away and ingest again"
    )


def read(home: Home, part: PartReceipt) -> pa.Table:
    """The rows of a part, checked against the ledger's sha256 on the very bytes that are parsed.

    Raises ``DamagedError``: Parquet's own readers return wrong rows for most flipped bits without a word.
    """
    path = home.part(part.kind, part.name)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    if hashlib.sha256(data).hexdigest() != part.sha256:
        raise _damaged(home, part)
    return pq.read_table(pa.BufferReader(data), partitioning=None)
