"""Containers: what is in them is read, whatever they say of themselves is not believed."""

import bz2
import gzip
import io
import json
import lzma
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.readers import ReadOptions
from tasks.readers.containers import CONTAINERS, container_of
from tasks.readers.containers.packed import _zstd
from tasks.readers.opening import opened
from warehouse.records import RawDocument, Reject
from warehouse.vocabulary import Reason

TEXT = b"It rained all day, and the harbour stayed closed.\n"
LINES = b"".join(json.dumps({"id": n, "text": f"{n}. {TEXT.decode()}"}).encode() + b"\n" for n in range(300))
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: bytes(_zstd().compress(data)),
}
ENDING = {"gzip": ".gz", "bzip2": ".bz2", "xz": ".xz", "zstd": ".zst"}


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return stream.getvalue()


def tarred(*members: tuple[str, bytes] | tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return stream.getvalue()


def records(data: bytes, name: str, **options: Any) -> list[RawDocument | Reject]:
    found = list(opened(io.BytesIO(data), name, ReadOptions(**options)).records)
    if found[0].ordinal is None:
        assert len(found) == 1
    else:
        assert [record.ordinal for record in found] == list(range(len(found)))
    return found


def told(data: bytes, name: str, **options: Any) -> list[tuple[str | None, str]]:
    """For each record its member, and its reason or ``ok``."""
    return [
        (record.member, str(record.reason) if isinstance(record, Reject) else "ok")
        for record in records(data, name, **options)
    ]


@pytest.mark.parametrize("kind", PACK)
def test_a_packed_file_is_what_is_in_it(kind: str) -> None:
    found = opened(io.BytesIO(PACK[kind](LINES)), "a.jsonl" + ENDING[kind], ReadOptions())
    assert found.reader == f"{kind} json_lines"
    every = list(found.records)
    assert [record.external_id for record in every if isinstance(record, RawDocument)] == list(map(str, range(300)))
    assert {record.member for record in every} == {None}
    assert isinstance(every[1], RawDocument)
    assert every[1].byte_offset == LINES.index(b"\n") + 1


@pytest.mark.parametrize("kind", PACK)
def test_the_name_need_not_say_it(kind: str) -> None:
    (record,) = records(PACK[kind](TEXT), "a.txt")
    assert isinstance(record, RawDocument)
    assert record.text == TEXT.decode()


@pytest.mark.parametrize("kind", PACK)
def test_members_behind_one_another_are_one_file(kind: str) -> None:
    both = PACK[kind](LINES[:1000]) + PACK[kind](LINES[1000:])
    assert told(both, "a.jsonl") == [(None, "ok")] * 300 or kind == "zstd"
    assert len(told(both, "a.jsonl" + ENDING[kind])) == 300


@pytest.mark.parametrize("kind", ["gzip", "xz"])
def test_zeros_behind_the_end_are_padding(kind: str) -> None:
    assert told(PACK[kind](TEXT) + bytes(10_240), "a.txt" + ENDING[kind]) == [(None, "ok")]


@pytest.mark.parametrize("kind", PACK)
def test_what_is_torn_is_said_and_what_came_before_is_kept(kind: str) -> None:
    packed = PACK[kind](LINES)
    *good, last = told(packed[: len(packed) * 2 // 3], "a.jsonl" + ENDING[kind])
    assert last == (None, "truncated")
    assert set(good) <= {(None, "ok")}
    assert told(packed[:-1], "a.jsonl" + ENDING[kind])[-1] == (None, "truncated")


@pytest.mark.parametrize("kind", PACK)
def test_what_is_damaged_is_said(kind: str) -> None:
    packed = bytearray(PACK[kind](LINES))
    for at in range(len(packed) // 2, len(packed) // 2 + 40):
        packed[at] ^= 0xFF
    assert told(bytes(packed), "a.jsonl" + ENDING[kind])[-1][1] in ("damaged", "truncated")
    assert told(PACK[kind](TEXT) + b"surplus" * 3, "a.txt" + ENDING[kind])[-1] == (None, "damaged")


@pytest.mark.parametrize("kind", PACK)
def test_a_name_that_says_what_is_not_there(kind: str) -> None:
    assert told(b"just a text that somebody named so", "a.txt" + ENDING[kind]) == [(None, "damaged")]
    assert told(b"", "a.txt" + ENDING[kind]) == [(None, "empty")] or kind


@pytest.mark.parametrize("kind", PACK)
def test_a_bomb_is_stopped_by_its_ratio_and_by_its_size(kind: str) -> None:
    bomb = PACK[kind](bytes(30_000_000))
    assert told(bomb, "a.txt") == [(None, "ratio")]
    assert told(PACK[kind](LINES * 20), "a.txt", max_unpacked_bytes=100_000) == [(None, "unpacks_too_large")]


def test_memory_that_a_packer_asks_for_has_a_bound() -> None:
    heavy = lzma.compress(LINES, preset=9)
    assert told(heavy, "a.jsonl", max_window_bytes=1 << 20)[-1] == (None, "too_large")
    zstd = _zstd()
    parameters = {zstd.CompressionParameter.window_log: 26, zstd.CompressionParameter.content_size_flag: 0}
    engine = zstd.ZstdCompressor(options=parameters)
    wide = engine.compress(LINES) + engine.flush()
    assert told(wide, "a.jsonl", max_window_bytes=1 << 20)[-1] == (None, "too_large")
    assert told(wide, "a.jsonl")[-1] == (None, "ok")


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_every_member_is_read_under_its_own_name(pack: Callable[..., bytes]) -> None:
    data = pack(
        ("april/2019-04-25_a.txt", TEXT), ("b.jsonl", LINES), ("photo.jpg", b"\xff\xd8\xff"), ("ü ?.txt", TEXT),
        ("empty.txt", b""), ("c.txt.gz", gzip.compress(TEXT)),
    )  # fmt: skip
    found = told(data, "a.x")
    assert found[0] == ("april/2019-04-25_a.txt", "ok")
    assert found[1:301] == [("b.jsonl", "ok")] * 300
    assert found[301:] == [
        ("photo.jpg", "unknown_format"), ("%C3%BC%20%3F.txt", "ok"), ("empty.txt", "empty"), ("c.txt.gz", "ok")
    ]  # fmt: skip


def test_names_in_any_bytes_are_kept() -> None:
    data = tarred(("caf\udce9.txt", TEXT), form=tarfile.GNU_FORMAT)
    assert told(data, "a.tar") == [("caf%E9.txt", "ok")]


UNSAFE = ["../up.txt", "/abs.txt", "a/../../b.txt", "..", "C:\\x.txt", "..\\x.txt", "a\nb.txt", "a\x1b[2J.txt"]


@pytest.mark.parametrize("name", UNSAFE)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_name_that_leads_out_is_refused_and_the_others_go_on(pack: Callable[..., bytes], name: str) -> None:
    found = told(pack((name, TEXT), ("good.txt", TEXT)), "a.x")
    assert [reason for _, reason in found] == ["unsafe_name", "ok"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (tarfile.SYMTYPE, "symlink"), (tarfile.LNKTYPE, "symlink"), (tarfile.FIFOTYPE, "not_regular"),
        (tarfile.CHRTYPE, "not_regular"), (tarfile.BLKTYPE, "not_regular"), (b"S", "not_regular"),
    ],
)  # fmt: skip
def test_what_is_no_file_is_refused(kind: bytes, reason: str) -> None:
    info = tarfile.TarInfo("passwd.txt")
    info.type, info.linkname = kind, "/etc/passwd"
    found = told(tarred(info, ("good.txt", TEXT), form=tarfile.GNU_FORMAT), "a.tar")
    assert found == [("passwd.txt", reason), ("good.txt", "ok")]


def test_links_and_devices_of_a_zip_are_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, mode in (("link.txt", 0o120777), ("fifo.txt", 0o010644), ("good.txt", 0o100644)):
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, b"/etc/passwd" if name != "good.txt" else TEXT)
    assert told(stream.getvalue(), "a.zip") == [
        ("link.txt", "symlink"), ("fifo.txt", "not_regular"), ("good.txt", "ok")
    ]  # fmt: skip


def test_folders_are_no_members() -> None:
    info = tarfile.TarInfo("folder")
    info.type = tarfile.DIRTYPE
    assert told(tarred(info, ("folder/a.txt", TEXT)), "a.tar") == [("folder/a.txt", "ok")]
    assert told(zipped(("folder/", b""), ("folder/a.txt", TEXT)), "a.zip") == [("folder/a.txt", "ok")]
    assert told(zipped(("folder/", b"")), "a.zip") == [(None, "empty")]


def wrong_size(size: int) -> bytes:
    """A zip that says of its one member that it has another size."""
    data = bytearray(zipped(("a.txt", TEXT), ("b.txt", TEXT)))
    for start, field in ((data.index(b"PK\x03\x04"), 22), (data.index(b"PK\x01\x02"), 24)):
        struct.pack_into("<L", data, start + field, size)
    return bytes(data)


def test_a_size_that_is_wrong_is_found() -> None:
    assert told(wrong_size(1000), "a.zip") == [("a.txt", "wrong_size"), ("b.txt", "ok")]
    assert told(wrong_size(10), "a.zip") == [("a.txt", "damaged"), ("b.txt", "ok")]


def test_a_password_and_a_strange_method_are_said() -> None:
    data = bytearray(zipped(("a.txt", TEXT), ("b.txt", TEXT)))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert told(bytes(data), "a.zip") == [("a.txt", "encrypted"), ("b.txt", "ok")]
    assert told(zipped(("a.txt", TEXT), method=zipfile.ZIP_LZMA), "a.zip") == [("a.txt", "unsupported")]


def test_torn_archives() -> None:
    data = zipped(("a.txt", TEXT), ("b.txt", TEXT))
    assert told(data[:-10], "a.zip") == [(None, "truncated")]
    assert told(data[: len(data) // 2], "a.zip") == [(None, "truncated")]
    data = tarred(("a.txt", TEXT), ("b.txt", TEXT * 100), ("c.txt", TEXT))
    assert told(data[:2500], "a.tar") == [("a.txt", "ok"), ("b.txt", "truncated")]
    assert told(data[:1300], "a.tar")[0] == ("a.txt", "ok")


def test_members_have_a_bound() -> None:
    members = [(f"{n}.txt", TEXT) for n in range(20)]
    assert told(zipped(*members), "a.zip", max_members=19) == [(None, "too_many_members")]
    assert told(tarred(*members), "a.tar", max_members=19)[-1] == (None, "too_many_members")
    assert len(told(tarred(*members), "a.tar", max_members=20)) == 20


def nested(levels: int) -> bytes:
    data = zipped(("a.txt", TEXT))
    for level in range(levels - 1):
        data = zipped((f"{level}.zip", data))
    return data


def test_containers_in_containers_have_a_bound() -> None:
    assert told(nested(2), "a.zip") == [("0.zip!/a.txt", "ok")]
    assert told(nested(5), "a.zip") == [("3.zip!/2.zip", "nested_too_deep")]
    assert told(nested(5), "a.zip", max_depth=5)[0][1] == "ok"
    assert told(gzip.compress(tarred(("a.txt", TEXT))), "a.tgz") == [("a.txt", "ok")]
    assert told(gzip.compress(gzip.compress(gzip.compress(TEXT))), "a.txt.gz.gz.gz") == [(None, "nested_too_deep")]
    assert told(TEXT, "a.txt", max_depth=0) == [(None, "ok")]


def test_a_bomb_in_an_archive_is_stopped() -> None:
    bomb = zipped(("a.txt", TEXT), ("bomb.txt", bytes(40_000_000)), ("c.txt", TEXT))
    assert told(bomb, "a.zip") == [("a.txt", "ok"), ("bomb.txt", "ratio"), ("c.txt", "ok")]
    packed = gzip.compress(tarred(("a.txt", TEXT), ("bomb.txt", bytes(40_000_000))))
    assert told(packed, "a.tgz") == [("a.txt", "ok"), ("bomb.txt", "ratio")]


def test_a_tar_cannot_make_us_hold_its_headers() -> None:
    """A long name of 2 GB, which tarfile would read at once."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2_000_000_000
    data = info.tobuf(tarfile.GNU_FORMAT) + bytes(5_000_000)
    assert told(data, "a.tar")[-1] == (None, "damaged")


def test_office_files_are_no_archives() -> None:
    assert told(zipped(("[Content_Types].xml", b"<Types/>"), ("word/document.xml", b"<w/>")), "letter.docx") == [
        (None, "unknown_format")
    ]


@pytest.mark.parametrize("name", ["a.txt", "a.gz", "a.zip", "a.tar", "a"])
@settings(max_examples=60, deadline=None)
@given(start=st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08\x00", b"BZh91AY&SY", b"\xfd7zXZ\x00",
                              b"\x28\xb5\x2f\xfd"]), data=st.binary(max_size=700))  # fmt: skip
def test_any_bytes_end_as_records(name: str, start: bytes, data: bytes) -> None:
    records(start + data, name)


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["zip", "tar", *PACK]),
    at=st.floats(0, 1),
    size=st.integers(0, 200),
    junk=st.binary(max_size=30),
)
def test_mutated_containers_end_as_records(kind: str, at: float, size: int, junk: bytes) -> None:
    members = (("a.txt", TEXT), ("b.jsonl", LINES[:500]), ("c/d.txt", TEXT))
    data = zipped(*members) if kind == "zip" else tarred(*members) if kind == "tar" else PACK[kind](LINES)
    place = int(at * len(data))
    records(data[:place] + junk + data[place + size :], "a." + kind)


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_container_is_known_by_its_names(kind: str) -> None:
    for suffix in CONTAINERS[kind].suffixes:
        assert container_of(b"Hello", "a" + suffix.upper()) == kind


def hostile(folder: Path) -> dict[str, str]:
    """Every attack of the list, and the reason that it must end with."""
    warc = b"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\nContent-Length: 5000\r\n\r\nIt rained"
    link = tarfile.TarInfo("link.txt")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    zstd = PACK["zstd"](LINES)
    with open(folder / "zeros.txt.gz", "wb") as stream:
        member = gzip.compress(bytes(100_000_000), mtime=0)
        stream.writelines(member for _ in range(100))
    files = {
        "bomb.zip": (zipped(("bomb.txt", bytes(200_000_000))), Reason.RATIO),
        "up.tar": (tarred(("../up.txt", TEXT)), Reason.UNSAFE_NAME),
        "absolute.tar": (tarred(("/tmp/newsmill-absolute.txt", TEXT)), Reason.UNSAFE_NAME),
        "link.tar": (tarred(link), Reason.SYMLINK),
        "torn.jsonl.gz": (PACK["gzip"](LINES)[:-100], Reason.TRUNCATED),
        "torn.jsonl.zst": (zstd[: len(zstd) // 2], Reason.TRUNCATED),
        "torn.zip": (zipped(("a.txt", LINES))[:-30], Reason.TRUNCATED),
        "torn.warc": (warc, Reason.TRUNCATED),
        "newline.tar": (tarred(("a\nb.txt", TEXT)), Reason.UNSAFE_NAME),
        "newline.zip": (zipped(("a\nb.txt", TEXT)), Reason.UNSAFE_NAME),
        "size.zip": (wrong_size(1000), Reason.WRONG_SIZE),
        "nested.zip": (nested(5), Reason.NESTED_TOO_DEEP),
    }
    for name, (data, _) in files.items():
        (folder / name).write_bytes(data)
    return {name: str(reason) for name, (_, reason) in files.items()} | {"zeros.txt.gz": str(Reason.RATIO)}


# A worker that has done an ordinary file, then every attack: CPU seconds of each, and how much its memory grew.
WORKER = """
import json, os, resource, sys, time
from pathlib import Path
from tasks.document import cuts
from tasks.options import CutLimits, DocumentOptions
from warehouse import raw_files
from warehouse.records import RawFile, Stamp

def peak():
    # Of this program alone: on Linux ru_maxrss begins with what the process held that started it.
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))

def read(path):
    with raw_files.opened(os.fsencode(path)) as file:
        raw = RawFile(root="", uri=os.path.basename(path), source="", path=b"", stamp=file.stamp, file_id="0")
        for cut in cuts([(raw, file.stream)], DocumentOptions(), CutLimits()):
            yield from (reject.reason for result in cut.results for reject in result.rejects)

first, *others = sys.argv[1:]
list(read(first))
idle = peak()
told = {}
for path in others:
    started = time.process_time()
    reasons = list(read(path))
    told[os.path.basename(path)] = [reasons, time.process_time() - started]
print(json.dumps([told, peak() - idle]))
"""


def test_every_attack_is_refused_in_little_time_and_memory(tmp_path: Path) -> None:
    wanted = hostile(tmp_path)
    ordinary = tmp_path / "ordinary.jsonl"
    ordinary.write_bytes(LINES[:2000])
    before = sorted(path.name for path in tmp_path.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", WORKER, ordinary, *(tmp_path / name for name in wanted)],
        capture_output=True, text=True, check=True, cwd=tmp_path, timeout=120,
    )  # fmt: skip
    found, kilobytes = json.loads(done.stdout)
    slowest = max(seconds for _, seconds in found.values())
    print(f"{len(found)} attacks: {slowest:.2f} s of CPU at most, {kilobytes / 1000:.0f} MB more in all")
    assert {name: reasons[-1] for name, (reasons, _) in found.items()} == wanted
    assert slowest < 2
    assert kilobytes < 64_000
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert not Path("/tmp/newsmill-absolute.txt").exists()
    assert not (tmp_path.parent / "up.txt").exists()
