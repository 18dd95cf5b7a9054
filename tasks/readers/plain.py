"""Plain text: one file is one record.

Belongs here: the .txt format.  Does not belong here: the header that some plain texts begin with
(``tasks.text.header``), which other formats have too.
"""

from collections.abc import Iterator
from typing import BinaryIO

from tasks.readers.bounded import whole
from tasks.readers.options import ReadOptions
from tasks.text.encoding import decode
from warehouse.errors import Refusal
from warehouse.records import RawDocument, Reject


def read(stream: BinaryIO, options: ReadOptions) -> Iterator[RawDocument | Reject]:
    """The one record of a plain text file."""
    try:
        decoded = decode(whole(stream, options.max_file_bytes, "max_file_bytes"), options.encoding)
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
