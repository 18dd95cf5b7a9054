"""JSON Lines, one record a line; and JSON arrays or values one behind the other, each of which is a record.

Belongs here: where a record begins and ends.  Does not belong here: what its fields mean (``fields``).
"""

import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from tasks.readers import fields
from tasks.readers.bounded import CHUNK, HEAD, Line, as_utf8, head_of, lines, passed_over, recoded, text_of
from tasks.readers.options import ReadOptions
from tasks.text.decoded import Decoded
from tasks.text.preview import preview
from warehouse.errors import Refusal
from warehouse.records import RawDocument, Reject
from warehouse.vocabulary import Reason, Stage

_MARK = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_STRUCTURE = re.compile(rb'["{}\[\],]')
_IN_STRING = re.compile(rb'["\\]')
_OPENING, _CLOSING = (b"{", b"["), (b"}", b"]")
# How much of a value that is too long is kept for a person.
_SHOWN = 512
_KINDS = {
    list: "a JSON array",
    str: "a JSON string",
    int: "a JSON number",
    float: "a JSON number",
    bool: "a JSON boolean",
    type(None): "JSON's null",
}


def begins(head: bytes) -> bool:
    r"""Whether a file begins like JSON objects.

    >>> begins(b'\n {"text": "a"}\n'), begins(b'[{"a": 1}]'), begins(b"[1] See below")
    (True, True, False)
    """
    return re.match(rb'(?:\xef\xbb\xbf)?\s*(?:\[\s*)?\{\s*(?:"|\})', head) is not None


def overrules(_named: str, head: bytes) -> bool:
    r"""Whether what begins like JSON goes on like it, so that it is some under any name.

    >>> overrules("plain", b'{"text": "a"}\n{"te'), overrules("plain", b'{"a"} is how a set is written.\n')
    (True, False)
    """
    if not begins(head):
        return False
    start = head.removeprefix(_MARK).lstrip(_BLANK).removeprefix(b"[").lstrip(_BLANK)
    text = start.decode("utf-8", "replace")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except RecursionError:
        return False
    except ValueError:
        # Cut off by the end of what is seen of it, or no JSON.
        return re.match(rb'\{\s*"[^"\\\n]{1,100}"\s*:\s*["\d\[{tfn-]', start) is not None and len(head) >= HEAD
    return end > len("{}") and text[end:].lstrip()[:1] in ("", ",", "]", "{")


def is_lines(head: bytes) -> bool:
    """Whether each line is a record: not in an array, nor where a value goes on behind the end of its line."""
    start = head.removeprefix(_MARK).lstrip(_BLANK)
    first, end, rest = start.partition(b"\n")
    goes_on = first.rstrip().endswith((b"{", b",", b"[")) and rest[:1] in (b" ", b"\t", b'"')
    is_array = start.startswith(b"[") and not start.startswith(b"[[")
    return not is_array and not (end and goes_on)


def _values(stream: BinaryIO, most: int) -> Iterator[Line]:
    """The values of an array, or of a file that holds one behind the other, with their places.

    Only brackets and strings are looked at, so that a value that is broken inside leaves its neighbours whole.
    Raises ``Refusal`` at the end of an array that has none.
    """
    buffer = bytearray(stream.read(CHUNK))
    origin = _blank_before(buffer)
    del buffer[:origin]
    is_array = is_open = buffer.startswith(b"[")
    if is_array:
        del buffer[:1]
        origin += 1
    at = depth = 0
    in_string = is_cut = False
    while True:
        match = (_IN_STRING if in_string else _STRUCTURE).search(buffer, at)
        if match is None:
            at = max(at, len(buffer))
            if len(buffer) > most:
                is_cut, origin, at = True, origin + len(buffer) - _SHOWN, at - len(buffer) + _SHOWN
                del buffer[_SHOWN:]
            data = stream.read(CHUNK)
            if not data:
                break
            buffer += data
            continue
        at, sign = match.end(), match[0]
        if in_string:
            in_string = sign != b'"'
            at += sign == b"\\"
            continue
        in_string = sign == b'"'
        is_end = False
        if sign in _OPENING:
            depth += 1
        elif depth:
            depth -= sign in _CLOSING
            is_end = not depth and not is_array and sign in _CLOSING
        elif is_array:
            is_end = sign in b",]"
            is_open = is_open and sign != b"]"
        if is_end:
            yield from _value(buffer[: at if not is_array else at - 1], origin, most, is_cut=is_cut)
            del buffer[:at]
            origin, at, is_cut = origin + at, 0, False
    yield from _value(buffer, origin, most, is_cut=is_cut)
    if is_open and not buffer.strip(_BLANK):
        raise Refusal(Stage.READ, Reason.TRUNCATED, "the array does not end")


def _blank_before(data: bytes | bytearray) -> int:
    start = data.removeprefix(_MARK).lstrip(_BLANK)
    return len(data) - len(start)


def _value(found: bytearray, origin: int, most: int, *, is_cut: bool) -> Iterator[Line]:
    before = len(found) - len(found.lstrip(_BLANK + b","))
    data = bytes(found[before:]).rstrip(_BLANK)
    if data:
        yield Line(origin + before, data[:most], not is_cut and len(data) <= most)


def _objects(line: Line, options: ReadOptions) -> tuple[list[object], Decoded]:
    """What a value holds: itself, or the objects of the list in it that a person has named."""
    if not line.is_whole:
        most = options.max_record_bytes
        raise Refusal(Stage.READ, Reason.TOO_LARGE, f"longer than {most} bytes; max_record_bytes is {most}")
    decoded = text_of(line.data, options.encoding)
    try:
        values = json.loads(decoded.text)
    except (ValueError, RecursionError) as error:
        what = getattr(error, "msg", None) or "nested too deep or a number too long"
        raise Refusal(Stage.READ, Reason.MALFORMED, f"no JSON: {what}") from error
    inside = fields.listed(values, options) if isinstance(values, dict) else None
    return [values] if inside is None else inside, decoded


def _records(line: Line, ordinal: int, options: ReadOptions) -> Iterator[RawDocument | Reject]:
    def rejected(refusal: Refusal, number: int) -> Reject:
        return Reject(
            ordinal=number,
            stage=refusal.stage,
            reason=refusal.reason,
            detail=f"at byte {line.offset}: {refusal.detail}",
            preview=preview(line.data[:_SHOWN]),
        )

    try:
        found, decoded = _objects(line, options)
    except Refusal as refusal:
        yield rejected(refusal, ordinal)
        return
    held = len(line.data) // max(1, len(found))
    for number, values in enumerate(found, start=ordinal):
        if not isinstance(values, dict):
            what = f"{_KINDS[type(values)]}, not an object with fields"
            yield rejected(Refusal(Stage.READ, Reason.MALFORMED, what), number)
            continue
        try:
            yield fields.document(values, options, decoded, ordinal=number, held=held, byte_offset=line.offset)
        except Refusal as refusal:
            yield rejected(refusal, number)


def read(stream: BinaryIO, options: ReadOptions) -> Iterator[RawDocument | Reject]:
    """One record a line or value, or an object of the list in it; blank lines are none."""
    stream, codec = as_utf8(stream)
    found = (lines if is_lines(head_of(stream)) else _values)(stream, options.max_record_bytes)
    is_listed = any(wanted == fields.RECORDS for wanted, _ in options.fields)
    ordinal = 0
    for line in found:
        if not line.data.strip():
            continue
        if ordinal < options.first_ordinal and not is_listed:
            yield passed_over(ordinal)
            ordinal += 1
            continue
        for record in _records(line, ordinal, options):
            if ordinal < options.first_ordinal:
                yield passed_over(ordinal)
            else:
                yield recoded(record, codec) if isinstance(record, RawDocument) else record
            ordinal += 1
