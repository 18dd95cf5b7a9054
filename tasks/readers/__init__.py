"""From bytes to records: one module a format, one line a format in READERS.

Belongs here: the registry, and which reader takes which bytes.  Does not belong here: what a text means
(``tasks.text``), files on disk (``warehouse.raw_files``), containers (``containers``, ``opening``).

To add a format: a module of its name with a ``read`` function, its line below, and a folder of golden cases.  A reader
gets a stream that it need not be able to hold, and yields each record that it comes to as a ``RawDocument`` or a
``Reject``, numbered from 0; it may end with a ``Refusal``, which becomes the last reject.  Nothing else leaves it.
"""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from tasks.readers.containers import CONTAINERS
from tasks.readers.options import ReadOptions
from warehouse.records import RawDocument, Reject

Read = Callable[[BinaryIO, ReadOptions], Iterator[RawDocument | Reject]]


@dataclass(frozen=True, slots=True)
class Reader:
    """One format: the module that reads it, the name endings it takes in lower case, and what a person should know.

    ``is_streaming`` says that a file need not be held whole; ``is_certain`` that bytes which begin like it are it,
    whatever the name says.  ``mapped`` says what becomes of its parts; ``example`` is a whole small file.
    """

    module: str
    suffixes: tuple[str, ...]
    title: str
    mapped: str
    example: str
    options: tuple[str, ...] = ()
    is_streaming: bool = False
    is_certain: bool = False

    def begins(self, head: bytes) -> bool:
        """Whether these first bytes are this format's."""
        # Imported when it is asked for: a run of plain texts needs none of the others.
        check: Callable[[bytes], bool] | None = getattr(importlib.import_module(self.module), "begins", None)
        return check is not None and check(head)

    def overrules(self, named: str, head: bytes) -> bool:
        """Whether these first bytes are this format's whatever the name says, where that is another's, ``named``."""
        check: Callable[[str, bytes], bool] | None
        check = getattr(importlib.import_module(self.module), "overrules", None)
        return check is not None and check(named, head)

    def read(self, stream: BinaryIO, options: ReadOptions) -> Iterator[RawDocument | Reject]:
        """The records of a stream."""
        read: Read = importlib.import_module(self.module).read
        return read(stream, options)


READERS: dict[str, Reader] = {
    "plain": Reader(
        module="tasks.readers.plain",
        suffixes=(".txt", ".text"),
        title="plain text",
        mapped="One file is one document. A header `date 2019-04` and a date in the name give the date.",
        example=" date 2019-04 The council met in the evening.",
        options=("encoding", "max_file_bytes"),
    ),
    "json_lines": Reader(
        module="tasks.readers.json_lines",
        suffixes=(".jsonl", ".ndjson", ".json", ".jsonlines"),
        title="JSON Lines and JSON arrays",
        mapped="One object is one document; its fields are mapped, the others are kept in source_metadata, "
        "with the byte offset.",
        example='{"id": "a1", "title": "Rain", "date": "2019-04-25", "text": "It rained all day."}',
        options=("fields", "encoding", "max_record_bytes"),
        is_streaming=True,
    ),
    "delimited": Reader(
        module="tasks.readers.delimited",
        suffixes=(".csv", ".tsv", ".tab"),
        title="CSV and TSV",
        mapped="The first row names the fields, each other row is a document; comma, semicolon, tab or bar, whichever "
        "parts the names. Mapped as JSON is.",
        example="id;date;title;text\na1;2019-04-25;Rain;It rained all day.",
        options=("fields", "encoding", "max_record_bytes"),
        is_streaming=True,
    ),
    "parquet": Reader(
        module="tasks.readers.parquet",
        suffixes=(".parquet", ".pq"),
        title="Parquet",
        mapped="One row is one document; columns are mapped as JSON fields are.",
        example="(columns id, date, title, text)",
        options=("fields", "max_record_bytes", "max_ratio", "max_unpacked_bytes"),
        is_streaming=True,
        is_certain=True,
    ),
    "html": Reader(
        module="tasks.readers.html",
        suffixes=(".html", ".htm", ".xhtml"),
        title="HTML",
        mapped="One page is one document: its article without what stands around it, title, authors, address, and the "
        "date of publication that the page declares.",
        example="<!DOCTYPE html><html><head><title>Rain</title></head><body><article><p>It rained all day.</p>"
        "</article></body></html>",
        options=("encoding", "max_page_bytes"),
    ),
    "warc": Reader(
        module="tasks.readers.warc",
        suffixes=(".warc", ".wet"),
        title="WARC and WET",
        mapped="One page is one document: answers with HTML are read as HTML is, plain texts and the texts of a WET as "
        "they are; address and record id are mapped, the time of the crawl is kept, never taken for a date.",
        example="WARC/1.0\nWARC-Type: conversion\nWARC-Target-URI: http://news.example/rain\n"
        "Content-Type: text/plain\nContent-Length: 18\n\nIt rained all day.",
        options=("encoding", "max_record_bytes", "max_page_bytes"),
        is_streaming=True,
        is_certain=True,
    ),
    "markdown": Reader(
        module="tasks.readers.markdown",
        suffixes=(".md", ".markdown"),
        title="Markdown with front matter",
        mapped="One file is one document without its marks; code stands as it is, a row of a table on a line; the "
        "fields of a YAML or TOML front matter are mapped as JSON fields are.",
        example="---\ntitle: Rain\ndate: 2019-04-25\n---\nIt rained *all* day.",
        options=("fields", "encoding", "max_page_bytes"),
    ),
    "mail": Reader(
        module="tasks.readers.mail",
        suffixes=(".eml",),
        title="e-mail",
        mapped="One mail is one document: its parts that are text, one behind the other, of alternatives the plain "
        "one, else the HTML, and those of a mail that it forwards; Subject is the title, From the authors, Date the "
        "date, Message-ID the id, other headers and the names of attachments are kept.",
        example="From: Ada Holm <ada@news.example>\nSubject: Rain\nDate: Thu, 25 Apr 2019 08:52:00 +0200\n\n"
        "It rained all day.",
        options=("encoding", "max_file_bytes"),
    ),
    "news_docs": Reader(
        module="tasks.readers.news_docs",
        suffixes=(".docs",),
        title="news-crawl document lines",
        mapped="One line is one document: day, text cut into sentences, text as it was, the two in base64; the last is "
        "taken.",
        example="20190425\tSXQgcmFpbmVkIGFsbCBkYXkuCg==\tSXQgcmFpbmVkIGFsbCBkYXku",
        options=("max_record_bytes",),
        is_streaming=True,
    ),
}


def endings() -> tuple[str, ...]:
    """Every name ending that some reader takes."""
    return tuple(suffix for reader in READERS.values() for suffix in reader.suffixes)


def container_endings() -> tuple[str, ...]:
    """Every name ending that says of a file that it is a container."""
    return tuple(suffix for kind in CONTAINERS.values() for suffix in kind.suffixes)


def _named(name: str) -> str | None:
    lowered = name.lower()
    return next((key for key, reader in READERS.items() if lowered.endswith(reader.suffixes)), None)


def reader_for(name: str, head: bytes = b"") -> str | None:
    r"""The reader that takes a file of this name that begins with these bytes; None where none does.

    Bytes that are certain win over the name, as do those of a page, of JSON or of a mail, which people save under
    any name; the name wins over bytes that only look like a format.

    >>> reader_for("000_ad13c6fc177309bb.TXT"), reader_for("photo.jpg"), reader_for("page.php", b"<!doctype html>")
    ('plain', None, 'html')
    >>> reader_for("a.txt", b"WARC/1.0\r\n"), reader_for("a.txt", b'{"text": "a"}'), reader_for("a.txt", b"{a} b")
    ('warc', 'json_lines', 'plain')
    """
    named = _named(name)
    if not head or (named == "plain" and not _may_be_another(head)):
        return named
    if named is None:
        ordered = sorted(READERS, key=lambda key: not READERS[key].is_certain)
        return next((key for key in ordered if READERS[key].begins(head)), None)
    for key, reader in READERS.items():
        if key != named and (reader.begins(head) if reader.is_certain else reader.overrules(named, head)):
            return key
    return named


def is_certain(head: bytes) -> bool:
    """Whether these first bytes can be of one format only."""
    return any(reader.is_certain and reader.begins(head) for reader in READERS.values())


def _may_be_another(head: bytes) -> bool:
    """A quick look at a text: whether its beginning has any of the marks with which other formats begin."""
    start = head[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start[:1] in (b"W", b"P", b"<", b"{", b"[") or b":" in start[:16]


def is_streaming(name: str, head: bytes = b"", forced: str | None = None) -> bool:
    """Whether a file goes through in pieces, so that only one record of it has to be held."""
    reader = forced if forced and not is_certain(head) else reader_for(name, head)
    return name.lower().endswith(container_endings()) or (reader is not None and READERS[reader].is_streaming)


__all__ = [
    "READERS",
    "ReadOptions",
    "Reader",
    "container_endings",
    "endings",
    "is_certain",
    "is_streaming",
    "reader_for",
]
