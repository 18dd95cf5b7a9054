"""Hashing: what the contents of many files are.

Belongs here: reading and hashing, wherever it runs.  Does not belong here: choosing files, and what follows from their
hashes (``tasks.discover``), or processes (``tasks.pool``).
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from struct import Struct
from typing import NamedTuple

from warehouse import raw_files
from warehouse.errors import Deferred, Refusal
from warehouse.reaching import Reach
from warehouse.records import RawFile, Stamp

_NOTHING = "0" * 64
_STAMP = Struct("4q")


class Hashed(NamedTuple):
    """What files are, in the order they were named: few and large values, since it may come from another process.

    ``digits`` are 64 a file, ``stamps`` four numbers a file in native bytes; ``troubles`` say by a file's place why
    it has none: what ``raw_files.identify`` raised.
    """

    digits: str
    stamps: bytes
    troubles: dict[int, Exception]

    def of(self, file: RawFile, place: int) -> RawFile:
        """The file that was named at a place, with its hash and the stamp that this was found under."""
        stamp = Stamp(*_STAMP.unpack_from(self.stamps, _STAMP.size * place))
        root, uri, source, path, _, _, first_ordinal = file
        return RawFile(root, uri, source, path, stamp, self.digits[64 * place : 64 * place + 64], first_ordinal)


def hashed(paths: Sequence[bytes], sizes: Sequence[int]) -> Hashed:
    """The hashes of the contents at these paths, which have about these sizes."""
    digits: list[str] = []
    stamps = array("q")
    troubles: dict[int, Exception] = {}
    with Reach() as way:
        for place, (path, size) in enumerate(zip(paths, sizes, strict=True)):
            try:
                content = raw_files.identify(path, size, way)
            except (FileNotFoundError, Deferred, Refusal) as trouble:
                troubles[place] = trouble
                digits.append(_NOTHING)
                stamps.extend(raw_files.NO_STAMP)
            else:
                digits.append(content.file_id)
                stamps.extend(content.stamp)
    return Hashed("".join(digits), stamps.tobytes(), troubles)


def unhashed(count: int, trouble: Exception) -> Hashed:
    """What is known of so many files that could not be hashed, all for one reason."""
    return Hashed(
        _NOTHING * count, array("q", raw_files.NO_STAMP * count).tobytes(), dict.fromkeys(range(count), trouble)
    )


def joined(pieces: Iterable[Hashed]) -> Hashed:
    """Several as one, in their order."""
    digits, stamps, troubles = "", b"", dict[int, Exception]()
    for piece in pieces:
        before = len(digits) // len(_NOTHING)
        troubles.update({before + place: trouble for place, trouble in piece.troubles.items()})
        digits, stamps = digits + piece.digits, stamps + piece.stamps
    return Hashed(digits, stamps, troubles)


class Hasher:
    """Who hashes: this one does it here and now.

    ``ahead`` is how many groups of files it wants to have besides the one that is needed.
    """

    @property
    def ahead(self) -> int:
        """None: what is done at once need not be begun early."""
        return 0

    def begin(self, paths: Sequence[bytes], sizes: Sequence[int]) -> Callable[[], Hashed]:
        """Begin with some files; the call that waits for what they are."""
        made = hashed(paths, sizes)
        return lambda: made
