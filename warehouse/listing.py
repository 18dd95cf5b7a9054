"""The files of the lake as they stand there, and which of them have a name that newsmill gives.

Belongs here: listing.  Does not belong here: what is in them (``remains``), which may go (``clean``).
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from warehouse.durable import TEMPORARY
from warehouse.layout import Home

_OURS = re.compile(rf"[0-9a-f]{{32}}-[0-9a-f]{{16}}\.parquet|{re.escape(TEMPORARY)}.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LakeFile:
    """One file below the lake; ``modified_at`` in microseconds since 1970."""

    kind: str
    name: str
    size_bytes: int
    modified_at: int

    @property
    def is_ours(self) -> bool:
        """Whether newsmill gives such a name."""
        return _OURS.fullmatch(self.name) is not None


def ours(files: Iterable[LakeFile]) -> Iterator[LakeFile]:
    """Those whose names newsmill gives."""
    return (file for file in files if file.is_ours)


def lake_files(home: Home) -> Iterator[LakeFile]:
    """Every file in the folders of parts, in the order of their names; what is no regular file is nobody's part."""
    # Imported where they are needed, because every run sweeps, and Arrow takes a tenth of a second.
    from warehouse.schema import PARTS

    for kind in PARTS:
        folder = home.lake / kind
        if not folder.is_dir():
            continue
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.is_file(follow_symlinks=False):
                found = entry.stat(follow_symlinks=False)
                yield LakeFile(kind, entry.name, found.st_size, found.st_mtime_ns // 1000)
