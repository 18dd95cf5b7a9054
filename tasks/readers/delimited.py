"""CSV and TSV: the first row names the fields, each other row is a record.

Belongs here: delimiters, quotes and rows.  Does not belong here: what a field means (``fields``).
"""

import csv
from collections.abc import Iterator
from typing import BinaryIO

from tasks.readers import fields
from tasks.readers.bounded import as_utf8, head_of, lines, passed_over, recoded, text_of
from tasks.readers.options import ReadOptions
from tasks.text.decoded import Decoded
from tasks.text.preview import preview
from warehouse.errors import Refusal
from warehouse.records import RawDocument, Reject
from warehouse.vocabulary import Reason, Stage

DELIMITERS = ("\t", ";", ",", "|")


def delimiter_of(header: str) -> str:
    r"""What stands between the names of the first row.

    >>> delimiter_of("id,title,text"), delimiter_of("id\ttext, long"), delimiter_of("text")
    (',', '\t', ',')
    """
    found = max(DELIMITERS, key=header.count)
    return found if found in header else ","


class _Lines:
    """Decoded lines as csv wants them, and where the row at work began.

    An iterator that may raise ``Refusal`` and be asked on behind it: a generator would be at its end.
    """

    def __init__(self, stream: BinaryIO, options: ReadOptions) -> None:
        self._lines = lines(stream, options.max_record_bytes)
        self._options = options
        self.decoded = Decoded(text="", encoding="utf-8", confidence=1.0, flags=())
        self.offset = self.held = 0
        self.start = b""

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if not self.held:
            self.offset, self.start = line.offset, line.data[:512]
        self.held += len(line.data) + 1
        most = self._options.max_record_bytes
        if not line.is_whole or self.held > most + 1:
            raise Refusal(Stage.READ, Reason.TOO_LARGE, f"a row of more than {most} bytes; max_record_bytes is {most}")
        if line.data:
            self.decoded = text_of(line.data, self._options.encoding)
            # A NUL ends a row for csv.
            return self.decoded.text.replace("\0", "\ufffd") + "\n"
        return "\n"


def _names(row: list[str]) -> list[str]:
    """Names that are all there and all different."""
    found: list[str] = []
    for number, name in enumerate(row, start=1):
        wanted = name.strip() or f"column_{number}"
        found.append(wanted if wanted not in found else f"{wanted}_{number}")
    return found


def _rows(source: _Lines, delimiter: str, options: ReadOptions) -> Iterator[list[str] | Refusal]:
    # The limit is one for the whole process, so no less than the most that anybody asks for.
    csv.field_size_limit(max(csv.field_size_limit(), options.max_record_bytes))
    rows = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        source.held = 0
        try:
            row = next(rows)
        except StopIteration:
            return
        except Refusal as refusal:
            yield refusal
        except csv.Error as error:
            yield Refusal(Stage.READ, Reason.MALFORMED, f"no CSV: {error}")
        else:
            if row and (len(row) > 1 or row[0].strip()):
                yield row


def read(stream: BinaryIO, options: ReadOptions) -> Iterator[RawDocument | Reject]:
    """One record a row; blank rows are none.  A file whose first row names no text is one reject."""
    stream, codec = as_utf8(stream)
    source = _Lines(stream, options)
    first = head_of(stream).removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].replace(b"\0", b"")
    rows = _rows(source, delimiter_of(first.decode("latin-1")), options)
    header = next(rows, None)
    if header is None:
        return
    if isinstance(header, Refusal):
        yield _reject(header, 0, source)
        return
    names = _names(header)
    if "text" not in fields.chosen(names, options):
        detail = f"no text: the first row names {', '.join(names)[:300]}; the setting fields says which it is"
        yield _reject(Refusal(Stage.READ, Reason.NO_TEXT, detail), 0, source)
        return
    for ordinal, row in enumerate(rows):
        if ordinal < options.first_ordinal:
            yield passed_over(ordinal)
            continue
        try:
            yield recoded(_record(row, names, ordinal, source, options), codec)
        except Refusal as refusal:
            yield _reject(refusal, ordinal, source)


def _record(
    row: list[str] | Refusal, names: list[str], ordinal: int, source: _Lines, options: ReadOptions
) -> RawDocument:
    if isinstance(row, Refusal):
        raise row
    if len(row) != len(names):
        raise Refusal(Stage.READ, Reason.MALFORMED, f"{len(row)} fields where the first row has {len(names)}")
    values = {name: value for name, value in zip(names, row, strict=True) if value}
    return fields.document(
        values, options, source.decoded, ordinal=ordinal, held=source.held, byte_offset=source.offset
    )


def _reject(refusal: Refusal, ordinal: int, source: _Lines) -> Reject:
    return Reject(
        ordinal=ordinal,
        stage=refusal.stage,
        reason=refusal.reason,
        detail=f"at byte {source.offset}: {refusal.detail}",
        preview=preview(source.start),
    )
