"""The cleaner: remove files from the lake that no commit needs.

Belongs here: what may go, and its removal.  Does not belong here: merging (``compact``).

It could lose what everything else keeps, so ``clean`` removes a file only where all of these allow it: the name is one
that newsmill gives; the ledger does not name it, or has replaced it everywhere; that is longer ago than the grace
time; every part that counts is there; the part that took the rows over is on disk as it was written; and no whole pair
goes that holds contents which stand nowhere else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from warehouse import ledger, presence
from warehouse.durable import TEMPORARY, discard_left, lock
from warehouse.errors import DamagedError
from warehouse.layout import Home
from warehouse.ledger import Ledger, Naming
from warehouse.listing import LakeFile, lake_files


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the cleaner makes of the lake: files that may go now, and those that wait for their grace time.

    ``kept`` are whole pairs that a killed run may have left, with contents that stand nowhere else.
    """

    removable: tuple[LakeFile, ...]
    waiting: tuple[LakeFile, ...]
    kept: tuple[LakeFile, ...] = ()


def judge(files: Iterable[LakeFile], named: Iterable[Naming], before: int) -> Verdict:
    """Which files no commit needs, and which of those are older than the moment ``before`` (microseconds).

    A replaced part is as old as the commit that replaced it, an orphan as its last change.  A name that newsmill does
    not give is somebody else's file.
    """
    namings: dict[tuple[str, str], list[Naming]] = {}
    for naming in named:
        namings.setdefault((naming.part.kind, naming.part.name), []).append(naming)
    removable: list[LakeFile] = []
    waiting: list[LakeFile] = []
    for file in files:
        since = [naming.replaced_at for naming in namings.get((file.kind, file.name), ())]
        known = [moment for moment in since if moment is not None]
        if len(known) < len(since) or not file.is_ours:
            continue
        (removable if max(known, default=file.modified_at) <= before else waiting).append(file)
    return Verdict(tuple(removable), tuple(waiting))


def _check(home: Home, files: Sequence[LakeFile], named: Sequence[Naming], verdict: Verdict) -> None:
    """Refuse to remove anything where the lake is not what the ledger says: it may be another home's."""
    from warehouse import parts

    there = {(file.kind, file.name) for file in files}
    going = {(file.kind, file.name) for file in verdict.removable}
    heirs = {naming.holder_no for naming in named if (naming.part.kind, naming.part.name) in going}
    for naming in named:
        if naming.replaced_at is not None:
            continue
        part = naming.part
        trouble = "is missing" if (part.kind, part.name) not in there else None
        if naming.holder_no in heirs:
            trouble = parts.problem(home, part)
        if trouble:
            raise DamagedError(
                f"part {home.part(part.kind, part.name)} {trouble}; nothing was removed, run `newsmill verify`"
            )


def survey(home: Home, book: Ledger, before: int) -> Verdict:
    """What may go and what waits; a ledger without commits says nothing about the files beside it.

    Raises ``LedgerError`` where parts hold what the ledger must have lost.
    """
    # Arrow again.
    from warehouse.strays import strays

    files, named = list(lake_files(home)), list(ledger.namings(book))
    found = strays(home, book, files, named)
    if lost := {content for stray in found if stray.is_unexplained for content in stray.contents}:
        raise presence.behind(home, len(lost))
    if not named:
        return Verdict((), ())
    alone = {file for stray in found for file in stray.files}
    kept = tuple(file for file in files if (file.kind, file.name) in alone)
    verdict = judge((file for file in files if (file.kind, file.name) not in alone), named, before)
    _check(home, files, named, verdict)
    return replace(verdict, kept=kept)


def clean(home: Home, book: Ledger, before: int) -> Verdict:
    """Remove what may go; the caller holds the run lock.

    Under the loader lock: a publish that has begun may still have to read the parts that it found named.
    """
    with lock(home.lock("loader")):
        verdict = survey(home, book, before)
        for file in verdict.removable:
            home.part(file.kind, file.name).unlink(missing_ok=True)
    return verdict


def sweep(home: Home) -> int:
    """Remove temporary files that a killed run left; only whoever holds the run lock may call it."""
    leftovers = list(home.lake.glob(f"*/{TEMPORARY}*"))
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers) + discard_left(home.tombstones) + discard_left(home.ledger)
