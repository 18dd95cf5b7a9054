"""Telling Prefect's server about a run: progress meanwhile, name, artifacts and events at its end.

Belongs here: when what is sent, and that the run does not depend on it.  Does not belong here: what is said
(``flows.artifacts``, ``flows.events``).

What is reported is committed already.  A server that is gone or refuses costs one line in the log and what it was not
told; whatever goes wrong here is no reason for a run to fail, or to wait for long.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flows import artifacts, events, server
from flows.artifacts import Seen
from flows.settings import RUN_ENVIRONMENT, Settings
from flows.summary import Outcome, Progress, RunFailed

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from warehouse.records import Receipt

# A progress bar that moves this often looks alive; a run that is shorter has one at its end.
_PROGRESS_SECONDS = 2.0
_TIMEOUT_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Report(Progress):
    """What a flow run tells the server; hands progress on to ``inner``, a bar on a terminal for one."""

    def __init__(self, client: "SyncPrefectClient", flow_run_id: UUID, inner: Progress) -> None:
        self.client, self.flow_run_id, self.inner = client, flow_run_id, inner
        self.progress_id: UUID | None = None
        self.next_progress = time.monotonic() + _PROGRESS_SECONDS
        self.is_gone = False

    def waiting(self) -> None:
        """Say that another run holds the home."""
        logger.info("another run is at work on this home; waiting until it has ended")
        self.inner.waiting()

    def step(self, name: str, done: int, total: int | None) -> None:
        """Move the progress artifact now and then."""
        self.inner.step(name, done, total)
        if name == "files" and total and time.monotonic() >= self.next_progress:
            self.try_to(lambda: self._progress(100 * done / total))
            self.next_progress = time.monotonic() + _PROGRESS_SECONDS

    def committed(self, receipt: "Receipt", commit_no: int) -> None:
        """Hand it on."""
        self.inner.committed(receipt, commit_no)

    def published(self, commit_no: int) -> None:
        """Hand it on."""
        self.inner.published(commit_no)

    def try_to(self, send: Callable[[], object]) -> None:
        """Send something; after the first failure the rest of the report is left out."""
        if self.is_gone:
            return
        try:
            send()
        except Exception as error:  # noqa: BLE001 - whatever it is, the data is safe and the run goes on
            self.is_gone = True
            logger.warning("Prefect's server is not told more of this run: %s: %s", type(error).__name__, error)

    def _progress(self, percent: float) -> None:
        from prefect.client.schemas.actions import ArtifactUpdate

        if self.progress_id is None:
            self.progress_id = self._artifact("progress", "newsmill-progress", round(percent, 1), "files dealt with")
        else:
            self.client.update_artifact(self.progress_id, ArtifactUpdate(data=round(percent, 1)))

    def _artifact(self, kind: str, key: str, data: Any, description: str | None = None) -> UUID:
        from prefect.client.schemas.actions import ArtifactCreate

        # A new artifact is told as an event with all that it holds, which nobody can take back; a change is not.
        shown = artifacts.without_examples(key, data) if key in artifacts.SHOWING else data
        made = self.client.create_artifact(
            ArtifactCreate(type=kind, key=key, data=shown, description=description, flow_run_id=self.flow_run_id)
        )
        if shown != data:
            artifacts.rewrite(self.client, made.id, data)
        return made.id

    def _table(self, key: str, rows: list[dict[str, Any]], description: str) -> None:
        import json

        if rows:
            self._artifact("table", key, json.dumps(rows, ensure_ascii=False), description)

    def name(self, name: str) -> None:
        """Name the flow run."""
        self.client.update_flow_run(self.flow_run_id, name=name)

    def outcome(self, settings: Settings, outcome: Outcome) -> None:
        """Everything about a run that has come to its end."""
        seen = self._seen(settings, outcome)
        if seen.tables:
            # First, since others may wait for it; what the server does not take now it is told later.
            news = events.loaded(settings.deployment, self.flow_run_id, outcome, seen.tables)
            self.try_to(lambda: events.send(self.client, news))
            if self.is_gone:
                server.keep_events(news)
        self.try_to(lambda: self._shown(outcome, seen))

    def _seen(self, settings: Settings, outcome: Outcome) -> Seen:
        try:
            return artifacts.look(settings, outcome)
        except Exception as error:  # noqa: BLE001 - as above
            logger.warning("Prefect's server is told less of this run: %s: %s", type(error).__name__, error)
            return Seen()

    def _shown(self, outcome: Outcome, seen: Seen) -> None:
        self.name(artifacts.run_name(outcome))
        self._progress(100.0)
        self._artifact("markdown", artifacts.SUMMARY, artifacts.summary(outcome, seen), "what the run did")
        self._table(
            "newsmill-counts", artifacts.counts_table(outcome), "paths by what became of them, and what they hold"
        )
        self._table(artifacts.REJECTS, artifacts.rejects_table(seen), "what this run refused, by reason")

    def facts(self, name: str, rows: Mapping[str, object]) -> None:
        """A run that is no ingest: its name, and what it did."""
        self.name(name)
        self._artifact("markdown", artifacts.SUMMARY, artifacts.page(name, rows), "what the run did")

    def failure(self, error: Exception) -> None:
        """Why a run could not come to its end, in one line."""
        from flows.escape import markdown, visible

        line = visible(str(error)) or type(error).__name__
        logger.error("the run failed: %s", line)
        self.try_to(lambda: self.name("failed"))
        self.try_to(lambda: self._artifact("markdown", artifacts.SUMMARY, f"**Failed:** {markdown(line, 1000)}\n"))


@contextlib.contextmanager
def reported(inner: Progress | None) -> Iterator[Report]:
    """A report of the flow run that is at work; what the block raises is told as its failure."""
    from prefect.client.orchestration import get_client
    from prefect.context import TagsContext
    from prefect.runtime import flow_run
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, get_current_settings, temporary_settings

    # Prefect hands our lines on, but leaves them at the level of the root logger, which takes warnings only.
    for name in RUN_ENVIRONMENT["PREFECT_LOGGING_EXTRA_LOGGERS"].split(","):
        logging.getLogger(name).setLevel(logging.INFO)
    # To make other settings takes longer than most runs of a watcher, who has these already.
    is_brisk = get_current_settings().client.max_retries <= 1
    with (
        # For every tag of a task Prefect asks the server for limits, twice a task: tags are for the run.
        TagsContext(),
        contextlib.nullcontext() if is_brisk else temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1}),
        get_client(sync_client=True, httpx_settings={"timeout": _TIMEOUT_SECONDS}) as client,
        # Tags are the run's: for each task that has one the server would be asked whether a limit is set for it.
        TagsContext(current_tags=set()),
    ):
        report = Report(client, UUID(flow_run.id), inner or Progress())
        try:
            yield report
        except RunFailed:
            raise
        except Exception as error:
            report.failure(error)
            raise
