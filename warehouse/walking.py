"""Walks over folders of raw files, in the order of their uris and a thousand entries at a time.

Belongs here: listing and stamping what is in folders.  Does not belong here: one entry by name, and opening
(``raw_files``), which of them are wanted and what they are (``tasks.discover``).
"""

import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from warehouse.raw_files import FACTS, KIND, NO_STAMP, Block, Found, Row
from warehouse.reaching import FOLDER, reach
from warehouse.uri import is_plain, to_path, to_uri

# So many are stamped at once, and held.
_AT_ONCE = 1_000
# A folder, however it is reached: its device and inode.
_Place = tuple[int, int]


class _Down(NamedTuple):
    """A folder to go down into, and the one that it was listed in."""

    uri: str
    above: _Place | None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False  # its stat will say the same, and be reported


def _place(result: os.stat_result) -> _Place:
    return result.st_dev, result.st_ino


def _opened(folder: bytes, above: _Place | None) -> int:
    """A folder to list, where it lies in the one that it was listed in: what took a place since may lead anywhere."""
    if above is not None:
        fd = os.open(folder, FOLDER)
        with suppress(OSError):  # the longer way says what it is
            if _place(os.stat("..", dir_fd=fd)) == above:
                return fd
        os.close(fd)
    return reach(folder, FOLDER)


_Wanted = Callable[[list[str]], list[str]]


def _everything(names: list[str]) -> list[str]:
    return names


def _listing(
    folder: bytes, above: _Place | None, wanted: _Wanted
) -> tuple[list[str], Mapping[str, str], _Place | None]:
    """The uris of a folder's entries in their order, a folder's with a slash behind, of each its name; its place."""
    names, folders = list[str](), set[str]()
    fd = _opened(folder, above)
    try:
        with os.scandir(fd) as scan:
            for entry in scan:
                names.append(entry.name)
                if _is_folder(entry):
                    folders.add(entry.name)
        here = _place(os.fstat(fd)) if folders else None
    finally:
        os.close(fd)
    names = wanted(names)
    if is_plain("".join(names)):
        return sorted(name + "/" if name in folders else name for name in names) if folders else sorted(names), {}, here
    uris = {to_uri(os.fsencode(name)) + "/" * (name in folders): name for name in names}
    return sorted(uris), uris, here


def _stamped(folder: bytes, above: _Place | None, before: str, uris: Sequence[str], names: Mapping[str, str]) -> Block:
    """These entries of a folder with their stamps; one that vanished meanwhile is left out."""
    rows: list[Row] = []
    odd: dict[str, int | OSError] = {}
    try:
        fd = _opened(folder, above)
    except FileNotFoundError:
        return Block(rows, odd)
    except OSError as error:
        return Block([(before + uri, *NO_STAMP) for uri in uris], {before + uri: error for uri in uris})
    try:
        for uri, name in zip(uris, map(names.__getitem__, uris) if names else uris, strict=True):
            try:
                result = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                rows.append((before + uri, *NO_STAMP))
                odd[before + uri] = error
                continue
            rows.append((before + uri, *FACTS(result)))
            if result.st_mode & KIND != stat.S_IFREG:
                odd[before + uri] = result.st_mode & KIND
    finally:
        os.close(fd)
    return Block(rows, odd)


def _steps(folder: bytes, above: _Place | None, before: str, wanted: _Wanted) -> Iterator[Block | _Down]:
    """The entries of a folder, and in their order between them the folders to go down into."""
    try:
        uris, names, here = _listing(folder, above, wanted)
    except FileNotFoundError:
        return
    except OSError as error:
        uri = before or "/"
        yield Block([(uri, *NO_STAMP)], {uri: error})
        return
    first = 0
    for place, uri in enumerate(uris):
        is_folder = uri[-1] == "/"
        if (is_folder or place - first == _AT_ONCE) and place > first:
            yield _stamped(folder, above, before, uris[first:place], names)
            first = place
        if is_folder:
            yield _Down(uri, here)
            first = place + 1
    if first < len(uris):
        yield _stamped(folder, above, before, uris[first:], names)


def blocks(
    root: bytes, below: bytes = b"", *, skip: Collection[bytes] = (), wanted: _Wanted = _everything
) -> Iterator[Block]:
    """Every entry below ``root``/``below`` but folders, in the order of their uris.

    A folder that cannot be listed is one entry with its error and a trailing slash.  An entry that vanishes
    meanwhile is left out.  Symlinks are reported, never followed, on the way to ``root`` neither.  ``wanted`` chooses
    among the names of each folder; the folders in ``skip`` are not entered.
    """
    # A stack of listings instead of recursion: folders may be nested deeper than Python's stack.
    prefix = below + b"/" if below else b""
    before = to_uri(prefix)
    stack = [(prefix, before, _steps(os.path.join(root, below) if below else root, None, before, wanted))]
    while stack:
        prefix, before, steps = stack[-1]
        for step in steps:
            if isinstance(step, Block):
                yield step
            elif (path := prefix + to_path(step.uri[:-1])) not in skip:
                inside = _steps(os.path.join(root, path), step.above, before + step.uri, wanted)
                stack.append((path + b"/", before + step.uri, inside))
                break
        else:
            stack.pop()


def walk(
    root: bytes, below: bytes = b"", *, skip: Collection[bytes] = (), wanted: _Wanted = _everything
) -> Iterator[Found]:
    """``blocks``, entry by entry."""
    for block in blocks(root, below, skip=skip, wanted=wanted):
        yield from map(block.found, block.rows)
