"""The HTTP answer that a crawler kept: its body as the server meant it.

Belongs here: status, charset, chunks and content encodings.  Does not belong here: asking anybody for anything.
"""

import gzip
import io
import re
import zlib
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, parse_headers

from tasks.readers.bounded import PARSER_ERRORS, brief
from tasks.readers.options import ReadOptions
from warehouse.errors import Refusal
from warehouse.vocabulary import Reason, Stage

_STATUS = re.compile(rb"HTTP/[0-9.]{1,5} +([0-9]{3})[^\n]{0,1000}\n")
_HEADER_ERRORS: tuple[type[Exception], ...] = (*PARSER_ERRORS, HTTPException)
_CHUNK = re.compile(rb"\s*([0-9A-Fa-f]{1,8})[^\n]{0,200}\n")


@dataclass(frozen=True, slots=True)
class Answer:
    """A body, lower case content type, charset, and what is worth keeping of the headers."""

    body: bytes
    content_type: str
    charset: str | None
    notes: dict[str, str]


def answer_of(block: bytes, options: ReadOptions) -> Answer:
    """The answer in a block; raises ``Refusal`` for an error page and for what cannot be unpacked."""
    status = _STATUS.match(block)
    if status is None:
        raise Refusal(Stage.READ, Reason.DAMAGED, "no HTTP status line")
    stream = io.BytesIO(block)
    stream.seek(status.end())
    try:
        headers = parse_headers(stream)
        content_type, charset = headers.get_content_type(), headers.get_content_charset()
        declared = headers["content-type"] is not None
    except _HEADER_ERRORS as error:
        raise Refusal(Stage.READ, Reason.DAMAGED, f"no readable HTTP headers: {brief(error)}") from error
    if status[1] != b"200":
        raise Refusal(Stage.READ, Reason.UNSUPPORTED, f"an answer with HTTP status {status[1].decode()}")
    body = _unpacked(_dechunked(stream.read(), headers), headers, options)
    notes = {"last_modified": str(headers["last-modified"])} if headers["last-modified"] else {}
    return Answer(body, content_type if declared else "", charset, notes)


def _dechunked(body: bytes, headers: Message) -> bytes:
    """The body without the marks of its chunks; crawlers leave the header where they took the chunks out."""
    if "chunked" not in str(headers["transfer-encoding"]).lower():
        return body
    pieces: list[bytes] = []
    at = 0
    while (size := _CHUNK.match(body, at)) is not None:
        length = int(size[1], 16)
        if not length:
            return b"".join(pieces)
        pieces.append(body[size.end() : size.end() + length])
        at = size.end() + length
    return b"".join(pieces) if pieces and at >= len(body) else body


def _unpacked(body: bytes, headers: Message, options: ReadOptions) -> bytes:
    coding = str(headers["content-encoding"] or "identity").strip().lower()
    if coding == "identity" or (coding in ("gzip", "x-gzip") and not body.startswith(b"\x1f\x8b")):
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise Refusal(Stage.READ, Reason.UNSUPPORTED, f"content encoding {coding[:40]!r}")
    most = options.max_page_bytes
    try:
        if coding == "deflate":
            data = zlib.decompressobj(15 if body[:1] == b"\x78" else -15).decompress(body, most + 1)
        else:
            with gzip.GzipFile(fileobj=io.BytesIO(body)) as packed:
                data = packed.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Refusal(Stage.READ, Reason.DAMAGED, f"a body that cannot be unpacked: {brief(error)}") from error
    if len(data) > most:
        raise Refusal(Stage.READ, Reason.TOO_LARGE, f"the page unpacks to more than {most} bytes")
    return data
