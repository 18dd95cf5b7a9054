"""Raw files of every hostile kind that is known, by the thousand: the same number gives the same file.

Belongs here: names, bytes, containers and things that are no files.  Does not belong here: what must become of them
(``test_hostile.py``).

Every kind comes once at full size; then smaller, with a number in it or a byte changed, since two equal files are one
content.
"""

import bz2
import gzip
import io
import json
import lzma
import os
import random
import socket
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

SENTENCE = "Der Rat der Stadt tagte am Abend – und beriet über «für» 5 € und Öl. "
NAMES = (
    b"plain.txt", b"a[1].txt", b"a*.txt", b"?.txt", b"{a,b}.txt", b"new\nline.txt", b"tab\t.txt", b"quote'\".txt",
    b"'; DROP TABLE files; --.txt", b"sha=evil.txt", b"-rf.txt", b"--home.txt", b"..txt", b"...txt", b"%2e%2e%2f.txt",
    b"%00.txt", b"\xff\xfe.txt", b"caf\xe9.txt", b"\xed\xa0\x80.txt", "\u202etxt.exe".encode(), "e\u0301.txt".encode(),
    "é.txt".encode(), b"\x1b[31mred.txt", b"<script>alert(1)<script>.txt", b"[c](javascript:alert(1)).txt",
    b"=HYPERLINK(1).txt", b"CON.txt", b" .txt", b"a!b.txt", b"x" * 230 + b".txt", "鬼.txt".encode(),
    b"$(reboot).txt", b"`id`.txt", b"a;b|c&d.txt", b"\\\\server\\share.txt", b"http:a.txt",
)  # fmt: skip


def _size(number: int, full: int) -> int:
    """Full size for the first of a kind, a hundredth for the others."""
    return full if number == 0 else max(full // 100, 1)


def _repeated(piece: str | bytes, full: int) -> Callable[[int, random.Random], bytes]:
    data = piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else piece

    def make(number: int, dice: random.Random) -> bytes:
        return f"{number} ".encode() + data * max(1, _size(number, full) // len(data))

    return make


def _text(number: int) -> bytes:
    return f" date 2019-04 Meldung {number}. {SENTENCE * 3}\n\n{SENTENCE}\n".encode()


def _zip(members: Sequence[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def _tar(number: int, name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for one, what in ((name, kind), ("good.txt", tarfile.REGTYPE)):
            member = tarfile.TarInfo(one)
            member.type, member.linkname = what, link
            data = _text(number) if what == tarfile.REGTYPE else b""
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _encrypted(number: int) -> bytes:
    data = bytearray(_zip([("a.txt", _text(number))]))
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def _parquet(number: int, column: str = "text") -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table({column: [_text(number).decode(), None, ""]}), buffer)
    return buffer.getvalue()


def _cut(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(1, len(data))]


def _flipped(data: bytes, dice: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(dice.randrange(1, 5)):
        found[dice.randrange(len(found))] ^= 1 << dice.randrange(8)
    return bytes(found)


Maker = Callable[[int, random.Random], bytes]
TEXTS: dict[str, Maker] = {
    "marks": _repeated("e\u0301\u0327", 400_000),
    "mojibake": _repeated(SENTENCE.encode().decode("cp1252", "replace").encode().decode("cp1252", "replace"), 300_000),
    "one line": _repeated(SENTENCE, 3_000_000),
    "one word": _repeated("ä", 1_000_000),
    "newlines": _repeated("\n", 1_000_000),
    "blanks": _repeated(" \u00a0\u200b", 1_000_000),
    "NULs": _repeated("\0", 1_000_000),
    "NULs between": _repeated("a\0b\0 ", 50_000),
    "escapes": _repeated("\x1b[1;31m", 500_000),
    "entities": _repeated("&amp;lt;", 1_000_000),
    "halves of pairs": _repeated("\ud83d", 100_000),
    "bidi": _repeated("\u202e\u2066abc\u2069", 100_000),
    "backtracking": _repeated("a" * 60 + "! ", 300_000),
    "dots": _repeated(". ", 500_000),
    "digits": _repeated("0123456789 ", 500_000),
    "addresses": _repeated("http://example.com/?a=b&c=d ", 300_000),
    "emoji": _repeated("👩‍👩‍👧‍👦🏳️‍🌈", 300_000),
    "no spaces": _repeated("新聞報導今天天氣很好", 500_000),
    "overlong": _repeated(b"\xc0\xaf\xe0\x80\xaf", 50_000),
    "cut characters": _repeated(b"\xe2\x82 \xf0\x9f ", 50_000),
    "high bytes": _repeated(bytes(range(128, 256)), 100_000),
    "short": lambda number, _dice: f"{number}".encode(),
    "header only": lambda number, _dice: f" date 2019-{number % 12 + 1:02d} {' ' * number}".encode(),
    "impossible date": lambda number, _dice: f" date 2019-{number + 13} Text {number}.\n".encode(),
    "blank only": lambda number, _dice: b" " * (number + 1),
    "UTF-16": lambda number, _dice: _text(number).decode().encode("utf-16"),
    "UTF-16 without a mark": lambda number, _dice: _text(number).decode().encode("utf-16-le"),
    "UTF-32": lambda number, _dice: _text(number).decode().encode("utf-32"),
    "UTF-7": lambda number, _dice: _text(number).decode().encode("utf-7"),
    "marks of UTF-8": lambda number, _dice: b"\xef\xbb\xbf" * 3 + _text(number),
    "cp1252": lambda number, _dice: _text(number).decode().encode("cp1252"),
    "cp037": lambda number, _dice: _text(number).decode().encode("cp037", "replace"),
    "two encodings": lambda number, _dice: _text(number) + _text(number).decode().encode("cp1252"),
    "junk": lambda number, dice: dice.randbytes(_size(number, 200_000)),
    "program": lambda number, dice: b"\x7fELF\x02\x01\x01" + dice.randbytes(2_000),
    "cut": lambda number, dice: _cut(_text(number), dice),
    "flipped": lambda number, dice: _flipped(_text(number), dice),
}
# Behind the dot the name's ending.
FORMATS: dict[str, Maker] = {
    "deep.json": lambda n, _: b"[" * _size(n, 200_000),
    "deep.jsonl": lambda n, _: (b'{"text":' + b'{"a":' * _size(n, 100_000)) + b"1}",
    "numbers.jsonl": lambda n, _: (
        b'{"text": "Zahl ' + str(n).encode() + b'", "n": 1e999, "m": ' + b"9" * 5_000 + b"}\n"
    ),
    "constants.jsonl": lambda n, _: f'{{"text": "Text {n}", "n": NaN}}\n{{"text": Infinity}}\n'.encode(),
    "twice.jsonl": lambda n, _: f'{{"text": "Text {n}.", "text": "Noch ein Text.", "title": null}}\n'.encode(),
    "mixed.jsonl": lambda n, _: json.dumps({"text": SENTENCE + str(n)}).encode() + b'\nnull\n[]\n3\n{\n\n"a"\n',
    "surrogates.jsonl": lambda n, _: b'{"text": "\\ud800 Text \\udfff ' + str(n).encode() + b'"}\n',
    "long.jsonl": lambda n, _: b'{"text": "' + b"a" * _size(n, 17_000_000) + b'"}\n',
    "wide.csv": lambda n, _: b"text," + b",".join(b"c%d" % c for c in range(_size(n, 20_000))) + b"\na" + b",b" * 99,
    "ragged.csv": lambda n, _: f'text,title\n"offen {n}\n'.encode() + b"a,b,c\n\0,\n" * 30,
    "formula.csv": lambda n, _: f"text,title\n=HYPERLINK(1) {n},@x\n+1,-1\n".encode(),
    "quote.tsv": lambda n, _: b"text\t" + b'"' * _size(n, 200_000),
    "cut.parquet": lambda n, dice: _cut(_parquet(n), dice),
    "flipped.parquet": lambda n, dice: _flipped(_parquet(n), dice),
    "columns.parquet": lambda n, _: _parquet(n, "nothing"),
    "footer.parquet": lambda n, _: b"PAR1" + struct.pack("<I", 0x7FFFFFFF - n) + b"PAR1",
    "deep.html": lambda n, _: b"<div>" * _size(n, 100_000) + _text(n),
    "script.html": lambda n, _: b"<html><script>" + b"x=1;" * 999 + b"</script><p onerror=a>" + _text(n),
    "entities.html": lambda n, _: b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><p>&c; %d</p>' % n,
    "outside.html": lambda n, _: b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><p>&b; %d</p>' % n + _text(n),
    "attributes.html": lambda n, _: b"<p " + b"a=b " * _size(n, 200_000) + b">" + _text(n),
    "open.html": lambda n, _: b"<" * _size(n, 200_000) + b"%d" % n,
    "aliases.md": lambda n, _: b"---\na: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n---\n" + _text(n),
    "objects.md": lambda n, _: b"---\na: !!python/object/apply:os.system [id]\n---\n" + _text(n),
    "brackets.md": lambda n, _: b"[" * _size(n, 100_000) + b"](x) %d" % n,
    "quotes.md": lambda n, _: b"> " * _size(n, 20_000) + b"%d" % n,
    "length.warc": lambda n, _: b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 99999999%d\r\n\r\nHTTP/1.1" % n,
    "minus.warc": lambda n, _: b"WARC/1.0\r\nContent-Length: -%d\r\n\r\n" % (n + 1) + b"WARC/1.0\r\n" * 50,
    "parts.eml": lambda n, _: b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (d, d) for d in range(_size(n, 1_500))
    ),
    "header.eml": lambda n, _: b"Subject: =?utf-8?b?" + b"A" * _size(n, 200_000) + b"?=\r\n\r\n" + _text(n),
    "charset.eml": lambda n, _: b"Content-Type: text/plain; charset=../../%d\r\n\r\n" % n + _text(n),
    "bomb.txt.gz": lambda n, _: gzip.compress(b"\0" * _size(n, 60_000_000) + b"%d" % n, mtime=0),
    "nested.txt.gz": lambda n, _: gzip.compress(gzip.compress(gzip.compress(_text(n), mtime=0), mtime=0), mtime=0),
    "cut.txt.gz": lambda n, dice: _cut(gzip.compress(_text(n), mtime=0), dice),
    "behind.txt.gz": lambda n, dice: gzip.compress(_text(n), mtime=0) + dice.randbytes(50),
    "members.txt.gz": lambda n, _: gzip.compress(_text(n), mtime=0) * 2 + gzip.compress(b"", mtime=0) * 500,
    "sum.txt.gz": lambda n, _: gzip.compress(_text(n), mtime=0)[:-8] + b"\0" * 8,
    "no.txt.gz": lambda n, _: zlib.compress(_text(n)),
    "bomb.txt.bz2": lambda n, _: bz2.compress(b"a" * _size(n, 40_000_000) + b"%d" % n),
    "cut.txt.bz2": lambda n, dice: _cut(bz2.compress(_text(n)), dice),
    "bomb.txt.xz": lambda n, _: lzma.compress(b"a" * _size(n, 60_000_000) + b"%d" % n, preset=0),
    "cut.txt.xz": lambda n, dice: _cut(lzma.compress(_text(n)), dice),
    "flipped.txt.zst": lambda n, dice: b"\x28\xb5\x2f\xfd" + dice.randbytes(200),
    "slip.zip": lambda n, _: _zip(
        [("../../evil.txt", _text(n)), ("/etc/evil.txt", _text(n + 1)), ("ok.txt", _text(n))]
    ),
    "twice.zip": lambda n, _: _zip([("a.txt", _text(n)), ("b.txt", _text(n + 1))]).replace(b"b.txt", b"a.txt"),
    "names.zip": lambda n, _: _zip([("a\x1b[31m.txt", _text(n)), ("a\\b.txt", _text(n)), ("C:a.txt", _text(n))]),
    "bomb.zip": lambda n, _: _zip([("a.txt", b"a" * _size(n, 30_000_000) + b"%d" % n)]),
    "nested.zip": lambda n, _: _zip([("a.zip", _zip([("b.zip", _zip([("c.zip", _zip([("d.txt", _text(n))]))]))]))]),
    "many.zip": lambda n, _: _zip([(f"{m}.txt", b"") for m in range(_size(n, 3_000))] + [("a.txt", _text(n))]),
    "encrypted.zip": lambda n, _: _encrypted(n),
    "cut.zip": lambda n, dice: _cut(_zip([("a.txt", _text(n)), ("b.txt", _text(n + 1))]), dice),
    "flipped.zip": lambda n, dice: _flipped(_zip([("a.txt", _text(n)), ("b.txt", _text(n + 1))]), dice),
    "slip.tar": lambda n, _: _tar(n, "../../evil.txt"),
    "absolute.tar": lambda n, _: _tar(n, "/etc/evil.txt"),
    "link.tar": lambda n, _: _tar(n, "link.txt", tarfile.SYMTYPE, "/etc/passwd"),
    "hard.tar": lambda n, _: _tar(n, "hard.txt", tarfile.LNKTYPE, "../../etc/passwd"),
    "device.tar": lambda n, _: _tar(n, "device", tarfile.CHRTYPE),
    "pipe.tar": lambda n, _: _tar(n, "pipe", tarfile.FIFOTYPE),
    "cut.tar.gz": lambda n, dice: _cut(gzip.compress(_tar(n, "a.txt"), mtime=0), dice),
    "flipped.tar": lambda n, dice: _flipped(_tar(n, "a.txt"), dice),
    "unknown.pdf": lambda n, dice: b"%PDF-1.7\n" + dice.randbytes(2_000),
    "picture.png": lambda n, dice: b"\x89PNG\r\n\x1a\n" + dice.randbytes(2_000),
    "nothing.txt": lambda _n, _dice: b"",
}


def _socket(path: bytes) -> None:
    folder, _, name = path.rpartition(b"/")
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)  # the name of a socket is short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(name)
    finally:
        os.fchdir(here)
        os.close(here)


def _sparse(path: bytes) -> None:
    with open(path, "wb") as stream:
        stream.truncate(300_000_000)


# What is no file to read; each once in a folder.
ODD: dict[str, Callable[[bytes], None]] = {
    "fifo.txt": os.mkfifo,
    "socket.txt": _socket,
    "link.txt": lambda path: os.symlink(b"/etc/passwd", path),
    "loop.txt": lambda path: os.symlink(path, path),
    "broken.txt": lambda path: os.symlink(b"/nowhere", path),
    "up": lambda path: os.symlink(b"..", path),
    "sparse.txt": _sparse,
    "folder.txt": os.mkdir,
    "half.txt.part": lambda path: Path(os.fsdecode(path)).write_bytes(_text(0)),
    ".hidden.txt": lambda path: Path(os.fsdecode(path)).write_bytes(_text(0)),
}


def mutated(samples: Sequence[Path], number: int, dice: random.Random) -> tuple[str, bytes]:
    """A good file of some format, cut or with bits that are others; its ending and its bytes."""
    path = samples[number % len(samples)]
    content = path.read_bytes()[:100_000] or b"x"
    data = (_flipped if dice.random() < 0.7 else _cut)(content, dice) if len(content) > 1 else content
    return "".join(path.suffixes), data


def write(folder: Path, count: int, samples: Sequence[Path]) -> int:
    """Write so many raw files, and beside them what is no file; returns how many paths an ingest must account for."""
    kinds: list[tuple[str, Maker]] = [(f"{name}.txt", make) for name, make in TEXTS.items()] + list(FORMATS.items())
    turns = len(kinds) + len(kinds) // 2
    for number in range(count):
        dice = random.Random(number)
        round_no, turn = divmod(number, turns)
        place = os.path.join(os.fsencode(folder), b"%04d" % (number // 500))
        os.makedirs(place, exist_ok=True)
        if turn < len(kinds):
            kind, make = kinds[turn]
            ending = kind.partition(".")[2].encode()
            data = make(round_no, dice)
            name = kind.replace(" ", "-").encode() if ending != b"txt" else NAMES[number % len(NAMES)]
        else:
            suffix, data = mutated(samples, number, dice)
            name = b"mutated" + suffix.encode()
        with open(os.path.join(place, b"%05d-" % number + name), "wb") as stream:
            stream.write(data)
    odd = os.path.join(os.fsencode(folder), b"odd")
    os.makedirs(odd)
    for word, put in ODD.items():
        put(os.path.join(odd, word.encode()))
    # A folder is no file; the last two are names that wait for another.
    return count + sum(name not in ("folder.txt", "half.txt.part", ".hidden.txt") for name in ODD)
