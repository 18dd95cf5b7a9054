"""Erase what was forgotten: from the lake, from every snapshot, from every full-text index.

Belongs here: the steps on disks, and the look whether anything was left.  Does not belong here: the tombstones
themselves (``ledger``), choosing contents and the order of it all (``flows``).

Every step may be killed and done again: parts are replaced in the protocol of a compaction, the next snapshot stands
before the older ones go, and only when all is done does the ledger say that a content is erased.  The next snapshot is
built anew: in a copy of the newest, deleted rows would stand in the file until their room is used again.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse import compact, ledger, loader, parts, presence, search, snapshots
from warehouse.compact import Candidate, CompactOptions
from warehouse.durable import fsync_path, lock
from warehouse.errors import ConfigError, DamagedError
from warehouse.layout import Home
from warehouse.ledger import Holder, Ledger
from warehouse.listing import lake_files, ours
from warehouse.strays import strays

# Half of what compression can save for a thirtieth of its time (docs/decisions/0007).
LEVEL = 9


@dataclass(frozen=True, slots=True)
class Erased:
    """What went: files of parts, snapshots, indexes; who still has a removed file open, by process id.

    ``published`` is the snapshot that stands for those that went, ``index`` the full-text index, None where none is.
    """

    parts: int
    snapshots: int
    indexes: int
    readers: tuple[int, ...]
    published: Path
    index: Path | None


def check_alone(home: Home, book: Ledger, file_ids: Collection[str]) -> None:
    """Raise ``LedgerError`` where a part that goes with these contents holds others that the ledger must have lost."""
    for stray in strays(home, book, lake_files(home), ledger.namings(book)):
        others = stray.contents.difference(file_ids)
        if stray.is_unexplained and others and any(held.span.file_id in file_ids for held in stray.pair.spans):
            raise presence.behind(home, len(others))


def _file_ids(path: Path) -> set[str]:
    """The contents that a part has rows of."""
    return set(pc.unique(pq.read_table(path, columns=["file_id"], partitioning=None)["file_id"]).to_pylist())


def holders(home: Home, book: Ledger, file_ids: Collection[str]) -> list[Holder]:
    """The commits whose parts count and have rows of these contents; ``DamagedError`` where such a part is damaged."""
    begun = ledger.commits_with(book, file_ids)
    found = []
    for holder in ledger.holders(book):
        if begun.isdisjoint(holder.origins):
            continue
        for part in holder.parts:
            if trouble := parts.problem(home, part):
                raise DamagedError(
                    f"part {home.part(part.kind, part.name)} {trouble}; restore it from a backup, then forget"
                )
        if any(not _file_ids(home.part(part.kind, part.name)).isdisjoint(file_ids) for part in holder.parts):
            found.append(holder)
    return found


def rewrite(
    home: Home,
    book: Ledger,
    run_id: str,
    holding: Sequence[Holder],
    *,
    pipeline_version: str,
    settings_fingerprint: str,
    on_part: Callable[[int, int], None] | None = None,
) -> None:
    """Give the rows that count to parts of their own, one pair a holder; the caller holds the run lock."""
    options = CompactOptions(level=LEVEL)
    for done, holder in enumerate(holding, start=1):
        group = [Candidate(holder, 0, 0)]
        compact.merge(
            home, book, run_id, group, options,
            pipeline_version=pipeline_version, settings_fingerprint=settings_fingerprint,
        )  # fmt: skip
        if on_part is not None:
            on_part(done, len(holding))


def _unneeded(home: Home, book: Ledger, file_ids: Collection[str]) -> Iterator[Path]:
    """Files of the lake that no commit needs and that have, or may have, rows of these contents."""
    counting = {(n.part.kind, n.part.name) for n in ledger.namings(book) if n.replaced_at is None}
    for file in ours(lake_files(home)):
        path = home.part(file.kind, file.name)
        if (file.kind, file.name) in counting:
            continue
        try:
            is_holding = not _file_ids(path).isdisjoint(file_ids)
        except (OSError, pa.ArrowException, KeyError):
            is_holding = True  # a file that nobody needs and nobody can read may hold anything
        if is_holding:
            yield path


def _readers(paths: Collection[Path]) -> set[int]:
    """Processes of this machine that have one of the files open, as far as this user may see."""
    wanted = {str(path.resolve()) for path in paths}
    found = set()
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            is_open = os.readlink(entry) in wanted
        except OSError:
            continue  # ended meanwhile, or another user's
        if is_open:
            found.add(int(entry.parts[2]))
    return found - {os.getpid()}


def _remove(paths: Collection[Path]) -> int:
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in paths}:
        fsync_path(folder)
    return len(paths)


def erase(
    home: Home,
    book: Ledger,
    file_ids: Collection[str],
    *,
    on_commit: Callable[[int, int], None] | None = None,
    on_language: Callable[[int, int], None] | None = None,
) -> Erased:
    """Publish without these contents, then remove every file that has them; the caller holds the run lock.

    Readers go on with what they have open; a file that is removed lives until they close it.
    """
    published = loader.publish(home, book, rebuild=True, on_commit=on_commit).path
    assert published is not None
    # Under the loader lock: whoever publishes now starts from ours, and nobody is still to read what goes.
    with lock(home.lock("loader")):
        snapshots.sweep(home)
        old = [path for _, path in snapshots.numbered(home) if path.name < published.name]
        unneeded = list(_unneeded(home, book, file_ids))
        readers = _readers(old)
        _remove(old)
        _remove(unneeded)
    outdated = [path for _, path in search.numbered(home)]
    index = None
    if outdated:
        try:
            index = search.build(home, on_language=on_language).path
        except ConfigError:
            index = None  # without the extension there is no index, and none is better than one that knows too much
        readers |= _readers(outdated)
    removed = search.remove(home, keep=index)
    return Erased(len(unneeded), len(old), removed, tuple(sorted(readers)), published, index)


def traces(home: Home, book: Ledger) -> Iterator[str]:
    """What still stands of contents that are forgotten, one line each: in any part, snapshot or index on disk."""
    forgotten = ledger.refused(book)
    if not forgotten:
        return
    for file in lake_files(home):
        try:
            found = _file_ids(home.part(file.kind, file.name)) & forgotten
        except (OSError, pa.ArrowException, KeyError):
            continue  # no part, or a damaged one, which is told of elsewhere
        for file_id in sorted(found):
            yield f"part {file.kind}/{file.name} has rows of {file_id}, which was forgotten; run `newsmill forget`"
    wanted = pa.table({"file_id": sorted(forgotten)})
    for _, path in snapshots.numbered(home):
        with snapshots.opened(path) as database:
            database.register("forgotten", wanted)
            for table in ("documents", "files", "rejects"):
                ((count,),) = database.execute(
                    f"SELECT count(*) FROM {table} SEMI JOIN forgotten USING (file_id)"  # noqa: S608 - a name of ours
                ).fetchall()
                if count:
                    yield f"snapshot: {path.name} has {count} forgotten rows of {table}; run `newsmill forget`"
    for path, count in search.holding(home, ledger.record_counts(book, forgotten)):
        yield f"search: {path.name} has {count} documents that were forgotten; run `newsmill forget`"
