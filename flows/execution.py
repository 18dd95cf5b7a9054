"""One execution of a flow: what it hands to the stages, and what it leaves in the ledger.

Belongs here: batches to commits, when to publish, counts and timings.  Does not belong here: which files those are and
the run lock (``flows.run``), the stages (``tasks``), the thread that loads meanwhile (``flows.loading``).
"""

import itertools
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol

from flows.loading import Loading
from flows.settings import Settings
from flows.summary import Outcome, Progress
from tasks import plan, version
from tasks.direct import Failure
from tasks.discover import DiscoverOptions, Search
from tasks.options import BatchOptions, CutLimits
from tasks.pool import Pool
from tasks.roots import Root
from tasks.template import Template
from warehouse import ledger
from warehouse.layout import Home
from warehouse.ledger import Ledger
from warehouse.records import Batch, RawFile, Receipt, Sighting
from warehouse.vocabulary import DeferReason, RunStatus

if TYPE_CHECKING:
    from warehouse.draft import Draft
    from warehouse.loader import Published

logger = logging.getLogger(__name__)

# Paths without a batch that one commit brings: 200,000 at once held 485 MB, some 2 KB each.
SIGHTINGS = 10_000


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

    def drafted(self, home: Home, book: Ledger) -> "AbstractContextManager[Draft]":
        """A draft of the next snapshot."""

    def publish(
        self,
        home: Home,
        book: Ledger,
        *,
        draft: "Draft | None" = None,
        on_commit: Callable[[int, int], None] | None = None,
    ) -> "Published":
        """Publish what is committed, with a draft that has been begun."""


class Run:
    """One execution: counts, commits and publishes while the stages hand over their results."""

    def __init__(
        self,
        settings: Settings,
        stages: Stages,
        book: Ledger,
        progress: Progress,
        flow: str,
        template: Template | None = None,
    ) -> None:
        self.settings, self.stages, self.book, self.progress = settings, stages, book, progress
        self._template = template
        self.home = settings.layout
        self.outcome = Outcome(run_id=str(uuid.uuid4()))
        self.pipeline_version, self.settings_fingerprint = version.pipeline_version(), settings.fingerprint()
        self.last_publish = (time.monotonic(), 0.0)
        self._loading: Loading | None = None
        # What is read again was sighted before: its rows change, not what is current at its uri.
        self.is_replay = False
        ledger.start_run(
            book,
            run_id=self.outcome.run_id,
            flow=flow,
            orchestrator=stages.ORCHESTRATOR,
            pipeline_version=self.pipeline_version,
            settings_fingerprint=self.settings_fingerprint,
            versions=version.versions(),
        )

    @cached_property
    def batch_options(self) -> BatchOptions:
        """What a worker must know besides the files."""
        return BatchOptions(
            document=self.settings.document_options(),
            cut=CutLimits(cut_bytes=self.settings.batch_bytes, cut_records=self.settings.batch_records),
            pipeline_version=self.pipeline_version,
            settings_fingerprint=self.settings_fingerprint,
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
        """Commit what needed no batch, so many at once that memory does not grow with them."""
        for start in range(0, max(len(sightings), bool(gone)), SIGHTINGS):
            some = sightings[start : start + SIGHTINGS]
            with self.timed("commit"):
                ledger.append(
                    self.book,
                    self.outcome.run_id,
                    sightings=some,
                    gone=() if start else gone,
                    pipeline_version=self.pipeline_version,
                    settings_fingerprint=self.settings_fingerprint,
                )
            self.count(some)

    def count(self, sightings: Iterable[Sighting]) -> None:
        """Count paths by what became of them."""
        outcomes = Counter((sighting.status, sighting.reason) for sighting in sightings)
        for (status, reason), paths in outcomes.items():
            self.outcome.count(status, paths)
            if reason is not None:
                self.outcome.reasons[reason] = self.outcome.reasons.get(reason, 0) + paths

    def _judged(self, receipt: Receipt) -> Receipt:
        """A receipt in which files are refused whose workers were killed in run after run."""
        if not any(sighting.reason is DeferReason.KILLED for sighting in receipt.sightings):
            return receipt
        return replace(receipt, sightings=tuple(map(self._counted, receipt.sightings)))

    def _counted(self, sighting: Sighting) -> Sighting:
        if sighting.reason is not DeferReason.KILLED:
            return sighting
        before = ledger.deferrals(self.book, sighting.root, [sighting.uri]).get(sighting.uri, [])
        here = (DeferReason.KILLED, sighting.stamp.size_bytes, sighting.stamp.mtime_ns)
        return plan.after_kills(sighting, sum(deferral == here for deferral in before))

    def take(self, receipt: Receipt) -> None:
        """Commit one batch: from here on it exists."""
        receipt = self._judged(receipt)
        with self.timed("commit"):
            committed = replace(receipt, sightings=(), gone=()) if self.is_replay else receipt
            number = ledger.append(self.book, self.outcome.run_id, receipt=committed)
        self.progress.committed(receipt, number or 0)
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
        size_bytes: int,
        pool: Pool | None,
        on_commit: Callable[[Receipt], None] | None = None,
    ) -> None:
        """Batch after batch, committed in order; publishes on the way when enough time has gone.

        The files come in the order of plans, as workers can take them; ``total`` is how many there are at most, with
        at most ``size_bytes``.
        """
        limits = plan.BatchLimits(batch_bytes=self.settings.batch_bytes, batch_files=self.settings.batch_files)
        left: dict[int, int] = {}
        done = 0

        def counted(batches: Iterable[Batch]) -> Iterator[Batch]:
            for batch in batches:
                left[batch.number] = len(batch.files)
                yield batch

        every = counted(plan.batches(files, limits, total, size_bytes))
        if (first := next(every, None)) is None:
            return
        batches = itertools.chain([first], every)
        if pool is not None and self.settings.publish_seconds:
            self._load_beside()
        for result in self.stages.process(self.home, batches, self.batch_options, pool):
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
                if self._loading is not None:
                    self._loading.committed()
                elif self._is_due():
                    self.publish()
            self.progress.step("files", done, max(done, total))

    def pool(self, files: int, size_bytes: int, *, is_suspect: bool = False) -> AbstractContextManager[Pool | None]:
        """Workers, where there may be more than one batch of so many files, which is worth starting them.

        ``is_suspect`` says that one of the files may have killed or held up earlier runs, and may whoever reads it.
        """
        is_large = files > 1 and (files > self.settings.batch_files or size_bytes > self.settings.batch_bytes)
        if not (is_large or (files and is_suspect)) or not self.settings.workers:
            return nullcontext()
        return Pool(self.settings.pool_options(), is_careful=is_suspect, template=self._template)

    def _load_beside(self) -> None:
        """From now on load what is committed while workers work."""
        self._loading = Loading(partial(self.stages.drafted, self.home, self.book), self.publish, self._is_due)

    def _is_due(self) -> bool:
        """Whether to publish inside a run: at most every so often, and never more than a fifth of the time."""
        when, took = self.last_publish
        return time.monotonic() - when >= max(self.settings.publish_seconds, 5 * took)

    def publish(self, draft: "Draft | None" = None) -> None:
        """Publish what is committed."""
        published = self.stages.publish(
            self.home, self.book, draft=draft, on_commit=partial(self.progress.step, "publish")
        )
        self.last_publish = (time.monotonic(), published.seconds)
        timings = self.outcome.timings
        timings["publish"] = timings.get("publish", 0.0) + published.seconds
        if published.path is not None:
            self.outcome.published = str(published.path)
        self.progress.published(published.commit_no)

    def end(self, status: RunStatus, error: str | None) -> None:
        """Record how it ended."""
        counts, timings = self.outcome.counts, self.outcome.timings
        ledger.finish_run(self.book, self.outcome.run_id, status, counts=counts, timings=timings, error=error)

    def finish(self) -> Outcome:
        """Record the end, then publish: the snapshot shows the run as it ended."""
        status = RunStatus.FAILED if self.outcome.failures else RunStatus.COMPLETED
        self.end(status, "; ".join(self.outcome.failures) or None)
        self.publish(self._loading.end() if self._loading is not None else None)
        return self.outcome

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """If the block raises, the ledger says of the run that it failed, and why."""
        try:
            yield
        except BaseException as error:
            self.end(RunStatus.FAILED, str(error) or type(error).__name__)
            raise
        finally:
            if self._loading is not None:
                self._loading.close()
