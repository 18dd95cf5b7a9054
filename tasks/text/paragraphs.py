"""The blocks of a text and what each of them is: body, heading, caption, boilerplate.

Belongs here: blocks and their kinds.  Does not belong here: the words that tell a kind (``rules``), sentences
(``segments``).  Boilerplate that only its frequency gives away is found in SQL, across documents.
"""

import re

from tasks.text.rules import Rules, load
from warehouse.records import ParagraphRow
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
_ASKING = ("!", "?", "！", "？")
_LETTER = re.compile(r"[^\W\d_]")
# A credit at the end stands in this many characters.
_CREDIT = 100


_BODY = (ParagraphKind.BODY, None)
_BOILERPLATE = (ParagraphKind.BOILERPLATE, None)


def split(text: str, language: str) -> tuple[ParagraphRow, ...]:
    r"""The blocks between blank lines of a repaired text; what lies between them is newlines only.

    >>> [(p.kind.value, p.credit) for p in split("Foto: Anna Muster/dpa\n\nDer Text.", "de")]
    [('caption', 'Anna Muster/dpa'), ('body', None)]
    """
    spans = _spans(text)
    if not spans:
        return ()
    rules = load(language)
    phrases = rules.boilerplate_phrases if _may_hold_phrase(text, spans, rules) else ()
    kinds = [_kind(text, start, end, rules, phrases) for start, end in spans]
    for index in _headings(text, spans, kinds, rules):
        kinds[index] = (ParagraphKind.HEADING, None)
    return tuple(
        ParagraphRow(kind, credit, start, end) for (start, end), (kind, credit) in zip(spans, kinds, strict=True)
    )


def _spans(text: str) -> list[tuple[int, int]]:
    if "\n" not in text:
        return [(0, len(text))] if text else []
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


def _may_hold_phrase(text: str, spans: list[tuple[int, int]], rules: Rules) -> bool:
    """Whether the blocks that are short enough to be no body hold the longest word of any phrase."""
    short = [text[start:end] for start, end in spans if _may_be_marked(start, end)]
    # Bytes are searched faster than characters.
    data = "\n".join(short).encode("utf-8", "surrogatepass").lower()
    return any(word in data for word in rules.phrase_words)


def _may_be_marked(start: int, end: int) -> bool:
    return _SHORTEST_MARK <= end - start <= _LONGEST_CAPTION


def _kind(text: str, start: int, end: int, rules: Rules, phrases: tuple[str, ...]) -> tuple[ParagraphKind, str | None]:
    if not _may_be_marked(start, end):
        return _BODY
    block = text[start:end]
    if _is_boilerplate(block, rules, phrases):
        return _BOILERPLATE
    if rules.caption is not None and (found := rules.caption.match(block)):
        return ParagraphKind.CAPTION, found["credit"].strip()
    tail = block[-_CREDIT:]
    if (
        rules.caption_end is not None
        and (":" in tail or "\N{FULLWIDTH COLON}" in tail or "©" in tail)
        and (found := rules.caption_end.search(block))
    ):
        return ParagraphKind.CAPTION, found["credit"].strip()
    return _BODY


def _is_boilerplate(block: str, rules: Rules, phrases: tuple[str, ...]) -> bool:
    if rules.boilerplate is not None and rules.boilerplate.match(block):
        return True
    if phrases:
        lowered = block.partition("\n")[0].lower()
        if any(phrase in lowered for phrase in phrases):
            return True
    return (
        rules.breadcrumbs is not None
        and (">" in block or "»" in block or "›" in block)
        and rules.breadcrumbs.fullmatch(block) is not None
    )


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
    if "\n" in block or not _LETTER.search(block) or _STOP.search(block, max(0, length - 2)):
        return False
    if rules.byline is not None and rules.byline.match(block):
        return False
    limit = _LONGEST_QUESTION if block.endswith(_ASKING) else _LONGEST_HEADING
    # A Chinese or Japanese character says as much as two or three letters.
    return length <= limit // 3 or (length <= limit and _CJK.search(block) is None)
