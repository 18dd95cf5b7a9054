"""Watch the inbox: when files have settled, have them ingested.

Belongs here: looking again and again, deciding when a run is due, and the three ways to make one: in this process,
in this process as a flow run, or by an event that lets a deployment run elsewhere.  Does not belong here: what is new,
which the run finds out for itself against the ledger; a look that misses or repeats something costs time and nothing
else.

Looking means a whole walk, so that it works on every file system and nothing that was moved in, renamed or overflowed
can be missed; the interval grows with what a walk costs.  Where the file system tells what was touched, that is looked
at between two walks.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flows import events, run
from flows.settings import Settings
from flows.settling import Settling
from flows.summary import Outcome, Progress
from flows.touched import Touched
from tasks import direct
from tasks.roots import INBOX, Root, known_root
from tasks.text import language
from warehouse.durable import make_folder
from warehouse.errors import TransientError
from warehouse.uri import to_uri

# So many files are looked up one by one; more are found sooner by a walk over the inbox.
_FEW = 20
# A flood of words from the file system shall not keep a processor busy.
_TOUCHED_SHARE = 0.2

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
    share: float = 0.05
    retry_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Due:
    """Why a run is due: so many files have settled, none where it is a sweep only.

    ``roots`` is where to look, everywhere in the inbox where it is None.
    """

    files: int
    roots: Sequence[Root] | None


# Makes a run and waits for it; no outcome where the run is another's, as after an event.
MakeRun = Callable[[Due], Outcome | None]


def direct_runs(settings: Settings, options: WatchOptions, progress: Progress | None = None) -> MakeRun:
    """Runs in this process, without Prefect."""
    chosen = settings.model_copy(update={"settle_seconds": options.settle_seconds})
    return lambda due: run.ingest(chosen, direct, roots=due.roots, progress=progress)


def flow_runs(flags: Mapping[str, Any], options: WatchOptions, progress: Progress | None = None) -> MakeRun:
    """Flow runs in this process, on the server that Prefect is configured for; ``flags``: the settings as given."""
    from flows.ingest import ingest_here

    chosen = {**flags, "settle_seconds": options.settle_seconds}
    return lambda due: ingest_here(chosen, due.roots, progress)


def event_runs(settings: Settings) -> MakeRun:
    """Events that trigger the deployment, each acknowledged by the server.

    A sweep tells nothing new, the deployment has a schedule for that; but it tells again what led to no run.
    """
    announcer = events.Announcer(settings.deployment)

    def announce(due: Due) -> None:
        if due.files:
            announcer.tell(due.files)
        else:
            announcer.check()

    return announce


def _roots(settings: Settings, files: Iterable[bytes]) -> list[Root] | None:
    """Where a run looks for these files of the inbox: only at them if they are few, else everywhere."""
    roots = [known_root(settings.layout, INBOX, to_uri(path)) for path in files]
    return roots if len(roots) <= _FEW else None


def watch(
    settings: Settings,
    make_run: MakeRun,
    options: WatchOptions,
    *,
    on_run: Callable[[Outcome], None] | None = None,
    on_look: Callable[[int], None] = lambda _waiting: None,
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Make a run whenever files have settled, and at the latest after ``sweep_seconds``, until ``is_over``.

    The first run is made at once, for what arrived while nobody watched.  An inbox that is removed is made again.
    ``on_run`` is told what a run did, ``on_look`` how many files wait.
    What may pass (a full disk, say) is logged and tried again after ``retry_seconds``; what may not is raised.
    """
    folder = settings.layout.inbox
    settling = Settling(options.settle_seconds)
    due = time.monotonic()
    # The first file that is dropped shall not wait for it.
    if settings.cache is not None:
        language.configure(settings.cache)
    language.preload()
    with Touched(bytes(folder)) as touched:
        walk_at = due
        while not is_over():
            started = time.monotonic()
            make_folder(folder)
            names = touched.taken()
            is_walk = names is None or started >= walk_at
            ready = settling.look(bytes(folder), started, None if is_walk else names)
            took = time.monotonic() - started
            if is_walk:
                walk_at = started + max(options.look_seconds, took / options.share)
            on_look(len(settling.waiting))
            if ready or started >= due:
                is_sweep = started >= due
                pause = options.sweep_seconds
                try:
                    outcome = make_run(Due(len(ready), None if is_sweep else _roots(settings, ready)))
                except (TransientError, OSError) as error:
                    pause = min(pause, options.retry_seconds)
                    logger.warning("run failed, tried again in %g s: %s", pause, error)
                else:
                    if on_run is not None and outcome is not None:
                        on_run(outcome)
                settling.settle(ready)
                on_look(len(settling.waiting))
                due = time.monotonic() + pause if is_sweep else min(due, time.monotonic() + pause)
            if not is_walk:
                time.sleep(took / _TOUCHED_SHARE)
            now = time.monotonic()
            touched.wait(max(0.0, min(walk_at - now, settling.next_look(now))))
