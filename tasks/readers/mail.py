"""E-mail: one .eml file is one record.

Belongs here: headers, and which part of a mail is its text.  Does not belong here: HTML (``html``).
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from email.utils import getaddresses
from typing import Any, BinaryIO

from tasks.readers import fields, html
from tasks.readers.bounded import PARSER_ERRORS, brief, whole
from tasks.readers.dates import published
from tasks.readers.markup import untagged
from tasks.readers.options import ReadOptions
from tasks.text.decoded import Decoded
from warehouse.errors import Refusal
from warehouse.records import RawDocument, Reject
from warehouse.vocabulary import Reason, Stage

_NAME = rb"(?:Received|Return-Path|Delivered-To|From|To|Subject|Date|Message-ID|MIME-Version|X-[\w-]+|DKIM-Signature)"
_BEGIN = re.compile(rb"(?:" + _NAME + rb":[^\n]*\n(?:[ \t][^\n]*\n)*){3}", re.IGNORECASE)
_MOST_PARTS = 1_000
# Each border of a part is one; the parser makes an object of every part before anybody can count them.
_MOST_BORDERS = 20_000
_MOST_HEADERS = 200
# The parser of addresses, parameters and encoded words takes time and memory by the square of their length.
_LONGEST_HEADER = 4_000
_MAPPED = ("subject", "from", "date", "message-id")


def begins(head: bytes) -> bool:
    r"""Whether a file begins like a mail: with three of its usual headers.

    >>> begins(b"From: a@b.example\nTo: c@d.example\nSubject: Rain\n\nHello"), begins(b"From: Ada\nHello")
    (True, False)
    """
    return _BEGIN.match(head) is not None


def overrules(named: str, head: bytes) -> bool:
    """A mail that was saved as a text; whatever else begins so has a format of its own."""
    return named == "plain" and b"@" in head and begins(head)


class _Bounded(policy.EmailPolicy):
    """Headers as the standard says, and no longer than anybody reads."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        """Name and value of a header."""
        name, value = super().header_source_parse(sourcelines)
        return name, value[:_LONGEST_HEADER]


def _part_text(part: MIMEPart, options: ReadOptions) -> tuple[Decoded, str | None]:
    """The text of a part, and the title of one that is a page."""
    payload: Any = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    charset = part.get_content_charset()
    if part.get_content_type() == "text/html":
        try:
            page = html.document(data, options, declared=charset)
        except Refusal as refusal:
            if refusal.reason not in (Reason.NO_TEXT, Reason.MALFORMED):
                raise
            # Too little for an article, but all of a mail is meant.
            decoded = html.page_text(data, options, charset)
            return replace(decoded, text=untagged(decoded.text)), None
        decoded = Decoded(text=page.text, encoding=page.encoding, confidence=page.encoding_confidence, flags=page.flags)
        return decoded, page.title
    if not data:
        return Decoded(text="", encoding="utf-8", confidence=1.0, flags=()), None
    return html.page_text(data, options, charset), None


def _name(part: MIMEPart) -> str:
    return f"{fields.one_line(part.get_filename()) or 'unnamed'} ({part.get_content_type()})"


def _is_full_plain(part: MIMEPart) -> bool:
    payload: Any = part.get_payload(decode=True)
    return part.get_content_type() == "text/plain" and isinstance(payload, bytes) and bool(payload.strip())


def _texts(part: MIMEPart, attached: list[str], left: Iterator[int]) -> list[MIMEPart]:
    """The parts that are read, in order: of alternatives the plain one; ``attached`` gets the names of the others.

    A mail in a mail is read on, attached or not: that is how a mail is forwarded.
    """
    if next(left, None) is None:
        raise Refusal(Stage.READ, Reason.MALFORMED, f"a mail of more than {_MOST_PARTS} parts")
    kind, inner = part.get_content_type(), part.get_payload()
    is_mail = kind == "message/rfc822"
    if isinstance(inner, list) and (is_mail or (kind.startswith("multipart/") and not part.is_attachment())):
        found = [_texts(one, attached, left) for one in inner if isinstance(one, MIMEPart)]
        if kind == "multipart/alternative":
            is_plain = [any(map(_is_full_plain, texts)) for texts in found]
            return found[is_plain.index(True)] if any(is_plain) else next(filter(None, reversed(found)), [])
        return [text for texts in found for text in texts]
    if kind in ("text/plain", "text/html") and not part.is_multipart() and not part.is_attachment():
        return [part]
    attached.append(_name(part))
    return []


def _body(message: EmailMessage, options: ReadOptions) -> tuple[Decoded, str | None, list[str]]:
    """The text of all parts that are read, the title of a page among them, and the names of what is attached."""
    attached: list[str] = []
    found: list[tuple[Decoded, str | None]] = []
    refused: Refusal | None = None
    for part in _texts(message, attached, iter(range(_MOST_PARTS))):
        try:
            found.append(_part_text(part, options))
        except Refusal as refusal:
            # A page without an article beside a text, as what a list or a phone adds to every mail.
            attached.append(_name(part))
            refused = refused or refusal
    if not found:
        raise refused or Refusal(Stage.READ, Reason.NO_TEXT, "no part of the mail is a text")
    bodies = [body for body, _ in found if body.text.strip()] or [found[0][0]]
    joined = Decoded(
        text="\n\n".join(body.text.strip("\r\n") for body in bodies) if len(bodies) > 1 else bodies[0].text,
        encoding=bodies[0].encoding,
        confidence=min(body.confidence for body in bodies),
        flags=tuple(dict.fromkeys(flag for body in bodies for flag in body.flags)),
    )
    return joined, next((title for _, title in found if title), None), attached


def _headers(message: EmailMessage) -> dict[str, object]:
    found: dict[str, list[str]] = {}
    for name, raw in itertools.islice(message.raw_items(), _MOST_HEADERS):
        if name.lower() in _MAPPED:
            continue
        if line := fields.one_line(str(message.policy.header_fetch_parse(name, raw))):
            found.setdefault(fields.scrubbed(name.lower()), []).append(line)
    return {name: lines[0] if len(lines) == 1 else lines for name, lines in found.items()}


def _document(data: bytes, options: ReadOptions) -> RawDocument:
    if data.count(b"\n--") > _MOST_BORDERS:
        raise Refusal(Stage.READ, Reason.MALFORMED, f"a mail of more than {_MOST_BORDERS} borders between parts")
    message = message_from_bytes(data, policy=_Bounded())
    assert isinstance(message, EmailMessage)
    if not message.keys():
        raise Refusal(Stage.READ, Reason.MALFORMED, "no header of a mail")
    body, page_title, attached = _body(message, options)
    when = published(str(message["date"]).strip()) if message["date"] else None
    senders = getaddresses([str(message["from"] or "")])
    rest = _headers(message) | ({"attachments": attached} if attached else {})
    # What the parser found amiss, in its words: an encoding that breaks off, a border that never comes.
    parts = itertools.islice(message.walk(), _MOST_PARTS)
    if defects := sorted({type(defect).__name__ for part in parts for defect in part.defects}):
        rest["defects"] = defects
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
