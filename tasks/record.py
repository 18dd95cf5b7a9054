"""From records to documents: the text steps in their order.

Belongs here: what is done to a record's text, and which metadata wins.  Does not belong here: the steps themselves
(``tasks.text``), which records are handled together (``tasks.document``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tasks.text import header, metadata, repairs
from tasks.text.language import Detection
from tasks.text.preview import PREVIEW_CHARACTERS, preview
from tasks.text.words import count_words
from warehouse.records import Document, ParagraphRow, RawDocument, Reject, Segments
from warehouse.uri import name_of
from warehouse.vocabulary import DecidedBy, Flag, PublishedSource, Reason, Stage


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record that is clean and waits for its language, which is found for many at once."""

    raw: RawDocument
    head: header.Header
    repaired: repairs.Repaired


def prepared(records: Sequence[RawDocument | Reject]) -> list[Prepared | Reject]:
    """Each record with its text normalised, or the reject that it is or becomes."""
    texts = [record for record in records if isinstance(record, RawDocument)]
    heads = [header.parse(record.text) for record in texts]
    bodies = [record.text[head.body_start :] for record, head in zip(texts, heads, strict=True)]
    found = map(_prepared, texts, heads, repairs.repair_many(bodies))
    return [record if isinstance(record, Reject) else next(found) for record in records]


def _prepared(raw: RawDocument, head: header.Header, repaired: repairs.Repaired) -> Prepared | Reject:
    if repaired.text:
        return Prepared(raw, head, repaired)
    return Reject(
        ordinal=raw.ordinal,
        stage=Stage.NORMALISE,
        reason=Reason.HEADER_ONLY if head.body_start else Reason.EMPTY,
        detail="a date header and nothing behind it" if head.body_start else "no visible character",
        preview=preview(raw.text[:PREVIEW_CHARACTERS].encode("utf-8", "surrogatepass")),
        member=raw.member,
    )


def decided(detection: Detection, hint: str | None) -> Detection:
    """A detection, or what a person says instead."""
    if hint is None:
        return detection
    return replace(detection, language=hint, language_confidence=1.0, language_decided_by=DecidedBy.HINT)


def document(
    prepared: Prepared,
    detection: Detection,
    blocks: tuple[ParagraphRow, ...],
    labels: Mapping[int, Detection],
    units: Segments,
    name: str,
) -> Document:
    """The document of a prepared record in a file of this name: ``blocks`` are its paragraphs, ``labels`` theirs."""
    raw, text = prepared.raw, prepared.repaired.text
    look = prepared.repaired.scan
    name = name if raw.member is None else name_of(raw.member)
    meta = metadata.extract(text, prepared.head, name, detection.language)
    notes = {**raw.metadata, **meta.source_metadata}
    if raw.byte_offset is not None:
        notes["byte_offset"] = raw.byte_offset
    is_dated = raw.published_on is not None
    flags: dict[Flag, None] = dict.fromkeys((*raw.flags, *prepared.repaired.flags))
    if prepared.head.status == "invalid":
        flags[Flag.HEADER_INVALID] = None
    if labels:
        flags[Flag.MULTILINGUAL] = None
    return Document(
        ordinal=raw.ordinal,
        external_id=raw.external_id or meta.external_id,
        url=raw.url,
        title=raw.title or meta.title,
        authors=raw.authors or meta.authors,
        published_on=raw.published_on if is_dated else meta.published_on,
        published_precision=raw.published_precision if is_dated else meta.published_precision,
        published_source=PublishedSource.METADATA if is_dated else meta.published_source,
        language=detection.language,
        language_confidence=detection.language_confidence,
        language_decided_by=detection.language_decided_by,
        detector_label=detection.detector_label,
        detector_probability=detection.detector_probability,
        second_language=detection.second_language,
        script=detection.script,
        text=text,
        word_count=count_words(text) if look.word_count is None else look.word_count,
        repairs=prepared.repaired.repairs,
        flags=tuple(flags),
        source_metadata=notes,
        paragraphs=_labelled(blocks, labels),
        segments=units,
        member=raw.member,
    )


def _labelled(blocks: tuple[ParagraphRow, ...], labels: Mapping[int, Detection]) -> tuple[ParagraphRow, ...]:
    if not labels:
        return blocks
    return tuple(
        block._replace(language=labels[number].language, language_confidence=labels[number].language_confidence)
        if number in labels
        else block
        for number, block in enumerate(blocks)
    )
