"""Character references that were left in a text: ``&eacute;`` is é, ``&amp;amp;`` is &.

Belongs here: what is unescaped and what must not be.  Does not belong here: markup itself (readers).
"""

import html
import re

from ftfy.chardata import HTML_ENTITIES

_ENTITY = re.compile("&(?:#[0-9]{1,10}|#[xX][0-9A-Fa-f]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});")
_LONGEST = 34
# Text that went through several programs is escaped several times; one look takes all layers off.
_LAYERS = re.compile("&(?:(?:amp|AMP|#0{0,6}38|#[xX]0{0,6}26);)+")
_LESS_THAN = re.compile("(?:&(?:lt|LT|#0{0,6}60|#[xX]0{0,6}3[cC]);)+")
# What may follow a "<" that no browser takes for a tag, and that no other repair can turn into a letter.
_NO_TAG = frozenset(" \n0123456789=<>\"'().,;:+*%$-")


def has_entities(text: str) -> bool:
    """Whether anything in the text looks like a character reference."""
    return "&" in text and _ENTITY.search(text) is not None


def unescape(text: str) -> tuple[str, int]:
    """Character references as characters; but ``&lt;`` stays where it would begin a tag.

    >>> unescape("Caf&eacute; &amp;amp; Bar, 1 &lt; 2")
    ('Café & Bar, 1 < 2', 4)
    >>> unescape("&lt;script&gt; &unknown;")
    ('&lt;script> &unknown;', 1)
    """
    count = 0

    def layers(found: re.Match[str]) -> str:
        nonlocal count
        count += found[0].count(";")
        return "&"

    def one(found: re.Match[str]) -> str:
        nonlocal count
        expanded = _expand(found[0])
        if expanded is None:
            return found[0]
        count += 1
        return expanded

    text = _ENTITY.sub(one, _LAYERS.sub(layers, text))
    if any(_expand(found[0]) is not None for found in _ENTITY.finditer(text)):
        text, more = _unescape_built(text)
        count += more

    def less_than(found: re.Match[str]) -> str:
        nonlocal count
        if found.end() < len(text) and text[found.end()] not in _NO_TAG:
            return found[0]
        number = found[0].count(";")
        count += number
        return "<" * number

    return _LESS_THAN.sub(less_than, text), count


def _expand(entity: str) -> str | None:
    """The characters of one reference, or None where it is to stay."""
    if entity[1] == "#":
        expanded = html.unescape(entity)
        if expanded.endswith(";") and expanded != ";":
            return None
    else:
        known = HTML_ENTITIES.get(entity)
        if known is None:
            return None
        expanded = known
    return None if "<" in expanded else expanded


def _unescape_built(text: str) -> tuple[str, int]:
    """References that only appear when others are gone, in one walk: repeating the search would be quadratic."""
    out: list[str] = []
    starts: list[int] = []
    count = 0
    pending = list(reversed(text))
    while pending:
        char = pending.pop()
        if char == "&":
            starts.append(len(out))
        out.append(char)
        if char != ";" or not starts or len(out) - starts[-1] > _LONGEST:
            continue
        entity = "".join(out[starts[-1] :])
        expanded = _expand(entity) if _ENTITY.fullmatch(entity) else None
        if expanded is not None:
            del out[starts.pop() :]
            pending.extend(reversed(expanded))
            count += 1
    return "".join(out), count
