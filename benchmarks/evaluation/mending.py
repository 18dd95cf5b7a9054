"""Repairs: mojibake is undone, and clean text is left alone.

Belongs here: what repairs do to known texts.  Does not belong here: random texts (``stable``).
"""

import difflib
from collections.abc import Iterator

from benchmarks.evaluation.material import Material
from benchmarks.evaluation.row import Row, documents
from tasks.text.encoding import decode
from tasks.text.header import parse
from tasks.text.repairs import repair

QUOTES = str.maketrans("“”„‟‘’‚‛ʼ", "\"\"\"\"'''''")
# The reference folds these, newsmill keeps them: a text with them may differ in them alone.
WIDTHS = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
EXCEPTIONS = 1


def rows(material: Material) -> Iterator[Row]:
    """Mojibake, then clean text."""
    yield _mojibake(material)
    yield _clean(material)


def _mojibake(material: Material) -> Row:
    cases = [case for case in material.mojibake if case["expect"] == "pass"]
    wrong, width = [], []
    for case in cases:
        found = repair(case["original"]).text.translate(QUOTES)
        # The reference is normalised as well: surplus blanks in it are not what the case is about.
        if found == repair(case["fixed"]).text.translate(QUOTES):
            continue
        is_width = found.translate(WIDTHS) == case["fixed"].translate(QUOTES).translate(WIDTHS)
        (width if is_width else wrong).append(case["label"])
    return Row(
        what="mojibake: cases that expect success",
        least="all but the width-folded one",
        found=f"{len(cases) - len(wrong) - len(width)}/{len(cases)}, width-folded {len(width)}",
        holds=bool(cases) and not wrong and len(width) <= EXCEPTIONS,
        how="repair(original) against the fix, quotes folded",
        details={"wrong": wrong, "width": width},
    )


def _clean(material: Material) -> Row:
    """Samples through the whole core; articles, where surplus blanks are no change of a character."""
    changed: dict[str, int] = {}
    for (name, data), result in zip(material.ordinary, documents(data for _, data in material.ordinary), strict=True):
        text = decode(data).text
        expected = text[parse(text).body_start :].strip()
        found = result.documents[0].text if result.documents else ""
        if found != expected:
            changed[name] = differing(expected, found)
    blanks = 0
    for number, text in enumerate(material.articles):
        found = repair(text).text
        if found.split() != text.split():
            changed[f"article {number}"] = differing(" ".join(text.split()), " ".join(found.split()))
        blanks += found != text.strip()
    return Row(
        what="samples and clean text: characters changed",
        least="0",
        found=f"{sum(changed.values())} (surplus blanks in {blanks} articles)",
        holds=bool(material.ordinary) and not changed,
        how=f"{len(material.ordinary)} samples without a planted defect, {len(material.articles)} articles; "
        "beyond outer blanks and the header",
        details=dict(changed),
    )


def differing(before: str, after: str) -> int:
    """Characters of the longer side of every difference, at least one.

    >>> differing("abc", "axc"), differing("ab", "ab ")
    (1, 1)
    """
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    return max(1, sum(max(b - a, d - c) for kind, a, b, c, d in matcher.get_opcodes() if kind != "equal"))
