"""Watch the inbox: when files have settled, run the ingest in this warm process.

Belongs here: looking again and again, and deciding when a run is due.  Does not belong here: what is new, which the run
finds out for itself against the ledger; a look that misses or repeats something costs time and nothing else.

Looking means a whole walk, so that it works on every file system and nothing that was moved in, renamed or overflowed
can be missed; the interval grows with what a walk costs.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from flows import run
from flows.execution import Stages
from flows.settings import Settings
from flows.summary import Outcome
from tasks.discover import DiscoverOptions, ignored, is_settled
from tasks.roots import INBOX, Root, known_root
from tasks.text import language
from warehouse import raw_files
from warehouse.clock import now_us
from warehouse.durable import make_folder
from warehouse.errors import TransientError
from warehouse.records import Stamp
from warehouse.uri import to_uri

# So many files are looked up one by one; more are found sooner by a walk over the inbox.
_FEW = 20

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """When to look and when to run.

    ``settle_seconds``: how long a file must have been left alone.  ``sweep_seconds``: at the latest after so long a
    run is made all the same; what was deferred or failed is tried again by it.  ``share``: the part of the time that
    walks may take at most.  ``retry_seconds``: when a run that something stopped is tried again.
    """

    settle_seconds: float = 0.5
    sweep_seconds: float = 300.0
    look_seconds: float = 0.25
    share: float = 0.2
    retry_seconds: float = 5.0


class Settling:
    """What was seen of the files of a folder, and which of them have settled since.

    ``done`` holds the stamps that a run was made for, ``waiting`` the others with the moment they were first seen.
    """

    def __init__(self, settle_seconds: float, discover: DiscoverOptions | None = None) -> None:
        self.settle_seconds = settle_seconds
        self.is_ignored = ignored(discover or DiscoverOptions())
        self.done: dict[bytes, Stamp] = {}
        self.waiting: dict[bytes, tuple[Stamp, float]] = {}

    def look(self, folder: bytes, now: float) -> dict[bytes, Stamp]:
        """Walk once at the monotonic second ``now``; the files that have settled and that no run was made for."""
        seen: dict[bytes, Stamp] = {}
        waiting: dict[bytes, tuple[Stamp, float]] = {}
        ready: dict[bytes, Stamp] = {}
        clock_ns = now_us() * 1000
        for found in raw_files.walk(folder, is_ignored=self.is_ignored):
            seen[found.path] = found.stamp
            if self.done.get(found.path) == found.stamp:
                continue
            stamp, since = self.waiting.get(found.path, (None, now))
            if stamp != found.stamp:
                since = now
            if now - since >= self.settle_seconds and is_settled(found.stamp.mtime_ns, clock_ns, self.settle_seconds):
                ready[found.path] = found.stamp
            waiting[found.path] = (found.stamp, since)
        self.done = {path: stamp for path, stamp in self.done.items() if path in seen}
        self.waiting = waiting
        return ready

    def settle(self, files: dict[bytes, Stamp]) -> None:
        """A run was made for these."""
        self.done |= files
        for path in files:
            self.waiting.pop(path, None)


def _roots(settings: Settings, files: Iterable[bytes]) -> list[Root] | None:
    """Where a run looks for these files of the inbox: only at them if they are few, else everywhere."""
    roots = [known_root(settings.layout, INBOX, to_uri(path)) for path in files]
    return roots if len(roots) <= _FEW else None


def watch(
    settings: Settings,
    stages: Stages,
    options: WatchOptions,
    *,
    on_run: Callable[[Outcome], None] | None = None,
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Ingest whenever files have settled, and at the latest after ``sweep_seconds``, until ``is_over``.

    The first run is made at once, for what arrived while nobody watched.  An inbox that is removed is made again.
    What may pass (a full disk, say) is logged and tried again after ``retry_seconds``; what may not is raised.
    """
    folder = settings.layout.inbox
    settings = settings.model_copy(update={"settle_seconds": options.settle_seconds})
    settling = Settling(options.settle_seconds)
    due = time.monotonic()
    # The first file that is dropped shall not wait for it.
    if settings.cache is not None:
        language.configure(settings.cache)
    language.preload()
    while not is_over():
        started = time.monotonic()
        make_folder(folder)
        ready = settling.look(bytes(folder), started)
        took = time.monotonic() - started
        if ready or started >= due:
            pause = options.sweep_seconds
            is_sweep = started >= due
            try:
                outcome = run.ingest(settings, stages, roots=None if is_sweep else _roots(settings, ready))
            except (TransientError, OSError) as error:
                pause = min(pause, options.retry_seconds)
                logger.warning("run failed, tried again in %g s: %s", pause, error)
            else:
                if on_run is not None:
                    on_run(outcome)
            settling.settle(ready)
            due = time.monotonic() + pause if is_sweep else min(due, time.monotonic() + pause)
        rest = max(options.look_seconds, took / options.share)
        # What has been seen shall not wait for longer than it takes to settle.
        time.sleep(min(rest, max(options.look_seconds, options.settle_seconds)) if settling.waiting else rest)
