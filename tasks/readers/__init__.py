"""From bytes to records: one module a format, one line a format in READERS.

Belongs here: opening a format and yielding its records in order.  Does not belong here: what a text means
(``tasks.text``), files on disk (``warehouse.raw_files``).

To add a format: a module with a ``read`` function, its line below, and a folder of golden cases.  A reader counts
every record it comes to, and yields each as a ``RawDocument`` or a ``Reject``; nothing else leaves it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tasks.readers import plain
from tasks.readers.options import ReadOptions
from warehouse.records import RawDocument, Reject

Read = Callable[[bytes, ReadOptions], Iterator[RawDocument | Reject]]


@dataclass(frozen=True, slots=True)
class Reader:
    """One format: the name endings it takes, lower case, and how its bytes become records."""

    suffixes: tuple[str, ...]
    read: Read


READERS: dict[str, Reader] = {
    "plain": Reader(suffixes=(".txt", ".text"), read=plain.read),
}


def reader_for(name: str) -> str | None:
    """The reader that takes a file of this name; None where none does.

    >>> reader_for("000_ad13c6fc177309bb.TXT"), reader_for("photo.jpg")
    ('plain', None)
    """
    lowered = name.lower()
    return next((key for key, reader in READERS.items() if lowered.endswith(reader.suffixes)), None)


__all__ = ["READERS", "ReadOptions", "Reader", "reader_for"]
