"""Write, checksum and read parts: the one place where rows become Parquet and come back.

Belongs here: the layout of a part in bytes.  Does not belong here: its rows (``batches``), which parts count
(``ledger``), what a table looks like in DuckDB (``loader``).

A part is a pure function of its rows and of pyarrow's version: nothing here knows a time, a run or a machine.
"""

import hashlib
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.durable import hash_file, rename_durably, temporary_file
from warehouse.errors import DamagedError
from warehouse.layout import Home
from warehouse.records import PartReceipt

# zstd 3 while hot: 1.25 of tar | zstd -19 at a fortieth of its CPU; dictionaries only where values repeat.
COMPRESSION_LEVEL = 3
DICTIONARIES = {
    "documents": [
        "published_on", "published_precision", "published_source", "language", "language_decided_by", "detector_label",
        "second_language", "script", "pipeline_version", "batch_id",
        "paragraphs.list.element.kind", "paragraphs.list.element.credit", "paragraphs.list.element.language",
        "repairs.list.element.step", "flags.list.element",
        "segments.list.element.separator_count", "paragraphs.list.element.segment_count",
    ],
    "files": [
        "source", "reader", "encoding", "encoding_confidence", "pipeline_version", "batch_id",
        "rejects.list.element.stage", "rejects.list.element.reason",
    ],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PartOptions:
    """How tightly a part is written: the level of zstd, and how long a page is, which is compressed by itself."""

    level: int = COMPRESSION_LEVEL
    page_bytes: int = 1 << 20


HOT = PartOptions()


def write(home: Home, kind: str, table: pa.Table, batch: str, options: PartOptions = HOT) -> PartReceipt:
    """Write one part durably under a name made of its batch and its bytes; the same rows give the same file."""
    folder = home.part(kind, "")
    with temporary_file(folder) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=options.level,
            data_page_size=options.page_bytes,
            use_dictionary=DICTIONARIES[kind],
            write_page_checksum=True,
            write_statistics=[name for name in table.schema.names if name not in ("text", "source_metadata")],
        )
        digest = hash_file(temporary)
        name = f"{batch}-{digest[:16]}.parquet"
        temporary.chmod(0o444)
        size = temporary.stat().st_size
        rename_durably(temporary, home.part(kind, name))
    return PartReceipt(kind=kind, name=name, sha256=digest, size_bytes=size, row_count=table.num_rows)


def problem(home: Home, part: PartReceipt) -> str | None:
    """What is wrong with a part on disk, in a few words; None where it is as it was written."""
    path = home.part(part.kind, part.name)
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != part.size_bytes:
        return f"has {path.stat().st_size} bytes instead of {part.size_bytes}"
    if hash_file(path) != part.sha256:
        return "was altered: its sha256 is not the ledger's"
    return None


def raw_bytes(home: Home, part: PartReceipt) -> int:
    """How long the columns of a part are before compression, by its footer; raises ``DamagedError``."""
    path = home.part(part.kind, part.name)
    try:
        footer = pq.read_metadata(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise _damaged(home, part, error) from error
    return sum(footer.row_group(number).total_byte_size for number in range(footer.num_row_groups))


def _damaged(home: Home, part: PartReceipt, error: Exception | None = None) -> DamagedError:
    unread = "cannot be read" if error is None else f"cannot be read: {error}"
    return DamagedError(
        f"part {home.part(part.kind, part.name)} {problem(home, part) or unread}; "
        "restore it from a backup, or move the home away and ingest again"
    )


def read(home: Home, part: PartReceipt) -> pa.Table:
    """The rows of a part, checked against the ledger's sha256 on the very bytes that are parsed.

    Raises ``DamagedError``: Parquet's own readers return wrong rows for most flipped bits without a word.  Each page
    has a checksum of its own, made before it was written: what was damaged before the sha256 was taken shows there.
    """
    path = home.part(part.kind, part.name)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    if hashlib.sha256(data).hexdigest() != part.sha256:
        raise _damaged(home, part)
    try:
        return pq.read_table(pa.BufferReader(data), partitioning=None, page_checksum_verification=True)
    except (OSError, pa.ArrowInvalid) as error:
        raise _damaged(home, part, error) from error
