"""Words, counted.

Belongs here: what counts as a word.  Does not belong here: sentences (``segments``).

Two patterns say what a word is; where many texts are looked at (``scan``), their words are counted on the way.  A test
holds both equal.
"""

import re

from tasks.text.rules import compile_pattern

# Scripts whose words Python's own \w cuts at vowel signs, or does not cut at all; punctuation is not among them.
OTHER = re.compile("[\u0300-\u036f\u0590-\u1dff\u2c00-\U0010ffff]")
WORDS, BETWEEN = re.compile(r"[^\W_]+"), re.compile(r"[\W_]+")
ANY_WORDS = compile_pattern(
    r"(?V1)[\p{Han}\p{Hiragana}\p{Katakana}]|[[\p{L}\p{N}\p{M}]--[\p{Han}\p{Hiragana}\p{Katakana}]]+"
)
ALONE = compile_pattern(r"[\p{Han}\p{Hiragana}\p{Katakana}]")


def count_words(text: str) -> int:
    """Runs of letters and digits; each Han or Kana character counts as one.

    >>> count_words("Kim: „Das ist’s“"), count_words("新华社北京"), count_words("प्रधान मंत्री")
    (4, 5, 2)
    """
    return len((ANY_WORDS if OTHER.search(text) else WORDS).findall(text))
