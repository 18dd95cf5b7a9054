"""One line of the table, and how time is taken.

Belongs here: what all topics share.  Does not belong here: any topic.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tasks.document import documents_of
from tasks.options import DocumentOptions
from warehouse.records import FileResult, RawFile, Stamp

OPTIONS = DocumentOptions()
_STAMP = Stamp(size_bytes=0, mtime_ns=0, ctime_ns=0, inode=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was asked, what was found, and whether it holds; ``details`` go to the JSON file only."""

    what: str
    least: str
    found: str
    holds: bool
    how: str
    details: dict[str, object] = field(default_factory=dict)


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of one call in this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def chunks(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """The items in order, ``size`` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def as_files(contents: Iterable[bytes]) -> list[tuple[RawFile, bytes]]:
    """Raw files with these bytes, as ``documents_of`` takes them."""
    return [
        (RawFile(root="eval", uri=f"{n:05d}.txt", source="eval", path=b"", stamp=_STAMP, file_id="0" * 64), data)
        for n, data in enumerate(contents)
    ]


def documents(contents: Iterable[bytes]) -> list[FileResult]:
    """The whole text core over these bytes."""
    return documents_of(as_files(contents), OPTIONS)


def percent(right: int, total: int) -> str:
    """A share with its count; 0 of 0 is no share.

    >>> percent(199, 200)
    '99.50 % (199/200)'
    """
    return f"{100 * right / total:.2f} % ({right:,}/{total:,})" if total else "nothing found"
