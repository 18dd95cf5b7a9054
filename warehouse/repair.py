"""Mend what can be mended without losing anything: the projection, out of parts and ledger that were proven whole.

Belongs here: what may be repaired, and doing it.  Does not belong here: finding what is wrong (``verify``).

Parts and ledger are the truth and never touched: where one of them is damaged, only a backup helps.
"""

from collections.abc import Callable

from warehouse import ledger, loader, snapshots
from warehouse.durable import hash_file, lock
from warehouse.layout import Home
from warehouse.loader import Published
from warehouse.verify import Report


def is_safe(report: Report) -> bool:
    """Whether all that does not hold is of the projection, which can be built anew."""
    return bool(report.problems) and all(problem.startswith("snapshot") for problem in report.problems)


def repair(
    home: Home, book: ledger.Ledger, *, on_commit: Callable[[int, int], None] | None = None
) -> tuple[Published, list[str]]:
    """Build the projection anew, publish it, then remove damaged snapshots; returns their names, too.

    The caller holds the run lock and has seen that ``is_safe``.  Raises ``LedgerError`` where the newest snapshot has
    commits that the ledger lacks: what was published would be lost.
    """
    loader.check_rebuildable(home, book)
    published = loader.publish(home, book, rebuild=True, on_commit=on_commit)
    removed = []
    with lock(home.lock("loader")):
        sums = ledger.snapshot_sums(book)
        for _, path in snapshots.numbered(home)[:-1]:
            if path.name in sums and (hash_file(path), path.stat().st_size) != sums[path.name]:
                path.unlink()
                removed.append(path.name)
    return published, removed
