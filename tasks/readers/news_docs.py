"""The document-split line format of news crawls: ``YYYYMMDD<TAB>base64<TAB>base64``, one document a line.

Belongs here: its three columns: day, text in sentences, text as it was.  Does not belong here: anything else with tabs
(``delimited``).
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import BinaryIO

from tasks.readers.bounded import Line, lines, passed_over
from tasks.readers.dates import published
from tasks.readers.options import ReadOptions
from tasks.text.encoding import decode
from tasks.text.preview import preview
from warehouse.errors import Refusal
from warehouse.records import RawDocument, Reject
from warehouse.vocabulary import Reason, Stage

_BEGIN = re.compile(rb"(?:19|20)[0-9]{6}\t[A-Za-z0-9+/]{4,}={0,2}(?:\t|\Z)")


def begins(head: bytes) -> bool:
    r"""Whether a file begins like a line of it.

    >>> begins(b"20190425\tR3LDvMOfZQ==\tR3LDvMOfZQ==\n"), begins(b"20190425 Text")
    (True, False)
    """
    return _BEGIN.match(head) is not None


def _record(line: Line, ordinal: int, options: ReadOptions) -> RawDocument:
    most = options.max_record_bytes
    if not line.is_whole:
        raise Refusal(Stage.READ, Reason.TOO_LARGE, f"longer than {most} bytes; max_record_bytes is {most}")
    columns = line.data.split(b"\t")
    if len(columns) != 3:
        raise Refusal(Stage.READ, Reason.MALFORMED, f"{len(columns)} columns instead of day, sentences and text")
    day, _, whole_text = columns
    try:
        data = base64.b64decode(whole_text, validate=True)
    except binascii.Error as error:
        raise Refusal(Stage.READ, Reason.MALFORMED, f"no base64: {error}") from error
    if not data:
        raise Refusal(Stage.READ, Reason.EMPTY, "no text in the third column")
    decoded = decode(data, options.encoding)
    when = published(day.decode("latin-1"))
    return RawDocument(
        ordinal=ordinal,
        text=decoded.text,
        encoding=decoded.encoding,
        encoding_confidence=decoded.confidence,
        flags=decoded.flags,
        metadata={} if when else {"date": day.decode("utf-8", "replace")},
        published_on=when.on if when else None,
        published_precision=when.precision if when else None,
        byte_offset=line.offset,
        held_bytes=len(line.data),
    )


def read(stream: BinaryIO, options: ReadOptions) -> Iterator[RawDocument | Reject]:
    """One record a line; blank lines are none."""
    found = (line for line in lines(stream, options.max_record_bytes) if line.data.strip())
    for ordinal, line in enumerate(found):
        if ordinal < options.first_ordinal:
            yield passed_over(ordinal)
            continue
        try:
            yield _record(line, ordinal, options)
        except Refusal as refusal:
            yield Reject(
                ordinal=ordinal,
                stage=refusal.stage,
                reason=refusal.reason,
                detail=f"at byte {line.offset}: {refusal.detail}",
                preview=preview(line.data[:512]),
            )
