"""What must hold for every input of the text core: asserted by each fuzz target.

Belongs here: properties.  Does not belong here: how bytes become an input (the targets), nor how they are run
(``run.py``).
"""

import io
import json
import unicodedata
from collections.abc import Sequence

from tasks.document import documents_of
from tasks.options import DocumentOptions
from tasks.readers import ReadOptions
from tasks.readers.opening import opened
from tasks.text.decoded import Decoded
from tasks.text.encoding import decode
from tasks.text.paragraphs import split
from tasks.text.repairs import REPAIRS, repair, repair_ungated
from tasks.text.segments import segment
from warehouse.errors import Refusal
from warehouse.records import Document, FileResult, RawDocument, RawFile, Stamp
from warehouse.vocabulary import Flag

STAMP = Stamp(size_bytes=0, mtime_ns=0, ctime_ns=0, inode=0)


def decoded(data: bytes, hint: str | None) -> Decoded | None:
    """The text of the bytes, or None where they are refused; nothing else may come out."""
    try:
        found = decode(data, hint)
    except Refusal:
        return None
    assert found.text
    assert 0 <= found.confidence <= 1
    found.text.encode()
    assert decode(data, hint) == found
    if hint is None and "\ufffd" in found.text and Flag.REPLACEMENT_CHARACTERS not in found.flags:
        mark = "\ufffd".encode(found.encoding)
        assert found.text.encode(found.encoding).count(mark) >= found.text.count("\ufffd")
    return found


def repaired(text: str) -> str:
    """The repaired text: the cheap way equals the dear one, and a second time changes nothing."""
    found = repair(text)
    assert found == repair_ungated(text)
    again = repair(found.text)
    assert (again.text, again.repairs) == (found.text, ())
    assert bool(found.repairs) == (found.text != text)
    assert all(name in REPAIRS and count > 0 for name, count in found.repairs)
    assert unicodedata.is_normalized("NFC", found.text)
    assert found.text == found.text.strip(" \n")
    assert "  " not in found.text
    assert "\n\n\n" not in found.text
    found.text.encode()
    return found.text


def covered(text: str, language: str) -> None:
    """Paragraphs and segments of a repaired text are the text."""
    paragraphs = split(text, language)
    segments = segment(text, paragraphs, language)
    _spans(text, [(p.start, p.end) for p in paragraphs], "\n")
    _spans(text, [(s.start, s.end) for s in segments], " \n")
    for one in segments:
        assert paragraphs[one.paragraph_no].start <= one.start < one.end <= paragraphs[one.paragraph_no].end


def _spans(text: str, spans: Sequence[tuple[int, int]], between: str) -> None:
    at = 0
    for start, end in spans:
        assert at <= start < end <= len(text)
        assert text[at:start].strip(between) == ""
        at = end
    assert text[at:].strip(between) == ""
    if text:
        assert spans[0][0] == 0
        assert at == len(text)


def document(data: bytes, name: str, options: DocumentOptions) -> FileResult:
    """What one file became: every record a document or a reject, and documents that hold together."""
    file = RawFile(root="fuzz", uri=name, source="fuzz", path=b"/nowhere", stamp=STAMP, file_id="0" * 64)
    (result,) = documents_of([(file, data)], options)
    assert result.file is file
    assert len(result.documents) + len(result.rejects) == result.record_count >= 1
    for reject in result.rejects:
        assert reject.detail
        assert reject.preview is None or reject.preview.isprintable()
    for made in result.documents:
        _holds(made)
    return result


def records(data: bytes, name: str, options: ReadOptions, forced: str | None) -> None:
    """Whatever the bytes are, they end as numbered records, and nothing is raised."""
    found = list(opened(io.BytesIO(data), name, options, forced).records)
    assert found
    assert found[0].ordinal is None or [record.ordinal for record in found] == list(range(len(found)))
    for record in found:
        if isinstance(record, RawDocument):
            json.dumps(record.metadata, ensure_ascii=False, allow_nan=False).encode()
        else:
            assert record.detail


def _holds(made: Document) -> None:
    assert made.text
    assert repair(made.text).text == made.text
    assert made.language
    assert 0 <= made.language_confidence <= 1
    assert (made.detector_probability is None) or 0 < made.detector_probability <= 1
    assert json.loads(json.dumps(made.source_metadata)) == made.source_metadata
    assert (made.published_on is None) == (made.published_precision is None)
    _spans(made.text, [(p.start, p.end) for p in made.paragraphs], "\n")
    _spans(made.text, [(s.start, s.end) for s in made.segments], " \n")
    numbers = [s.paragraph_no for s in made.segments]
    assert sorted(set(numbers)) == list(range(len(made.paragraphs)))
    assert numbers == sorted(numbers)
    assert made.word_count <= len(made.text)
    for row in (*made.authors, *(p.credit or "" for p in made.paragraphs)):
        row.encode()
