"""Containers: what packs one file (gzip, bzip2, xz, zstd), and what holds several (zip, tar).

Belongs here: telling a container by its first bytes, and by its name where those are not there.  Does not belong here:
opening it (``packed``, ``archives``).  A container is never unpacked to disk, and nothing it says of itself is
believed.
"""

import re
from dataclasses import dataclass
from typing import BinaryIO

from warehouse.errors import Refusal

TAR = "tar"
ZIP = "zip"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of container: name endings, how it begins, fewest bytes that it can have."""

    suffixes: tuple[str, ...]
    begin: re.Pattern[bytes]
    least: int
    title: str


CONTAINERS: dict[str, Kind] = {
    "gzip": Kind((".gz", ".gzip", ".tgz"), re.compile(rb"\x1f\x8b\x08"), 18, "gzip data"),
    "bzip2": Kind(
        (".bz2", ".bzip2", ".tbz2", ".tbz"), re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"), 14, "bzip2 data"
    ),
    "xz": Kind((".xz", ".txz"), re.compile(rb"\xfd7zXZ\x00"), 32, "xz data"),
    "zstd": Kind((".zst", ".zstd", ".tzst"), re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), 9, "zstd data"),
    ZIP: Kind((".zip",), re.compile(rb"PK\x03\x04|PK\x05\x06"), 22, "a zip archive"),
    TAR: Kind((".tar",), re.compile(rb"(?s).{257}ustar"), 512, "a tar archive"),
}


@dataclass(frozen=True, slots=True)
class Member:
    """One member: its percent-encoded path, and its bytes or why they are not read."""

    path: str
    stream: BinaryIO | None
    refusal: Refusal | None = None


# Most files are none of these: their first byte and the end of their name say so.
_TAR_MARK = b"ustar"
_FIRST = frozenset(bytes([byte]) for byte in (*b"\x1fB\xfd\x28P", *range(0x50, 0x60)))
_ENDINGS = tuple(suffix for kind in CONTAINERS.values() for suffix in kind.suffixes)
# Tar archives that say in one ending that they are packed.
_SHORT_TARS = (".tgz", ".tbz2", ".tbz", ".txz", ".tzst")
# Formats that are zip archives inside, but no containers of raw files.
_NO_ARCHIVE = re.compile(
    rb"PK\x03\x04.{22}..\x00?.{0,2}?(?:mimetype|\[Content_Types\]\.xml|_rels/|META-INF/|word/|docProps/)", re.DOTALL
)


def container_of(head: bytes, name: str) -> str | None:
    r"""The kind of container that these first bytes are; where they are none, what the name says.

    >>> container_of(b"\x1f\x8b\x08" + bytes(20), "a.txt"), container_of(b"Hello", "a.tar"), container_of(b"Hello", "a")
    ('gzip', 'tar', None)
    """
    if head[:1] in _FIRST or _TAR_MARK in head:
        for kind, found in CONTAINERS.items():
            if len(head) >= found.least and found.begin.match(head):
                return None if kind == ZIP and _NO_ARCHIVE.match(head) else kind
    lowered = name.lower()
    if not lowered.endswith(_ENDINGS):
        return None
    return next(kind for kind, found in CONTAINERS.items() if lowered.endswith(found.suffixes))


def inner_name(name: str) -> str:
    """What a packed file is called inside.

    >>> inner_name("2019.jsonl.gz"), inner_name("wire.tgz"), inner_name("page")
    ('2019.jsonl', 'wire.tar', 'page')
    """
    lowered = name.lower()
    for kind in CONTAINERS.values():
        for suffix in sorted(kind.suffixes, key=len, reverse=True):
            if lowered.endswith(suffix):
                return name[: -len(suffix)] + (".tar" if suffix in _SHORT_TARS else "")
    return name
