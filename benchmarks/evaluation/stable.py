"""Normalising random text: it never fails, and a second time changes nothing.

Belongs here: generated text.  Does not belong here: known texts (``mending``).
"""

import string
from collections.abc import Iterator

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from benchmarks.evaluation.material import Material
from benchmarks.evaluation.row import Row
from tasks.text.repairs import repair

EXAMPLES = 50_000
QUICK = 3_000

# What repairs look for, in the pieces that a broken pipeline leaves behind.
PIECES = (
    *(
        "Stra\u00c3\u0178e",
        "\u00e2\u20ac\u017e",
        "\u00c3\u00a4",
        "\u00c3",
        "\u00c2\u00a0",
        "\u0420\u045f",
        "\u00d0\u00bc",
    ),
    *("&amp;", "&", "amp;", "#38;", "&#x26;", "lt;", "&lt;", "<", "b>", "&auml;", "&num;", "&nbsp", ";"),
    *("\u200b", "\u2060", "\ufeff", "\u200e", "\u202b", "\u2069", "\u200c", "\u200d", "\u00ad"),
    *("\r", "\r\n", "\n", "\n\n\n", "\v", "\x1c", "\u2028", "\u0085", "\t", " ", "  ", "\u00a0", "\u3000"),
    *("\x00", "\x7f", "\x1b[1m", "\x1b", "[0m", "\x80", "\x93", "\u0301", "\u0323", "\u0327" * 33, "\u0345"),
    *("\ud83d", "\ude00", "\udc80", "\ue001", "\ufdd1", "\uffff", "\U000e0fff", "\ufffd", "\ufb01", "\ufdfa"),
    *("\uff21", "\uff19", "\uff0c", "\U0001d7d8", "\u1100", "\u1161", "\u11a8", "\uac00", "\u212b", "o", "Ko.Ln"),
)

from_pieces = st.lists(st.one_of(st.sampled_from(PIECES), st.text(string.ascii_letters, max_size=3)), max_size=16)
# Every code point: halves of surrogate pairs, private and unassigned ones as well.
any_text = st.text(st.characters(codec=None, exclude_categories=[]), max_size=60)
texts = st.one_of(any_text, from_pieces.map("".join), st.tuples(any_text, from_pieces.map("".join)).map("".join))


def failure_of(examples: int) -> tuple[int, str | None]:
    """Examples tried, and the shortest text that breaks the promise, escaped."""
    tried = 0
    last = ""

    @seed(20191124)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(texts)
    def check(text: str) -> None:
        nonlocal tried, last
        tried += 1
        last = text
        found = repair(text)
        again = repair(found.text)
        assert (again.text, again.repairs) == (found.text, ())
        found.text.encode()

    try:
        check()
    except Exception as error:  # noqa: BLE001 - total means that nothing at all comes out
        return tried, f"{last!a}: {error!r}"[:300]
    return tried, None


def rows(material: Material) -> Iterator[Row]:
    """One row."""
    examples = QUICK if material.quick else EXAMPLES
    tried, failure = failure_of(examples)
    yield Row(
        what="normalising is idempotent and total",
        least=f"0 failures in {examples:,}",
        found=f"{0 if failure is None else 1} in {tried:,}",
        holds=failure is None and tried >= examples,
        how="hypothesis, one seed: all code points, lone surrogates and unassigned ones, hostile pieces",
        details={} if failure is None else {"failure": failure},
    )
