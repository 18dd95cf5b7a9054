"""The blocks of a text and what each of them is: body, heading, caption, boilerplate.

Belongs here: blocks and their kinds.  Does not belong here: the words that tell a kind (``rules``), sentences
(``segments``).  Boilerplate that only its frequency gives away is found in SQL, across documents.
"""

import re
from dataclasses import dataclass

from tasks.text.rules import Rules, load
from warehouse.vocabulary import ParagraphKind

# Longer than this, a block is body whatever it begins with.
_LONGEST_CAPTION = 400
_SHORTEST_MARK = 6
_LONGEST_HEADING = 110
_LONGEST_QUESTION = 60
# Three short lines in a row are a list, not three headings.
_LIST = 3

_CJK = re.compile("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]")
_STOP = re.compile(r"""[.,;…。！؟۔।፡、，；·|)\]］）>*-]\Z|[.!?…。！？]["”“»«’‘'」』)]\Z""")
_ASKING = re.compile(r"[!?！？]\Z")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """A block between blank lines; ``start`` and ``end`` are character offsets in the repaired text."""

    kind: ParagraphKind
    credit: str | None
    start: int
    end: int


def split(text: str, language: str) -> tuple[Paragraph, ...]:
    r"""The paragraphs of a repaired text; what lies between them is newlines only.

    >>> [(p.kind.value, p.credit) for p in split("Foto: Anna Muster/dpa\n\nDer Text.", "de")]
    [('caption', 'Anna Muster/dpa'), ('body', None)]
    """
    spans = _spans(text)
    if not spans:
        return ()
    rules = load(language)
    kinds = [_kind(text, start, end, rules) for start, end in spans]
    for index in _headings(text, spans, kinds, rules):
        kinds[index] = (ParagraphKind.HEADING, None)
    return tuple(
        Paragraph(kind=kind, credit=credit, start=start, end=end)
        for (start, end), (kind, credit) in zip(spans, kinds, strict=True)
    )


def _spans(text: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    length = len(text.rstrip("\n"))
    start = len(text) - len(text.lstrip("\n"))
    while start < length:
        end = text.find("\n\n", start, length)
        if end < 0:
            end = length
        spans.append((start, end))
        start = end
        while start < length and text[start] == "\n":
            start += 1
    return spans


def _kind(text: str, start: int, end: int, rules: Rules) -> tuple[ParagraphKind, str | None]:
    if not _SHORTEST_MARK <= end - start <= _LONGEST_CAPTION:
        return ParagraphKind.BODY, None
    block = text[start:end]
    if rules.boilerplate is not None and rules.boilerplate.match(block):
        return ParagraphKind.BOILERPLATE, None
    if rules.caption is not None and (found := rules.caption.match(block)):
        return ParagraphKind.CAPTION, found["credit"].strip()
    if rules.caption_end is not None and (found := rules.caption_end.search(block)):
        return ParagraphKind.CAPTION, found["credit"].strip()
    return ParagraphKind.BODY, None


def _headings(
    text: str, spans: list[tuple[int, int]], kinds: list[tuple[ParagraphKind, str | None]], rules: Rules
) -> list[int]:
    """Which blocks are headings: short, without a stop, and followed by something longer that they can head."""
    found: list[int] = []
    row: list[int] = []
    for index, (start, end) in enumerate(spans):
        if kinds[index][0] is ParagraphKind.BODY and _looks_like_heading(text, start, end, rules):
            row.append(index)
            continue
        if row and len(row) < _LIST:
            found.extend(row)
        row = []
    return found


def _looks_like_heading(text: str, start: int, end: int, rules: Rules) -> bool:
    length = end - start
    if length > _LONGEST_HEADING:
        return False
    block = text[start:end]
    if "\n" in block or not _LETTER.search(block) or _STOP.search(block):
        return False
    if rules.byline is not None and rules.byline.match(block):
        return False
    limit = _LONGEST_QUESTION if _ASKING.search(block) else _LONGEST_HEADING
    # A Chinese or Japanese character says as much as two or three letters.
    return length <= (limit // 3 if _CJK.search(block) else limit)
