"""What langdetect removes from a text before it looks at n-grams, without reading all of a long text.

Belongs here: langdetect's own substitutions and its limit of 10,000 characters.  Does not belong here: what is
decided a character (``kernel``) or newsmill's repairs, which have made the text long before.
"""

from langdetect.detector import Detector
from langdetect.utils.ngram import NGram

LIMIT = 10_000
"""langdetect looks at no more characters than these, counted after the substitutions."""

# No match of a pattern is longer than 2,084 characters (URL) or 575 (e-mail): further from a cut than this,
# cleaning a prefix and cleaning the whole text give the same.
_MARGIN = 3_000
_MARKS: tuple[str, ...] = tuple(NGram.DMARK_CLASS)
_URL = Detector.URL_RE
_MAIL = Detector.MAIL_RE


def clean(text: str) -> str:
    """The characters that langdetect would look at."""
    size = len(text)
    taken = LIMIT + 2 * _MARGIN
    while taken < size:
        cleaned = _substitute(text[:taken])
        if len(cleaned) >= LIMIT + _MARGIN:
            return cleaned[:LIMIT]
        taken *= 2
    return _substitute(text)[:LIMIT]


def _substitute(text: str) -> str:
    """Every substitution whose pattern can occur; a plain search is far cheaper than a pattern's."""
    if "http" in text:
        text = _URL.sub(" ", text)
    if "@" in text:
        text = _MAIL.sub(" ", text)
    if not text.isascii():
        for mark in _MARKS:
            if mark in text:
                return str(NGram.normalize_vi(text))
    return text
