"""Plan: what to do with each file that was found, and which files one task handles; pure functions.

Belongs here: decisions out of limits, and how an outcome is recorded.  Does not belong here: looking at disks or
the ledger (``tasks.discover``).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from warehouse.errors import Deferred
from warehouse.records import Batch, RawFile, Receipt, Sighting
from warehouse.vocabulary import FileStatus, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """How much one task handles, whichever comes first.

    8 MB: parts of 1 MB are a fifth larger and cost more to write, and beyond 8 MB memory grows and nothing else;
    3,000 files: enough for the fixed cost of a task to vanish (docs/decisions/0004).
    """

    batch_bytes: int = 8_000_000
    batch_files: int = 3_000


def order(file: RawFile) -> tuple[str, str, str]:
    """The order of files in batches: by source and uri, whatever order they were found in."""
    return file.source, file.uri, file.root


def batches(files: Iterable[RawFile], limits: BatchLimits) -> Iterator[Batch]:
    """Cut the files into batches: the same files give the same batches, wherever and however often.

    A file that is larger than the limit is a batch of its own.
    """
    number, members, size = 0, list[RawFile](), 0
    for file in sorted(files, key=order):
        if members and (size + file.stamp.size_bytes > limits.batch_bytes or len(members) >= limits.batch_files):
            yield Batch(number=number, files=tuple(members))
            number, members, size = number + 1, [], 0
        members.append(file)
        size += file.stamp.size_bytes
    if members:
        yield Batch(number=number, files=tuple(members))


def remaining(batch: Batch, receipt: Receipt) -> Batch:
    """What of a batch is still to be done behind one of its receipts: a file that was cut goes on where it ended."""
    begun = {span.file_id: span.last_ordinal + 1 for span in receipt.spans if not span.is_last}
    done = {(each.root, each.uri) for each in receipt.sightings} | set(receipt.gone)
    return Batch(
        number=batch.number,
        files=tuple(
            replace(file, first_ordinal=begun.get(file.file_id, file.first_ordinal))
            for file in batch.files
            if (file.root, file.uri) not in done
        ),
    )


def sighting(file: RawFile, status: FileStatus) -> Sighting:
    """The record of a content that was seen at a uri."""
    return Sighting(
        root=file.root, uri=file.uri, source=file.source, file_id=file.file_id, stamp=file.stamp, status=status
    )


def deferral(file: RawFile, deferred: Deferred) -> Sighting:
    """The record of a file that could not be read now."""
    return Sighting(
        root=file.root,
        uri=file.uri,
        source=file.source,
        file_id=None,
        stamp=file.stamp,
        status=FileStatus.DEFERRED,
        stage=Stage.READ,
        reason=deferred.reason,
        detail=deferred.detail,
    )
