"""Markdown with front matter: one file is one record.

Belongs here: YAML and TOML front matter, and Markdown as plain text.  Does not belong here: what the fields of the
front matter mean (``fields``).
"""

import dataclasses
import re
import tomllib
from collections.abc import Iterator
from typing import Any, BinaryIO

from tasks.readers import fields
from tasks.readers.bounded import PARSER_ERRORS, brief, whole
from tasks.readers.markup import untagged
from tasks.readers.options import ReadOptions
from tasks.text.encoding import decode
from warehouse.errors import Refusal
from warehouse.records import RawDocument, Reject
from warehouse.vocabulary import Reason, Stage

_FRONT = re.compile(
    r"\ufeff?(?P<mark>---|\+\+\+)[ \t]*\r?\n(?P<fields>.*?)^(?P=mark)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE
)
# A front matter of more is a text between two rules.
_MOST_FRONT = 65_536
_BREAK = re.compile(r"</?(?:br|p|div|li|tr|td|th)\b", re.IGNORECASE)
# The parser takes 12 s and 600 MB for a megabyte of some of these and nothing else.
_MARK = re.compile(r"[\n\[\]|`*_<>!]")
_MOST_MARKS = 100_000
_TEXT = "\0text"


def _front(text: str) -> tuple[dict[str, Any], str]:
    """The fields of the front matter and the text behind it."""
    found = _FRONT.match(text[: _MOST_FRONT + 8])
    if found is None:
        return {}, text
    import yaml

    try:
        # Everything stays as it is written: a YAML that makes dates and numbers would invent days and lose zeros.
        values = (
            tomllib.loads(found["fields"].replace("\r\n", "\n"))
            if found["mark"] == "+++"
            else yaml.load(found["fields"], Loader=yaml.BaseLoader)  # noqa: S506 - the one that makes only strings
        )
    except (*PARSER_ERRORS, yaml.YAMLError) as error:
        raise Refusal(Stage.READ, Reason.MALFORMED, f"front matter that cannot be read: {brief(error)}") from error
    return (values, text[found.end() :]) if isinstance(values, dict) else ({}, text)


def _inline(token: Any) -> str:
    """The words of one block: marks and addresses left out, breaks kept."""
    kept = {"text": None, "code_inline": None, "softbreak": "\n", "hardbreak": "\n", "html_inline": ""}
    return "".join(
        "\n"
        if child.type == "html_inline" and _BREAK.match(child.content)
        else str(child.content if kept[child.type] is None else kept[child.type])
        for child in token.children or ()
        if child.type in kept
    )


def _plain(markdown: str) -> str:
    """The text of a Markdown document, blocks parted by blank lines, items of a list by line ends."""
    from markdown_it import MarkdownIt

    blocks: list[str] = []
    # Of what follows each other on lines of its own: items of a list, rows of a table.
    lines = 0
    is_first = True
    cells: list[str] | None = None
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        lines += {"list_item_open": 1, "list_item_close": -1, "table_open": 1, "table_close": -1}.get(token.type, 0)
        is_first = (
            is_first
            or token.type == "table_open"
            or (token.type in ("bullet_list_open", "ordered_list_open") and lines == 0)
        )
        words = _words(token)
        if token.type == "tr_open":
            cells = []
        elif token.type == "tr_close" and cells is not None:
            words, cells = " | ".join(cells), None
        elif cells is not None and words:
            cells.append(words)
            continue
        if words:
            blocks.append(("\n" if lines and not is_first else "\n\n") + words)
            is_first = not lines
    return "".join(blocks).strip()


def _words(token: Any) -> str:
    """What a block says; code stands as it was written, HTML without its tags."""
    if token.type == "inline":
        return _inline(token).strip()
    if token.type in ("fence", "code_block"):
        return str(token.content).rstrip("\n")
    return untagged(token.content) if token.type == "html_block" else ""


def read(stream: BinaryIO, options: ReadOptions) -> Iterator[RawDocument | Reject]:
    """The one record of a Markdown file."""
    data = whole(stream, options.max_page_bytes, "max_page_bytes")
    decoded = decode(data, options.encoding)
    values, body = _front(decoded.text)
    if len(body) > _MOST_MARKS and sum(1 for _ in _MARK.finditer(body)) > _MOST_MARKS:
        raise Refusal(Stage.READ, Reason.TOO_LARGE, f"Markdown of more than {_MOST_MARKS} marks and lines")
    try:
        text = _plain(body)
    except PARSER_ERRORS as error:
        raise Refusal(Stage.READ, Reason.MALFORMED, f"Markdown that cannot be read: {brief(error)}") from error
    if not text:
        raise Refusal(Stage.READ, Reason.EMPTY, "no text behind the front matter" if values else "no text")
    mapped = dataclasses.replace(
        options, fields=(*(pair for pair in options.fields if pair[0] != "text"), ("text", _TEXT))
    )
    yield fields.document({**values, _TEXT: text}, mapped, decoded, ordinal=0, held=len(data))
