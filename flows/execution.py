"""One execution of a flow: what it hands to the stages, and what it leaves in the ledger.

Belongs here: batches to commits, when to publish, counts and timings.  Does not belong here: which files those are and
the run lock (``flows.run``), the stages (``tasks``).
"""

import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Protocol

from flows.settings import Settings
from flows.summary import Outcome, Progress
from tasks import plan, version
from tasks.direct import Failure
from tasks.discover import DiscoverOptions, Search
from tasks.document import CutLimits
from tasks.ingest_batch import BatchOptions
from tasks.pool import Pool
from tasks.roots import Root
from warehouse import ledger
from warehouse.layout import Home
from warehouse.ledger import Ledger
from warehouse.loader import Published
from warehouse.records import Batch, RawFile, Receipt, Sighting
from warehouse.vocabulary import RunStatus

logger = logging.getLogger(__name__)


class Stages(Protocol):
    """What ``tasks.direct`` and ``tasks.tracked`` both are."""

    ORCHESTRATOR: str

    def discover(
        self,
        book: Ledger,
        roots: Sequence[Root],
        options: DiscoverOptions,
        *,
        reread: bool = False,
        on_file: Callable[[int], None] | None = None,
    ) -> Search:
        """What may be new below the roots."""

    def process(
        self, home: Home, batches: Iterable[Batch], options: BatchOptions, pool: Pool | None = None
    ) -> Iterator[Receipt | Failure]:
        """The receipts or the failure of each batch, in order; of a batch that is cut, a receipt a cut."""

    def publish(
        self, home: Home, book: Ledger, *, rebuild: bool = False, on_commit: Callable[[int, int], None] | None = None
    ) -> Published:
        """Publish what is committed."""


class Run:
    """One execution: counts, commits and publishes while the stages hand over their results."""

    def __init__(self, settings: Settings, stages: Stages, book: Ledger, progress: Progress, flow: str) -> None:
        self.settings, self.stages, self.book, self.progress = settings, stages, book, progress
        self.home = settings.layout
        self.outcome = Outcome(run_id=str(uuid.uuid4()))
        self.batch_options = BatchOptions(
            document=settings.document_options(),
            cut=CutLimits(cut_bytes=settings.batch_bytes, cut_records=settings.batch_records),
            pipeline_version=version.pipeline_version(),
            settings_fingerprint=settings.fingerprint(),
        )
        self.last_publish = (time.monotonic(), 0.0)
        # What is read again was sighted before: its rows change, not what is current at its uri.
        self.is_replay = False
        ledger.start_run(
            book,
            run_id=self.outcome.run_id,
            flow=flow,
            orchestrator=stages.ORCHESTRATOR,
            pipeline_version=self.batch_options.pipeline_version,
            settings_fingerprint=self.batch_options.settings_fingerprint,
            versions=version.versions(),
        )

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds of a block to a stage."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.outcome.timings[stage] = self.outcome.timings.get(stage, 0.0) + time.monotonic() - started

    def commit_sightings(self, sightings: Sequence[Sighting], gone: Sequence[tuple[str, str]] = ()) -> None:
        """Commit what needed no batch."""
        if not sightings and not gone:
            return
        with self.timed("commit"):
            ledger.append(
                self.book,
                self.outcome.run_id,
                sightings=sightings,
                gone=gone,
                pipeline_version=self.batch_options.pipeline_version,
                settings_fingerprint=self.batch_options.settings_fingerprint,
            )
        self.count(sightings)

    def count(self, sightings: Iterable[Sighting]) -> None:
        """Count paths by what became of them."""
        outcomes = Counter((sighting.status, sighting.reason) for sighting in sightings)
        for (status, reason), paths in outcomes.items():
            self.outcome.count(status, paths)
            if reason is not None:
                self.outcome.reasons[reason] = self.outcome.reasons.get(reason, 0) + paths

    def take(self, receipt: Receipt) -> None:
        """Commit one batch: from here on it exists."""
        with self.timed("commit"):
            committed = replace(receipt, sightings=(), gone=()) if self.is_replay else receipt
            ledger.append(self.book, self.outcome.run_id, receipt=committed)
        self.progress.committed(receipt)
        self.outcome.count("gone", len(receipt.gone))
        self.count(receipt.sightings)
        documents = sum(span.document_count for span in receipt.spans)
        rejects = sum(span.reject_count for span in receipt.spans)
        self.outcome.count("documents", documents)
        self.outcome.count("segments", sum(span.segment_count for span in receipt.spans))
        self.outcome.count("record_rejects", rejects)
        for stage, seconds in receipt.timings.items():
            self.outcome.timings[stage] = self.outcome.timings.get(stage, 0.0) + seconds
        logger.info(
            "batch %d committed: %d files, %d documents, %d rejects",
            receipt.number,
            len(receipt.spans),
            documents,
            rejects,
        )

    def process(
        self,
        files: Iterable[RawFile],
        total: int,
        pool: Pool | None,
        on_commit: Callable[[Receipt], None] | None = None,
    ) -> None:
        """Batch after batch, committed in order; publishes on the way when enough time has gone.

        The files come in the order of plans, as workers can take them; ``total`` is how many there are at most.
        """
        limits = plan.BatchLimits(batch_bytes=self.settings.batch_bytes, batch_files=self.settings.batch_files)
        left: dict[int, int] = {}
        done = 0

        def counted(batches: Iterable[Batch]) -> Iterator[Batch]:
            for batch in batches:
                left[batch.number] = len(batch.files)
                yield batch

        every = counted(plan.batches(files, limits))
        for result in self.stages.process(self.home, every, self.batch_options, pool):
            if isinstance(result, Failure):
                number = result.batch.number
                why = str(result.error).splitlines()[0] if str(result.error) else type(result.error).__name__
                self.outcome.failures.append(f"batch {number} ({left[number]} files): {why}")
                self.outcome.count("pending", left[number])
                done += left[number]
            else:
                self.take(result)
                if on_commit is not None:
                    on_commit(result)
                settled = len(result.sightings) + len(result.gone)
                left[result.number] -= settled
                done += settled
                if not result.is_last:
                    # A big file is one file for hours: its records show that it moves.
                    counts = self.outcome.counts
                    records = counts.get("documents", 0) + counts.get("record_rejects", 0)
                    self.progress.step("records", records, None)
                self.publish_if_due()
            self.progress.step("files", done, max(done, total))

    def pool(self, files: int, size_bytes: int, *, is_suspect: bool = False) -> AbstractContextManager[Pool | None]:
        """Workers, where there may be more than one batch of so many files, which is worth starting them.

        ``is_suspect`` says that one of the files may have killed earlier runs, and may kill whoever reads it.
        """
        is_large = files > 1 and (files > self.settings.batch_files or size_bytes > self.settings.batch_bytes)
        if not (is_large or (files and is_suspect)) or not self.settings.workers:
            return nullcontext()
        return Pool(self.settings.pool_options())

    def publish_if_due(self) -> None:
        """Publish inside a run, at most every so often and never more than a fifth of the time."""
        when, took = self.last_publish
        if time.monotonic() - when >= max(self.settings.publish_seconds, 5 * took):
            self.publish()

    def publish(self) -> None:
        """Publish what is committed."""
        with self.timed("publish"):
            published = self.stages.publish(self.home, self.book, on_commit=partial(self.progress.step, "publish"))
        self.last_publish = (time.monotonic(), published.seconds)
        if published.path is not None:
            self.outcome.published = str(published.path)
        self.progress.published()

    def end(self, status: RunStatus, error: str | None) -> None:
        """Record how it ended."""
        counts, timings = self.outcome.counts, self.outcome.timings
        ledger.finish_run(self.book, self.outcome.run_id, status, counts=counts, timings=timings, error=error)

    def finish(self) -> Outcome:
        """Record the end, then publish: the snapshot shows the run as it ended."""
        status = RunStatus.FAILED if self.outcome.failures else RunStatus.COMPLETED
        self.end(status, "; ".join(self.outcome.failures) or None)
        self.publish()
        return self.outcome

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """If the block raises, the ledger says of the run that it failed, and why."""
        try:
            yield
        except BaseException as error:
            self.end(RunStatus.FAILED, str(error) or type(error).__name__)
            raise
