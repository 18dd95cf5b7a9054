"""The whole ingest as one function that takes ``direct`` or ``tracked`` stages.

Belongs here: the order of the stages, the run lock, and what a run leaves in the ledger.  Does not belong here: the
stages (``tasks``), Prefect's decorators (``flows.ingest``), the command line.

The order is the promise: parts are durable before a commit names them, a commit is durable before it is published,
and whatever a killed run leaves behind is either committed or does not exist.
"""

import itertools
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Protocol

from flows.erase import erase
from flows.settings import Settings
from flows.summary import Outcome, Progress
from tasks import plan, version
from tasks.direct import Failure
from tasks.discover import DiscoverOptions, Discovery, Root, Search, discover, known_root, roots_of
from tasks.document import CutLimits
from tasks.ingest_batch import BatchOptions
from tasks.pool import Pool
from tasks.replay import again
from tasks.text import language
from warehouse import clean, ledger, presence, snapshots
from warehouse.durable import lock
from warehouse.errors import ConfigError, NewsmillError, PermanentError
from warehouse.layout import Home
from warehouse.ledger import Ledger
from warehouse.loader import Published
from warehouse.records import Batch, RawFile, Receipt, Sighting
from warehouse.vocabulary import FileStatus, RunStatus

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


@contextmanager
def opened(settings: Settings, *, create: bool = False) -> Iterator[Ledger]:
    """The home's ledger, proven to be no older than the newest snapshot."""
    home = settings.layout
    book = ledger.open_ledger(home, settings.ledger_url, create=create)
    try:
        ledger.check_beside(book, home, snapshots.last_published(home))
        yield book
    finally:
        book.close()


@contextmanager
def exclusive(settings: Settings, progress: Progress, *, create: bool = True) -> Iterator[Ledger]:
    """The ledger under the run lock: nobody else commits, so whatever still claims to run has died.

    A forgetting that was begun comes to its end before anything else.
    """
    home = settings.layout
    with lock(home.lock("run"), on_wait=progress.waiting), opened(settings, create=create) as book:
        ledger.mark_crashed(book)
        clean.sweep(home)
        erase(settings, book, progress)
        yield book


class _Run:
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
        for sighting in sightings:
            self.outcome.count(sighting.status)
            if sighting.reason is not None:
                self.outcome.reasons[sighting.reason] = self.outcome.reasons.get(sighting.reason, 0) + 1

    def take(self, receipt: Receipt) -> None:
        """Commit one batch: from here on it exists."""
        with self.timed("commit"):
            committed = replace(receipt, sightings=(), gone=()) if self.is_replay else receipt
            ledger.append(self.book, self.outcome.run_id, receipt=committed)
        self.progress.committed(receipt)
        self.outcome.count("gone", len(receipt.gone))
        self.count(receipt.sightings)
        for span in receipt.spans:
            self.outcome.count("documents", span.document_count)
            self.outcome.count("segments", span.segment_count)
            self.outcome.count("record_rejects", span.reject_count)
        for stage, seconds in receipt.timings.items():
            self.outcome.timings[stage] = self.outcome.timings.get(stage, 0.0) + seconds
        logger.info(
            "batch %d committed: %d files, %d documents, %d rejects",
            receipt.number,
            len(receipt.spans),
            sum(span.document_count for span in receipt.spans),
            sum(span.reject_count for span in receipt.spans),
        )

    def process(self, files: Iterable[RawFile], total: Callable[[], int]) -> None:
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

        batches = plan.batches(files, limits)
        first = list(itertools.islice(batches, 2))
        with self.pool(first) as pool:
            every = counted(itertools.chain(first, batches))
            for result in self.stages.process(self.home, every, self.batch_options, pool):
                if isinstance(result, Failure):
                    number = result.batch.number
                    why = str(result.error).splitlines()[0] if str(result.error) else type(result.error).__name__
                    self.outcome.failures.append(f"batch {number} ({left[number]} files): {why}")
                    self.outcome.count("pending", left[number])
                    done += left[number]
                else:
                    self.take(result)
                    settled = len(result.sightings) + len(result.gone)
                    left[result.number] -= settled
                    done += settled
                    if not result.is_last:
                        # A big file is one file for hours: its records show that it moves.
                        counts = self.outcome.counts
                        records = counts.get("documents", 0) + counts.get("record_rejects", 0)
                        self.progress.step("records", records, None)
                    self.publish_if_due()
                self.progress.step("files", done, max(done, total()))

    def pool(self, batches: Sequence[Batch]) -> AbstractContextManager[Pool | None]:
        """Workers, where more than one batch is worth starting them."""
        if len(batches) < 2 or not self.settings.workers:
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


def check(settings: Settings, paths: Sequence[bytes] = (), source: str | None = None) -> None:
    """Raise what would stop a run at once, before anything is started for it."""
    if source is not None and not (source.isprintable() and source.strip()):
        raise ConfigError("--source must be a printable word")
    home = settings.layout
    if settings.ledger_url is not None or presence.exists(home) or home.has_data():
        with opened(settings, create=True):
            pass
    for path in paths:
        roots_of(path, home, (), None)


def _roots(settings: Settings, book: Ledger, paths: Sequence[bytes], source: str | None) -> list[Root]:
    home = settings.layout
    if paths:
        known, roots = set(ledger.known_roots(book)), list[Root]()
        for path in paths:
            roots += roots_of(path, home, known, source)
            known.update(root.location for root in roots)
        return roots
    if not home.inbox.is_dir():
        raise PermanentError(
            f"the inbox {home.inbox} does not exist; put files into {home.inbox}/<source>/, "
            "or name a folder: newsmill ingest PATH"
        )
    return roots_of(os.fsencode(home.inbox), home, (), source)


def _discover_options(settings: Settings) -> DiscoverOptions:
    return DiscoverOptions(
        settle_seconds=settings.settle_seconds,
        max_file_bytes=settings.max_file_bytes,
        max_stream_bytes=settings.max_stream_bytes,
    )


def _record(run: _Run, search: Search) -> None:
    """From a search to commits: the batches in order, then what needed no reading, then the copies of what was read."""
    found = Discovery()
    total = search.total

    def new() -> Iterator[RawFile]:
        parts = search.hashed()
        while True:
            with run.timed("hash"):
                some = next(parts, None)
                if some is None:
                    return
                ledger.restamp(run.book, some.restamped)
                ledger.mark_pending(run.book, [*some.new, *some.copies])
            run.outcome.count("unchanged", some.unchanged + len(some.restamped))
            run.outcome.count("ignored", some.ignored)
            files, some.new, some.restamped = some.new, [], []
            found.add(some)
            yield from files

    run.process(new(), lambda: total)
    run.commit_sightings(found.sightings, found.gone)
    finished = ledger.finished_contents(run.book, {file.file_id for file in found.copies})
    copies = [file for file in found.copies if file.file_id in finished]
    run.commit_sightings([plan.sighting(file, FileStatus.DUPLICATE) for file in copies])
    run.outcome.count("pending", len(found.copies) - len(copies))


def ingest(
    settings: Settings,
    stages: Stages,
    paths: Sequence[bytes] = (),
    *,
    source: str | None = None,
    roots: Sequence[Root] | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Ingest files and folders, the inbox where none is named, only ``roots`` where they are; waits for another run."""
    progress = progress or Progress()
    if settings.cache is not None:
        language.configure(settings.cache)
    with exclusive(settings, progress) as book:
        roots = _roots(settings, book, paths, source) if roots is None else roots
        run = _Run(settings, stages, book, progress, "ingest")
        with run.recorded():
            with run.timed("discover"):
                found = stages.discover(
                    book,
                    roots,
                    _discover_options(settings),
                    on_file=lambda seen: progress.step("discover", seen, None),
                )
            _record(run, found)
            return run.finish()


def replay(
    settings: Settings,
    stages: Stages,
    *,
    file_ids: Sequence[str] = (),
    unread: Sequence[tuple[str, str]] = (),
    progress: Progress | None = None,
) -> Outcome:
    """Read contents again, and paths (root, uri) that were refused unread.

    What this version and these settings made is not read: it would come out equal.
    """
    progress = progress or Progress()
    if settings.cache is not None:
        language.configure(settings.cache)
    with exclusive(settings, progress) as book:
        run = _Run(settings, stages, book, progress, "replay")
        with run.recorded():
            stale = ledger.stale_contents(
                book, run.batch_options.pipeline_version, run.batch_options.settings_fingerprint
            )
            due = set(file_ids).intersection(stale)
            run.outcome.count("unchanged", len(set(file_ids)) - len(due))
            chosen = again(book, settings.layout, sorted(due))
            run.outcome.missing = chosen.missing
            if unread:
                roots = [known_root(settings.layout, root, uri) for root, uri in unread]
                _record(run, stages.discover(book, roots, _discover_options(settings), reread=True))
            run.is_replay = True
            run.process(sorted(chosen.files, key=plan.order), lambda: len(chosen.files))
            return run.finish()


def dry_run(settings: Settings, paths: Sequence[bytes], *, source: str | None = None) -> Outcome:
    """What an ingest would do; nothing is written, not even a home."""
    outcome = Outcome(run_id="", is_dry=True)
    try:
        with opened(settings) as book:
            found = discover(book, _roots(settings, book, paths, source), _discover_options(settings))
    except NewsmillError:
        if settings.layout.ledger.exists() or settings.ledger_url or settings.layout.has_data():
            raise
        with ledger.nothing_yet() as book:
            found = discover(book, _roots(settings, book, paths, source), _discover_options(settings))
    outcome.count("would_read", len(found.new))
    outcome.count("duplicate", len(found.copies))
    outcome.count("unchanged", found.unchanged + len(found.restamped))
    outcome.count("ignored", found.ignored)
    for sighting in found.sightings:
        outcome.count(sighting.status)
    return outcome
