"""The dominant script of a text, as an ISO 15924 code, and how many letters speak for it.

Belongs here: telling scripts apart.  Does not belong here: which language a script means (``decision``).
"""

import functools
import re
import unicodedata
from collections import Counter

# The first word of a letter's Unicode name is its script; two that belong together share a code.
_CODES = {
    "ARABIC": "Arab", "ARMENIAN": "Armn", "BENGALI": "Beng", "BOPOMOFO": "Bopo", "CANADIAN": "Cans", "CHEROKEE": "Cher",
    "CJK": "Hani", "COPTIC": "Copt", "CYRILLIC": "Cyrl", "DEVANAGARI": "Deva", "ETHIOPIC": "Ethi", "GEORGIAN": "Geor",
    "GREEK": "Grek", "GUJARATI": "Gujr", "GURMUKHI": "Guru", "HANGUL": "Hang", "HEBREW": "Hebr", "HIRAGANA": "Kana",
    "IDEOGRAPHIC": "Hani", "JAVANESE": "Java", "KANNADA": "Knda", "KATAKANA": "Kana", "KATAKANA-HIRAGANA": "Kana",
    "KHMER": "Khmr", "LAO": "Laoo", "LATIN": "Latn", "MALAYALAM": "Mlym", "MEETEI": "Mtei", "MONGOLIAN": "Mong",
    "MYANMAR": "Mymr", "NKO": "Nkoo", "OL": "Olck", "ORIYA": "Orya", "SINHALA": "Sinh", "SYRIAC": "Syrc",
    "TAMIL": "Taml", "TELUGU": "Telu", "THAANA": "Thaa", "THAI": "Thai", "TIBETAN": "Tibt", "TIFINAGH": "Tfng",
    "YI": "Yiii",
}  # fmt: skip
_WIDTHS = {"FULLWIDTH", "HALFWIDTH"}

_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalpha())

# Beyond the Latin blocks and the marks and signs that accompany them.
_BEYOND_LATIN = re.compile("[\u0370-\u1cff\u1f00-\u1fff\u2c80-\ua71f\ua800-\ufaff\ufb13-\U0003ffff]")


@functools.lru_cache(maxsize=16_384)
def script_of(character: str) -> str | None:
    """ISO 15924 code of one letter, ``Zzzz`` if this table has none, None for what is no letter."""
    if not character.isalpha():
        return None
    words = unicodedata.name(character, "").split()
    if words and words[0] in _WIDTHS:
        words = words[1:]
    return _CODES.get(words[0], "Zzzz") if words else "Zzzz"


def count_letters(text: str, enough: int) -> int:
    """Letters of a text; counting stops to be exact once there are ``enough``."""
    plain = len(text.encode("ascii", "ignore").translate(None, _NO_LETTERS))
    return plain if plain >= enough else sum(map(str.isalpha, text))


def read(text: str, enough: int) -> tuple[str | None, int]:
    """The dominant script and the number of letters, exact below ``enough``."""
    if text.isascii() or _BEYOND_LATIN.search(text) is None:
        letters = count_letters(text, enough)
        return ("Latn" if letters else None), letters
    counts: Counter[str] = Counter()
    for character, times in Counter(text).items():
        code = script_of(character)
        if code is not None:
            counts[code] += times
    letters = counts.total()
    return _dominant(counts), letters


def _dominant(counts: Counter[str]) -> str | None:
    """The script that most letters have; Japanese and Korean count their Chinese characters as their own.

    Latin needs twice as many letters as another script has, since names and brands are written in it everywhere.
    """
    if not counts:
        return None
    kana, hangul, han = counts["Kana"], counts["Hang"], counts["Hani"]
    # Running Japanese is at least a third Kana; a lone の in Chinese advertising is not Japanese.
    if han and kana * 10 >= han:
        counts["Kana"] += counts.pop("Hani")
    elif han and hangul * 4 >= han:
        counts["Hang"] += counts.pop("Hani")
    latin = counts.pop("Latn", 0)
    best, most = min(counts.items(), key=lambda item: (-item[1], item[0]), default=("", 0))
    if most and latin < 2 * most:
        return {"Kana": "Jpan", "Hang": "Kore"}.get(best, best)
    return "Latn" if latin else None
