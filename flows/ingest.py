"""The flows that take raw files in: ``ingest`` and ``replay``.

Belongs here: Prefect's decorators and typed parameters around ``flows.run``.  Does not belong here: what is done and
in which order (``flows.run``); no classes, so that the flows load by path as well as by module.

Parameters are plain words: paths are percent-encoded, so that a name that is no text never reaches Prefect.
"""

from contextvars import ContextVar
from typing import Any

from prefect import flow
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows import run
from flows.settings import load
from flows.summary import Outcome, Progress, RunFailed
from tasks import tracked
from warehouse.uri import to_path

# A task waits for a worker, and the pool has as many as are set: more threads than workers, so that none is idle.
_RUNNER: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=32)
# The command line puts its progress bar here; a worker has none.
PROGRESS: ContextVar[Progress | None] = ContextVar("PROGRESS", default=None)


@flow(name="ingest", persist_result=False, task_runner=_RUNNER)
def ingest(
    paths: list[str] | None = None, source: str | None = None, settings: dict[str, Any] | None = None
) -> Outcome:
    """Ingest everything new.

    Args:
        paths: files and folders, percent-encoded; the inbox where none is given.
        source: who the files come from; else the first folder below the inbox.
        settings: settings that differ from the environment and newsmill.toml.

    """
    chosen = [to_path(path) for path in paths or ()]
    outcome = run.ingest(load(settings).settings, tracked, chosen, source=source, progress=PROGRESS.get())
    return RunFailed.check(outcome)


@flow(name="replay", persist_result=False, task_runner=_RUNNER)
def replay(
    file_ids: list[str] | None = None,
    unread: list[tuple[str, str]] | None = None,
    settings: dict[str, Any] | None = None,
) -> Outcome:
    """Read known contents again.

    Args:
        file_ids: contents to read again.
        unread: root and uri of paths that were refused unread.
        settings: settings that differ from the environment and newsmill.toml.

    """
    outcome = run.replay(
        load(settings).settings,
        tracked,
        file_ids=file_ids or [],
        unread=[(root, uri) for root, uri in unread or ()],
        progress=PROGRESS.get(),
    )
    return RunFailed.check(outcome)
