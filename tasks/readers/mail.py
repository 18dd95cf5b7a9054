"""E-mail: one .eml file is one record.

Belongs here: headers, and which part of a mail is its text.  Does not belong here: HTML (``html``).
"""

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from email.utils import getaddresses
from typing import Any, BinaryIO

from tasks.readers import fields, html
from tasks.readers.bounded import PARSER_ERRORS, brief, whole
from tasks.readers.dates import published
from tasks.readers.options import ReadOptions
from tasks.text.decoded import Decoded
from warehouse.errors import Refusal
from warehouse.records import RawDocument, Reject
from warehouse.vocabulary import Reason, Stage

_NAME = rb"(?:Received|Return-Path|Delivered-To|From|To|Subject|Date|Message-ID|MIME-Version|X-[\w-]+|DKIM-Signature)"
_BEGIN = re.compile(rb"(?:" + _NAME + rb":[^\n]*\n(?:[ \t][^\n]*\n)*){3}", re.IGNORECASE)
_MOST_PARTS = 200
_MOST_HEADERS = 200
_MAPPED = ("subject", "from", "date", "message-id")


def begins(head: bytes) -> bool:
    r"""Whether a file begins like a mail: with three of its usual headers.

    >>> begins(b"From: a@b.example\nTo: c@d.example\nSubject: Rain\n\nHello"), begins(b"From: Ada\nHello")
    (True, False)
    """
    return _BEGIN.match(head) is not None


def _part_text(part: MIMEPart, options: ReadOptions) -> tuple[Decoded, str | None]:
    """The text of a part, and the title of one that is a page."""
    payload: Any = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    charset = part.get_content_charset()
    if part.get_content_type() == "text/html":
        page = html.document(data, options, declared=charset)
        decoded = Decoded(text=page.text, encoding=page.encoding, confidence=page.encoding_confidence, flags=page.flags)
        return decoded, page.title
    if not data:
        return Decoded(text="", encoding="utf-8", confidence=1.0, flags=()), None
    return html.page_text(data, options, charset), None


def _body(message: EmailMessage) -> tuple[MIMEPart, list[str]]:
    """The part that is the text, plain before HTML, and the names of what is attached."""
    texts: dict[str, MIMEPart] = {}
    attached: list[str] = []
    for number, part in enumerate(message.walk()):
        if number >= _MOST_PARTS:
            raise Refusal(Stage.READ, Reason.MALFORMED, f"a mail of more than {_MOST_PARTS} parts")
        kind = part.get_content_type()
        if part.is_attachment() or (not part.is_multipart() and kind not in ("text/plain", "text/html")):
            attached.append(f"{fields.one_line(part.get_filename()) or 'unnamed'} ({kind})")
        elif not part.is_multipart():
            texts.setdefault(kind, part)
    best = texts.get("text/plain") or texts.get("text/html")
    if best is None:
        raise Refusal(Stage.READ, Reason.NO_TEXT, "no part of the mail is a text")
    return best, attached


def _headers(message: EmailMessage) -> dict[str, object]:
    found: dict[str, list[str]] = {}
    for number, (name, value) in enumerate(message.items()):
        if number < _MOST_HEADERS and name.lower() not in _MAPPED and (line := fields.one_line(str(value))):
            found.setdefault(fields.scrubbed(name.lower()), []).append(line)
    return {name: lines[0] if len(lines) == 1 else lines for name, lines in found.items()}


def _document(data: bytes, options: ReadOptions) -> RawDocument:
    message = message_from_bytes(data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    if not message.keys():
        raise Refusal(Stage.READ, Reason.MALFORMED, "no header of a mail")
    part, attached = _body(message)
    body, page_title = _part_text(part, options)
    when = published(str(message["date"]).strip()) if message["date"] else None
    senders = getaddresses([str(value) for value in message.get_all("from", [])])
    rest = _headers(message) | ({"attachments": attached} if attached else {})
    if when is None and message["date"]:
        rest["date"] = str(message["date"])
    metadata = fields.kept(rest)
    assert isinstance(metadata, dict)
    return RawDocument(
        ordinal=0,
        text=fields.scrubbed(body.text),
        encoding=body.encoding,
        encoding_confidence=body.confidence,
        flags=body.flags,
        metadata=metadata,
        title=fields.one_line(str(message["subject"] or "")) or page_title,
        authors=tuple(name for pair in senders if (name := fields.one_line(pair[0] or pair[1]))),
        external_id=fields.one_line(str(message["message-id"] or "").strip("<> ")),
        published_on=when.on if when else None,
        published_precision=when.precision if when else None,
        held_bytes=len(data),
    )


def read(stream: BinaryIO, options: ReadOptions) -> Iterator[RawDocument | Reject]:
    """The one record of a mail."""
    data = whole(stream, options.max_file_bytes, "max_file_bytes")
    if not data:
        return
    try:
        yield _document(data, options)
    except PARSER_ERRORS as error:
        raise Refusal(Stage.READ, Reason.MALFORMED, f"a mail that cannot be read: {brief(error)}") from error
