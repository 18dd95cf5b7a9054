"""Discover: which raw files are new, against the ledger; what is unchanged is not read.

Belongs here: the walk, the stamps, hashing what is new, and the one definition of a settled file.  Does not belong
here: opening files (``warehouse.raw_files``), cutting batches (``tasks.plan``).
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tasks import plan
from tasks.readers import is_streaming
from tasks.readers.bounded import HEAD
from warehouse import ledger, raw_files
from warehouse.clock import now_us
from warehouse.errors import ConfigError, Deferred, Refusal
from warehouse.layout import Home
from warehouse.ledger import Known, Ledger
from warehouse.raw_files import Found
from warehouse.records import RawFile, Sighting, Stamp
from warehouse.uri import name_of, to_path, to_uri
from warehouse.vocabulary import DeferReason, FileStatus, Reason, Stage

INBOX = "inbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoverOptions:
    """Which entries are raw files, and when.

    ``ignored_suffixes``: names that tools give to files they are still writing.  ``settle_seconds``: how long a file
    must have been left alone; 0 because who calls ingest wants it now, and a file that changes while it is read is
    deferred anyway.  ``max_file_bytes``: a plain text of more than 256 MB is no document; ``max_stream_bytes``: what
    goes through in pieces may be larger, but a file of more than 1 TB is a mistake.
    """

    ignored_suffixes: tuple[str, ...] = (".part", ".tmp", ".crdownload", ".swp", "~")
    settle_seconds: float = 0.0
    max_file_bytes: int = 256_000_000
    max_stream_bytes: int = 1_000_000_000_000


@dataclass(frozen=True, slots=True)
class Root:
    """Where to look: ``location`` stands in the ledger, ``below`` narrows the walk to one file or folder in it.

    ``skip`` names folders below it that are not entered: other roots, and the home, whose files are no raw files.
    """

    location: str
    path: bytes
    below: bytes = b""
    source: str | None = None
    skip: frozenset[bytes] = frozenset()


@dataclass(slots=True)
class Discovery:
    """What was found: ``new`` is to be processed, ``sightings`` need a commit but no reading, the rest is known.

    ``copies`` have the bytes of a file in ``new``: they become duplicates once that is committed.
    """

    new: list[RawFile] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    copies: list[RawFile] = field(default_factory=list)
    restamped: list[RawFile] = field(default_factory=list)
    gone: list[tuple[str, str]] = field(default_factory=list)
    unchanged: int = 0
    ignored: int = 0


def is_ignored(name: bytes, options: DiscoverOptions) -> bool:
    """Whether a name is that of a hidden or half-written file or folder."""
    return name.startswith(b".") or name.endswith(tuple(map(os.fsencode, options.ignored_suffixes)))


def is_settled(mtime_ns: int, now_ns: int, settle_seconds: float) -> bool:
    """Whether a file was left alone for long enough; one from the future counts as settled, its clock is not ours.

    >>> is_settled(5_000_000_000, 6_000_000_000, 0.5), is_settled(5_000_000_000, 5_100_000_000, 0.5)
    (True, False)
    """
    return settle_seconds <= 0 or not 0 <= now_ns - mtime_ns < settle_seconds * 1e9


def _below(path: bytes, folder: bytes) -> bytes | None:
    """Where a path lies below a folder, empty for the folder itself; None where it does not."""
    prefix = folder.rstrip(b"/") + b"/"
    return b"" if path == folder else path[len(prefix) :] if path.startswith(prefix) else None


def roots_of(path: bytes, home: Home, known_roots: Iterable[str], source: str | None) -> list[Root]:
    """The roots to walk for a path: every file belongs to the inbox, else to the nearest known root above it.

    A folder that was never ingested becomes a root; roots that are already known below it keep their files.  A path
    that was named is followed if it is a symlink; only what is found below it is not.
    """
    real = os.path.realpath(path)
    if not os.path.lexists(real):
        raise ConfigError(f"{os.fsdecode(path)!r} does not exist; name a file or folder that does")
    inbox, base = (os.path.realpath(os.fsencode(folder)) for folder in (home.inbox, home.path))
    if (below := _below(real, inbox)) is not None:
        return [Root(INBOX, inbox, below, source)]
    if _below(real, base) is not None:
        raise ConfigError(f"{os.fsdecode(path)!r} lies in newsmill's own home; put files into {home.inbox}/<source>/")
    known = {to_path(location) for location in known_roots if location != INBOX}
    nearest = max((folder for folder in known if _below(real, folder) is not None), key=len, default=None)
    if nearest is None:
        nearest = real if Path(os.fsdecode(real)).is_dir() else os.path.dirname(real)
    nested = sorted(folder for folder in known if _below(folder, real))
    return [
        Root(
            to_uri(folder),
            folder,
            _below(real, folder) or b"",
            source,
            skip=frozenset(below for inner in (*nested, base) if (below := _below(inner, folder))),
        )
        for folder in (nearest, *nested)
    ]


def known_root(home: Home, location: str, uri: str) -> Root:
    """The root to look at one path that the ledger knows, without following anything."""
    folder = os.fsencode(home.inbox) if location == INBOX else to_path(location)
    return Root(location, folder, to_path(uri))


def _source(root: Root, path: bytes) -> str:
    if root.source is not None:
        return root.source
    folder, slash, _ = path.partition(b"/")
    return to_uri(folder) if root.location == INBOX and slash else "default"


def _entries(root: Root, is_closed: Callable[[bytes], bool]) -> Iterator[Found]:
    if root.below and not Path(os.fsdecode(os.path.join(root.path, root.below))).is_dir():
        found = raw_files.look(root.path, root.below)
        if not isinstance(found.error, FileNotFoundError):
            yield found
    else:
        yield from raw_files.walk(root.path, root.below, skip=root.skip, is_closed=is_closed)


def _too_large(found: Found, path: bytes, options: DiscoverOptions) -> tuple[Reason, str] | None:
    """The refusal of a file by its size: it depends on whether its reader has to hold it whole."""
    size = found.stamp.size_bytes
    if size <= options.max_file_bytes:
        return None
    if not is_streaming(name_of(to_uri(found.path)), raw_files.head(path, HEAD)):
        return Reason.TOO_LARGE, f"{size} bytes; max_file_bytes is {options.max_file_bytes}"
    if size > options.max_stream_bytes:
        return Reason.TOO_LARGE, f"{size} bytes; max_stream_bytes is {options.max_stream_bytes}"
    return None


def _refusal(found: Found, path: bytes, options: DiscoverOptions) -> tuple[Reason, str] | None:
    if stat.S_ISLNK(found.mode):
        return Reason.SYMLINK, "a symbolic link is not followed; name its target to ingest it"
    if not stat.S_ISREG(found.mode):
        return Reason.NOT_REGULAR, "a FIFO, socket or device is not a file"
    return _too_large(found, path, options)


class _Search:
    """One walk over some roots; gathers files that need a second look before anything is decided."""

    def __init__(self, options: DiscoverOptions, on_file: Callable[[int], None] | None) -> None:
        self.options = options
        self.on_file = on_file
        self.result = Discovery()
        self.candidates: list[tuple[RawFile, Known | None]] = []
        self.seen = 0
        self.met: set[tuple[str, str]] = set()
        self.now_ns = now_us() * 1000

    def look_below(self, root: Root, known: dict[str, Known]) -> None:
        """Sort every entry of a root into unchanged, ignored, refused, deferred or candidate."""
        for found in _entries(root, self._is_ignored):
            if self._is_ignored(found.path.rpartition(b"/")[2]):
                continue
            uri = to_uri(found.path)
            if (root.location, uri) in self.met:
                continue
            self.met.add((root.location, uri))
            self.seen += 1
            if self.on_file is not None:
                self.on_file(self.seen)
            self._take(root, found, uri, known.get(uri))
        self._miss(root, known)

    def _is_ignored(self, name: bytes) -> bool:
        """Whether a file or folder is left out; each is counted once."""
        ignored = is_ignored(name, self.options)
        self.result.ignored += ignored
        return ignored

    def _miss(self, root: Root, known: dict[str, Known]) -> None:
        """What was waiting to be read and is not there any more; unless its folder could not be looked into."""
        below = to_uri(root.below)
        closed = tuple(uri for location, uri in self.met if location == root.location and uri.endswith("/"))
        for uri, entry in known.items():
            if entry.state == "settled" or (root.location, uri) in self.met or uri.startswith(closed):
                continue
            if not below or uri in (below, below + "/") or uri.startswith(below + "/"):
                self.result.gone.append((root.location, uri))

    def _take(self, root: Root, found: Found, uri: str, known: Known | None) -> None:
        if known is not None and known.state == "settled" and known.stamp == found.stamp:
            self.result.unchanged += 1
            return
        file = RawFile(
            root=root.location,
            uri=uri,
            source=_source(root, found.path),
            path=os.path.join(root.path, found.path),
            stamp=found.stamp,
            file_id="",
        )
        if found.error is not None:
            reason = raw_files.defer_reason(found.error)
            self.result.sightings.append(plan.deferral(file, Deferred(reason, found.error.strerror or "")))
        elif refusal := _refusal(found, file.path, self.options):
            self._refuse(file, *refusal)
        elif not is_settled(found.stamp.mtime_ns, self.now_ns, self.options.settle_seconds):
            changing = Deferred(DeferReason.CHANGING, f"changed less than {self.options.settle_seconds:g} s ago")
            self.result.sightings.append(plan.deferral(file, changing))
        else:
            self.candidates.append((file, known))

    def _refuse(self, file: RawFile, reason: Reason, detail: str) -> None:
        """A path that is refused unread."""
        self.result.sightings.append(
            Sighting(
                root=file.root, uri=file.uri, source=file.source, file_id=None, stamp=file.stamp,
                status=FileStatus.REJECTED, stage=Stage.DISCOVER, reason=reason, detail=detail,
            )
        )  # fmt: skip

    def hashed(self, on_hash: Callable[[int, int], None] | None) -> Iterator[tuple[RawFile, Known | None]]:
        """The candidates with their content's hash, which is only computed where the stamp is new."""
        candidates = sorted(self.candidates, key=lambda entry: plan.order(entry[0]))
        for done, (file, known) in enumerate(candidates, start=1):
            if on_hash is not None:
                on_hash(done, len(candidates))
            if known is not None and known.file_id and known.state == "pending" and known.stamp == file.stamp:
                yield _with(file, known.file_id), known
                continue
            try:
                content = raw_files.identify(file.path, file.stamp.size_bytes)
            except FileNotFoundError:
                continue
            except Deferred as reason:
                self.result.sightings.append(plan.deferral(file, reason))
                continue
            except Refusal as refusal:
                self._refuse(file, refusal.reason, refusal.detail)
                continue
            yield _with(file, content.file_id, content.stamp), known


def _with(file: RawFile, file_id: str, stamp: Stamp | None = None, first_ordinal: int = 0) -> RawFile:
    return RawFile(
        root=file.root,
        uri=file.uri,
        source=file.source,
        path=file.path,
        stamp=stamp or file.stamp,
        file_id=file_id,
        first_ordinal=first_ordinal,
    )


def discover(
    book: Ledger,
    roots: Iterable[Root],
    options: DiscoverOptions,
    *,
    reread: bool = False,
    on_file: Callable[[int], None] | None = None,
    on_hash: Callable[[int, int], None] | None = None,
) -> Discovery:
    """Walk the roots and say of every file what it needs.

    Nothing is written.  With ``reread`` an equal stamp counts for nothing.  ``on_file(seen)`` and
    ``on_hash(done, of)`` report progress.
    """
    search = _Search(options, on_file)
    for root in roots:
        search.look_below(root, {} if reread else ledger.known_files(book, root.location))
    hashed = list(search.hashed(on_hash))
    result = search.result
    file_ids = {file.file_id for file, _ in hashed}
    finished = ledger.finished_contents(book, file_ids)
    begun = ledger.next_ordinals(book, file_ids - finished)
    earlier = {(place.root, place.uri, place.file_id): place.status for place in ledger.places(book, sorted(finished))}
    taken: set[str] = set()
    for file, known in hashed:
        if known is not None and known.state == "settled" and known.file_id == file.file_id:
            result.restamped.append(file)
        elif file.file_id in finished:
            status = earlier.get((file.root, file.uri, file.file_id), FileStatus.DUPLICATE)
            result.sightings.append(plan.sighting(file, status))
        elif file.file_id in taken:
            result.copies.append(file)
        else:
            taken.add(file.file_id)
            result.new.append(_with(file, file.file_id, first_ordinal=begun.get(file.file_id, 0)))
    return result
