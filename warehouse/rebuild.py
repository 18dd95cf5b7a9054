"""Make a lost ledger anew: from the newest snapshot, and from parts of which no snapshot knows.

Belongs here: the order of the steps on disks, and saying what could not be known.  Does not belong here: reading what
is left (``remains``), what follows from it (``recount``), writing commits (``ledger``).

The old ledger is moved aside, never changed.  The new one gets its place whole, and a publish follows: between the two
every command stops as it does without a ledger, and the same command does it all again.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from warehouse import ledger, mirror, presence, raw_files, snapshots
from warehouse.durable import fsync_path, rename_durably, temporary_folder
from warehouse.errors import DamagedError, Deferred, LedgerError, LedgerUnreachable, Refusal
from warehouse.layout import Home
from warehouse.listing import lake_files
from warehouse.reaching import resolved
from warehouse.recount import By, Recounted, forgotten_paths, recount
from warehouse.remains import HeldSpan, Told, lake, told
from warehouse.strays import strays
from warehouse.uri import to_path, to_uri
from warehouse.vocabulary import CommitKind

INBOX = "inbox"
_LOG = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of it: ``unknown`` says in one line each what nothing could tell; ``aside`` where the old ledger is."""

    snapshot: str | None
    aside: str | None
    commits: int
    known_batches: int
    added_batches: int
    forgotten: int
    unknown: tuple[str, ...]


def trouble(home: Home, url: str | None) -> str | None:
    """Why the ledger that stands there cannot be worked with; None where it is whole."""
    try:
        published = snapshots.last_published(home)
    except DamagedError:
        published = None
    return ledger.trouble(home, url, published) or _behind(home, url)


def _behind(home: Home, url: str | None) -> str | None:
    """Whether parts hold what a ledger that is whole in itself knows nothing of."""
    book = ledger.open_ledger(home, url)
    try:
        found = strays(home, book, lake_files(home), ledger.namings(book))
    finally:
        book.close()
    lost = {content for stray in found if stray.is_unexplained for content in stray.contents}
    return str(presence.behind(home, len(lost))) if lost else None


def _roots(home: Home, found: Told, named: Sequence[Path]) -> Callable[[HeldSpan], list[str]]:
    """Where a file of a part lies: each root that is known and has these bytes at that uri."""
    places = {INBOX: resolved(os.fsencode(home.inbox))}
    for row in found.files:
        if row["root"] != INBOX:
            places[row["root"]] = to_path(row["root"])
    for path in named:
        real = resolved(os.fsencode(path))
        places[to_uri(real)] = real
    others = [root for root in places if root != INBOX]

    def of(held: HeldSpan) -> list[str]:
        there = []
        for root, folder in places.items():
            path = os.path.join(folder, to_path(held.uri))
            try:
                if raw_files.identify(path, held.size_bytes).file_id == held.span.file_id:
                    there.append(root)
            except (OSError, Deferred, Refusal):
                continue  # not there, or nothing that can be read: another root may have it
        return there or [others[0] if len(others) == 1 else INBOX]

    return of


def _has_forgotten(found: Told) -> bool:
    """Whether the snapshot knows of contents that were forgotten; which ones it does not know."""
    return any(load["kind"] == CommitKind.TOMBSTONES for load in found.loads)


def _unforgotten(home: Home, found: Told) -> str:
    return (
        f"which contents were forgotten: {home.tombstones.name} is lost. Raw files that still have their bytes will be "
        f"read again; they were seen at {', '.join(forgotten_paths(found)) or 'paths that are not known'}"
    )


def _unknown(home: Home, found: Told, counted: Recounted, odd: Sequence[str], is_told: bool) -> list[str]:
    """What nothing could tell, in the order of its weight."""
    lines = []
    if not is_told and _has_forgotten(found):
        lines.append(_unforgotten(home, found))
    elif not is_told and found.path is None:
        lines.append("whether anything was forgotten: neither a snapshot nor a list of tombstones is there")
    lines += [f"{name}: this snapshot cannot be read" for name in found.unread]
    if found.path is None:
        lines.append("commits, runs, copies and refused paths: there is no snapshot; the next ingest finds paths anew")
    if counted.unread_again:
        lines.append(f"the content of {counted.unread_again} rows of files: no part has it; it is read again")
    if counted.added_batches:
        lines.append(
            f"time, run and roots of {counted.added_batches} batches that no snapshot has: they are this rebuild's"
        )
    lines += [f"{words}; no commit names it" for words in odd]
    if counted.unnamed:
        lines.append(
            f"whether {len(counted.unnamed)} parts counted: no commit names them, and what they hold stands elsewhere"
        )
    lines.append("stamps and what was pending: the next ingest hashes every file once")
    if counted.forgotten:
        lines.append(
            "where forgotten contents were seen: `newsmill forget --lift` takes their file_ids, no uri or source"
        )
    lines.append("runs that committed nothing, errors of runs, older sightings of a path, the old chain of hashes")
    return lines


def _aside(home: Home) -> Path | None:
    """Move the old ledger away, with its log; its name then."""
    if not any(home.ledger.with_name(home.ledger.name + end).exists() for end in _LOG):
        return None
    number = 1
    while (aside := home.path / f"ledger-aside-{number:04d}.sqlite").exists():
        number += 1
    # The file before its log: killed in between, there is no ledger; a file without its log would be an older one.
    for end in _LOG:
        path = home.ledger.with_name(home.ledger.name + end)
        if path.exists():
            os.rename(path, aside.with_name(aside.name + end))
    fsync_path(home.path)
    return aside


def restore(home: Home, url: str | None, by: By, *, roots: Sequence[Path] = (), force: bool = False) -> Restored:
    """Write the ledger anew; the caller holds the run lock, and publishes.

    Raises ``LedgerError`` where the ledger is whole, or where it is not known any more what was forgotten, and
    ``LedgerUnreachable`` where its disk has trouble, which may pass; unless ``force`` is given.
    """
    if not home.has_data():
        raise LedgerError(f"nothing stands in {home.path} that a ledger could be made of; run `newsmill ingest PATH`")
    try:
        if not force and trouble(home, url) is None:
            raise LedgerError(f"the ledger of {home.path} is whole and stays; to make it anew all the same add --force")
    except LedgerUnreachable as error:
        raise LedgerUnreachable(f"{error}; to leave this ledger aside and make it anew add --force") from error
    found, held, stones = told(home), lake(home), mirror.read(home)
    if [load["commit_no"] for load in found.loads] != list(range(1, len(found.loads) + 1)):
        raise DamagedError(f"snapshot {found.path} has gaps in its loads; move it away and run this again")
    counted = recount(found, held, stones or (), by, _roots(home, found, roots))
    unknown = _unknown(home, found, counted, held.odd, stones is not None)
    if not force and stones is None and _has_forgotten(found):
        raise LedgerError(
            f"it is not known {_unforgotten(home, found)}. Move those files away, or accept that with --force"
        )
    with ExitStack() as stack:
        place = home
        if url is None:
            place = Home(stack.enter_context(temporary_folder(home.ledger)))
        book = ledger.new_ledger(place, url)
        try:
            ledger.write(book, counted.account)
        finally:
            book.close()
        aside = None
        if url is None:
            aside = _aside(home)
            rename_durably(place.ledger, home.ledger)
    return Restored(
        snapshot=found.path.name if found.path else None,
        aside=str(aside) if aside else None,
        commits=len(counted.account.commits),
        known_batches=counted.known_batches,
        added_batches=counted.added_batches,
        forgotten=counted.forgotten,
        unknown=tuple(unknown),
    )
