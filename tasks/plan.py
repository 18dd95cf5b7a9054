"""Plan: what to do with each file that was found, and which files one task handles; pure functions.

Belongs here: decisions out of limits, and how an outcome is recorded.  Does not belong here: looking at disks or
the ledger (``tasks.discover``).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from warehouse.errors import Deferred
from warehouse.records import Batch, RawFile, Receipt, Sighting
from warehouse.vocabulary import DeferReason, FileStatus, Reason, Stage

# What a batch need not be smaller than: to write and to commit less costs more than a worker that waits.
_LEAST_BYTES, _LEAST_FILES = 2_000_000, 750
# A batch takes no more than this share of what is left, so that workers come to the end at nearly the same time.
_SHARE = 4

# In how many runs, one after the other, a file's worker is killed until the file is refused.
KILLED_RUNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """How much one task handles, whichever comes first.

    8 MB: parts of 1 MB are a fifth larger and cost more to write, and beyond 8 MB memory grows and nothing else;
    3,000 files: enough for the fixed cost of a task to vanish (docs/decisions/0004).
    """

    batch_bytes: int = 8_000_000
    batch_files: int = 3_000

    def before_end(self, files: int, nbytes: int) -> "BatchLimits":
        """The limits of the next batch where so much is left: less towards the end (docs/decisions/0019).

        >>> BatchLimits().before_end(8_000, 20_000_000)
        BatchLimits(batch_bytes=5000000, batch_files=2000)
        """
        return BatchLimits(
            batch_bytes=min(self.batch_bytes, max(nbytes // _SHARE, _LEAST_BYTES)),
            batch_files=min(self.batch_files, max(files // _SHARE, _LEAST_FILES)),
        )


def order(file: RawFile) -> tuple[str, str, str]:
    """The order of files in batches: by source and uri, whatever order they were found in."""
    return file.source, file.uri, file.root


def batches(files: Iterable[RawFile], limits: BatchLimits, count: int = 0, nbytes: int = 0) -> Iterator[Batch]:
    """Cut files that come in ``order`` into batches: the same files give the same batches, wherever and however often.

    A batch is handed on as soon as it is full.  A file that is larger than the limit is a batch of its own.  Where the
    ``count`` of the files and their ``nbytes`` are known, and are more than one batch, the last ones are smaller.
    """
    number, members, size = 0, list[RawFile](), 0
    left, left_bytes = count, nbytes
    is_several = left > limits.batch_files or left_bytes > limits.batch_bytes
    current = limits.before_end(left, left_bytes) if is_several else limits
    for file in files:
        if members and (size + file.stamp.size_bytes > current.batch_bytes or len(members) >= current.batch_files):
            yield Batch(number=number, files=tuple(members))
            left, left_bytes = left - len(members), left_bytes - size
            current = limits.before_end(left, left_bytes) if is_several else limits
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
            file._replace(first_ordinal=begun.get(file.file_id, file.first_ordinal))
            for file in batch.files
            if (file.root, file.uri) not in done
        ),
    )


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """A batch of two files or more as two, in order and under its number.

    >>> [len(half.files) for half in halves(Batch(number=0, files=("a", "b", "c")))]
    [1, 2]
    """
    middle = len(batch.files) // 2
    first, second = batch.files[:middle], batch.files[middle:]
    return Batch(number=batch.number, files=first), Batch(number=batch.number, files=second)


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


def unread(
    batch: Batch, reason: Reason | DeferReason, detail: str, pipeline_version: str, settings_fingerprint: str
) -> Receipt:
    """What there is of a batch that no worker has worked off: no part, a sighting a file that says why."""
    status = FileStatus.DEFERRED if isinstance(reason, DeferReason) else FileStatus.REJECTED
    return Receipt(
        number=batch.number,
        batch_id="",
        pipeline_version=pipeline_version,
        settings_fingerprint=settings_fingerprint,
        parts=(),
        spans=(),
        sightings=tuple(
            Sighting(
                root=file.root,
                uri=file.uri,
                source=file.source,
                file_id=None,
                stamp=file.stamp,
                status=status,
                stage=Stage.READ,
                reason=reason,
                detail=detail,
            )
            for file in batch.files
        ),
        gone=(),
        timings={},
        is_last=True,
    )


def after_kills(sighting: Sighting, before: int) -> Sighting:
    """The record of a file whose worker was killed, as it was in so many runs before this one.

    Nobody can tell a system out of memory from an operator; what is there in every run is the file.
    """
    detail = f"{sighting.detail}, in {before + 1} run{'s' * (before > 0)}"
    if before + 1 < KILLED_RUNS:
        return sighting._replace(detail=detail)
    return sighting._replace(status=FileStatus.REJECTED, reason=Reason.CRASH, detail=detail)
