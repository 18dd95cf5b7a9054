"""Make a lost ledger anew and publish what it says: under the run lock, as a run of its own.

Belongs here: the order of restoring, the run's row, publishing and finishing what was begun to be forgotten.  Does not
belong here: what the ledger must have been (``warehouse.rebuild``).
"""

import time
import uuid
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from flows.erase import erase
from flows.settings import Settings
from flows.summary import Progress
from tasks import version
from warehouse import ledger, loader, rebuild
from warehouse.clock import now_us
from warehouse.durable import lock
from warehouse.loader import Published
from warehouse.rebuild import Restored
from warehouse.recount import By
from warehouse.vocabulary import RunStatus


def restore(
    settings: Settings, progress: Progress, *, roots: Sequence[Path] = (), force: bool = False
) -> tuple[Restored, Published]:
    """Make the ledger anew and publish; waits while a run holds the home."""
    home, run_id, started = settings.layout, str(uuid.uuid4()), time.monotonic()
    by = By(run_id, now_us(), version.pipeline_version(), settings.fingerprint())
    with lock(home.lock("run"), on_wait=progress.waiting):
        made = rebuild.restore(home, settings.ledger_url, by, roots=roots, force=force)
        book = ledger.open_ledger(home, settings.ledger_url)
        try:
            ledger.start_run(
                book, run_id=run_id, flow=ledger.REBUILD, orchestrator="direct", pipeline_version=by.pipeline_version,
                settings_fingerprint=by.settings_fingerprint, versions=version.versions(),
            )  # fmt: skip
            counts = {"commits": made.commits, "batches": made.known_batches + made.added_batches}
            timings = {"rebuild": time.monotonic() - started}
            ledger.finish_run(book, run_id, RunStatus.COMPLETED, counts=counts, timings=timings)
            done = loader.publish(home, book, rebuild=True, on_commit=partial(progress.step, "publish"))
            erase(settings, book, progress)
        finally:
            book.close()
    return made, done
