"""A run row around work that is no ingest.

Belongs here: begin and end of such a run in the ledger.  Does not belong here: the ingest's own row (``flows.run``),
what the work is.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from flows.settings import Settings
from tasks import version
from warehouse import ledger
from warehouse.ledger import Ledger
from warehouse.vocabulary import RunStatus


@contextmanager
def recorded(settings: Settings, book: Ledger, flow: str, counts: dict[str, int]) -> Iterator[str]:
    """A run row around a block, which fills in ``counts``; the run's id."""
    run_id, started = str(uuid.uuid4()), time.monotonic()
    ledger.start_run(
        book,
        run_id=run_id,
        flow=flow,
        orchestrator="direct",
        pipeline_version=version.pipeline_version(),
        settings_fingerprint=settings.fingerprint(),
        versions=version.versions(),
    )

    def finish(status: RunStatus, error: str | None = None) -> None:
        timings = {flow: time.monotonic() - started}
        ledger.finish_run(book, run_id, status, counts=counts, timings=timings, error=error)

    try:
        yield run_id
    except BaseException as error:
        finish(RunStatus.FAILED, str(error) or type(error).__name__)
        raise
    finish(RunStatus.COMPLETED)
