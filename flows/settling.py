"""What was seen of the files of the inbox, and which have settled.

Belongs here: looking at an inbox and remembering it in little memory.  Does not belong here: when to look and what a
settled file leads to (``flows.watch``), what settled means (``tasks.discover``).
"""

import math
import os
import stat
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from heapq import merge

from tasks.discover import DiscoverOptions, is_settled, wanted
from warehouse import raw_files, walking
from warehouse.clock import now_us
from warehouse.raw_files import Found
from warehouse.records import Stamp


class Marks:
    """A set of hashes in 8 bytes each, to which few are added between two that are made anew.

    Raw files stay where they are and a watcher runs for years: a dictionary of paths and stamps took a kilobyte a file,
    and objects that are made while a folder is listed keep the memory of the listing from being given back.  Two hashes
    that are equal by chance cost the wait for the next sweep.
    """

    _MANY = 4096

    def __init__(self, marks: Iterable[int] = ()) -> None:
        self._sorted, self._new = array("q", sorted(marks)), set[int]()

    def __contains__(self, mark: int) -> bool:
        at = bisect_left(self._sorted, mark)
        return (at < len(self._sorted) and self._sorted[at] == mark) or mark in self._new

    def update(self, marks: Iterable[int]) -> None:
        """Some more."""
        self._new.update(marks)
        if len(self._new) > max(self._MANY, len(self._sorted) // 16):
            self._sorted = array("q", merge(self._sorted, sorted(self._new)))
            self._new.clear()


class Settling:
    """What was seen of the files of a folder, and which of them have settled since.

    ``done`` holds what a run was made for, ``waiting`` the others with the moment they were first seen.
    """

    def __init__(self, settle_seconds: float, discover: DiscoverOptions | None = None) -> None:
        self.settle_seconds = settle_seconds
        self.wanted = wanted(discover or DiscoverOptions())
        self.done = Marks()
        self.waiting: dict[bytes, tuple[Stamp, float]] = {}

    def look(self, folder: bytes, now: float, paths: Collection[bytes] | None = None) -> dict[bytes, Stamp]:
        """Look once at the monotonic second ``now``; the files that have settled and that no run was made for.

        Everything is walked, unless ``paths`` says where something was touched: then they and what waits are looked at.
        """
        still = array("q")
        waiting: dict[bytes, tuple[Stamp, float]] = {}
        ready: dict[bytes, Stamp] = {}
        clock_ns = now_us() * 1000
        for found in self._entries(folder, paths):
            mark = hash((found.path, found.stamp))
            if mark in self.done:
                still.append(mark)
                continue
            stamp, since = self.waiting.get(found.path, (None, now))
            if stamp != found.stamp:
                since = now
            if now - since >= self.settle_seconds and is_settled(found.stamp.mtime_ns, clock_ns, self.settle_seconds):
                ready[found.path] = found.stamp
            waiting[found.path] = (found.stamp, since)
        if paths is None:
            self.done = Marks(still)
        self.waiting = waiting
        return ready

    def _entries(self, folder: bytes, paths: Collection[bytes] | None) -> Iterator[Found]:
        real = os.path.realpath(folder)
        if paths is None:
            yield from walking.walk(real, wanted=self.wanted)
            return
        for path in {*paths, *self.waiting}:
            above, whole, names = os.path.dirname(path), os.path.join(real, path), os.fsdecode(path).split("/")
            # A walk enters neither what is ignored nor symlinks, and these two ways to look must agree.
            if len(self.wanted(names)) < len(names) or os.path.realpath(os.path.dirname(whole)) != (
                os.path.join(real, above) if above else real
            ):
                continue
            found = raw_files.look(real, path)
            if stat.S_ISDIR(found.mode):
                yield from walking.walk(real, path, wanted=self.wanted)
            elif not isinstance(found.error, FileNotFoundError):
                yield found

    def next_look(self, now: float) -> float:
        """Seconds until something that waits can have settled; infinite where nothing waits."""
        moments = [since + self.settle_seconds - now for _, since in self.waiting.values()]
        # Again in a moment, where the file's own time says that it was changed later than it was seen.
        return max(0.02, min(moments)) if moments else math.inf

    def settle(self, files: dict[bytes, Stamp]) -> None:
        """A run was made for these."""
        self.done.update(map(hash, files.items()))
        for path in files:
            self.waiting.pop(path, None)
