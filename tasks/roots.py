"""Roots: which folder a path belongs to, and who its files come from.

Belongs here: where a walk begins and what it leaves out.  Does not belong here: the walk (``tasks.discover``).
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from warehouse.errors import ConfigError
from warehouse.layout import Home
from warehouse.reaching import resolved
from warehouse.uri import to_path, to_uri

INBOX = "inbox"


@dataclass(frozen=True, slots=True)
class Root:
    """Where to look: ``location`` stands in the ledger, ``below`` narrows the walk to one file or folder in it.

    ``path`` has no symlink in it.  ``skip`` names folders below it that are not entered: other roots, and the home,
    whose files are no raw files.
    """

    location: str
    path: bytes
    below: bytes = b""
    source: str | None = None
    skip: frozenset[bytes] = frozenset()


def _below(path: bytes, folder: bytes) -> bytes | None:
    """Where a path lies below a folder, empty for the folder itself; None where it does not."""
    prefix = folder.rstrip(b"/") + b"/"
    return b"" if path == folder else path[len(prefix) :] if path.startswith(prefix) else None


def roots_of(path: bytes, home: Home, known_roots: Iterable[str], source: str | None) -> list[Root]:
    """The roots to walk for a path: every file belongs to the inbox, else to the nearest known root above it.

    A folder that was never ingested becomes a root; roots that are already known below it keep their files.  A path
    that was named is followed if it is a symlink; only what is found below it is not.
    """
    real = resolved(path)
    try:
        is_folder = stat.S_ISDIR(os.lstat(real).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(f"{os.fsdecode(path)!r} does not exist; name a file or folder that does") from None
    inbox, base = (resolved(os.fsencode(folder)) for folder in (home.inbox, home.path))
    if (below := _below(real, inbox)) is not None:
        return [Root(INBOX, inbox, below, source)]
    if _below(real, base) is not None:
        raise ConfigError(f"{os.fsdecode(path)!r} lies in newsmill's own home; put files into {home.inbox}/<source>/")
    known = {to_path(location) for location in known_roots if location != INBOX}
    nearest = max((folder for folder in known if _below(real, folder) is not None), key=len, default=None)
    if nearest is None:
        nearest = real if is_folder else os.path.dirname(real)
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
    """The root to look at one path that the ledger knows, without following anything but the inbox itself.

    Other roots were resolved when they were named: a symlink in the place of one may be anybody's.
    """
    folder = resolved(os.fsencode(home.inbox)) if location == INBOX else to_path(location)
    return Root(location, folder, to_path(uri))


def _holds(outer: Root, inner: Root) -> bool:
    """Whether the walk of one root meets all that the other's would."""
    is_below = not outer.below or _below(inner.below, outer.below) is not None
    return outer.location == inner.location and is_below


def disjoint(roots: Iterable[Root]) -> list[Root]:
    """The roots without those whose files another one has as well, so that each file is met once.

    >>> walks = [Root("/srv", b"/srv", below) for below in (b"2019/04", b"2019", b"2020", b"2019")]
    >>> [root.below for root in disjoint(walks)]
    [b'2019', b'2020']
    """
    kept: list[Root] = []
    for root in roots:
        if not any(_holds(other, root) for other in kept):
            kept = [other for other in kept if not _holds(root, other)]
            kept.append(root)
    return kept


def source_of(root: Root, path: bytes) -> str:
    """Who the file at a path below a root comes from: what was named, else the first folder of an inbox."""
    if root.source is not None:
        return root.source
    folder, slash, _ = path.partition(b"/")
    return to_uri(folder) if root.location == INBOX and slash else "default"
