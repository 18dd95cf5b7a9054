"""Bytes that are no text: what formats begin with, and how many control characters are too many.

Belongs here: evidence against text.  Does not belong here: the choice of an encoding (``encoding``).
"""

HIGH = bytes(range(0x80, 0x100))

# All C0 controls but tab, newline, vertical tab, form feed, carriage return and escape, which text may hold.
CONTROLS = bytes(byte for byte in range(0x20) if byte not in b"\t\n\v\f\r\x1b") + b"\x7f"
_CONTROL_TEXT = dict.fromkeys(CONTROLS)

# One control character in ten is no accident of a text.
_JUNK_SHARE = 0.1

# Only beginnings that no text has: "BM" or "MZ" alone would refuse an article about either.
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\x1f\x8b\x08", "gzip data"),
    (b"\x28\xb5\x2f\xfd", "Zstandard data"),
    (b"\xfd7zXZ\x00", "xz data"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x7fELF", "an ELF program"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"PAR1\x15", "a Parquet file"),
    (b"Obj\x01", "an Avro file"),
    (b"OggS\x00", "Ogg media"),
    (b"fLaC\x00", "FLAC audio"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"\xca\xfe\xba\xbe", "a Java class or Mach-O program"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O program"),
    (b"\x00asm", "a WebAssembly module"),
    (b"wOFF\x00", "a font"),
    (b"wOF2\x00", "a font"),
)
_FIRST = frozenset({start[:1] for start, _ in _MAGIC} | {b"R", b"B", b"\x00"})


def magic(data: bytes) -> str | None:
    """What the first bytes prove, or None.

    >>> magic(b"%PDF-1.7 ...")
    'a PDF document'
    >>> magic(b"Obj. 1 is for sale")
    """
    if data[:1] not in _FIRST:
        return None
    for start, kind in _MAGIC:
        if data.startswith(start):
            return kind
    if data.startswith(b"RIFF") and data[8:12] in {b"WAVE", b"WEBP", b"AVI "}:
        return "RIFF media"
    if data.startswith(b"BZh") and data[4:10] == b"1AY&SY":
        return "bzip2 data"
    if data[4:8] == b"ftyp" and data.startswith(b"\x00\x00"):
        return "MP4 media"
    return None


def has_controls(data: bytes) -> bool:
    r"""Whether any byte is a control character that plain text does not need.

    >>> has_controls(b"a\tb\n"), has_controls(b"a\x00")
    (False, True)
    """
    return len(data.translate(None, delete=CONTROLS)) != len(data)


def is_junk(text: str) -> bool:
    r"""Whether so much of a decoded text is control characters that it was no text.

    >>> is_junk("a\x00bcdefghijklmnop"), is_junk("\x00\x01\x02a")
    (False, True)
    """
    if text.isprintable():
        return False
    return len(text) - len(text.translate(_CONTROL_TEXT)) > _JUNK_SHARE * len(text)
