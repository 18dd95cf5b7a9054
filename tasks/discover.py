"""Discover: which raw files are new, against the ledger; what is unchanged is not read.

Belongs here: the walk, the stamps, hashing what is new, and the one definition of a settled file.  Does not belong
here: opening files (``warehouse.raw_files``), cutting batches (``tasks.plan``).
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from tasks import plan
from tasks.readers import is_streaming
from tasks.readers.bounded import HEAD
from warehouse import ledger, raw_files
from warehouse.clock import now_us
from warehouse.errors import ConfigError, Deferred, Refusal
from warehouse.layout import Home
from warehouse.ledger import Known, Ledger
from warehouse.raw_files import Found
from warehouse.records import RawFile, Sighting
from warehouse.uri import name_of, to_path, to_uri
from warehouse.vocabulary import DeferReason, FileStatus, Reason, Stage

INBOX = "inbox"
# As many as a batch may have: while workers are busy with some, the next are hashed.
HASHED_AT_ONCE = 3_000


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

    def add(self, more: "Discovery") -> None:
        """Take in what was found next."""
        for name in ("new", "sightings", "copies", "restamped", "gone"):
            getattr(self, name).extend(getattr(more, name))
        self.unchanged += more.unchanged
        self.ignored += more.ignored


class _Candidate(NamedTuple):
    """What is remembered of a file that may be new; there may be as many as there are files."""

    source: str
    uri: str
    root: str
    path: bytes
    known: Known | None


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


class Search:
    """One walk over some roots: first every entry is looked at, then what may be new is hashed, some at a time.

    What is remembered of a file between the two is little, whatever the corpus: it is forgotten once it is hashed.
    """

    def __init__(self, book: Ledger, options: DiscoverOptions, on_file: Callable[[int], None] | None = None) -> None:
        self.book = book
        self.options = options
        self.on_file = on_file
        self.result = Discovery()
        self.candidates: list[_Candidate] = []
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
            self.candidates.append(_Candidate(*plan.order(file), file.path, known))

    def _refuse(self, file: RawFile, reason: Reason, detail: str) -> None:
        """A path that is refused unread."""
        self.result.sightings.append(
            Sighting(
                root=file.root, uri=file.uri, source=file.source, file_id=None, stamp=file.stamp,
                status=FileStatus.REJECTED, stage=Stage.DISCOVER, reason=reason, detail=detail,
            )
        )  # fmt: skip

    @property
    def total(self) -> int:
        """How many files may be new and are not hashed yet."""
        return len(self.candidates)

    def hashed(self, on_hash: Callable[[int, int], None] | None = None) -> Iterator[Discovery]:
        """What the candidates are, in the order in which they are planned; the first also says what the walk found."""
        total, done = self.total, 0
        self.candidates.sort(key=lambda candidate: candidate[:3], reverse=True)
        taken: set[str] = set()
        while True:
            files: list[tuple[RawFile, Known | None]] = []
            while self.candidates and len(files) < HASHED_AT_ONCE:
                done += 1
                if on_hash is not None:
                    on_hash(done, total)
                candidate = self.candidates.pop()
                if (file := self._hashed(candidate)) is not None:
                    files.append((file, candidate.known))
            self._classify(files, taken)
            yield self.result
            if not self.candidates:
                return
            self.result = Discovery()

    def _hashed(self, candidate: "_Candidate") -> RawFile | None:
        """The file with its content's hash, which is only computed where the stamp is new."""
        source, uri, root, path, known = candidate
        if known is not None and known.file_id and known.state == "pending":
            found = raw_files.look(b"", path)
            if found.error is None and found.stamp == known.stamp:
                return RawFile(root=root, uri=uri, source=source, path=path, stamp=found.stamp, file_id=known.file_id)
        try:
            content = raw_files.identify(path, raw_files.look(b"", path).stamp.size_bytes)
        except FileNotFoundError:
            return None
        except Deferred as reason:
            stamp = raw_files.look(b"", path).stamp
            file = RawFile(root=root, uri=uri, source=source, path=path, stamp=stamp, file_id="")
            self.result.sightings.append(plan.deferral(file, reason))
            return None
        except Refusal as refusal:
            stamp = raw_files.look(b"", path).stamp
            file = RawFile(root=root, uri=uri, source=source, path=path, stamp=stamp, file_id="")
            self._refuse(file, refusal.reason, refusal.detail)
            return None
        return RawFile(root=root, uri=uri, source=source, path=path, stamp=content.stamp, file_id=content.file_id)

    def _classify(self, files: Sequence[tuple[RawFile, Known | None]], taken: set[str]) -> None:
        forgotten = ledger.refused(self.book, {file.file_id for file, _ in files})
        for file, _ in files:
            if file.file_id in forgotten:
                self._refuse(file, Reason.FORGOTTEN, ledger.forgotten_detail(file.file_id))
        files = [(file, known) for file, known in files if file.file_id not in forgotten]
        file_ids = {file.file_id for file, _ in files}
        finished = ledger.finished_contents(self.book, file_ids - taken)
        begun = ledger.next_ordinals(self.book, file_ids - finished - taken)
        earlier = {
            (place.root, place.uri, place.file_id): place.status for place in ledger.places(self.book, sorted(finished))
        }
        for file, known in files:
            if known is not None and known.state == "settled" and known.file_id == file.file_id:
                self.result.restamped.append(file)
            elif file.file_id in finished:
                status = earlier.get((file.root, file.uri, file.file_id), FileStatus.DUPLICATE)
                self.result.sightings.append(plan.sighting(file, status))
            elif file.file_id in taken:
                self.result.copies.append(file)
            else:
                taken.add(file.file_id)
                self.result.new.append(replace(file, first_ordinal=begun.get(file.file_id, 0)))


def search(
    book: Ledger,
    roots: Iterable[Root],
    options: DiscoverOptions,
    *,
    reread: bool = False,
    on_file: Callable[[int], None] | None = None,
) -> Search:
    """Walk the roots and compare every stamp with the ledger; nothing is read yet, nothing written.

    With ``reread`` an equal stamp counts for nothing.  ``on_file(seen)`` reports progress.
    """
    walk = Search(book, options, on_file)
    for root in roots:
        walk.look_below(root, {} if reread else ledger.known_files(book, root.location, to_uri(root.below)))
    return walk


def discover(
    book: Ledger,
    roots: Iterable[Root],
    options: DiscoverOptions,
    *,
    reread: bool = False,
    on_file: Callable[[int], None] | None = None,
    on_hash: Callable[[int, int], None] | None = None,
) -> Discovery:
    """The whole search at once: what every file below the roots needs.  Nothing is written."""
    found = Discovery()
    for some in search(book, roots, options, reread=reread, on_file=on_file).hashed(on_hash):
        found.add(some)
    return found
