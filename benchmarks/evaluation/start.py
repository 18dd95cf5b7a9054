"""What a fresh process pays before its first answer, and what a handful of texts costs.

Belongs here: start-up.  Does not belong here: throughput (``speed``).
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.evaluation.material import ROOT, Material
from benchmarks.evaluation.row import Row

MOST_SECONDS = 3.0
# A handful may cost what langdetect itself needs for it, and the other opinions.
MORE_THAN_NAIVE = 0.5
NAIVE = """
import langdetect
langdetect.DetectorFactory.seed = 0
for text in texts: langdetect.detect_langs(text)
"""
OURS = """
from pathlib import Path
from tasks.text import language
language.configure(Path({cache!r}))
{prepare}
language.detect_many(texts)
"""
AROUND = """
import json, sys, time
texts = json.loads(sys.stdin.read())
start = time.process_time()
{work}
print(json.dumps([time.process_time() - start, "numba" in sys.modules, "llvmlite" in sys.modules]))
"""


def _run(work: str, texts: list[str]) -> tuple[float, bool]:
    """CPU seconds, and whether a compiler was loaded."""
    done = subprocess.run(
        [sys.executable, "-c", AROUND.format(work=work)],
        check=True, capture_output=True, text=True, input=json.dumps(texts), cwd=ROOT,
    )  # fmt: skip
    seconds, *compilers = json.loads(done.stdout)
    return float(seconds), any(compilers)


def rows(material: Material) -> Iterator[Row]:
    """With and without tables in the cache, then a handful of texts."""
    texts = material.articles[:5]
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        ours = OURS.format(cache=str(cache), prepare="")
        loaded = OURS.format(cache=str(cache), prepare="language.preload()")
        few, compiles = _run(ours, texts)
        leaves = cache.exists()
        naive, _ = _run(NAIVE, texts)
        cold, _ = _run(loaded, texts[:1])
        warm = sorted(_run(loaded, texts[:1])[0] for _ in range(3))
        few_warm, _ = _run(ours, texts)
    yield Row(
        what="language engine, start-up of a run",
        least=f"≤ {MOST_SECONDS:.0f} s CPU",
        found=f"{warm[1]:.2f} s; building the tables, once a machine, {cold:.1f} s",
        holds=warm[1] <= MOST_SECONDS,
        how="fresh process until its first answer, tables in the cache; an empty cache",
    )
    yield Row(
        what="a handful of texts",
        least="no start-up",
        found=f"{few:.2f} s (langdetect alone {naive:.2f} s), with tables {few_warm:.2f} s",
        holds=not compiles and not leaves and few <= naive + MORE_THAN_NAIVE,
        how=f"fresh process, {len(texts)} articles, empty cache: no compiler loaded, nothing built or written",
    )
