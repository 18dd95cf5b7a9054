"""One batch, from raw files to parts and a receipt: all that a light worker has to do.

Belongs here: reading the files of a batch and writing its two parts.  Does not belong here: the ledger, DuckDB and
Prefect, none of which this module reaches; a contract checks it.
"""

import io
import time
from collections.abc import Iterator
from typing import BinaryIO

from tasks import plan
from tasks.document import cuts
from tasks.options import BatchOptions
from warehouse import batches, parts, raw_files
from warehouse.errors import Deferred
from warehouse.layout import Home
from warehouse.reaching import Reach
from warehouse.records import Batch, FileResult, RawFile, Receipt, Sighting
from warehouse.vocabulary import DeferReason, FileStatus

# A larger file is read in pieces: no less than an ordinary batch, whose files are held whole.
WHOLE_BYTES = 8_000_000


def _outcome(result: FileResult, with_documents: set[str]) -> Sighting:
    is_ingested = result.documents or result.file.file_id in with_documents or result.file.first_ordinal
    return plan.sighting(result.file, FileStatus.INGESTED if is_ingested else FileStatus.REJECTED)


class _Contents:
    """The files of a batch as streams, one after the other; remembers what could not be read.

    A small file is held whole, a big one is read in pieces and proven to be what was found before it is.
    """

    def __init__(self, batch: Batch, timings: dict[str, float]) -> None:
        self.batch = batch
        self.timings = timings
        self.deferred: list[Sighting] = []
        self.gone: list[tuple[str, str]] = []
        # The big file that is read just now.
        self.opened: raw_files.Opened | None = None

    def __iter__(self) -> Iterator[tuple[RawFile, BinaryIO]]:
        with Reach() as way:
            yield from self._through(way)

    def _through(self, way: Reach) -> Iterator[tuple[RawFile, BinaryIO]]:
        for file in self.batch.files:
            started = time.perf_counter()
            try:
                if file.stamp.size_bytes > WHOLE_BYTES:
                    yield from self._big(file)
                    continue
                content = raw_files.read(file.path, way)
                self._check(content.file_id, file)
            except FileNotFoundError:
                self.gone.append((file.root, file.uri))
            except Deferred as reason:
                self.deferred.append(plan.deferral(file, reason))
            else:
                self.timings["read"] = self.timings.get("read", 0.0) + time.perf_counter() - started
                yield file, io.BytesIO(content.data)

    def _check(self, file_id: str, file: RawFile) -> None:
        if file_id != file.file_id:
            raise Deferred(DeferReason.CHANGING, "changed after it was found")

    def _big(self, file: RawFile) -> Iterator[tuple[RawFile, BinaryIO]]:
        started = time.perf_counter()
        with raw_files.opened(file.path) as opened:
            self._check(opened.file_id(), file)
            self.timings["read"] = self.timings.get("read", 0.0) + time.perf_counter() - started
            self.opened = opened
            try:
                yield file, opened.stream
            finally:
                self.opened = None

    def check(self) -> None:
        """Raise ``Deferred`` where the big file at work is no longer what was found."""
        if self.opened is not None:
            self.opened.check()

    def take(self) -> tuple[list[Sighting], list[tuple[str, str]]]:
        """What was put off and what was gone since the last time somebody asked."""
        found = self.deferred, self.gone
        self.deferred, self.gone = [], []
        return found


def ingest_batch(home: Home, batch: Batch, options: BatchOptions) -> Iterator[Receipt]:
    """Read, decode, normalise, detect, segment and write one batch: one receipt, or one a cut where that is too much.

    A file that cannot be read, or whose bytes are no longer those that were found, is deferred; the others go on.
    Errors of the home (a full disk, say) are raised: what was not handed over by then does not count.
    """
    timings: dict[str, float] = {"read": 0.0}
    contents = _Contents(batch, timings)
    with_documents: set[str] = set()
    for cut in cuts(contents, options.document, options.cut, timings, check=contents.check):
        deferred, gone = contents.take()
        deferred += [plan.deferral(file, reason) for file, reason in cut.deferred]
        with_documents.update(result.file.file_id for result in cut.results if result.documents)
        started = time.perf_counter()
        spans = batches.spans_of(cut.results)
        batch_id = batches.batch_id(spans, options.pipeline_version, options.settings_fingerprint)
        written = []
        if cut.results:
            rows = batches.tables(cut.results, options.pipeline_version, batch_id)
            written = [parts.write(home, kind, table, batch_id) for kind, table in rows.items()]
        timings["write"] = time.perf_counter() - started
        outcomes = (_outcome(result, with_documents) for result in cut.results if result.is_last)
        yield Receipt(
            number=batch.number,
            batch_id=batch_id,
            pipeline_version=options.pipeline_version,
            settings_fingerprint=options.settings_fingerprint,
            parts=tuple(written),
            spans=spans,
            sightings=(*outcomes, *deferred),
            gone=tuple(gone),
            timings=dict(timings),
            is_last=cut.is_last,
        )
        timings.clear()
        timings["read"] = 0.0
