"""The steps that repair a text: named, small, in order, each with what lets it fire.

Belongs here: the steps and their order.  Does not belong here: running them (``repairs``), tables of characters
(``characters``), mojibake (``mojibake``), entities (``entities``).
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from ftfy.chardata import LIGATURES

from tasks.text import characters, mojibake
from tasks.text.entities import has_entities, unescape
from tasks.text.scan import Scan, bits

# No language stacks more marks on a letter: Unicode's stream-safe format allows thirty.  Sorting a longer run for NFC
# costs its length squared.
_MAX_MARKS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One repair: ``apply`` gives the new text and the number of places or characters touched.

    It is asked only about texts that could hold one of the bits in ``needs``.  ``can_fire`` may be wrong in one
    direction only: where it says False, ``apply`` would change nothing.  ``apply_to_clean`` does the same to a text
    without an odd character, sooner.
    """

    apply: Callable[[str], tuple[str, int]]
    can_fire: Callable[[Scan], bool]
    needs: int = bits.ODD
    apply_to_clean: Callable[[str], tuple[str, int]] | None = None


def _wants(pattern: re.Pattern[str]) -> Callable[[Scan], bool]:
    """A step that needs one of these characters."""
    return lambda scan: bool(scan.odd) and pattern.search(scan.odd) is not None


def _delete(wanted: str) -> Step:
    pattern = re.compile(f"[{wanted}]+")

    def apply(text: str) -> tuple[str, int]:
        fixed = pattern.sub("", text)
        return fixed, len(text) - len(fixed)

    return Step(apply=apply, can_fire=_wants(pattern))


def _translate(table: dict[int, str]) -> Step:
    pattern = re.compile("[" + "".join(map(chr, sorted(table))) + "]")

    def apply(text: str) -> tuple[str, int]:
        count = len(pattern.findall(text))
        return (text.translate(table), count) if count else (text, 0)

    return Step(apply=apply, can_fire=_wants(pattern))


def _substitute(pattern: re.Pattern[str], replacement: str) -> Step:
    return Step(apply=lambda text: pattern.subn(replacement, text), can_fire=_wants(pattern))


_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def _join_surrogates(text: str) -> tuple[str, int]:
    text, pairs = _PAIR.subn(lambda pair: pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)
    text, lone = _SURROGATE.subn("\ufffd", text)
    return text, pairs + lone


def _cap_marks(text: str) -> tuple[str, int]:
    marks = "".join(char for char in set(text) if unicodedata.category(char)[0] == "M" or unicodedata.combining(char))
    if not marks:
        return text, 0
    capped = re.sub(f"([{marks}]{{{_MAX_MARKS}}})[{marks}]+", r"\1", text)
    return capped, len(text) - len(capped)


def _compose(text: str) -> tuple[str, int]:
    composed = unicodedata.normalize("NFC", text)
    return composed, 0 if composed == text else mojibake.touched(text, composed)


def _strip(text: str) -> tuple[str, int]:
    stripped = text.strip(" \n")
    return stripped, len(text) - len(stripped)


_BLANK_RUN = re.compile(f"[ {characters.BLANKS}]{{2,}}|[{characters.BLANKS}]")

# Two literal blanks let the search jump from run to run.
_ASCII_BLANK_RUN = re.compile("   *")


def _collapse_blanks(text: str) -> tuple[str, int]:
    odd = any(blank in text for blank in characters.BLANKS)
    return _single_blanks(text, _BLANK_RUN if odd else _ASCII_BLANK_RUN)


def _collapse_ascii_blanks(text: str) -> tuple[str, int]:
    return _single_blanks(text, _ASCII_BLANK_RUN)


def _single_blanks(text: str, run: re.Pattern[str]) -> tuple[str, int]:
    text, runs = run.subn(" ", text)
    if "\n" not in text:
        return text, runs
    edges = text.count(" \n") + text.count("\n ")
    # Runs are single blanks by now, so that two plain replacements clear both sides of every newline.
    return text.replace(" \n", "\n").replace("\n ", "\n"), runs + edges


_ODD_BLANK = re.compile(f"[{characters.BLANKS}]")


def _has_surplus_blanks(scan: Scan) -> bool:
    text = scan.text
    return "  " in text or " \n" in text or "\n " in text or _ODD_BLANK.search(scan.odd) is not None


_NEWLINES = re.compile("\n{3,}")
_ANSI = re.compile("\x1b\\[[0-9;]*[A-Za-z]")

# Named as the column ``repairs`` shows them; the order is part of the meaning.
REPAIRS: dict[str, Step] = {
    # Outer blanks are no part of the text, and almost every file ends in a newline.
    "outer_blanks": Step(
        apply=_strip,
        can_fire=lambda scan: scan.text[:1] in " \n" or scan.text[-1:] in " \n",
        needs=bits.EDGES,
    ),
    # A program that knew UCS-2 only wrote one character as two.
    "surrogates": Step(apply=_join_surrogates, can_fire=_wants(_SURROGATE)),
    # One line end.  Before the controls go, so that words on both sides do not run together.
    "line_ends": _substitute(re.compile(f"\r\n|[{characters.LINE_ENDS}]"), "\n"),
    # Colours for a terminal; their escape character alone would be a control character.
    "terminal_escapes": Step(apply=lambda text: _ANSI.subn("", text), can_fire=lambda scan: "\x1b" in scan.odd),
    "entities": Step(apply=unescape, can_fire=lambda scan: has_entities(scan.text), needs=bits.REFERENCE),
    # They show nothing, split words for every search, and hide mojibake from the next step.  Joiners stay: Persian,
    # Indian scripts and emoji need them.
    "zero_width": _delete(characters.ZERO_WIDTH),
    "bidi_controls": _delete(characters.BIDI_CONTROLS),
    "mojibake": Step(
        apply=mojibake.fix_where_suspicious, can_fire=lambda scan: scan.is_suspicious, needs=bits.MOJIBAKE
    ),
    "c1_controls": Step(apply=mojibake.fix_c1, can_fire=_wants(re.compile("[\x80-\x9f]"))),
    # ﬁ is two letters; æ and œ are not touched.
    "ligatures": _translate({code: str(letters) for code, letters in LIGATURES.items()}),
    "control_characters": _delete(characters.CONTROLS),
    # After mojibake, of which soft hyphens, private characters and odd blanks can be a part.
    "private_use": _delete(characters.PRIVATE),
    "arabic_forms": _translate(characters.ARABIC_FORMS),
    "mathematical_letters": _translate(characters.MATHEMATICAL),
    # Digits and letters only: full-width punctuation is how Chinese and Japanese are written.
    "full_width": _translate(characters.FULL_WIDTH),
    "soft_hyphens": _delete(characters.SOFT_HYPHEN),
    "blanks": Step(
        apply=_collapse_blanks,
        can_fire=_has_surplus_blanks,
        needs=bits.ODD | bits.BLANKS,
        apply_to_clean=_collapse_ascii_blanks,
    ),
    "blank_lines": Step(
        apply=lambda text: _NEWLINES.subn("\n\n", text),
        can_fire=lambda scan: "\n\n\n" in scan.text,
        needs=bits.NEWLINES,
    ),
    # Before composition, which sorts them.
    "combining_marks": Step(apply=_cap_marks, can_fire=lambda scan: bool(scan.odd)),
    "composition": Step(
        apply=_compose,
        can_fire=lambda scan: bool(scan.odd) and not unicodedata.is_normalized("NFC", scan.text),
    ),
}  # fmt: skip
