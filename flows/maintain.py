"""The flow that keeps a home in order: ``maintain``.

Belongs here: Prefect's decorator and the order of the steps.  Does not belong here: the steps (``flows.compacting``,
``warehouse.verify``, ``flows.retention``).
"""

import logging
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows import compacting, forgetting, retention, run
from flows.report import reported
from flows.settings import Settings, load
from warehouse.clock import now_us
from warehouse.durable import lock
from warehouse.errors import PermanentError
from warehouse.verify import verify as prove

logger = logging.getLogger(__name__)


def _verify(settings: Settings) -> str:
    with lock(settings.layout.lock("run")), run.opened(settings) as book:
        found = prove(settings.layout, book)
    if not found.holds:
        more = f", and {len(found.problems) - 1} more" if len(found.problems) > 1 else ""
        raise PermanentError(f"{found.problems[0]}{more}; see `newsmill verify`")
    return ", ".join(f"{count} {name}" for name, count in found.checked.items())


def _last_forgotten(settings: Settings) -> int | None:
    return max((stone.forgotten_at for stone in forgetting.tombstones(settings)), default=None)


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
    chosen, facts = load(settings).settings, dict[str, object]()
    with reported(None) as report:
        if compact:
            done = compacting.compact(chosen, progress=report)
            facts["pairs of parts merged"], facts["into"] = done.replaced, done.made
            facts["files removed"] = len(done.verdict.removable)
        if verify:
            facts["everything holds"] = _verify(chosen)
        days = keep_runs_days or chosen.keep_runs_days
        facts["old runs removed"] = retention.forget_runs(days)
        if (last := _last_forgotten(chosen)) is not None and now_us() - last < days * 86_400_000_000:
            # The server may not have answered then.
            facts["artifacts rid of what was forgotten"] = retention.hide_examples(last)
        for what, found in facts.items():
            logger.info("%s: %s", what, found)
        name = f"{facts.get('files removed', 0)} files and {facts['old runs removed']} old runs removed"
        report.try_to(lambda: report.facts(name, facts))
