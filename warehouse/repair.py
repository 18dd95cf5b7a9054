"""Mend what can be mended without losing anything: the projection, out of parts and ledger that were proven whole.

Belongs here: what may be repaired, and doing it.  Does not belong here: finding what is wrong (``verify``).

Parts and ledger are the truth and never touched: where one of them is damaged, only a backup helps.
"""

from collections.abc import Callable

from warehouse import ledger, loader
from warehouse.layout import Home
from warehouse.loader import Published
from warehouse.verify import Report


def is_safe(report: Report) -> bool:
    """Whether all that does not hold is of the projection, which can be built anew."""
    return bool(report.problems) and all(problem.startswith("snapshot") for problem in report.problems)


def repair(home: Home, book: ledger.Ledger, *, on_commit: Callable[[int, int], None] | None = None) -> Published:
    """Build the projection anew and publish it, which also removes damaged snapshots.

    The caller holds the run lock and has seen that ``is_safe``.  Raises ``LedgerError`` where the newest snapshot has
    commits that the ledger lacks: what was published would be lost.
    """
    loader.check_rebuildable(home, book)
    return loader.publish(home, book, rebuild=True, on_commit=on_commit)
