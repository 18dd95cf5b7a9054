"""WARC and WET: one record a page.

Belongs here: the frame of WARC records, and of the HTTP answers in them.  Does not belong here: the article of a page
(``html``).

A record that breaks the frame is one reject; reading goes on at the next line that begins a record.  Records that
are no page (warcinfo, request, metadata, revisit) are passed over.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from tasks.readers import fields, html
from tasks.readers.bounded import CHUNK, passed_over, text_of
from tasks.readers.http_answer import Answer, answer_of
from tasks.readers.options import ReadOptions
from tasks.text.preview import preview
from warehouse.errors import Refusal
from warehouse.records import RawDocument, Reject
from warehouse.vocabulary import Reason, Stage

_VERSION = re.compile(rb"WARC/[01]\.[0-9]{1,2}\r?\n")
_MOST_LINE = 65_536
_MOST_HEADERS = 200
_PAGES = ("text/html", "application/xhtml+xml")


def begins(head: bytes) -> bool:
    r"""Whether a file begins like a WARC.

    >>> begins(b"WARC/1.0\r\nWARC-Type: response\r\n"), begins(b"WARC/1.0 is a format")
    (True, False)
    """
    return _VERSION.match(head) is not None


@dataclass(slots=True)
class _Frame:
    """The stream, and how far it was read."""

    stream: BinaryIO
    offset: int = 0

    def line(self) -> bytes:
        """The next line, or the first bytes of one that is too long."""
        found = self.stream.readline(_MOST_LINE)
        self.offset += len(found)
        return found

    def block(self, size: int) -> bytes:
        """So many bytes, fewer only at the end."""
        pieces = []
        while size and (data := self.stream.read(min(size, CHUNK))):
            pieces.append(data)
            size -= len(data)
            self.offset += len(data)
        return b"".join(pieces)

    def skip(self, size: int) -> bool:
        """Pass over so many bytes; False where there are fewer."""
        while size:
            data = self.stream.read(min(size, CHUNK))
            if not data:
                return False
            size -= len(data)
            self.offset += len(data)
        return True


def _headers(frame: _Frame) -> dict[str, str]:
    found: dict[str, str] = {}
    for _ in range(_MOST_HEADERS):
        line = frame.line()
        if not line:
            raise Refusal(Stage.READ, Reason.TRUNCATED, "the file ends inside a WARC header")
        text = line.strip()
        if not text:
            return found
        name, colon, value = text.decode("utf-8", "replace").partition(":")
        if colon:
            found[name.strip().lower()] = value.strip()
        elif not line.startswith((b" ", b"\t")):
            raise Refusal(Stage.READ, Reason.MALFORMED, "a WARC header line without a colon")
    raise Refusal(Stage.READ, Reason.MALFORMED, f"a WARC header of more than {_MOST_HEADERS} lines")


def _length(headers: dict[str, str]) -> int:
    value = headers.get("content-length", "")
    if not value.isascii() or not value.isdigit() or len(value) > 15:
        raise Refusal(Stage.READ, Reason.MALFORMED, f"no usable Content-Length: {value[:40]!r}")
    return int(value)


def _page(headers: dict[str, str], block: bytes, options: ReadOptions) -> RawDocument:
    url = fields.one_line(headers.get("warc-target-uri", "").strip("<>"))
    kind = headers["warc-type"]
    if kind == "response" and "http" in headers.get("content-type", "http"):
        answer = answer_of(block, options)
    else:
        content_type, _, rest = headers.get("content-type", "text/plain").partition(";")
        charset = re.search(r"charset=[\"']?([\w.:-]+)", rest)
        answer = Answer(block, content_type.strip().lower(), charset[1] if charset else None, {})
    if answer.content_type in _PAGES or (not answer.content_type and html.begins(answer.body)):
        found = html.document(answer.body, options, declared=answer.charset, url=url)
    elif answer.content_type == "text/plain":
        decoded = html.page_text(answer.body, options, answer.charset) if answer.body else text_of(b"", None)
        found = RawDocument(
            ordinal=0, text=decoded.text, encoding=decoded.encoding, encoding_confidence=decoded.confidence,
            flags=decoded.flags,
        )  # fmt: skip
    else:
        raise Refusal(Stage.READ, Reason.UNKNOWN_FORMAT, f"no page but {answer.content_type[:80] or 'no known type'}")
    crawl = {"warc_type": kind, "crawled_at": headers.get("warc-date"), **answer.notes}
    return replace(
        found,
        url=url or found.url,
        external_id=fields.one_line(headers.get("warc-record-id", "").strip("<>").removeprefix("urn:uuid:")),
        metadata={**found.metadata, **{name: value for name, value in crawl.items() if value}},
        held_bytes=len(block),
    )


def _next(frame: _Frame) -> bytes:
    """The next line that is not blank; nothing at the end."""
    while (line := frame.line()) and not line.strip():
        pass
    return line


def _resync(frame: _Frame) -> bytes:
    while (line := frame.line()) and not _VERSION.match(line):
        pass
    return line


def _record(frame: _Frame, line: bytes, ordinal: int, options: ReadOptions) -> RawDocument | Reject | None:
    """The record whose first line was read; None for one that is no page."""
    if not _VERSION.match(line):
        raise Refusal(Stage.READ, Reason.MALFORMED, "no WARC record begins where one should")
    headers = _headers(frame)
    try:
        return _framed(frame, headers, ordinal, options)
    except Refusal as refusal:
        address = fields.one_line(headers.get("warc-target-uri", "").strip("<>"))
        detail = f"{refusal.detail} ({address})" if address else refusal.detail
        raise Refusal(refusal.stage, refusal.reason, detail) from refusal


def _framed(frame: _Frame, headers: dict[str, str], ordinal: int, options: ReadOptions) -> RawDocument | Reject | None:
    size = _length(headers)
    most = options.max_record_bytes
    if headers.get("warc-type") not in ("response", "resource", "conversion"):
        if not frame.skip(size):
            raise Refusal(Stage.READ, Reason.TRUNCATED, "the file ends inside a record")
        return None
    if size > most:
        if not frame.skip(size):
            raise Refusal(Stage.READ, Reason.TRUNCATED, f"the file ends inside a record of {size} bytes")
        raise Refusal(Stage.READ, Reason.TOO_LARGE, f"a record of {size} bytes; max_record_bytes is {most}")
    block = frame.block(size)
    if len(block) < size:
        raise Refusal(Stage.READ, Reason.TRUNCATED, f"the record has {len(block)} of {size} bytes")
    if ordinal < options.first_ordinal:
        return passed_over(ordinal)
    return replace(_page(headers, block, options), ordinal=ordinal)


def read(stream: BinaryIO, options: ReadOptions) -> Iterator[RawDocument | Reject]:
    """One record a page, in the order of the file."""
    frame = _Frame(stream)
    ordinal = 0
    line = _next(frame)
    while line:
        offset = frame.offset - len(line)
        try:
            found = _record(frame, line, ordinal, options)
        except Refusal as refusal:
            yield Reject(
                ordinal=ordinal,
                stage=refusal.stage,
                reason=refusal.reason,
                detail=f"at byte {offset}: {refusal.detail}",
                preview=preview(line[:512]),
            )
            ordinal += 1
            is_framed = refusal.reason not in (Reason.MALFORMED, Reason.TRUNCATED)
            line = _next(frame) if is_framed else _resync(frame)
            continue
        if found is not None:
            yield found if isinstance(found, Reject) else replace(found, byte_offset=offset)
            ordinal += 1
        line = _next(frame)
