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
from typing import Any, cast

import regex  # type: ignore[import-untyped]

# A longer word before a full stop ends a sentence.
LONGEST_ABBREVIATION = 6
_PLAIN_WORD = re.compile("[a-z0-9]+")


class Opening:
    r"""A pattern that a text may begin with; most texts are turned away by their first characters.

    What a few characters can begin is asked once and remembered: a paragraph is looked at with the whole pattern
    only where its beginning can be that of a match.

    >>> byline = Opening(r"By \p{Lu}\p{Ll}+")
    >>> byline.match("By night") is None, byline.match("By Jane")[0]
    (True, 'By Jane')
    """

    _HEAD = 4
    # More beginnings than any language's words have; a hostile text must not fill the memory.
    _MOST = 100_000

    def __init__(self, source: str) -> None:
        self._pattern: Any = regex.compile(source)
        self._can_begin: dict[str, bool] = {}

    def match(self, text: str) -> re.Match[str] | None:
        """The match at the start of a text."""
        head = text[: self._HEAD]
        possible = self._can_begin.get(head)
        if possible is None:
            possible = self._pattern.match(head, partial=True) is not None
            if len(self._can_begin) < self._MOST:
                self._can_begin[head] = possible
        return cast("re.Match[str] | None", self._pattern.match(text)) if possible else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one language's file and ``any.toml`` say together; None where they say nothing."""

    caption: Opening | None
    caption_end: re.Pattern[str] | None
    boilerplate: Opening | None
    boilerplate_phrases: tuple[str, ...]
    phrase_words: tuple[bytes, ...]
    breadcrumbs: re.Pattern[str] | None
    continuation: re.Pattern[str] | None
    abbreviations: frozenset[str]
    # The last words of those abbreviations that are more than one.
    second_words: frozenset[str]
    # Every word behind whose full stop a sentence can go on, if no pattern decides that.
    unfinished: frozenset[str] | None
    # Whether no rule looks at a word of more letters than LONGEST_ABBREVIATION.
    has_short_abbreviations: bool
    before_number: frozenset[str]
    ordinal_after: frozenset[str]
    byline: Opening | None
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

    def source(key: str) -> str | None:
        parts = [part.replace("{agency}", agencies) for file in files for part in file.get(key, [])]
        return "|".join(f"(?:{part})" for part in parts) if parts else None

    def pattern(key: str) -> re.Pattern[str] | None:
        found = source(key)
        return compile_pattern(found) if found else None

    def opening(key: str) -> Opening | None:
        found = source(key)
        return Opening(found) if found else None

    phrases = tuple(phrase for file in files for phrase in file.get("boilerplate_phrases", []))

    def words(key: str) -> frozenset[str]:
        found = [word for file in files for word in file.get(key, [])]
        return frozenset([*found, *(word.replace(". ", ".") for word in found)])

    listed = {name: words(name) for name in ("abbreviations", "before_number", "ordinal_after")}
    continuation = pattern("continuation")
    longest = max(
        (len(part) for word in listed["abbreviations"] | listed["before_number"] for part in re.split(r"\W", word)),
        default=0,
    )
    second_words = frozenset(word.rpartition(" ")[2] for word in listed["abbreviations"] if " " in word)
    return Rules(
        caption=opening("caption"),
        caption_end=pattern("caption_end"),
        boilerplate=opening("boilerplate"),
        boilerplate_phrases=phrases,
        phrase_words=tuple(sorted({max(_PLAIN_WORD.findall(phrase), key=len).encode() for phrase in phrases})),
        breadcrumbs=pattern("breadcrumbs"),
        continuation=continuation,
        second_words=second_words,
        unfinished=listed["abbreviations"] | listed["before_number"] | second_words if continuation is None else None,
        has_short_abbreviations=continuation is None and longest <= LONGEST_ABBREVIATION,
        **listed,
        byline=opening("byline"),
        agency=compile_pattern(agencies) if agencies else None,
    )


def _read(language: str) -> dict[str, list[str]]:
    # Only codes are file names: a label from elsewhere must not become a path.
    if not (language.isascii() and language.isalpha() and len(language) <= 3):
        return {}
    file = resources.files(__name__) / f"{language.lower()}.toml"
    return tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
