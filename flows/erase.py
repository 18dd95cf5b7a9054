"""Forget contents, and bring to its end what was begun of that.

Belongs here: the order of tombstone, rewriting, publishing and removal, under the run lock.  Does not belong here: the
steps (``warehouse.forget``), choosing contents (``flows.forgetting``).

Once the tombstone is committed the content does not count, and whoever writes to the home next finishes what a kill
broke off: ``flows.run.exclusive`` calls this before anything else.
"""

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from flows.recorded import recorded
from flows.settings import Settings
from flows.summary import Progress
from tasks import version
from warehouse import ledger, mirror
from warehouse.ledger import Ledger

if TYPE_CHECKING:
    from warehouse.forget import Erased

logger = logging.getLogger(__name__)


def erase(
    settings: Settings, book: Ledger, progress: Progress, file_ids: Sequence[str] = (), *, is_wary: bool = False
) -> "Erased | None":
    """Forget contents for good, and those whose forgetting was begun; None where there are none.

    What a newer ledger than this one had forgotten, by the copy of its tombstones, is forgotten again.  ``is_wary``
    also looks for what came back since: a part or a snapshot out of a backup.  The caller holds the run lock.
    """
    home = settings.layout
    if buried := _taken_back(settings, book):
        file_ids = sorted({*file_ids, *buried})
    else:
        mirror.write(home, ledger.marks(book))
    if not file_ids and not is_wary and not ledger.unerased(book):
        return None
    # Imported where something is to be done: every run comes by here.
    from warehouse import forget as steps

    back = sorted(ledger.refused(book)) if is_wary and next(steps.traces(home, book), None) else []
    if not file_ids and not back and not ledger.unerased(book):
        return None
    # What cannot be read cannot be rewritten: told before anything is begun.
    steps.holders(home, book, file_ids)
    steps.check_alone(home, book, file_ids)
    made = {"pipeline_version": version.pipeline_version(), "settings_fingerprint": settings.fingerprint()}
    counts = {"forgotten": len(file_ids), "rewritten": 0}
    with recorded(settings, book, "forget", counts) as run_id:
        if file_ids:
            ledger.forget(book, run_id, file_ids, **made)
            # Before anything is erased: of what is gone everywhere only this says that it must stay out.
            mirror.write(home, ledger.marks(book))
        due = sorted({*ledger.unerased(book), *back})
        holding = steps.holders(home, book, due)
        counts["rewritten"] = len(holding)
        steps.rewrite(home, book, run_id, holding, on_part=partial(progress.step, "forget"), **made)
    done = steps.erase(
        home,
        book,
        due,
        on_commit=partial(progress.step, "publish"),
        on_language=partial(progress.step, "index"),
    )
    ledger.mark_erased(book, due)
    mirror.write(home, ledger.marks(book))
    return done


def _taken_back(settings: Settings, book: Ledger) -> list[str]:
    """The contents to forget again, as a newer ledger had it; what that had let in again is let in here, too."""
    buried, lifted = mirror.ahead(settings.layout, ledger.marks(book))
    if buried or lifted:
        logger.warning(
            "%s is newer than the ledger: %d contents are forgotten again, %d let in; see `newsmill forget --list`",
            settings.layout.tombstones.name,
            len(buried),
            len(lifted),
        )
    if lifted:
        let_in(settings, book, lifted)
    return buried


def let_in(settings: Settings, book: Ledger, file_ids: Sequence[str]) -> None:
    """Lift the tombstones of contents, as a run of its own; the caller holds the run lock and brings the copy on."""
    with recorded(settings, book, "forget", {"lifted": len(file_ids)}) as run_id:
        ledger.lift(
            book,
            run_id,
            file_ids,
            pipeline_version=version.pipeline_version(),
            settings_fingerprint=settings.fingerprint(),
        )
