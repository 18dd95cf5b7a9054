"""The ends of sentences by the library and our rules, asked about one sentence after the other.

Belongs here: calling sentencex so that no text can break it, and the corrections of what it says.  Does not belong
here: glued sentences (``glue``), doing it faster (``kernel``).
"""

import re
from collections.abc import Iterator
from itertools import accumulate

import sentencex

from tasks.text.rules import LONGEST_ABBREVIATION, Rules

Cut = tuple[int, int]
"""Where in a block a sentence ends, and where the next begins."""

BETWEEN = " \n"
# The library's time grows with the square of a block's length where quotes stay open: it gets
# no more than this at once.
WINDOW = 4_000
# Languages that are cut by another's rules.  The library's own for these two take 0.8 ms for every full stop, 300 times
# as long; by the Finnish, which knows ordinals as well, and our abbreviations 94 and 121 of 150 runs of five sentences
# come out as five, by their own 80 and 114.
_CUT_AS = {"ca": "fi", "da": "fi"}
# No sign that ends a sentence before the end of a block; and what could number the items of a list.
_PLAIN = re.compile(r"[\w ,'()\"„“”/–-]*+[.!?]?")
_NUMBERING = re.compile(r"[\d_'()\"/]")
_CLOSING = frozenset('”“»’"「」』')
_LONG_WORD = LONGEST_ABBREVIATION + 1
_BEFORE_STOP = -_LONG_WORD - 2
_OPENING = re.compile(r"""\A.*[('"\[{«‹„“‚‘’/-]""")
# Two words and their stops.
LONGEST_ENDING = 40
_LONGEST_ORDINAL = 3


def library(text: str, language: str) -> list[str]:
    """What the library takes for sentences; together they are the text, whatever it makes of it."""
    try:
        sentences: list[str] = sentencex.segment(_CUT_AS.get(language, language), text)
    except UnicodeEncodeError:
        # Half a surrogate pair: no repaired text has any.
        return [text]
    except BaseException as error:
        # It is written in Rust, whose panic is no Exception: an odd blank behind an initial is enough.
        if type(error).__name__ != "PanicException":
            raise
        return [text]
    # Whatever the library does to an unforeseen text, no character may be lost.
    return sentences if sentences and "".join(sentences) == text else [text]


def cuts(block: str, start: int, end: int, language: str, glued: frozenset[int], rules: Rules) -> list[Cut]:
    """The cuts in a piece of a block that the library sees alone; our rules see all of the block."""
    piece = block[start:end] if start or end < len(block) else block
    if _is_one(piece):
        return []
    sentences = library(piece, language)
    found: list[Cut] = []
    unfinished, is_short = rules.unfinished, rules.has_short_abbreviations
    for sentence, following, at in zip(
        sentences, sentences[1:], accumulate(map(len, sentences), initial=start), strict=False
    ):
        cut = at + len(sentence)
        # How most sentences end: with a word that no rule knows, a full stop and a blank.
        if sentence.endswith(". ") and not ((head := following[:1]).islower() or head in BETWEEN):
            word = sentence[_BEFORE_STOP:-2]
            is_sure = is_short and len(word) == _LONG_WORD and word.isalpha()
            if not is_sure and (blank := sentence.rfind(" ", -LONGEST_ENDING, -2)) >= 0:
                word = sentence[blank + 1 : -2]
                may_go_on = len(word) <= LONGEST_ABBREVIATION and (unfinished is None or word in unfinished)
                is_sure = not may_go_on and word.isalpha()
            if is_sure:
                found.append((cut - 1, cut))
                continue
        if not goes_on(block, cut, glued, rules):
            found.append(gap(block, cut))
    return found


def gap(block: str, cut: int) -> Cut:
    """The blanks around a cut."""
    start = end = cut
    while start > 0 and block[start - 1] in BETWEEN:
        start -= 1
    while end < len(block) and block[end] in BETWEEN:
        end += 1
    return start, end


def _is_one(block: str) -> bool:
    """Whether a block is one sentence without a question."""
    return _PLAIN.fullmatch(block) is not None and (block[-1:] not in ".!?" or _NUMBERING.search(block) is None)


def windows(block: str) -> Iterator[tuple[int, int, bool]]:
    """The pieces that the library sees, each with whether a sentence ends with it."""
    start = 0
    while len(block) - start > WINDOW:
        end, is_stop = _window_end(block, start)
        yield start, end, is_stop
        start = end
    if start < len(block):
        yield start, len(block), False


def _window_end(block: str, start: int) -> tuple[int, bool]:
    limit = start + WINDOW
    least = start + WINDOW // 2
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


def goes_on(block: str, cut: int, glued: frozenset[int], rules: Rules) -> bool:
    """Whether the sentence goes on behind ``cut``, which the library took for its end."""
    first = block[cut]
    if first.islower():
        return True
    end = cut
    while end > 0 and block[end - 1] in BETWEEN:
        end -= 1
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
    least = max(0, end - LONGEST_ENDING)
    at = block.rfind(" ", least, end) + 1
    word = block[at or least : end - 1]
    if word.isalpha() and len(word) > LONGEST_ABBREVIATION:
        return False
    return _is_abbreviated(block, cut, word, block[least : max(least, at - 1)], rules)


def _is_abbreviated(block: str, cut: int, word: str, words_before: str, rules: Rules) -> bool:
    bare = bare_word(word)
    if bare in rules.abbreviations:
        return True
    if rules.continuation is not None and bare.isalpha() and rules.continuation.match(block, cut):
        return True
    if bare in rules.before_number and block[cut].isdigit():
        return True
    return needs_word_before(bare, rules) and goes_on_behind(words_before.rpartition(" ")[2], bare, rules)


def bare_word(word: str) -> str:
    """A word without what opens before it."""
    return word if word.isalnum() else _OPENING.sub("", word)


def needs_word_before(bare: str, rules: Rules) -> bool:
    """Whether it takes the word before to tell what a full stop behind this one means."""
    return bare in rules.second_words or (bare.isdecimal() and len(bare) <= _LONGEST_ORDINAL)


def goes_on_behind(before: str, bare: str, rules: Rules) -> bool:
    """Whether a sentence goes on behind these two words and a full stop, of which the second alone does not tell."""
    if bare.isdecimal() and len(bare) <= _LONGEST_ORDINAL:
        return before.lower() in rules.ordinal_after
    return f"{_OPENING.sub('', before)} {bare}" in rules.abbreviations
