"""Plain text: one file is one record.

Belongs here: the .txt format.  Does not belong here: the header that some plain texts begin with
(``tasks.text.header``), which other formats have too.
"""

from collections.abc import Iterator

from tasks.readers.options import ReadOptions
from tasks.text.encoding import decode
from warehouse.errors import Refusal
from warehouse.records import RawDocument, Reject


def read(data: bytes, options: ReadOptions) -> Iterator[RawDocument | Reject]:
    """The one record of a plain text file."""
    try:
        decoded = decode(data, options.encoding)
    except Refusal as refusal:
        yield Reject(ordinal=0, stage=refusal.stage, reason=refusal.reason, detail=refusal.detail)
        return
    yield RawDocument(
        ordinal=0,
        text=decoded.text,
        encoding=decoded.encoding,
        encoding_confidence=decoded.confidence,
        flags=decoded.flags,
    )
