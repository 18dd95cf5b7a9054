"""The whole ingest as one function that takes ``direct`` or ``tracked`` stages.

Belongs here: the order of the stages, and the run lock.  Does not belong here: batches and commits
(``flows.execution``), the stages (``tasks``), Prefect's decorators (``flows.ingest``), the command line.

The order is the promise: parts are durable before a commit names them, a commit is durable before it is published,
and whatever a killed run leaves behind is either committed or does not exist.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from flows.erase import erase
from flows.execution import SIGHTINGS, Run, Stages
from flows.settings import Settings
from flows.summary import HINDRANCES, Outcome, Progress
from tasks import plan
from tasks.discover import DiscoverOptions, Discovery, Search, discover
from tasks.hashing import Hasher
from tasks.replay import again
from tasks.roots import Root, known_root, roots_of
from tasks.template import Template
from tasks.text import language
from warehouse import clean, ledger, memory, presence
from warehouse.durable import lock
from warehouse.errors import ConfigError, NewsmillError, PermanentError
from warehouse.layout import Home
from warehouse.ledger import Ledger
from warehouse.records import RawFile, Receipt
from warehouse.vocabulary import FileStatus, RunStatus


def _last_published(home: Home) -> tuple[int, str] | None:
    """Number and hash of the last commit in the newest snapshot; None where nothing was published."""
    if not home.versions.is_dir():
        return None
    # It brings DuckDB along, which whoever waits for the first workers need not wait for.
    from warehouse import snapshots

    return snapshots.last_published(home)


@contextmanager
def opened(settings: Settings, *, create: bool = False) -> Iterator[Ledger]:
    """The home's ledger, proven to be no older than the newest snapshot."""
    home = settings.layout
    book = ledger.open_ledger(home, settings.ledger_url, create=create)
    try:
        ledger.check_beside(book, home, _last_published(home))
        yield book
    finally:
        book.close()


@contextmanager
def exclusive(settings: Settings, progress: Progress, *, create: bool = True) -> Iterator[Ledger]:
    """The ledger under the run lock: nobody else commits, so whatever still claims to run has died.

    A forgetting that was begun comes to its end before anything else.
    """
    home = settings.layout
    memory.give_back()
    memory.look_seldom()
    with lock(home.lock("run"), on_wait=progress.waiting), opened(settings, create=create) as book:
        ledger.mark_crashed(book)
        clean.sweep(home)
        erase(settings, book, progress)
        yield book


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
        reader=settings.reader,
    )


def _died_twice(book: Ledger) -> bool:
    """Whether both runs before this one came to no end: a file may have killed them, which a worker can die for."""
    before = ledger.recent_runs(book, 3)[1:]
    return len(before) == 2 and all(one.status == RunStatus.CRASHED for one in before)


def _record(run: Run, search: Search) -> None:
    """From a search to commits: the batches in order, what needed no reading, then the copies of what was read."""
    found = Discovery()

    def new(hasher: Hasher | None) -> Iterator[RawFile]:
        parts = search.hashed(hasher)
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
            if len(found.sightings) >= SIGHTINGS:
                run.commit_sightings(found.sightings)
                found.sightings = []
            yield from files

    def committed(receipt: Receipt) -> None:
        search.committed(span.file_id for span in receipt.spans if span.is_last)

    is_suspect = (search.has_waited and _died_twice(run.book)) or (
        search.is_awaited and ledger.has_put_off(run.book, HINDRANCES)
    )
    with run.pool(search.total, search.size_bytes, is_suspect=is_suspect) as pool:
        run.process(new(pool.hasher if pool is not None else None), search.total, search.size_bytes, pool, committed)
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
    template: Template | None = None,
) -> Outcome:
    """Ingest files and folders, the inbox where none is named, only ``roots`` where they are; waits for another run.

    Workers are forked from ``template`` where one was begun (``flows.early``).
    """
    progress = progress or Progress()
    if settings.cache is not None:
        language.configure(settings.cache)
    with exclusive(settings, progress) as book:
        roots = _roots(settings, book, paths, source) if roots is None else roots
        run = Run(settings, stages, book, progress, "ingest", template)
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
        run = Run(settings, stages, book, progress, "replay")
        with run.recorded():
            stale = ledger.stale_contents(book, run.pipeline_version, run.settings_fingerprint)
            due = set(file_ids).intersection(stale)
            run.outcome.count("unchanged", len(set(file_ids)) - len(due))
            chosen = again(book, settings.layout, sorted(due))
            run.outcome.missing = chosen.missing
            if unread:
                roots = [known_root(settings.layout, root, uri) for root, uri in unread]
                _record(run, stages.discover(book, roots, _discover_options(settings), reread=True))
            run.is_replay = True
            count, nbytes = len(chosen.files), sum(file.stamp.size_bytes for file in chosen.files)
            with run.pool(count, nbytes) as pool:
                run.process(sorted(chosen.files, key=plan.order), count, nbytes, pool)
            run.outcome.count("replaced", ledger.replaced_documents(book, run.outcome.run_id))
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
