"""The flows that take raw files in: ``ingest`` and ``replay``.

Belongs here: Prefect's decorators and typed parameters around ``flows.run``.  Does not belong here: what is done and
in which order (``flows.run``); no classes, so that the flows load by path as well as by module.

Parameters are plain words: paths are percent-encoded, so that a name that is no text never reaches Prefect.
"""

import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from prefect import flow, tags
from prefect.context import SettingsContext, get_settings_context
from prefect.runtime import flow_run
from prefect.settings import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    Settings,
    get_current_settings,
    temporary_settings,
)
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows import artifacts, events, processes, run, server
from flows.handed import HANDED, Handed
from flows.report import reported
from flows.settings import TAG, load
from flows.summary import Outcome, Progress, RunFailed
from tasks import direct, tracked
from tasks.roots import Root
from warehouse.errors import NewsmillError
from warehouse.uri import to_path

# A task waits for a worker, and the pool has as many as are set: more threads than workers, so that none is idle.
_RUNNER: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=32)

logger = logging.getLogger(__name__)


# No parameter may be null: of those that may, Prefect's form asks for the type first.
@flow(name="ingest", persist_result=False, task_runner=_RUNNER)
def ingest(
    paths: list[str] = [],  # noqa: B006 - never changed, and a form begins with an empty list
    source: str = "",
    settings: dict[str, Any] = {},  # noqa: B006
) -> Outcome:
    """Ingest everything new: every file ends as documents, a duplicate, a reject with a reason, or deferred.

    Args:
        paths: Files and folders on the worker's machine, percent-encoded; the inbox where none is given.
        source: Who the files come from; else the first folder below the inbox.
        settings: Settings that differ from those of the worker, as `newsmill settings` lists them.

    """
    handed, chosen = HANDED.get() or Handed(), load(settings).settings
    handed.flow_run_id = flow_run.get_id()
    names = [to_path(path) for path in paths]
    with reported(handed.progress) as report:
        handed.outcome = outcome = run.ingest(
            chosen,
            tracked,
            names,
            source=source or None,
            roots=handed.roots,
            progress=report,
            template=handed.template,
        )
        report.outcome(chosen, outcome)
        _tell_at_last()
        return RunFailed.check(outcome)


@flow(name="replay", persist_result=False, task_runner=_RUNNER)
def replay(
    file_ids: list[str] = [],  # noqa: B006
    unread: list[tuple[str, str]] = [],  # noqa: B006
    settings: dict[str, Any] = {},  # noqa: B006
) -> Outcome:
    """Read known contents again.

    Args:
        file_ids: Contents to read again.
        unread: Root and uri of paths that were refused unread.
        settings: Settings that differ from those of the worker, as `newsmill settings` lists them.

    """
    handed, chosen = HANDED.get() or Handed(), load(settings).settings
    handed.flow_run_id = flow_run.get_id()
    with reported(handed.progress) as report:
        handed.outcome = outcome = run.replay(chosen, tracked, file_ids=file_ids, unread=unread, progress=report)
        report.outcome(chosen, outcome)
        _tell_at_last()
        return RunFailed.check(outcome)


def _tell_at_last() -> None:
    """In a worker's process, which ends with its run: nobody could tell the server later what it did not take."""
    if HANDED.get() is None:
        server.tell_at_last(get_current_settings().api.url)


def ingest_here(
    flags: Mapping[str, Any], roots: Sequence[Root] | None = None, progress: Progress | None = None
) -> Outcome:
    """The ingest flow in this process; what a server that is gone cannot track is done all the same.

    ``flags``: the settings that were given, as the flow takes them; ``roots``: where to look, the inbox if None.
    """
    handed = Handed(roots=roots, progress=progress)
    token = HANDED.set(handed)
    url = get_current_settings().api.url
    try:
        if url is None or server.answers(url):
            server.tell(url)
            with _brisk(), tags(TAG, processes.tag()):
                return ingest(settings=dict(flags))
        logger.warning("the Prefect server at %s does not answer: this run is known to the ledger only", url)
    except RunFailed as failed:
        return failed.outcome
    except Exception as error:
        # Prefect wraps what its client meets in errors of many kinds; ours mean what they say.
        if isinstance(error, NewsmillError | OSError) and handed.outcome is None:
            raise
        logger.warning("the Prefect server is gone, the ledger knows how this run ended: %r", error)
        if handed.flow_run_id is not None:
            server.keep(handed.flow_run_id, handed.outcome)
        if handed.outcome is not None:
            return handed.outcome
    finally:
        HANDED.reset(token)
    chosen = load(flags).settings
    outcome = run.ingest(chosen, direct, roots=roots, progress=progress)
    # The server hears of no run, but of what the warehouse holds now.
    if tables := artifacts.look(chosen, outcome).tables:
        server.keep_events(events.loaded(chosen.deployment, None, outcome, tables))
    return outcome


@functools.cache
def _brisk_settings() -> Settings:
    # No heartbeat: its thread sleeps in whole seconds, and the flow waits for it at its end.
    # A server that hangs must not hold up the next file for minutes: a minute a request, and several, else.
    brisk = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_CLIENT_MAX_RETRIES: 1, PREFECT_API_REQUEST_TIMEOUT: 5.0}
    with temporary_settings(brisk) as settings:
        return settings


def _brisk() -> SettingsContext:
    """Prefect's settings for a run in a warm process, made once: to make them takes as long as to ingest a file."""
    return SettingsContext(profile=get_settings_context().profile, settings=_brisk_settings())
