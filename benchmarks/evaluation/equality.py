"""Labels and probabilities, against langdetect itself, text by text.

Belongs here: comparing.  Does not belong here: making texts (``kinds``), speed (``speed``).
"""

import sys
from collections import Counter
from collections.abc import Iterator

from benchmarks.evaluation import naive
from benchmarks.evaluation.kinds import texts_of
from benchmarks.evaluation.material import Material
from benchmarks.evaluation.row import Row, chunks
from tasks.text import language

FEWEST = 200_000
QUICK_SHARE = 0.02
AT_ONCE = 2_000
TELL_EVERY = 5


def rows(material: Material) -> Iterator[Row]:
    """One row; each different text counts once."""
    share = QUICK_SHARE if material.quick else 1.0
    kinds = texts_of(material, share)
    language.preload()
    differences = []
    for number, texts in enumerate(chunks(list(kinds), AT_ONCE)):
        for text, ours, theirs in zip(texts, language.detect_many(texts), naive.labels(texts), strict=True):
            found = ours.detector_label, ours.detector_probability
            # Floats are compared with ==: every bit of the probability counts.
            if found != theirs:
                differences.append((kinds[text], ascii(text[:60]), found, theirs))
        if number % TELL_EVERY == TELL_EVERY - 1:  # a quarter of an hour needs a sign of life
            done = AT_ONCE * (number + 1)
            print(f"equality: {done:,} of {len(kinds):,}, {len(differences)} differences", file=sys.stderr, flush=True)
    fewest = round(FEWEST * share)
    counts = Counter(kinds.values())
    yield Row(
        what="language: label and probability equal langdetect's",
        least=f"0 mismatches in {fewest:,}",
        found=f"{len(differences)} in {len(kinds):,}",
        holds=not differences and len(kinds) >= fewest,
        how="seed 0, sorted profiles, ==: " + ", ".join(f"{kind} {count:,}" for kind, count in counts.items()),
        details={"counts": dict(counts), "differences": differences[:50]},
    )
