r"""The rules that depend on a language, one TOML file a language, read once.

Belongs here: word lists and patterns as data, and how they are loaded.  Does not belong here: what is done
with them (``paragraphs``, ``segments``, ``metadata``).

``any.toml`` holds for every language; a file named by an ISO 639-1 code adds to it.  A list that a language's file does
not mention is empty.  Patterns are those of the ``regex`` module, so that ``\p{Lu}`` is an upper-case letter.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import cast

import regex  # type: ignore[import-untyped]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one language's file and ``any.toml`` say together; None where they say nothing."""

    caption: re.Pattern[str] | None
    caption_end: re.Pattern[str] | None
    boilerplate: re.Pattern[str] | None
    continuation: re.Pattern[str] | None
    abbreviations: frozenset[str]
    before_number: frozenset[str]
    ordinal_after: frozenset[str]
    byline: re.Pattern[str] | None
    agency: re.Pattern[str] | None


def compile_pattern(source: str) -> re.Pattern[str]:
    """A pattern of the ``regex`` module, which publishes no types but answers as ``re`` does."""
    return cast("re.Pattern[str]", regex.compile(source))


@cache
def load(language: str) -> Rules:
    """The rules of a language; of every language where it has no file of its own.

    >>> "Dr" in load("de").abbreviations, "Dr" in load("und").abbreviations
    (True, False)
    """
    files = [_read("any"), _read(language) if language != "any" else {}]
    agencies = "|".join(sorted({name for file in files for name in file.get("agencies", [])}, key=len, reverse=True))

    def pattern(key: str) -> re.Pattern[str] | None:
        parts = [part.replace("{agency}", agencies) for file in files for part in file.get(key, [])]
        return compile_pattern("|".join(f"(?:{part})" for part in parts)) if parts else None

    def words(key: str) -> frozenset[str]:
        found = [word for file in files for word in file.get(key, [])]
        return frozenset([*found, *(word.replace(". ", ".") for word in found)])

    return Rules(
        caption=pattern("caption"),
        caption_end=pattern("caption_end"),
        boilerplate=pattern("boilerplate"),
        continuation=pattern("continuation"),
        abbreviations=words("abbreviations"),
        before_number=words("before_number"),
        ordinal_after=words("ordinal_after"),
        byline=pattern("byline"),
        agency=compile_pattern(agencies) if agencies else None,
    )


def _read(language: str) -> dict[str, list[str]]:
    # Only codes are file names: a label from elsewhere must not become a path.
    if not (language.isascii() and language.isalpha() and len(language) <= 3):
        return {}
    file = resources.files(__name__) / f"{language.lower()}.toml"
    return tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
