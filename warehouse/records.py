"""The rows and messages that travel between the stages.

Belongs here: frozen dataclasses without behaviour beyond derived names.  Does not belong here: Arrow types
(``schema``), how a row is made (``tasks``) or stored (``ledger``, ``parts``).
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, NamedTuple, overload

from warehouse.vocabulary import (
    CommitKind,
    DecidedBy,
    DeferReason,
    FileStatus,
    Flag,
    ParagraphKind,
    Precision,
    PublishedSource,
    Reason,
    Stage,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def short_hash(text: str) -> str:
    """First 32 hex digits of the sha256 of a text.

    >>> short_hash("Das ist nur der erste Schritt.")
    '0f8a7f10ef8044714a42c2bba11eca3b'
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Stamp(NamedTuple):
    """What the store tells of a file without reading it; times in nanoseconds.

    A tuple, because a look at an inbox makes one a file and compares it.
    """

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class RawFile(NamedTuple):
    """One raw file that is to be read: its identity, and where its bytes are now.

    ``path`` is absolute and differs from root and uri only when a replay reads the same bytes at another place.
    A tuple, as all of which there is one a file: it crosses a process border in a tenth of the time of a dataclass.
    """

    root: str
    uri: str
    source: str
    path: bytes
    stamp: Stamp
    file_id: str
    first_ordinal: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RawDocument:
    """One record as a reader found it: decoded text, and what the format says about it.

    ``member`` is the percent-encoded path inside an archive, levels joined by ``!/``; ``byte_offset`` is where the
    record begins in the unpacked bytes; ``held_bytes`` is how long it was there, metadata included.
    """

    ordinal: int
    text: str
    encoding: str
    encoding_confidence: float
    flags: tuple[Flag, ...] = ()
    metadata: dict[str, object] = field(default_factory=dict)
    title: str | None = None
    url: str | None = None
    authors: tuple[str, ...] = ()
    external_id: str | None = None
    published_on: date | None = None
    published_precision: Precision | None = None
    member: str | None = None
    byte_offset: int | None = None
    held_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """One refused record, or with ``ordinal`` None one refused file; ``member`` as in ``RawDocument``."""

    ordinal: int | None
    stage: Stage
    reason: Reason
    detail: str
    preview: str | None = None
    member: str | None = None


class ParagraphRow(NamedTuple):
    """One block of a document; offsets in characters.  A tuple, as SegmentRow is."""

    kind: ParagraphKind
    credit: str | None
    start: int
    end: int
    language: str | None = None
    language_confidence: float | None = None


class SegmentRow(NamedTuple):
    """One translation unit; offsets in characters.  A document has thirty: a tuple costs a third of a dataclass."""

    paragraph_no: int
    start: int
    end: int


class Segments(Sequence[SegmentRow]):
    """The segments of a document: the rows of one array of shape (segments, 3), read as the tuples that they are."""

    __slots__ = ("rows",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, rows: "NDArray[np.int32]") -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[SegmentRow]:
        return map(SegmentRow._make, self.rows.tolist())

    @overload
    def __getitem__(self, at: int) -> SegmentRow: ...
    @overload
    def __getitem__(self, at: slice) -> "Segments": ...
    def __getitem__(self, at: int | slice) -> "SegmentRow | Segments":
        return Segments(self.rows[at]) if isinstance(at, slice) else SegmentRow._make(self.rows[at].tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Segments) and bool(self.rows.tolist() == other.rows.tolist())

    def __repr__(self) -> str:
        return f"Segments({list(self)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document before it is written; the text is the concatenation of its segments and separators."""

    ordinal: int
    external_id: str | None
    url: str | None
    title: str | None
    authors: tuple[str, ...]
    published_on: date | None
    published_precision: Precision | None
    published_source: PublishedSource
    language: str
    language_confidence: float
    language_decided_by: DecidedBy
    detector_label: str | None
    detector_probability: float | None
    second_language: str | None
    script: str | None
    text: str
    word_count: int
    repairs: tuple[tuple[str, int], ...]
    flags: tuple[Flag, ...]
    source_metadata: dict[str, object]
    paragraphs: tuple[ParagraphRow, ...]
    segments: Segments
    member: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """What one file, or one cut of it, became."""

    file: RawFile
    reader: str | None
    encoding: str | None
    encoding_confidence: float | None
    record_count: int
    is_last: bool
    documents: tuple[Document, ...]
    rejects: tuple[Reject, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The raw files that one task handles; ``number`` orders the batches of a run."""

    number: int
    files: tuple[RawFile, ...]

    @property
    def size_bytes(self) -> int:
        """Length of all its raw files."""
        return sum(file.stamp.size_bytes for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReceipt:
    """One written part: where, how long, which bytes."""

    kind: str
    name: str
    sha256: str
    size_bytes: int
    row_count: int


class Span(NamedTuple):
    """One file's records in one batch, first to last ordinal inclusive, with what became of them."""

    file_id: str
    first_ordinal: int
    last_ordinal: int
    is_last: bool
    encoding: str | None
    encoding_confidence: float | None
    document_count: int
    reject_count: int
    paragraph_count: int
    segment_count: int


class Sighting(NamedTuple):
    """One content at one uri, or a path that was not read, as the ledger records it."""

    root: str
    uri: str
    source: str
    file_id: str | None
    stamp: Stamp
    status: FileStatus
    stage: Stage | None = None
    reason: Reason | DeferReason | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a batch, or one cut of it, hands back: all that crosses a process border.

    ``gone`` names by root and uri the files that vanished before they could be read; ``timings`` are in seconds.
    ``is_last`` says that the batch ends with it.
    """

    number: int
    batch_id: str
    pipeline_version: str
    settings_fingerprint: str
    parts: tuple[PartReceipt, ...]
    spans: tuple[Span, ...]
    sightings: tuple[Sighting, ...]
    gone: tuple[tuple[str, str], ...]
    timings: dict[str, float]
    is_last: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One ledger transaction, as a reader of the ledger sees it.

    ``parts`` hold its rows now; where a compaction made them, ``is_moved``, they hold those of other commits, too.
    """

    commit_no: int
    commit_hash: str
    kind: CommitKind
    batch_id: str | None
    run_id: str
    committed_at: int
    parts: tuple[PartReceipt, ...]
    is_moved: bool = False
