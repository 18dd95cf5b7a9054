"""newsmill's codes for languages, and what each says of profiles and scripts.

Belongs here: folding what each source calls a language, and which ones langdetect knows.  Does not belong here:
asking sources, or choosing between them.
"""

import functools
from typing import NamedTuple

# Withdrawn codes, variants and macro-languages; the two written norms of Norwegian count as one language.
_FOLDED = {
    "iw": "he", "in": "id", "ji": "yi", "jw": "jv", "mo": "ro", "sh": "sr", "nb": "no", "nn": "no",
    "fil": "tl",
}  # fmt: skip
# Nothing said, and two jests of pycld2's.
_NO_LANGUAGE = {"un", "unknown", "zxx", "tlh", "zzp"}

# Languages that langdetect 1.0.9 has a profile for, folded.
KNOWN = {
    "af", "ar", "bg", "bn", "ca", "cs", "cy", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "gu", "he",
    "hi", "hr", "hu", "id", "it", "ja", "kn", "ko", "lt", "lv", "mk", "ml", "mr", "ne", "nl", "no", "pa", "pl",
    "pt", "ro", "ru", "sk", "sl", "so", "sq", "sv", "sw", "ta", "te", "th", "tl", "tr", "uk", "ur", "vi", "zh",
}  # fmt: skip

# Scripts that one language of the news uses.
SETTLED = {
    "Armn": "hy", "Cher": "chr", "Geor": "ka", "Grek": "el", "Gujr": "gu", "Guru": "pa", "Hani": "zh", "Hebr": "he",
    "Jpan": "ja", "Khmr": "km", "Knda": "kn", "Kore": "ko", "Laoo": "lo", "Mlym": "ml", "Mymr": "my", "Orya": "or",
    "Sinh": "si", "Taml": "ta", "Telu": "te", "Thaa": "dv", "Thai": "th", "Tibt": "bo",
}  # fmt: skip

# Scripts that several use; a source that names another language has not read the letters.
_SHARED = {
    "Arab": {"ar", "ary", "arz", "az", "fa", "ks", "ku", "ms", "pa", "ps", "sd", "sdh", "ug", "ur", "uz", "uzs"},
    "Beng": {"as", "bn"},
    "Cyrl": {
        "ab", "az", "ba", "be", "bg", "bs", "ce", "cv", "kk", "kv", "ky", "mk", "mn", "os", "ru", "sah", "sr", "tg",
        "tk", "tt", "udm", "uk", "uz",
    },
    "Deva": {"bh", "gom", "hi", "ks", "mai", "mr", "ne", "sa", "sd"},
    "Ethi": {"am", "ti"},
}  # fmt: skip
_NOT_LATIN = (
    set().union(SETTLED.values(), *_SHARED.values()) - {"az", "bs", "ku", "ms", "sr", "tk", "tt", "ug", "uz"}
) | {"hbo", "grc", "wuu", "yi", "yue"}


class Opinion(NamedTuple):
    """A language in newsmill's codes, and how sure the source is of it."""

    language: str | None
    share: float = 0.0
    is_reliable: bool = False
    variant: str | None = None


@functools.cache
def fold(label: str | None) -> str | None:
    """The code for what a detector calls a language; None for what names none."""
    if label is None or label in _NO_LANGUAGE or label.startswith("xx"):
        return None
    return _FOLDED.get(label, label.partition("-")[0])


@functools.cache
def fits(language: str | None, script: str) -> str | None:
    """The language, if it is written in this script; else None."""
    if language is None:
        return None
    if script in _SHARED:
        return language if language in _SHARED[script] else None
    return None if script == "Latn" and language in _NOT_LATIN else language
