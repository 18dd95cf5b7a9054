"""Parquet: one record a row.

Belongs here: reading row groups in small pieces.  Does not belong here: our own parts (``warehouse.parts``), what a
column means (``fields``).
"""

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from tasks.readers import fields
from tasks.readers.bounded import PARSER_ERRORS, brief, passed_over, whole
from tasks.readers.containers.meter import FREE
from tasks.readers.options import ReadOptions
from tasks.text.decoded import Decoded
from warehouse.errors import Refusal
from warehouse.records import RawDocument, Reject
from warehouse.vocabulary import Reason, Stage

_ROWS = 256
_BUFFER = 1 << 20
_MOST_FOOTER = 64_000_000
_DECODED = Decoded(text="", encoding="utf-8", confidence=1.0, flags=())


def begins(head: bytes) -> bool:
    r"""Whether a file begins like Parquet.

    >>> begins(b"PAR1\x15\x04"), begins(b"PAR1 is a word")
    (True, False)
    """
    return head.startswith(b"PAR1\x15")


def _opened(stream: BinaryIO, options: ReadOptions) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    source = stream if stream.seekable() else io.BytesIO(whole(stream, options.max_file_bytes, "max_file_bytes"))
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    try:
        file = pq.ParquetFile(
            source,
            buffer_size=_BUFFER,
            pre_buffer=False,
            thrift_string_size_limit=_MOST_FOOTER,
            thrift_container_size_limit=1_000_000,
        )
        _check(file.metadata, size, options)
    except (*PARSER_ERRORS, pa.ArrowException, OSError) as error:
        raise Refusal(Stage.READ, Reason.DAMAGED, f"no readable Parquet: {brief(error)}") from error
    return file


def _check(metadata: Any, packed: int, options: ReadOptions) -> None:
    """Refuse a bomb that says so itself; of single columns nothing is asked, which aborts on torn footers."""
    unpacked = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    most = options.max_unpacked_bytes
    if unpacked > most:
        detail = f"unpacks to {unpacked} bytes; max_unpacked_bytes is {most}"
        raise Refusal(Stage.READ, Reason.UNPACKS_TOO_LARGE, detail)
    if unpacked > FREE and unpacked > options.max_ratio * packed:
        detail = f"{packed} bytes unpack to {unpacked}; max_ratio is {options.max_ratio}"
        raise Refusal(Stage.READ, Reason.RATIO, detail)


def _rows(batch: Any) -> Iterator[dict[str, Any] | Refusal]:
    """The rows of a batch; where one of them holds what is no text, all are looked at singly."""
    try:
        yield from batch.to_pylist()
    except PARSER_ERRORS:
        for number in range(batch.num_rows):
            try:
                (row,) = batch.slice(number, 1).to_pylist()
            except PARSER_ERRORS as error:
                yield Refusal(Stage.READ, Reason.MALFORMED, f"a value that cannot be read: {brief(error)}")
            else:
                yield row


def read(stream: BinaryIO, options: ReadOptions) -> Iterator[RawDocument | Reject]:
    """One record a row, in the order of the file; a page that cannot be read ends it."""
    import pyarrow as pa

    file = _opened(stream, options)
    names = [field.name for field in file.schema_arrow]
    if names and "text" not in fields.chosen(names, options):
        detail = f"no text: the columns are {', '.join(names)[:300]}; the setting fields says which it is"
        raise Refusal(Stage.READ, Reason.NO_TEXT, fields.scrubbed(detail))
    ordinal = 0
    try:
        for batch in file.iter_batches(batch_size=_ROWS, use_threads=False):
            for row in _rows(batch):
                is_wanted = ordinal >= options.first_ordinal
                yield _record(row, ordinal, options) if is_wanted else passed_over(ordinal)
                ordinal += 1
    except (*PARSER_ERRORS, pa.ArrowException, OSError) as error:
        raise Refusal(Stage.READ, Reason.DAMAGED, f"unreadable behind row {ordinal}: {brief(error)}") from error


def _record(row: dict[str, Any] | Refusal, ordinal: int, options: ReadOptions) -> RawDocument | Reject:
    try:
        return _document(row, ordinal, options)
    except Refusal as refusal:
        return Reject(ordinal=ordinal, stage=refusal.stage, reason=refusal.reason, detail=refusal.detail)


def _document(row: dict[str, Any] | Refusal, ordinal: int, options: ReadOptions) -> RawDocument:
    if isinstance(row, Refusal):
        raise row
    held = sum(len(value) for value in row.values() if isinstance(value, str | bytes))
    if held > options.max_record_bytes:
        most = options.max_record_bytes
        raise Refusal(Stage.READ, Reason.TOO_LARGE, f"a row of {held} bytes; max_record_bytes is {most}")
    return fields.document(row, options, _DECODED, ordinal=ordinal, held=held)
