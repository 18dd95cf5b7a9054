"""Discover: which raw files are new, against the ledger; what is unchanged is not read.

Belongs here: the walk, the stamps, hashing what is new, and the one definition of a settled file.  Does not belong
here: opening files (``warehouse.raw_files``), cutting batches (``tasks.plan``).
"""

import itertools
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tasks import plan
from tasks.compared import Comparison, Differing
from tasks.hashing import Hashed, Hasher
from tasks.roots import Root, disjoint, source_of
from warehouse import ledger, raw_files, walking
from warehouse.clock import now_us
from warehouse.errors import Deferred, Refusal
from warehouse.ledger import Known, Ledger
from warehouse.raw_files import Block
from warehouse.records import RawFile, Sighting
from warehouse.uri import name_of, to_path, to_uri
from warehouse.vocabulary import DeferReason, FileStatus, Reason, Stage

# As many as a batch may have, and some batches of large files: while workers are busy with some, the next are hashed.
HASHED_AT_ONCE, HASHED_BYTES = 3_000, 64_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoverOptions:
    """Which entries are raw files, and when.

    ``ignored_suffixes``: names that tools give to files they are still writing.  ``settle_seconds``: how long a file
    must have been left alone; 0 because who calls ingest wants it now, and a file that changes while it is read is
    deferred anyway.  ``max_file_bytes``: a plain text of more than 256 MB is no document; ``max_stream_bytes``: what
    goes through in pieces may be larger, but a file of more than 1 TB is a mistake.  ``reader``: the format of all
    files, where a person says it.
    """

    ignored_suffixes: tuple[str, ...] = (".part", ".tmp", ".crdownload", ".swp", "~")
    settle_seconds: float = 0.0
    max_file_bytes: int = 256_000_000
    max_stream_bytes: int = 1_000_000_000_000
    reader: str | None = None


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


def wanted(
    options: DiscoverOptions, on_ignored: Callable[[int], None] | None = None
) -> Callable[[list[str]], list[str]]:
    """What chooses among names of files and folders those that are neither hidden nor half written, and counts them."""
    suffixes = options.ignored_suffixes

    def choose(names: list[str]) -> list[str]:
        chosen = [name for name in names if name[0] != "." and not name.endswith(suffixes)]
        if on_ignored is not None:
            on_ignored(len(names) - len(chosen))
        return chosen

    return choose


def is_settled(mtime_ns: int, now_ns: int, settle_seconds: float) -> bool:
    """Whether a file was left alone for long enough; one from the future counts as settled, its clock is not ours.

    >>> is_settled(5_000_000_000, 6_000_000_000, 0.5), is_settled(5_000_000_000, 5_100_000_000, 0.5)
    (True, False)
    """
    return settle_seconds <= 0 or not 0 <= now_ns - mtime_ns < settle_seconds * 1e9


def _blocks(root: Root, choose: Callable[[list[str]], list[str]]) -> Iterator[Block]:
    found = raw_files.look(root.path, root.below) if root.below else None
    if found is None or stat.S_ISDIR(found.mode):
        yield from walking.blocks(root.path, root.below, skip=root.skip, wanted=choose)
    elif not isinstance(found.error, FileNotFoundError) and choose([os.fsdecode(root.below.rpartition(b"/")[2])]):
        yield Block.of(found)


def _too_large(file: RawFile, options: DiscoverOptions) -> tuple[Reason, str] | None:
    """The refusal of a file by its size: it depends on whether its reader has to hold it whole."""
    size = file.stamp.size_bytes
    if size <= options.max_file_bytes:
        return None
    # Hardly any file comes here, and every run would wait for what readers import.
    from tasks.readers import is_streaming
    from tasks.readers.bounded import HEAD

    if not is_streaming(name_of(file.uri), raw_files.head(file.path, HEAD), options.reader):
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


def _refusal(file: RawFile, mode: int | None, options: DiscoverOptions) -> tuple[Reason, str] | None:
    if mode is None:
        return _too_large(file, options)
    if stat.S_ISLNK(mode):
        return Reason.SYMLINK, "a symbolic link is not followed; name its target to ingest it"
    return Reason.NOT_REGULAR, "a FIFO, socket or device is not a file"


@dataclass(slots=True)
class _Group:
    """Files that are hashed together, beside what the ledger knows of each."""

    files: list[RawFile] = field(default_factory=list)
    known: list[Known | None] = field(default_factory=list)
    size: int = 0

    def add(self, file: RawFile, known: Known | None) -> None:
        self.files.append(file)
        self.known.append(known)
        self.size += file.stamp.size_bytes

    @property
    def is_full(self) -> bool:
        return len(self.files) >= HASHED_AT_ONCE or self.size >= HASHED_BYTES


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
        # Whether something was, or was put off.
        self.is_awaited = False
        # How many paths are not as the ledger knows them, and how many bytes they have.
        self.total = self.size_bytes = 0
        # Contents that were handed out and are not committed yet.
        self._taken: set[str] = set()
        self._choose = wanted(options, self._count_ignored)
        self._count(on_file)

    def _count(self, on_file: Callable[[int], None] | None) -> None:
        """See how much is not as the ledger knows it; ``result`` says how much is."""
        seen = 0
        for root in self.roots:
            for differing in self._compared(root):
                seen += len(differing.block.rows)
                self.total += len(differing.rows)
                self.size_bytes += sum(row[1] for row in differing.rows)
                self.is_awaited = self.is_awaited or differing.is_awaited
                if differing.is_awaited and not self.has_waited:
                    known = ledger.known_files(self.book, root.location, differing.known)
                    self.has_waited = any(one.state == "pending" for one in known.values())
                if on_file is not None:
                    on_file(seen)
        self.result.unchanged = seen - self.total

    def _compared(self, root: Root) -> Iterator[Differing]:
        """What of a root is not as the ledger remembers it; what was waiting and is not there is noted as gone."""
        pages = iter(()) if self.reread else ledger.remembered(self.book, root.location, to_uri(root.below))
        comparison = Comparison(_blocks(root, self._choose), pages)
        yield from comparison
        self.result.gone.extend((root.location, uri) for uri in comparison.gone)

    def _count_ignored(self, count: int) -> None:
        self.result.ignored += count

    def _unread(self, file: RawFile, odd: int | OSError | None) -> Sighting | None:
        """What becomes of a path that is not read now; ``odd`` as in ``Block``."""
        if isinstance(odd, OSError):
            return plan.deferral(file, raw_files.put_off(odd))
        if refusal := _refusal(file, odd, self.options):
            return _refused(file, *refusal)
        if not is_settled(file.stamp.mtime_ns, self.now_ns, self.options.settle_seconds):
            changing = Deferred(DeferReason.CHANGING, f"changed less than {self.options.settle_seconds:g} s ago")
            return plan.deferral(file, changing)
        return None

    def hashed(self, hasher: Hasher | None = None) -> Iterator[Discovery]:
        """What every path is that is not as the ledger knows it, some at a time, in the order of the walk."""
        if not self.total and not self.result.gone:
            yield self.result
            return
        self.result = Discovery()
        hasher = hasher or Hasher()
        ahead: deque[tuple[_Group, Callable[[], Hashed]]] = deque()
        for group in self._groups():
            # What a run before this one had hashed is known.
            unknown = [file for file in group.files if not file.file_id]
            paths, sizes = [file.path for file in unknown], [file.stamp.size_bytes for file in unknown]
            ahead.append((group, hasher.begin(paths, sizes)))
            while len(ahead) > hasher.ahead:
                yield self._classified(*ahead.popleft())
        while ahead:
            yield self._classified(*ahead.popleft())
        yield self.result

    def committed(self, file_ids: Iterable[str]) -> None:
        """Forget of contents that they were handed out: from here on the ledger knows them."""
        self._taken.difference_update(file_ids)

    def _groups(self) -> Iterator[_Group]:
        """Files that have to be read, some at a time; what becomes of all others stands in ``result``."""
        group = _Group()
        for root in self.roots:
            for differing in self._compared(root):
                self.result.unchanged += len(differing.block.rows) - len(differing.rows)
                known = ledger.known_files(self.book, root.location, differing.known) if differing.known else {}
                for file in self._files(root, differing):
                    if sighting := self._unread(file, differing.block.odd.get(file.uri)):
                        self.result.sightings.append(sighting)
                        continue
                    before = known.get(file.uri)
                    if before and before.file_id and before.state == "pending" and before.stamp == file.stamp:
                        group.add(file._replace(file_id=before.file_id), before)
                    else:
                        group.add(file, before)
                    if group.is_full:
                        yield group
                        group, self.now_ns = _Group(), now_us() * 1000
        yield group

    def _files(self, root: Root, differing: Differing) -> Iterator[RawFile]:
        """What differs as files that were not hashed yet."""
        if not differing.rows:
            return
        # One folder has one source.
        folder, source = os.path.join(root.path, b""), source_of(root, to_path(differing.rows[0][0]))
        for uri, *facts in differing.rows:
            yield RawFile(root.location, uri, source, folder + to_path(uri), raw_files.fitting(*facts), "")

    def _classified(self, group: _Group, hashes: Callable[[], Hashed]) -> Discovery:
        """What the files of a group are, and all that was found until now."""
        made, places = hashes(), itertools.count()
        files = list[tuple[RawFile, Known | None]]()
        for file, known in zip(group.files, group.known, strict=True):
            if file.file_id:
                files.append((file, known))
            elif trouble := made.troubles.get(place := next(places)):
                self._note(file, trouble)
            else:
                files.append((made.of(file, place), known))
        self._classify(files)
        found, self.result = self.result, Discovery()
        return found

    def _note(self, file: RawFile, trouble: Exception) -> None:
        """What becomes of a file that could not be hashed; one that is gone was never there."""
        if isinstance(trouble, Deferred):
            self.result.sightings.append(plan.deferral(file, trouble))
        elif isinstance(trouble, Refusal):
            self.result.sightings.append(_refused(file, trouble.reason, trouble.detail))

    def _classify(self, files: Sequence[tuple[RawFile, Known | None]]) -> None:
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
            elif file.file_id in self._taken:
                self.result.copies.append(file)
            else:
                self._taken.add(file.file_id)
                first = begun.get(file.file_id)
                self.result.new.append(file if first is None else file._replace(first_ordinal=first))


def discover(
    book: Ledger,
    roots: Sequence[Root],
    options: DiscoverOptions,
    *,
    reread: bool = False,
    on_file: Callable[[int], None] | None = None,
) -> Discovery:
    """The whole search at once: what every file below the roots needs.  Nothing is written."""
    found = Discovery()
    for some in Search(book, roots, options, reread=reread, on_file=on_file).hashed():
        found.add(some)
    return found
