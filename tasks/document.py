"""From raw files' bytes to documents and rejects.

Belongs here: that every record ends as a document or a reject, steps that look at many texts together, and where the
records of many or of big files are cut.  Does not belong here: one record (``tasks.record``), formats
(``tasks.readers``), reading from disk or writing parts.
"""

import contextlib
import gc
import io
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from tasks import record
from tasks.options import CutLimits, DocumentOptions
from tasks.readers.opening import opened
from tasks.text import paragraphs
from tasks.text.language import Blocks, Detection, detect_many, label_blocks
from tasks.text.preview import PREVIEW_CHARACTERS, preview
from tasks.text.scan.bits import GLUE
from tasks.text.segments import Cuttable, segment_many
from warehouse.errors import Deferred
from warehouse.records import FileResult, ParagraphRow, RawDocument, RawFile, Reject, Segments
from warehouse.uri import name_of

__all__ = ["PREVIEW_CHARACTERS", "Cut", "cuts", "documents_of", "preview"]


OnRecord = Callable[[RawFile, RawDocument], None]


@dataclass(slots=True)
class _Piece:
    """What of one file is in the cut at work."""

    file: RawFile
    reader: str | None
    found: list[RawDocument | Reject] = field(default_factory=list)
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """Results that are written together, and the files that could not be read to their end."""

    results: list[FileResult]
    deferred: list[tuple[RawFile, Deferred]]
    is_last: bool


def _held(raw: RawDocument | Reject) -> int:
    return 0 if isinstance(raw, Reject) else max(len(raw.text), raw.held_bytes)


class _Cutter:
    """Gathers the records of one file after the other, and hands them on when it holds enough."""

    def __init__(
        self,
        options: DocumentOptions,
        limits: CutLimits | None,
        timings: dict[str, float] | None,
        check: Callable[[], None] | None,
    ) -> None:
        self.options, self.limits, self.check = options, limits, check
        self.timings = {} if timings is None else timings
        self.pieces: list[_Piece] = []
        self.deferred: list[tuple[RawFile, Deferred]] = []
        self.size = self.count = 0
        # Seconds that other steps took while a file was read.
        self.elsewhere = 0.0

    def is_full(self, more: int) -> bool:
        """Whether another record of this size must wait for the next cut."""
        return (
            self.limits is not None
            and self.count > 0
            and (self.size + more > self.limits.cut_bytes or self.count >= self.limits.cut_records)
        )

    def records(self, file: RawFile, stream: BinaryIO, on_record: OnRecord | None) -> Iterator[Cut]:
        """Take the records of a file that no cut before has committed."""
        options = self.options.reading(file.source)
        if file.first_ordinal:
            options = replace(options, first_ordinal=file.first_ordinal)
        found = opened(stream, name_of(file.uri), options, self.options.reader)
        piece = _Piece(file, found.reader)
        for raw in found.records:
            ordinal = raw.ordinal or 0
            if ordinal < file.first_ordinal:
                continue
            held = _held(raw)
            if self.is_full(held):
                if self.check is not None:
                    self.check()
                yield self.cut(piece)
                piece = _Piece(file._replace(first_ordinal=ordinal), found.reader)
            self.size += held
            self.count += 1
            if on_record is not None and isinstance(raw, RawDocument):
                on_record(file, raw)
            piece.found.append(raw)
        if self.check is not None:
            self.check()
        piece.is_last = True
        self.pieces.append(piece)

    def cut(self, open_piece: _Piece | None = None) -> Cut:
        """What is held so far; a file at work goes on in the next."""
        if open_piece is not None and open_piece.found:
            self.pieces.append(open_piece)
        started = time.perf_counter()
        cut = Cut(_results(self.pieces, self.options, self.timings), self.deferred, open_piece is None)
        self.elsewhere += time.perf_counter() - started
        self.pieces, self.deferred, self.size, self.count = [], [], 0, 0
        return cut


def cuts(
    contents: Iterable[tuple[RawFile, BinaryIO]],
    options: DocumentOptions,
    limits: CutLimits | None = None,
    timings: dict[str, float] | None = None,
    check: Callable[[], None] | None = None,
    on_record: OnRecord | None = None,
) -> Iterator[Cut]:
    """What each file became, in the order given, in as many cuts as it takes; the last may hold nothing.

    The texts of a cut are looked at together for their language.  A stream, or ``check`` before its records are
    handed on, that raises ``Deferred`` puts its file off: what earlier cuts hold of it stays, the rest is read another
    time.  ``timings`` gains seconds a step; ``on_record`` sees every record as it was read.
    """
    clock = time.perf_counter
    cutter = _Cutter(options, limits, timings, check)
    for file, stream in contents:
        started, elsewhere = clock(), cutter.elsewhere
        before = len(cutter.pieces), cutter.size, cutter.count
        try:
            for cut in cutter.records(file, stream, on_record):
                handed_on = clock()
                yield cut
                cutter.elsewhere += clock() - handed_on
                before = 0, 0, 0
        except Deferred as deferred:
            held, cutter.size, cutter.count = before
            del cutter.pieces[held:]
            cutter.deferred.append((file, deferred))
        seconds = clock() - started - (cutter.elsewhere - elsewhere)
        cutter.timings["normalise"] = cutter.timings.get("normalise", 0.0) + seconds
    yield cutter.cut()


def documents_of(
    contents: Iterable[tuple[RawFile, bytes]], options: DocumentOptions, timings: dict[str, float] | None = None
) -> list[FileResult]:
    """What each file became, in the order given, uncut: memory grows with what is handed over."""
    streams = ((file, io.BytesIO(data)) for file, data in contents)
    return [result for cut in cuts(streams, options, timings=timings) for result in cut.results]


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """The rows of a cut hold no cycles; full collections while their number grows would find nothing, again and again.

    What was on is on again afterwards, whichever of several threads is done first.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_without_collections()
def _results(pieces: Sequence[_Piece], options: DocumentOptions, timings: dict[str, float]) -> list[FileResult]:
    clock = time.perf_counter
    started = clock()
    found = record.prepared([raw for piece in pieces for raw in piece.found])
    prepared = [item for item in found if isinstance(item, record.Prepared)]
    texts = [item.repaired.text for item in prepared]
    normalised = clock()
    detections = [record.decided(detection, options.language) for detection in detect_many(texts)]
    detected = clock()
    blocks = [paragraphs.split(text, detection.language) for text, detection in zip(texts, detections, strict=True)]
    labels = label_blocks(
        [
            Blocks(text, detection.language, [(block.start, block.end) for block in own])
            for text, detection, own in zip(texts, detections, blocks, strict=True)
        ]
    )
    units = segment_many(
        [
            Cuttable(text, own, detection.language, bool(item.repaired.scan.could & GLUE))
            for item, text, detection, own in zip(prepared, texts, detections, blocks, strict=True)
        ]
    )
    rest = zip(detections, blocks, labels, units, strict=True)
    items = iter(found)
    results = [_result(piece, [next(items) for _ in piece.found], rest) for piece in pieces]
    ends = {"normalise": normalised - started, "detect": detected - normalised, "segment": clock() - detected}
    for name, seconds in ends.items():
        timings[name] = timings.get(name, 0.0) + seconds
    return results


_Rest = Iterator[tuple[Detection, tuple[ParagraphRow, ...], dict[int, Detection], Segments]]


def _result(piece: _Piece, items: Sequence[record.Prepared | Reject], rest: _Rest) -> FileResult:
    raw = next((item.raw for item in items if isinstance(item, record.Prepared)), None)
    name = name_of(piece.file.uri)
    return FileResult(
        file=piece.file,
        reader=piece.reader,
        encoding=raw.encoding if raw else None,
        encoding_confidence=raw.encoding_confidence if raw else None,
        record_count=len(piece.found),
        is_last=piece.is_last,
        documents=tuple(record.document(item, *next(rest), name) for item in items if not isinstance(item, Reject)),
        rejects=tuple(item for item in items if isinstance(item, Reject)),
    )
