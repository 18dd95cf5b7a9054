"""Taking content down: which contents a person means, what goes with them, and what stays where it is.

Belongs here: choosing, looking before and telling after.  Does not belong here: doing it (``flows.erase``), showing it
(``flows.cli``).
"""

import os
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from flows import run
from flows.erase import erase, let_in
from flows.settings import Settings
from flows.summary import Progress
from tasks.roots import known_root
from warehouse import forget as steps
from warehouse import ledger, mirror, queries, raw_files, snapshots
from warehouse.errors import ConfigError, Deferred, Refusal
from warehouse.forget import Erased
from warehouse.ledger import Ledger, Place, Tombstone

_SAME_TEXT = """
    SELECT count(*) AS documents FROM documents
    WHERE file_id NOT IN (SELECT unnest($file_ids::VARCHAR[]))
    AND text_id IN (SELECT text_id FROM documents WHERE file_id IN (SELECT unnest($file_ids::VARCHAR[])))"""


@dataclass(frozen=True, slots=True)
class Chosen:
    """How a person names contents: file_ids or beginnings of them, uris, sources."""

    file_ids: Sequence[str] = ()
    uris: Sequence[str] = ()
    sources: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten, or with ``is_dry`` would be.

    ``places`` are where the contents were seen; ``lying`` those paths below which a raw file still has the bytes;
    ``same_text`` counts documents of other files with a text that one of these had, which stay.
    """

    is_dry: bool
    file_ids: tuple[str, ...]
    documents: int
    places: tuple[Place, ...]
    lying: tuple[str, ...]
    same_text: int
    parts: int
    erased: Erased | None
    seconds: float


def _meant(book: Ledger, chosen: Chosen, *, forgotten: bool) -> list[str]:
    """The contents that a person names; ``ConfigError`` where a word names none, or a beginning more than one."""
    found: set[str] = set()
    what = "is forgotten" if forgotten else "is known"
    for uri in chosen.uris:
        if "!/" in uri:
            raise ConfigError(
                f"{uri!r} is a member of an archive; whole files are forgotten: name {uri.partition('!/')[0]!r}"
            )
    for word in chosen.file_ids:
        if not (8 <= len(word) <= 64 and set(word) <= set("0123456789abcdef")):
            raise ConfigError(
                f"{word!r} is no file_id: 64 hex digits, or the first 8 at least; a uri is named with --uri"
            )
        some = ledger.contents_of(book, word=word, forgotten=forgotten)
        if len(some) > 1:
            raise ConfigError(f"{word!r} is the beginning of {len(some)} contents; write more digits of the file_id")
        if not some:
            raise ConfigError(
                f"no content {what} that begins with {word!r}; `newsmill forget --list` has those that are"
            )
        found.update(some)
    for name, words in (("uri", chosen.uris), ("source", chosen.sources)):
        for word in words:
            some = ledger.contents_of(book, **{name: word}, forgotten=forgotten)
            if not some:
                raise ConfigError(f"no content {what} of the {name} {word!r}; the table files has the names")
            found.update(some)
    return sorted(found)


def _lying(settings: Settings, places: Sequence[Place]) -> tuple[str, ...]:
    """Where a raw file still has the bytes, as paths; newsmill never touches them."""
    found = []
    for place in places:
        root = known_root(settings.layout, place.root, place.uri)
        path, seen = os.path.join(root.path, root.below), raw_files.look(root.path, root.below)
        if seen.error is not None or not stat.S_ISREG(seen.mode) or seen.stamp.size_bytes != place.stamp_size:
            continue
        try:
            is_same = raw_files.identify(path, seen.stamp.size_bytes).file_id == place.file_id
        except FileNotFoundError:
            continue
        except (Deferred, Refusal):
            is_same = True  # not readable now, but as long as it was
        if is_same:
            found.append(os.fsdecode(path))
    return tuple(found)


def _looked(settings: Settings, book: Ledger, file_ids: Sequence[str], *, is_dry: bool) -> Forgotten:
    """What there is of some contents."""
    home = settings.layout
    places = tuple(ledger.places(book, file_ids))
    same = 0
    if snapshots.newest(home) is not None:
        found = queries.rows(home, _SAME_TEXT, {"file_ids": list(file_ids)}, is_ledger_elsewhere=True)
        same = found[0]["documents"]
    return Forgotten(
        is_dry=is_dry,
        file_ids=tuple(file_ids),
        documents=sum(int(row["document_count"] or 0) for row in ledger.contents(book, file_ids)),
        places=places,
        lying=_lying(settings, places),
        same_text=same,
        parts=2 * len(steps.holders(home, book, file_ids)),
        erased=None,
        seconds=0.0,
    )


def dry_run(settings: Settings, chosen: Chosen) -> Forgotten:
    """What would be forgotten; nothing is written and nobody is waited for."""
    with run.opened(settings) as book:
        return _looked(settings, book, _meant(book, chosen, forgotten=False), is_dry=True)


def forget(settings: Settings, chosen: Chosen, progress: Progress) -> Forgotten:
    """Take contents down for good; waits while a run holds the home.  Without a choice, finishes what was begun."""
    started = time.monotonic()
    ledger.open_ledger(settings.layout, settings.ledger_url).close()
    with run.exclusive(settings, progress, create=False) as book:
        file_ids = _meant(book, chosen, forgotten=False)
        looked = _looked(settings, book, file_ids, is_dry=False)
        erased = erase(settings, book, progress, file_ids, is_wary=not file_ids)
    return replace(looked, erased=erased, seconds=time.monotonic() - started)


def lift(settings: Settings, chosen: Chosen, progress: Progress) -> list[str]:
    """Let forgotten bytes in again, at the next ingest that meets them; returns the contents."""
    ledger.open_ledger(settings.layout, settings.ledger_url).close()
    with run.exclusive(settings, progress, create=False) as book:
        file_ids = _meant(book, chosen, forgotten=True)
        let_in(settings, book, file_ids)
        mirror.write(settings.layout, ledger.marks(book))
    return file_ids


def tombstones(settings: Settings) -> list[Tombstone]:
    """Every content that was ever forgotten."""
    with run.opened(settings) as book:
        return ledger.tombstones(book)
