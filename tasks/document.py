"""From one raw file's bytes to documents and rejects.

Belongs here: the order of the text steps, and that every record ends as a document or a reject.  Does not belong
here: the steps themselves (``tasks.text``), formats (``tasks.readers``), reading from disk or writing parts.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tasks.readers import READERS, ReadOptions, reader_for
from tasks.text import header, metadata, paragraphs, repairs, segments
from tasks.text.language import Blocks, Detection, detect_many, label_blocks
from tasks.text.words import count_words_of_many
from warehouse.errors import Refusal
from warehouse.records import Document, FileResult, ParagraphRow, RawDocument, RawFile, Reject
from warehouse.uri import name_of
from warehouse.vocabulary import DecidedBy, Flag, Reason, Stage

PREVIEW_CHARACTERS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentOptions:
    """What a person can set that changes a row; its fingerprint is part of every batch id."""

    read: ReadOptions = field(default_factory=ReadOptions)
    reader: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A record that is clean and waits for its language, which is found for many at once."""

    raw: RawDocument
    head: header.Header
    repaired: repairs.Repaired


def preview(data: bytes) -> str:
    r"""The beginning of refused content for a person; nothing in it can move a terminal's cursor.

    >>> preview(b"\x00\x01 caf\xe9 \x1b[2J")
    '\\x00\\x01 caf\\xe9 \\x1b[2J'
    """
    text = data[: 4 * PREVIEW_CHARACTERS].decode("utf-8", "backslashreplace")[:PREVIEW_CHARACTERS]
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _prepare(raw: RawDocument) -> _Prepared:
    head = header.parse(raw.text)
    repaired = repairs.repair(raw.text[head.body_start :])
    if not repaired.text:
        reason = Reason.HEADER_ONLY if head.body_start else Reason.EMPTY
        what = "a date header and nothing behind it" if head.body_start else "no visible character"
        raise Refusal(Stage.NORMALISE, reason, what)
    return _Prepared(raw, head, repaired)


def _records(data: bytes, reader: str, options: ReadOptions) -> Iterator[_Prepared | Reject]:
    for record in READERS[reader].read(data, options):
        if isinstance(record, Reject):
            yield replace(record, preview=preview(data)) if record.preview is None and data else record
            continue
        try:
            yield _prepare(record)
        except Refusal as refusal:
            yield Reject(
                ordinal=record.ordinal,
                stage=refusal.stage,
                reason=refusal.reason,
                detail=refusal.detail,
                preview=preview(record.text.encode("utf-8", "surrogatepass")),
            )


def _language(detection: Detection, hint: str | None) -> Detection:
    if hint is None:
        return detection
    return replace(detection, language=hint, language_confidence=1.0, language_decided_by=DecidedBy.HINT)


def _document(
    prepared: _Prepared,
    detection: Detection,
    word_count: int,
    blocks: tuple[ParagraphRow, ...],
    labels: Mapping[int, Detection],
    name: str,
) -> Document:
    text = prepared.repaired.text
    units = segments.segment(text, blocks, detection.language)
    meta = metadata.extract(text, prepared.head, name, detection.language)
    flags: dict[Flag, None] = dict.fromkeys((*prepared.raw.flags, *prepared.repaired.flags))
    if prepared.head.status == "invalid":
        flags[Flag.HEADER_INVALID] = None
    if labels:
        flags[Flag.MULTILINGUAL] = None
    return Document(
        ordinal=prepared.raw.ordinal,
        external_id=meta.external_id,
        url=None,
        title=meta.title,
        authors=meta.authors,
        published_on=meta.published_on,
        published_precision=meta.published_precision,
        published_source=meta.published_source,
        language=detection.language,
        language_confidence=detection.language_confidence,
        language_decided_by=detection.language_decided_by,
        detector_label=detection.detector_label,
        detector_probability=detection.detector_probability,
        second_language=detection.second_language,
        script=detection.script,
        text=text,
        word_count=word_count,
        repairs=prepared.repaired.repairs,
        flags=tuple(flags),
        source_metadata={**prepared.raw.metadata, **meta.source_metadata},
        paragraphs=_labelled(blocks, labels),
        segments=units,
    )


def _labelled(blocks: tuple[ParagraphRow, ...], labels: Mapping[int, Detection]) -> tuple[ParagraphRow, ...]:
    if not labels:
        return blocks
    return tuple(
        replace(block, language=labels[number].language, language_confidence=labels[number].language_confidence)
        if number in labels
        else block
        for number, block in enumerate(blocks)
    )


def _read(file: RawFile, data: bytes, options: DocumentOptions) -> tuple[str | None, list[_Prepared | Reject]]:
    name = name_of(file.uri)
    reader = options.reader or reader_for(name)
    if reader is not None:
        return reader, list(_records(data, reader, options.read))
    suffix = "." + name.rpartition(".")[2] if "." in name else "a name without a suffix"
    known = ", ".join(suffix for known in READERS.values() for suffix in known.suffixes)
    unknown = Reject(
        ordinal=None,
        stage=Stage.READ,
        reason=Reason.UNKNOWN_FORMAT,
        detail=f"no reader takes {suffix}; newsmill reads {known}",
        preview=preview(data),
    )
    return None, [unknown]


def documents_of(
    contents: Iterable[tuple[RawFile, bytes]], options: DocumentOptions, timings: dict[str, float] | None = None
) -> list[FileResult]:
    """What each file became, in the order given; ``timings`` gains seconds a step.

    The texts of all files are looked at together for their language, so memory grows with what is handed over.
    """
    clock = time.perf_counter
    started = clock()
    read = [(file, *_read(file, data, options)) for file, data in contents]
    prepared = [(file, item) for file, _, found in read for item in found if isinstance(item, _Prepared)]
    normalised = clock()
    texts = [item.repaired.text for _, item in prepared]
    detections = [_language(detection, options.language) for detection in detect_many(texts)]
    detected = clock()
    blocks = [paragraphs.split(text, detection.language) for text, detection in zip(texts, detections, strict=True)]
    labels = label_blocks(
        [
            Blocks(text, detection.language, [(block.start, block.end) for block in own])
            for text, detection, own in zip(texts, detections, blocks, strict=True)
        ]
    )
    documents = (
        _document(item, detection, words, own, found, name_of(file.uri))
        for (file, item), detection, words, own, found in zip(
            prepared, detections, count_words_of_many(texts), blocks, labels, strict=True
        )
    )
    results = [_result(file, reader, found, documents) for file, reader, found in read]
    if timings is not None:
        for name, seconds in (
            ("normalise", normalised - started),
            ("detect", detected - normalised),
            ("segment", clock() - detected),
        ):
            timings[name] = timings.get(name, 0.0) + seconds
    return results


def _result(
    file: RawFile, reader: str | None, found: Sequence[_Prepared | Reject], documents: Iterator[Document]
) -> FileResult:
    raw = next((item.raw for item in found if isinstance(item, _Prepared)), None)
    return FileResult(
        file=file,
        reader=reader,
        encoding=raw.encoding if raw else None,
        encoding_confidence=raw.encoding_confidence if raw else None,
        record_count=len(found),
        is_last=True,
        documents=tuple(next(documents) for item in found if isinstance(item, _Prepared)),
        rejects=tuple(item for item in found if isinstance(item, Reject)),
    )
