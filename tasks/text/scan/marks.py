"""What each character contributes to a look: one number a code point, made from the patterns themselves.

Belongs here: which characters have which bits on which side.  Does not belong here: what the bits mean (``bits``).
"""

import re

import numpy as np
from numpy.typing import NDArray

from tasks.text import characters, mojibake, words
from tasks.text.scan import bits
from tasks.text.sentences import glue


def build() -> NDArray[np.uint32]:
    """The table: on the right half what a character has as the second of two, on the left as the first."""
    # Every code point; halves of surrogate pairs stand for themselves.
    every = "".join(map(chr, range(0x110000)))
    made = np.full(len(every), bits.SINGLE << bits.HALF, np.uint32)

    def add(bit: int, first: re.Pattern[str] | None, second: re.Pattern[str] | None) -> None:
        for pattern, shift in ((first, bits.HALF), (second, 0)):
            for found in () if pattern is None else pattern.finditer(every):
                made[found.start() : found.end()] |= np.uint32(bit << shift)

    beyond_ascii = re.compile("[^\x00-\x7f]+")
    blank, newline, either = re.compile(" "), re.compile("\n"), re.compile("[ \n]")
    add(bits.ODD, None, re.compile(f"[^{characters.CLEAN}]+"))
    add(bits.REFERENCE, None, re.compile("&"))
    add(bits.TELLS_ALONE, None, mojibake.ALONE)
    add(bits.TELLS_BEFORE, mojibake.TELLING, beyond_ascii)
    add(bits.TELLS_BEHIND, beyond_ascii, mojibake.TELLING)
    add(bits.TELLS_LIGATURE, mojibake.LIGATURE, re.compile("[^A-Za-z]+"))
    add(bits.BLANK_BEFORE, blank, either)
    add(bits.BLANK_BEHIND, newline, blank)
    add(bits.NEWLINES, newline, newline)
    add(bits.EDGE_BEFORE, None, either)
    add(bits.EDGE_BEHIND, either, None)
    add(bits.GLUE, re.compile(r"\."), glue.LETTERS)
    add(bits.OTHER_WORDS, None, words.OTHER)
    add(1 << bits.WORD_BIT, words.BETWEEN, words.WORDS)
    alone, any_word = np.zeros((2, len(every)), bool)
    for found in words.ANY_WORDS.finditer(every):
        any_word[found.start() : found.end()] = True
    for found in words.ALONE.finditer(every):
        alone[found.start()] = True
    any_word &= ~alone
    made[any_word] |= np.uint32(1 << bits.ANY_WORD_BIT)
    made[~any_word] |= np.uint32(1 << bits.ANY_WORD_BIT + bits.HALF)
    made[alone] |= np.uint32(1 << bits.WORD_ALONE_BIT)
    return made
