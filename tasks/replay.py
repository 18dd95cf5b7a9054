"""Replay: which raw files to read again for contents that are already known.

Belongs here: from contents to files that still hold their bytes.  Does not belong here: choosing the contents
(``flows``), reading them (``tasks.ingest_batch``).
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from tasks.roots import known_root
from warehouse import ledger, raw_files
from warehouse.layout import Home
from warehouse.ledger import Ledger, Place
from warehouse.raw_files import Found
from warehouse.records import RawFile, Stamp
from warehouse.vocabulary import FileStatus


@dataclass(frozen=True, slots=True)
class Again:
    """Files to read again, and the contents whose bytes are nowhere to be found any more."""

    files: list[RawFile]
    missing: list[str]


def _found(home: Home, place: Place) -> tuple[bytes, Found]:
    root = known_root(home, place.root, place.uri)
    return os.path.join(root.path, root.below), raw_files.look(root.path, root.below)


def again(book: Ledger, home: Home, file_ids: Iterable[str]) -> Again:
    """Where each content can be read: under the name it was first ingested by, from any place that still has it.

    The identity stays that of the first place, so that the same bytes give the same rows wherever they are read.
    """
    wanted = list(file_ids)
    by_content: dict[str, list[Place]] = {file_id: [] for file_id in wanted}
    for place in ledger.places(book, wanted):
        by_content[place.file_id].append(place)
    files, missing = [], []
    for file_id, places in by_content.items():
        first = next((p for p in places if p.status in (FileStatus.INGESTED, FileStatus.REJECTED)), None)
        # A place whose stamp is still the ledger's holds the bytes for certain; a touched one may.
        regular = [
            (path, found.stamp, (found.stamp.size_bytes, found.stamp.mtime_ns) != (place.stamp_size, place.modified_ns))
            for place in places
            if place.is_newest
            for path, found in [_found(home, place)]
            if found.error is None and stat.S_ISREG(found.mode)
        ]
        at = min(regular, key=lambda entry: entry[2], default=None)
        if first is None or at is None:
            missing.append(file_id)
            continue
        stamp = Stamp(
            size_bytes=first.stamp_size, mtime_ns=first.modified_ns, ctime_ns=at[1].ctime_ns, inode=at[1].inode
        )
        files.append(
            RawFile(root=first.root, uri=first.uri, source=first.source, path=at[0], stamp=stamp, file_id=file_id)
        )
    return Again(files, missing)
