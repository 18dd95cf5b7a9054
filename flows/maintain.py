"""The flow that keeps a home in order: ``maintain``.

Belongs here: Prefect's decorator and the order of the steps.  Does not belong here: the steps (``flows.compacting``,
``warehouse.verify``, ``flows.retention``).
"""

import logging
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows import compacting, retention, run
from flows.settings import Settings, load
from warehouse.durable import lock
from warehouse.errors import PermanentError
from warehouse.verify import verify as prove

logger = logging.getLogger(__name__)


def _verify(settings: Settings) -> None:
    with lock(settings.layout.lock("run")), run.opened(settings) as book:
        report = prove(settings.layout, book)
    if not report.holds:
        more = f", and {len(report.problems) - 1} more" if len(report.problems) > 1 else ""
        raise PermanentError(f"{report.problems[0]}{more}; see `newsmill verify`")
    logger.info("everything holds: %s", ", ".join(f"{count} {name}" for name, count in report.checked.items()))


@flow(name="maintain", persist_result=False)
def maintain(
    compact: bool = True,
    verify: bool = True,
    keep_runs_days: Annotated[int, Field(ge=0)] = 0,
    settings: dict[str, Any] = {},  # noqa: B006 - never changed, and a form begins with an empty one
) -> None:
    """Merge small parts, prove the invariants, and remove old runs from Prefect's database.

    Args:
        compact: Merge small parts, and remove files that no commit needs.
        verify: Prove that nothing is missing and nothing is double.
        keep_runs_days: Days for which runs stay in Prefect's database; 0 takes the setting of this name.
        settings: Settings that differ from those of the worker, as `newsmill settings` lists them.

    """
    chosen = load(settings).settings
    if compact:
        done = compacting.compact(chosen)
        logger.info(
            "%d pairs of parts became %d, %d files removed", done.replaced, done.made, len(done.verdict.removable)
        )
    removed = retention.forget_runs(keep_runs_days or chosen.keep_runs_days)
    logger.info("%d old runs removed from Prefect's database", removed)
    if verify:
        _verify(chosen)
