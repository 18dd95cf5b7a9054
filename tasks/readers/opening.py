"""Opening a raw file: containers, then the reader that takes what is inside, then its records.

Belongs here: the choice of a reader, by content first and by name second; that every record of a raw file has its
number, through all members; that a refusal is a reject.  Does not belong here: any one format or container.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from tasks.readers import READERS, container_endings, endings, is_certain, reader_for
from tasks.readers.bounded import head_of
from tasks.readers.containers import CONTAINERS, TAR, ZIP, Member, container_of, inner_name
from tasks.readers.options import ReadOptions
from tasks.text.preview import preview
from warehouse.errors import Refusal
from warehouse.records import RawDocument, Reject
from warehouse.uri import name_of
from warehouse.vocabulary import Reason, Stage

Record = RawDocument | Reject


@dataclass(frozen=True, slots=True)
class Opened:
    """What takes the bytes, outermost first; None where nothing does.  Records are numbered from 0."""

    reader: str | None
    records: Iterator[Record]


def _reject(refusal: Refusal, ordinal: int | None, head: bytes = b"") -> Reject:
    return Reject(
        ordinal=ordinal,
        stage=refusal.stage,
        reason=refusal.reason,
        detail=refusal.detail,
        preview=preview(head) if head else None,
    )


def unknown(name: str) -> Refusal:
    """The refusal of what no reader takes."""
    suffix = "." + name.rpartition(".")[2][:40] if "." in name else "a name without a suffix"
    known = ", ".join((*endings(), *container_endings()))
    return Refusal(Stage.READ, Reason.UNKNOWN_FORMAT, f"no reader takes {suffix}; newsmill reads {known}")


def opened(stream: BinaryIO, name: str, options: ReadOptions, forced: str | None = None) -> Opened:
    """The records of a raw file of this name; ``forced`` names the reader unless the content is certain.

    Whatever the bytes are, they end as records: nothing is raised but what reading from the disk raises.
    """
    try:
        found = _opened(stream, name, options, forced, 0)
    except Refusal as refusal:
        return Opened(None, iter([_reject(refusal, None)]))
    return Opened(found.reader, _numbered(found.records))


def _numbered(records: Iterator[Record]) -> Iterator[Record]:
    """The same with running numbers; the end by a refusal, and no record at all, are records too."""
    count = 0
    try:
        for record in records:
            # What refuses the whole file is its only record and has no number.
            is_numbered = record.ordinal == count or (record.ordinal is None and not count and record.member is None)
            yield record if is_numbered else replace(record, ordinal=count)
            count += 1
    except Refusal as refusal:
        yield _reject(refusal, count)
        return
    if not count:
        yield _reject(Refusal(Stage.READ, Reason.EMPTY, "there is no record in it"), 0)


def _opened(stream: BinaryIO, name: str, options: ReadOptions, forced: str | None, depth: int) -> Opened:
    head = head_of(stream)
    # Whoever forces a reader knows better than the name, but no reader takes what is packed.
    kind = container_of(head, "" if forced else name) if head else None
    if kind is not None:
        return _container(stream, name, head, kind, options, forced, depth)
    reader = forced if forced and not is_certain(head) else reader_for(name, head)
    if reader is None:
        return Opened(None, iter([_reject(unknown(name), None, head)]))
    return Opened(reader, _read(stream, reader, head, options))


def _read(stream: BinaryIO, reader: str, head: bytes, options: ReadOptions) -> Iterator[Record]:
    ordinal = 0
    try:
        for record in READERS[reader].read(stream, options):
            is_bare = isinstance(record, Reject) and record.preview is None and not ordinal and head
            yield replace(record, preview=preview(head)) if is_bare and isinstance(record, Reject) else record
            ordinal += 1
    except Refusal as refusal:
        yield _reject(refusal, ordinal, b"" if ordinal else head)


def _container(
    stream: BinaryIO, name: str, head: bytes, kind: str, options: ReadOptions, forced: str | None, depth: int
) -> Opened:
    if depth >= options.max_depth:
        detail = f"a container in {depth} others; max_depth is {options.max_depth}"
        raise Refusal(Stage.READ, Reason.NESTED_TOO_DEEP, detail)
    if not (CONTAINERS[kind].begin.match(head) or (kind == TAR and len(head) >= 512)):
        detail = f"the name says {CONTAINERS[kind].title}, the content begins otherwise"
        raise Refusal(Stage.READ, Reason.DAMAGED, detail)
    # Imported when one is met: a run of plain texts needs none of them.
    if kind in (ZIP, TAR):
        from tasks.readers.containers import archives

        members = archives.zip_members if kind == ZIP else archives.tar_members
        # Numbers run through all members, those of a member begin anew.
        inside = replace(options, first_ordinal=0)
        return Opened(kind, _members(members(stream, options), inside, forced, depth + 1))
    from tasks.readers.containers import packed

    inner = _opened(packed.unpacked(stream, kind, options), inner_name(name), options, forced, depth + 1)
    return Opened(f"{kind} {inner.reader}" if inner.reader else kind, inner.records)


def _members(members: Iterator[Member], options: ReadOptions, forced: str | None, depth: int) -> Iterator[Record]:
    last = ""
    try:
        for member in members:
            for record in _told(member, options, forced, depth):
                inside = member.path if record.member is None else f"{member.path}!/{record.member}"
                last = record.detail if isinstance(record, Reject) else ""
                yield replace(record, member=inside)
    except Refusal as refusal:
        # What ended the member may be what ends the archive around it: it is said once.
        if refusal.detail != last:
            yield _reject(refusal, 0)


def _told(member: Member, options: ReadOptions, forced: str | None, depth: int) -> Iterator[Record]:
    try:
        yield from _member_records(member, options, forced, depth)
    except Refusal as refusal:
        yield _reject(refusal, 0)


def _member_records(member: Member, options: ReadOptions, forced: str | None, depth: int) -> Iterator[Record]:
    if member.stream is None:
        raise member.refusal or unknown(member.path)
    count = 0
    for record in _opened(member.stream, name_of(member.path), options, forced, depth).records:
        yield record
        count += 1
    if not count:
        raise Refusal(Stage.READ, Reason.EMPTY, "there is no record in it")
