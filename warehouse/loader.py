"""Publish: a draft of what is committed becomes the next snapshot.

Belongs here: who may make a draft, from which snapshot it starts, and giving it its name.  Does not belong here: the
draft itself (``draft``), names of snapshots (``snapshots``).
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from warehouse import ddl, ledger, snapshots
from warehouse.draft import Draft
from warehouse.durable import lock, temporary_file, uninterrupted
from warehouse.errors import DamagedError
from warehouse.gathering import ALONE, BESIDE_WORK
from warehouse.layout import Home


@dataclass(frozen=True, slots=True)
class Published:
    """What a publish did; ``path`` is None where there was nothing new.

    ``commit_no`` is the last commit that can be queried now, ``seconds`` the time that all work on the snapshot took.
    """

    path: Path | None
    commits: int
    seconds: float
    commit_no: int = 0


def build(home: Home, book: ledger.Ledger, target: Path) -> None:
    """Make a whole database of all commits at ``target``, for whoever wants to compare."""
    with Draft(home, book, target, base=None, enough=ALONE) as draft:
        draft.take()
        draft.finish()


def _is_current(book: ledger.Ledger, base: Path, found: snapshots.About) -> bool:
    if found.views_fingerprint != ddl.fingerprint(ddl.view_statements()):
        return False
    if found.commit_no != ledger.last_commit(book)[0]:
        return False
    with snapshots.opened(base) as database:
        shown = database.execute("SELECT run_id, status FROM runs ORDER BY run_id").fetchall()
    return shown == sorted((run.run_id, run.status) for run in ledger.runs_up_to(book, found.commit_no))


def _base(home: Home) -> Path | None:
    """The snapshot that the next one starts from; None after a change of the tables."""
    newest = snapshots.newest(home)
    if newest is None or snapshots.about(newest).tables_fingerprint != ddl.fingerprint(ddl.table_statements()):
        return None
    return newest


def check_rebuildable(home: Home, book: ledger.Ledger) -> None:
    """Refuse to rebuild from a ledger that ends below what was published: commits would be lost for good."""
    try:
        published = snapshots.last_published(home)
    except DamagedError:
        return  # a snapshot that cannot be opened is what a rebuild is for
    ledger.check_beside(book, home, published)


@contextlib.contextmanager
def drafted(home: Home, book: ledger.Ledger) -> Iterator[Draft]:
    """A draft for who commits while it grows: as long as it is held nobody else publishes.

    ``WarehouseBusy`` where somebody does.
    """
    with lock(home.lock("loader"), wait=False):
        snapshots.sweep(home)
        with temporary_file(home.versions) as target, Draft(home, book, target, base=_base(home)) as draft:
            yield draft


def publish_draft(
    home: Home,
    book: ledger.Ledger,
    draft: Draft,
    *,
    is_ordered: bool = False,
    on_commit: Callable[[int, int], None] | None = None,
) -> Published:
    """Bring a draft to the ledger's last commit, publish it, and remove what nobody opens any more."""
    draft.take(on_commit)
    draft.finish(is_ordered=is_ordered)
    ledger.note_snapshot(book, *snapshots.identity(home, draft.target))
    path = snapshots.publish_file(home, draft.target)
    snapshots.prune(home, {})
    return Published(path, draft.commits, draft.seconds, draft.last[0])


def publish(
    home: Home,
    book: ledger.Ledger,
    *,
    rebuild: bool = False,
    is_ordered: bool = False,
    on_commit: Callable[[int, int], None] | None = None,
) -> Published:
    """Publish every commit that the newest snapshot lacks; with ``rebuild``, or after a change of the tables, all.

    ``is_ordered`` also puts all documents in order, a rebuild as many at a time as it can hold.

    One publish at a time a home; a second waits.
    """
    with lock(home.lock("loader")):
        snapshots.sweep(home)
        base = None if rebuild else _base(home)
        if base is not None:
            found = snapshots.about(base)
            with uninterrupted():
                is_current = _is_current(book, base, found)
            if is_current:
                snapshots.point(home)
                return Published(None, 0, 0.0, found.commit_no)
        enough = BESIDE_WORK if base is not None else ALONE
        with temporary_file(home.versions) as target, Draft(home, book, target, base=base, enough=enough) as draft:
            done = publish_draft(home, book, draft, is_ordered=is_ordered, on_commit=on_commit)
        if rebuild:
            # What it was to mend goes.
            snapshots.prune(home, ledger.snapshot_sums(book))
        return done
