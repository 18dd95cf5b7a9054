"""Discover: which raw files are new, against the ledger; what is unchanged is not read.

Belongs here: the walk, the stamps, hashing what is new, and the one definition of a settled file.  Does not belong
here: opening files (``warehouse.raw_files``), cutting batches (``tasks.plan``).
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks import plan
from tasks.readers import is_streaming
from tasks.readers.bounded import HEAD
from tasks.roots import Root, disjoint, source_of
from warehouse import ledger, raw_files
from warehouse.clock import now_us
from warehouse.errors import Deferred, Refusal
from warehouse.ledger import Known, Ledger
from warehouse.raw_files import Found
from warehouse.records import RawFile, Sighting
from warehouse.uri import name_of, to_uri
from warehouse.vocabulary import DeferReason, FileStatus, Reason, Stage

# As many as a batch may have: while workers are busy with some, the next are hashed.
HASHED_AT_ONCE = 3_000
# A progress bar costs more than a look at a file.
_TOLD_EVERY = 500


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


def ignored(options: DiscoverOptions, on_ignored: Callable[[], None] | None = None) -> Callable[[bytes], bool]:
    """What says of a name whether it is that of a hidden or half-written file or folder, and tells if it is."""
    suffixes = tuple(map(os.fsencode, options.ignored_suffixes))

    def is_ignored(name: bytes) -> bool:
        if not name.startswith(b".") and not name.endswith(suffixes):
            return False
        if on_ignored is not None:
            on_ignored()
        return True

    return is_ignored


def is_settled(mtime_ns: int, now_ns: int, settle_seconds: float) -> bool:
    """Whether a file was left alone for long enough; one from the future counts as settled, its clock is not ours.

    >>> is_settled(5_000_000_000, 6_000_000_000, 0.5), is_settled(5_000_000_000, 5_100_000_000, 0.5)
    (True, False)
    """
    return settle_seconds <= 0 or not 0 <= now_ns - mtime_ns < settle_seconds * 1e9


def _entries(root: Root, is_ignored: Callable[[bytes], bool]) -> Iterator[Found]:
    if root.below and not Path(os.fsdecode(os.path.join(root.path, root.below))).is_dir():
        found = raw_files.look(root.path, root.below)
        if not isinstance(found.error, FileNotFoundError) and not is_ignored(found.path.rpartition(b"/")[2]):
            yield found
    else:
        yield from raw_files.walk(root.path, root.below, skip=root.skip, is_ignored=is_ignored)


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


def _refused(file: RawFile, reason: Reason, detail: str) -> Sighting:
    """A path that is refused unread."""
    return Sighting(
        root=file.root, uri=file.uri, source=file.source, file_id=None, stamp=file.stamp,
        status=FileStatus.REJECTED, stage=Stage.DISCOVER, reason=reason, detail=detail,
    )  # fmt: skip


def _refusal(found: Found, path: bytes, options: DiscoverOptions) -> tuple[Reason, str] | None:
    if stat.S_ISLNK(found.mode):
        return Reason.SYMLINK, "a symbolic link is not followed; name its target to ingest it"
    if not stat.S_ISREG(found.mode):
        return Reason.NOT_REGULAR, "a FIFO, socket or device is not a file"
    return _too_large(found, path, options)


class Search:
    """Two walks over some roots: the first compares every stamp and counts, the second hashes what may be new.

    Nothing is remembered of a file between the two, nor of the ledger's rows, which come in the order of the walk: what
    a search holds does not grow with the corpus.  Where the first finds nothing there is no second.
    """

    def __init__(
        self,
        book: Ledger,
        roots: Sequence[Root],
        options: DiscoverOptions,
        *,
        reread: bool = False,
        on_file: Callable[[int], None] | None = None,
    ) -> None:
        self.book, self.options, self.reread = book, options, reread
        # The order in which they were named changes nothing.
        self.roots = sorted(disjoint(roots), key=lambda root: (root.location, root.below))
        self.result = Discovery()
        self.now_ns = now_us() * 1000
        # Whether something was waiting to be read when an earlier run ended.
        self.has_waited = False
        self._is_ignored = ignored(options, self._count_ignored)
        self.total = self._count(on_file)

    def _count(self, on_file: Callable[[int], None] | None) -> int:
        """How many paths are not as the ledger knows them; ``result`` says how many are."""
        seen = total = 0
        for root in self.roots:
            for found, known in self._looked(root):
                seen += 1
                if on_file is not None and not seen % _TOLD_EVERY:
                    on_file(seen)
                if known is None or not known.is_unchanged(found.stamp):
                    total += 1
                    self.has_waited |= known is not None and known.state == "pending"
        if on_file is not None:
            on_file(seen)
        self.result.unchanged = seen - total
        return total

    def _looked(self, root: Root) -> Iterator[tuple[Found, Known | None]]:
        """Every entry of a root beside what the ledger knows of it, None where it knows nothing.

        What was waiting to be read and is not there any more is noted as gone.
        """
        rows = iter(()) if self.reread else ledger.known_files(self.book, root.location, to_uri(root.below))
        known = next(rows, None)
        closed: str | None = None
        for found in _entries(root, self._is_ignored):
            uri = found.uri
            while known is not None and known.uri < uri:
                self._miss(root, known, closed)
                known = next(rows, None)
            if uri.endswith("/"):
                closed = uri
            if known is not None and known.uri == uri:
                yield found, known
                known = next(rows, None)
            else:
                yield found, None
        while known is not None:
            self._miss(root, known, closed)
            known = next(rows, None)

    def _miss(self, root: Root, known: Known, closed: str | None) -> None:
        """Take note of a path that was not met; ``closed`` is the last folder that could not be looked into."""
        is_hidden = closed is not None and (closed == "/" or known.uri.startswith(closed))
        if known.state != "settled" and not is_hidden:
            self.result.gone.append((root.location, known.uri))

    def _count_ignored(self) -> None:
        self.result.ignored += 1

    def _unread(self, found: Found, file: RawFile) -> Sighting | None:
        """What becomes of a path that is not read now."""
        if found.error is not None:
            return plan.deferral(file, Deferred(raw_files.defer_reason(found.error), found.error.strerror or ""))
        if refusal := _refusal(found, file.path, self.options):
            return _refused(file, *refusal)
        if not is_settled(found.stamp.mtime_ns, self.now_ns, self.options.settle_seconds):
            changing = Deferred(DeferReason.CHANGING, f"changed less than {self.options.settle_seconds:g} s ago")
            return plan.deferral(file, changing)
        return None

    def hashed(self, on_hash: Callable[[int, int], None] | None = None) -> Iterator[Discovery]:
        """What every path is that is not as the ledger knows it, some at a time, in the order of the walk."""
        if not self.total and not self.result.gone:
            yield self.result
            return
        self.result = Discovery()
        done = 0
        taken: set[str] = set()
        files: list[tuple[RawFile, Known | None]] = []
        for root in self.roots:
            for found, known in self._looked(root):
                if known is not None and known.is_unchanged(found.stamp):
                    self.result.unchanged += 1
                else:
                    done += 1
                    if on_hash is not None:
                        on_hash(done, max(done, self.total))
                    if (file := self._hashed(root, found, known)) is not None:
                        files.append((file, known))
                if len(files) >= HASHED_AT_ONCE:
                    self._classify(files, taken)
                    yield self.result
                    self.result, files, self.now_ns = Discovery(), [], now_us() * 1000
        self._classify(files, taken)
        yield self.result

    def _hashed(self, root: Root, found: Found, known: Known | None) -> RawFile | None:
        """The file with its content's hash, which is only computed where the stamp is new."""
        file = RawFile(
            root=root.location,
            uri=found.uri,
            source=source_of(root, found.path),
            path=os.path.join(root.path, found.path),
            stamp=found.stamp,
            file_id="",
        )
        if sighting := self._unread(found, file):
            self.result.sightings.append(sighting)
            return None
        if known is not None and known.file_id and known.state == "pending" and known.stamp == found.stamp:
            return file._replace(file_id=known.file_id)
        try:
            content = raw_files.identify(file.path, found.stamp.size_bytes)
        except FileNotFoundError:
            return None
        except Deferred as reason:
            self.result.sightings.append(plan.deferral(file, reason))
            return None
        except Refusal as refusal:
            self.result.sightings.append(_refused(file, refusal.reason, refusal.detail))
            return None
        return file._replace(stamp=content.stamp, file_id=content.file_id)

    def _classify(self, files: Sequence[tuple[RawFile, Known | None]], taken: set[str]) -> None:
        forgotten = ledger.refused(self.book, {file.file_id for file, _ in files})
        for file, _ in files:
            if file.file_id in forgotten:
                self.result.sightings.append(_refused(file, Reason.FORGOTTEN, ledger.forgotten_detail(file.file_id)))
        files = [(file, known) for file, known in files if file.file_id not in forgotten]
        file_ids = {file.file_id for file, _ in files}
        finished, begun = ledger.held_contents(self.book, file_ids)
        again: dict[str, list[str]] = {}
        for file, _ in files:
            if file.file_id in finished:
                again.setdefault(file.root, []).append(file.uri)
        earlier = {root: ledger.sighted(self.book, root, uris) for root, uris in again.items()}
        for file, known in files:
            if known is not None and known.state == "settled" and known.file_id == file.file_id:
                self.result.restamped.append(file)
            elif file.file_id in finished:
                status = earlier[file.root].get((file.uri, file.file_id), FileStatus.DUPLICATE)
                self.result.sightings.append(plan.sighting(file, status))
            elif file.file_id in taken:
                self.result.copies.append(file)
            else:
                taken.add(file.file_id)
                self.result.new.append(file._replace(first_ordinal=begun.get(file.file_id, 0)))


def discover(
    book: Ledger,
    roots: Sequence[Root],
    options: DiscoverOptions,
    *,
    reread: bool = False,
    on_file: Callable[[int], None] | None = None,
    on_hash: Callable[[int, int], None] | None = None,
) -> Discovery:
    """The whole search at once: what every file below the roots needs.  Nothing is written."""
    found = Discovery()
    for some in Search(book, roots, options, reread=reread, on_file=on_file).hashed(on_hash):
        found.add(some)
    return found
