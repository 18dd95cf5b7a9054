"""Two sentences that an extraction glued: "zusammengekommen.Bei".

Belongs here: telling glue from addresses, file names and titles.  Does not belong here: any other end of a sentence.
"""

import re

from tasks.text.rules import Rules

GLUE = re.compile(r"\.(?=[^\W\d_])")
_WORD_BEFORE = re.compile(r"[^\W\d_]+\Z")
LETTERS = _WORD_AFTER = re.compile(r"[^\W\d_]+")
_ADDRESS = frozenset("@/._\\:=&#")
_SHORTEST_WORD = 3
_LONGEST_WORD = 60
# Names of sites are written with a capital, too.
_DOMAINS = frozenset({
    "com", "net", "org", "de", "at", "ch", "eu", "info", "online", "tv", "io", "ai", "co", "uk", "fr", "es", "it", "ru",
    "js", "nl",
})  # fmt: skip


def glued(block: str, rules: Rules) -> frozenset[int]:
    """Where two sentences were glued."""
    return frozenset([dot.end() for dot in GLUE.finditer(block) if is_glue(block, dot.start(), rules)])


def is_glue(block: str, dot: int, rules: Rules) -> bool:
    """Whether the full stop at ``dot`` stands between two sentences."""
    if not (dot > 0 and block[dot - 1].islower() and block[dot + 1].isupper()):
        return False
    least = max(0, dot - _LONGEST_WORD)
    begin = block.rfind(" ", least, dot) + 1
    word = block[begin:dot]
    if not (begin and word.isalpha()):
        before = _WORD_BEFORE.search(block, least, dot)
        if before is None:
            return False
        begin, word = before.start(), before[0]
    after = _WORD_AFTER.match(block, dot + 1, dot + 1 + _LONGEST_WORD)
    if after is None or word in rules.abbreviations or after[0].lower() in _DOMAINS:
        return False
    # "Dr.Muster" is a title, "an.Er" are two sentences.
    if len(word) < _SHORTEST_WORD and not (len(word) == _SHORTEST_WORD - 1 and word.islower()):
        return False
    # Addresses and file names: one of these touches the two words.
    touching = block[begin - 1 : begin] + block[after.end() : after.end() + 1]
    if touching.endswith(".") and not block[after.end() + 1 : after.end() + 2].isalnum():
        touching = touching[:-1]
    return _ADDRESS.isdisjoint(touching)
