"""Snapshots: published, numbered, read-only versions of the DuckDB file behind one symlink.

Belongs here: names, the symlink, what to keep, and what a snapshot says about itself.  Does not belong here: what
is in the tables (``loader``) or asking them (``queries``).
"""

import contextlib
import functools
import itertools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse.clock import now_us
from warehouse.durable import TEMPORARY, discard, discard_left, hash_file, link_durably, rename_durably, uninterrupted
from warehouse.errors import DamagedError
from warehouse.layout import Home
from warehouse.schema import quoted

NAME = re.compile(r"warehouse-(\d{8,})\.duckdb")
KEEP_NEWEST = 2
KEEP_MOST = 5
KEEP_SECONDS = 3600
DAMAGE = (duckdb.IOException, duckdb.FatalException, duckdb.SerializationException, duckdb.InternalException)


@dataclass(frozen=True, slots=True)
class About:
    """What a snapshot says about itself: the last commit it holds, and the shape of its tables and views."""

    tables_fingerprint: str
    views_fingerprint: str
    commit_no: int
    commit_hash: str


def numbered(home: Home) -> list[tuple[int, Path]]:
    """Every published snapshot, oldest first."""
    if not home.versions.is_dir():
        return []
    found = ((NAME.fullmatch(path.name), path) for path in home.versions.iterdir())
    return sorted((int(match[1]), path) for match, path in found if match)


def newest(home: Home) -> Path | None:
    """The newest published snapshot."""
    versions = numbered(home)
    return versions[-1][1] if versions else None


@contextlib.contextmanager
def opened(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection to a snapshot; ``DamagedError`` where the file is no whole database.

    The file is attached to a database of the connection's own: DuckDB gives all connections of a process to one file
    the same instance, with the settings of the first, and waits for results that somebody still holds.
    """
    connection = duckdb.connect()
    try:
        connection.execute(f"ATTACH {quoted(str(path.resolve()))} AS warehouse (READ_ONLY)")
        connection.execute("USE warehouse")
    except duckdb.Error as error:
        connection.close()
        raise DamagedError(
            f"snapshot {path} cannot be opened ({str(error).splitlines()[0]}); run `newsmill rebuild`"
        ) from error
    try:
        yield connection
    except duckdb.Error as error:
        # DuckDB 2 says that a checksum is wrong by the root of its exceptions itself.
        if not isinstance(error, DAMAGE) and type(error) is not duckdb.Error:
            raise
        raise DamagedError(
            f"snapshot {path} cannot be read ({str(error).splitlines()[0]}); run `newsmill rebuild`"
        ) from error
    finally:
        connection.close()


def about(path: Path) -> About:
    """What a snapshot says about itself."""
    try:
        found = path.stat()
    except OSError as error:
        raise DamagedError(f"snapshot {path} cannot be opened ({error.strerror}); run `newsmill rebuild`") from error
    return _about(path, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@functools.lru_cache(maxsize=4)
def _about(path: Path, *_stamp: int) -> About:
    # A run asks several times, and a snapshot never changes.
    with uninterrupted(), opened(path) as connection:
        return about_open(connection, path)


def about_open(connection: duckdb.DuckDBPyConnection, path: Path) -> About:
    """The same over a connection that is already open."""
    try:
        # All of it: DuckDB 2 does no other work on a connection with an unread result.
        rows = connection.execute(
            "SELECT tables_fingerprint, views_fingerprint, commit_no, commit_hash FROM about"
        ).fetchall()
    except duckdb.Error as error:
        raise DamagedError(f"snapshot {path} is not newsmill's, or damaged; run `newsmill rebuild`") from error
    if not rows:
        raise DamagedError(f"snapshot {path} is not whole; run `newsmill rebuild`")
    return About(*rows[0])


def last_published(home: Home) -> tuple[int, str] | None:
    """Number and hash of the last commit in the newest snapshot; None where nothing was published."""
    path = newest(home)
    if path is None:
        return None
    found = about(path)
    return found.commit_no, found.commit_hash


def next_name(home: Home) -> str:
    """The name of the snapshot that is published next."""
    versions = numbered(home)
    return f"warehouse-{versions[-1][0] + 1 if versions else 1:08d}.duckdb"


def identity(home: Home, built: Path) -> tuple[str, str, int, list[str]]:
    """What the ledger is to know of a file that is published next: name, sha256, length; and which others there are."""
    kept = [path.name for _, path in numbered(home)]
    return next_name(home), hash_file(built), built.stat().st_size, kept


def altered(home: Home, sums: Mapping[str, tuple[str, int]]) -> list[Path]:
    """The snapshots that are not what was published; ``sums`` are sha256 and length by name where they are known."""
    return [
        path
        for _, path in numbered(home)
        if path.name in sums and (hash_file(path), path.stat().st_size) != sums[path.name]
    ]


def publish_file(home: Home, built: Path) -> Path:
    """Give a built and closed database the next number, make it read-only and point the symlink at it."""
    final = home.versions / next_name(home)
    built.chmod(0o444)
    rename_durably(built, final)
    point(home)
    return final


def point(home: Home) -> None:
    """Let the symlink name the newest snapshot; a crash may have left it one behind."""
    path = newest(home)
    if path is None:
        return
    target = os.path.join(home.versions.name, path.name)
    if not home.warehouse.is_symlink() or os.readlink(home.warehouse) != target:
        link_durably(target, home.warehouse)


def prune(home: Home, sums: Mapping[str, tuple[str, int]]) -> list[Path]:
    """Remove snapshots that nobody should still be opening; under the loader lock only.

    Those that differ from ``sums`` go: a rebuild, which was to mend them, gives them.  Else the newest two and those
    younger than an hour stay, at most five.  A reader that has an older one open keeps it: the file lives until it is
    closed.
    """
    young = now_us() * 1000 - KEEP_SECONDS * 1_000_000_000
    gone = [
        path
        for age, (_, path) in enumerate(reversed(numbered(home)))
        if age >= KEEP_MOST or (age >= KEEP_NEWEST and path.stat().st_mtime_ns < young)
    ]
    gone += [path for path in altered(home, sums) if path not in gone]
    for path in gone:
        path.unlink(missing_ok=True)
    return gone


def sweep(home: Home) -> None:
    """Remove what killed builds left; under the loader lock only.

    A log beside a snapshot is nobody's: a client left it that opened the file for writing and died.  It would be
    replayed by whoever opens that snapshot.
    """
    leftovers = (
        home.versions.glob(f"{TEMPORARY}*"),
        home.versions.glob("warehouse-*.duckdb.wal*"),
    )
    for path in itertools.chain(*leftovers):
        discard(path)  # a folder is what did not fit into a build's memory
    discard_left(home.warehouse)
