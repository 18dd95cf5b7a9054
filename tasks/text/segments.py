"""Sentence-like segments of paragraphs, the units of translation.

Belongs here: where a segment begins and ends.  Does not belong here: the lists of abbreviations (``rules``), nor any
change of the text: segments and what lies between them are the text, byte for byte.
"""

import re
from collections.abc import Sequence
from functools import partial
from itertools import accumulate, repeat
from operator import lt

import sentencex

from tasks.text.rules import LONGEST_ABBREVIATION, Rules, load
from warehouse.records import ParagraphRow, SegmentRow

# Two sentences that an extraction glued: "zusammengekommen.Bei".
_GLUE = re.compile(r"\.(?=[^\W\d_])")
_WORD_BEFORE = re.compile(r"[^\W\d_]+\Z")
_WORD_AFTER = LETTERS = re.compile(r"[^\W\d_]+")
# The library's time grows with the square of a block's length where quotes stay open: it gets
# no more than this at once.
_WINDOW = 4_000
# Languages that are cut by another's rules.  The library's own for these two take 0.8 ms for every full stop, 300 times
# as long; by the Finnish, which knows ordinals as well, and our abbreviations 94 and 121 of 150 runs of five sentences
# come out as five, by their own 80 and 114.
_CUT_AS = {"ca": "fi", "da": "fi"}
# No sign that ends a sentence before the end of a block; and what could number the items of a list.
_PLAIN = re.compile(r"[\w ,'()\"„“”/–-]*+[.!?]?")
_NUMBERING = re.compile(r"[\d_'()\"/]")
_CLOSING = frozenset('”“»’"」』')
_BETWEEN = " \n"
_ADDRESS = frozenset("@/._\\:=&#")
_LONG_WORD = LONGEST_ABBREVIATION + 1
_BEFORE_STOP = -_LONG_WORD - 2
_OPENING = re.compile(r"""\A.*[('"\[{«‹„“‚‘’/-]""")
_NOWHERE: frozenset[int] = frozenset()
# A document has thirty: named by position they cost half.
_row = partial(tuple.__new__, SegmentRow)
# Two words and their stops.
_LONGEST_ENDING = 40
_LONGEST_ORDINAL = 3
_SHORTEST_WORD = 3
_LONGEST_WORD = 60
# Names of sites are written with a capital, too.
_DOMAINS = frozenset({
    "com", "net", "org", "de", "at", "ch", "eu", "info", "online", "tv", "io", "ai", "co", "uk", "fr", "es", "it", "ru",
    "js", "nl",
})  # fmt: skip


def segment(
    text: str, paragraphs: Sequence[ParagraphRow], language: str, *, may_be_glued: bool = True
) -> tuple[SegmentRow, ...]:
    """The segments of all paragraphs in order; every paragraph has at least one, blanks around one belong to none.

    >>> from tasks.text.paragraphs import split
    >>> text = "Am 24. April kam Dr. Maier an.Er ging wieder."
    >>> [text[s.start : s.end] for s in segment(text, split(text, "de"), "de")]
    ['Am 24. April kam Dr. Maier an.', 'Er ging wieder.']
    """
    rules = load(language)
    may_be_glued = may_be_glued and _GLUE.search(text) is not None
    segments: list[SegmentRow] = []
    for number, paragraph in enumerate(paragraphs):
        first = paragraph.start
        block = text[first : paragraph.end]
        glued = _glued(block, rules) if may_be_glued else _NOWHERE
        sentences = _sentences(block, language)
        start, end = paragraph.end - len(block.lstrip(_BETWEEN)), first + len(block.rstrip(_BETWEEN))
        if len(sentences) == 1 and not glued and start < end:
            segments.append(_row((number, start, end)))
            continue
        ends, starts = _gaps(block, first, sentences, glued, rules)
        starts.insert(0, start)
        ends.append(end)
        if all(map(lt, starts, ends)):
            segments += map(_row, zip(repeat(number), starts, ends, strict=False))
        else:
            full = [SegmentRow(number, start, end) for start, end in zip(starts, ends, strict=True) if start < end]
            segments += full or [SegmentRow(number, first, paragraph.end)]
    return tuple(segments)


def _gaps(
    block: str, first: int, sentences: list[str], glued: frozenset[int], rules: Rules
) -> tuple[list[int], list[int]]:
    """Where sentences of the block at ``first`` end, and where those behind them begin."""
    ends: list[int] = []
    starts: list[int] = []
    unfinished, is_short = rules.unfinished, rules.has_short_abbreviations
    for sentence, following, at in zip(sentences, sentences[1:], accumulate(map(len, sentences)), strict=False):
        # How most sentences end: with a word that no rule knows, a full stop and a blank.
        if sentence.endswith(". ") and not ((head := following[:1]).islower() or head in _BETWEEN):
            word = sentence[_BEFORE_STOP:-2]
            is_sure = is_short and len(word) == _LONG_WORD and word.isalpha()
            if not is_sure and (blank := sentence.rfind(" ", -_LONGEST_ENDING, -2)) >= 0:
                word = sentence[blank + 1 : -2]
                may_go_on = len(word) <= LONGEST_ABBREVIATION and (unfinished is None or word in unfinished)
                is_sure = not may_go_on and word.isalpha()
            if is_sure:
                ends.append(first + at - 1)
                starts.append(first + at)
                continue
        if not _goes_on(block, sentence, at, glued, rules):
            end, start = _gap(block, at)
            ends.append(first + end)
            starts.append(first + start)
    if glued:
        cuts = sorted({*zip(ends, starts, strict=True), *((first + at, first + at) for at in glued)})
        ends, starts = [end for end, _ in cuts], [start for _, start in cuts]
    return ends, starts


def _gap(block: str, cut: int) -> tuple[int, int]:
    start = end = cut
    while start > 0 and block[start - 1] in _BETWEEN:
        start -= 1
    while end < len(block) and block[end] in _BETWEEN:
        end += 1
    return start, end


def _is_one(block: str) -> bool:
    """Whether a block is one sentence without a question."""
    return _PLAIN.fullmatch(block) is not None and (block[-1:] not in ".!?" or _NUMBERING.search(block) is None)


def _sentences(block: str, language: str) -> list[str]:
    if len(block) <= _WINDOW:
        return [block] if _is_one(block) else _windowed(block, language)
    sentences: list[str] = []
    carry: list[str] = []
    start = 0
    while start < len(block):
        end, is_stop = _cut(block, start)
        found = _windowed(block[start:end], language)
        if len(found) > 1 or is_stop:
            found[0] = "".join([*carry, found[0]])
            carry.clear()
        # A window that ends within a sentence hands it on; only the last can be unfinished.
        if not is_stop:
            carry.append(found.pop())
        sentences.extend(found)
        start = end
    return [*sentences, "".join(carry)] if carry else sentences


def _windowed(block: str, language: str) -> list[str]:
    try:
        sentences: list[str] = sentencex.segment(_CUT_AS.get(language, language), block)
    except UnicodeEncodeError:
        # Half a surrogate pair: no repaired text has any.
        return [block]
    except BaseException as error:
        # It is written in Rust, whose panic is no Exception: an odd blank behind an initial is enough.
        if type(error).__name__ != "PanicException":
            raise
        return [block]
    # Whatever the library does to an unforeseen text, no character may be lost.
    return sentences if sentences and "".join(sentences) == block else [block]


def _cut(block: str, start: int) -> tuple[int, bool]:
    """Where a window ends, and whether that is the end of a sentence."""
    limit = start + _WINDOW
    if limit >= len(block):
        return len(block), True
    least = start + _WINDOW // 2
    newline = block.rfind("\n", least, limit)
    ideographic = max(block.rfind(stop, least, limit) for stop in "。！？")
    if max(newline, ideographic) >= 0:
        at = max(newline, ideographic) + 1
        return (at + 1 if block[at : at + 1] in {"”", "」", "』"} else at), True
    at = limit
    while (at := block.rfind(". ", least, at)) >= 0:
        # Behind a word that is no abbreviation, before a capital.
        if block[at - 4 : at].isalpha() and block[at + 2].isupper():
            return at + 2, True
    blank = block.rfind(" ", least, limit)
    return (blank + 1 if blank >= 0 else limit), False


def _goes_on(block: str, sentence: str, cut: int, glued: frozenset[int], rules: Rules) -> bool:
    """Whether the sentence goes on behind ``cut``, which the library took for its end."""
    first = block[cut]
    if first.islower():
        return True
    bare = sentence.rstrip(_BETWEEN)
    end = cut - len(sentence) + len(bare)
    if not bare:  # blanks only: what ends here is the sentence before
        end = len(block[:cut].rstrip(_BETWEEN))
    last = block[end - 1 : end]
    if last in _CLOSING:
        return rules.continuation is not None and rules.continuation.match(block, cut) is not None
    if last != ".":
        return False
    if end == cut and first.isupper():
        return cut not in glued
    # What most sentences end in: a word too long for any abbreviation.
    if rules.has_short_abbreviations and block[max(0, end - _LONG_WORD - 1) : end - 1].isalpha() and end > _LONG_WORD:
        return False
    least = max(0, end - _LONGEST_ENDING)
    at = block.rfind(" ", least, end) + 1
    word = block[at or least : end - 1]
    if word.isalpha() and len(word) > LONGEST_ABBREVIATION:
        return False
    return _is_abbreviated(block, cut, word, block[least : max(least, at - 1)], rules)


def _is_abbreviated(block: str, cut: int, word: str, words_before: str, rules: Rules) -> bool:
    if not word.isalnum():
        word = _OPENING.sub("", word)
    if word in rules.abbreviations:
        return True
    if rules.continuation is not None and word.isalpha() and rules.continuation.match(block, cut):
        return True
    if word in rules.before_number and block[cut].isdigit():
        return True
    if word.isdecimal() and len(word) <= _LONGEST_ORDINAL:
        return words_before.rpartition(" ")[2].lower() in rules.ordinal_after
    if word not in rules.second_words:
        return False
    return f"{_OPENING.sub('', words_before.rpartition(' ')[2])} {word}" in rules.abbreviations


def _glued(block: str, rules: Rules) -> frozenset[int]:
    """Where two sentences were glued."""
    return frozenset([dot.end() for dot in _GLUE.finditer(block) if _is_glue(block, dot.start(), rules)])


def _is_glue(block: str, dot: int, rules: Rules) -> bool:
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
