"""Articles a CPU second on one core, beside langdetect in the same run.

Belongs here: throughput.  Does not belong here: the start of a process (``start``), hostile input (``hostile``).

All that is compared takes turns, so that a busy machine slows all of it alike; ratios are taken within a round and
their median is reported.
"""

import statistics
from collections.abc import Iterator

from benchmarks.evaluation import naive
from benchmarks.evaluation.material import Material
from benchmarks.evaluation.row import OPTIONS, Row, as_files, cpu
from tasks.document import documents_of
from tasks.plan import BatchLimits
from tasks.text import language
from tasks.text.language import detector

ENGINE_RATIO, CORE_RATIO = 75, 24
# What the promise was measured beside: 3,000 articles a second where langdetect alone does this many.
CORE_SPEED, NAIVE_SPEED = 3_000, 125
ROUNDS, QUICK_ROUNDS = 7, 3
NAIVE_ARTICLES = 60
REPEATED = 5


def rows(material: Material) -> Iterator[Row]:
    """The language engine, then the whole text core."""
    articles = material.articles
    rounds = QUICK_ROUNDS if material.quick else ROUNDS
    language.preload()
    naive.factory()
    yield _engine(articles, rounds)
    yield _core(articles, rounds)


def _naive_seconds(articles: list[str], number: int) -> float:
    """Seconds an article; every round takes other articles, from all over the list."""
    sample = articles[number :: max(1, len(articles) // NAIVE_ARTICLES)]
    return cpu(lambda: naive.labels(sample)) / len(sample)


def _engine(articles: list[str], rounds: int) -> Row:
    labelled, decided = [], []
    language.detect_many(articles)
    for number in range(rounds):
        alone = _naive_seconds(articles, number)
        size = REPEATED * len(articles)
        labels = cpu(lambda: [detector.detector_labels(articles) for _ in range(REPEATED)]) / size
        decision = cpu(lambda: [language.detect_many(articles) for _ in range(REPEATED)]) / size
        labelled.append(alone / labels)
        decided.append(alone / decision)
    return Row(
        what="language engine on articles, against langdetect",
        least=f"{ENGINE_RATIO} times",
        found=f"labels {statistics.median(labelled):.0f} times, labels and decision {statistics.median(decided):.0f}",
        holds=statistics.median(labelled) >= ENGINE_RATIO,
        how=f"CPU, one core, {len(articles)} articles a call, median of {rounds} rounds in turn",
        details={"labels": labelled, "decisions": decided},
    )


def _batch(articles: list[str]) -> list[bytes]:
    """As many articles as ingest hands over at once, each with the header of a crawl."""
    limits = BatchLimits()
    contents: list[bytes] = []
    size = 0
    while articles:
        data = f" date 2019-04 {articles[len(contents) % len(articles)]}\n".encode()
        size += len(data)
        if size > limits.batch_bytes or len(contents) >= limits.batch_files:
            break
        contents.append(data)
    return contents


def _core(articles: list[str], rounds: int) -> Row:
    files = as_files(_batch(articles))
    documents_of(files[:50], OPTIONS)
    alone, whole = [], []
    for number in range(rounds):
        alone.append(_naive_seconds(articles, number))
        whole.append(cpu(lambda: documents_of(files, OPTIONS)) / len(files))
    ratio = statistics.median(naive_one / core for naive_one, core in zip(alone, whole, strict=True))
    beside, speed = 1 / statistics.median(alone), 1 / statistics.median(whole)
    expected = CORE_SPEED * min(1.0, beside / NAIVE_SPEED)
    return Row(
        what="whole text core, German articles, one core",
        least=f"{CORE_RATIO} times langdetect; {CORE_SPEED:,}/s CPU where it does {NAIVE_SPEED}",
        found=f"{ratio:.1f} times; {speed:,.0f}/s beside {beside:.0f}/s",
        holds=ratio >= CORE_RATIO and (speed >= expected or ratio >= CORE_SPEED / NAIVE_SPEED),
        how=f"documents_of, decode to segments and language, {len(files):,} files a call as ingest does, "
        f"median of {rounds} rounds in turn",
        details={"langdetect_us": [1e6 * s for s in alone], "core_us": [1e6 * s for s in whole]},
    )
