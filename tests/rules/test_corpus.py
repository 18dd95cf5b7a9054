"""The corpus that everything is measured on is what its module says of it."""

import hashlib
import re
import statistics
from pathlib import Path

import pytest
from backports import zstd

from benchmarks import corpus
from benchmarks.evaluation.row import documents

FILES, SEED = 1_000, 1
HEADER = re.compile(r" date \d{4}-\d\d ")


@pytest.fixture(scope="module")
def contents() -> list[bytes]:
    return [data for _, data in corpus.files(FILES, SEED)]


@pytest.fixture(scope="module")
def texts(contents: list[bytes]) -> list[str]:
    return [HEADER.sub("", data.decode(), count=1).rstrip("\n") for data in contents]


def test_lengths_have_the_median_and_the_95th_percentile_of_articles(texts: list[str]) -> None:
    lengths = [len(text) for text in texts]
    assert statistics.median(lengths) == pytest.approx(2_260, rel=0.06)
    assert statistics.quantiles(lengths, n=20)[-1] == pytest.approx(5_710, rel=0.1)
    assert statistics.mean(lengths) == pytest.approx(2_690, rel=0.06)


def test_paragraphs_are_as_many_as_those_of_the_samples(texts: list[str]) -> None:
    counts = [text.count("\n\n") + 1 for text in texts if len(text) > 1_000]
    assert statistics.median(counts) == 6
    assert sum(5 <= count <= 9 for count in counts) > 0.85 * len(counts)


def test_nine_of_ten_files_are_german_by_newsmill_s_own_label(contents: list[bytes]) -> None:
    labels = [document.language for result in documents(contents) for document in result.documents]
    assert len(labels) == FILES
    assert labels.count("de") / FILES == pytest.approx(0.9, abs=0.03)
    assert set(labels) == set(corpus.sentences())


def test_it_packs_as_articles_do(contents: list[bytes]) -> None:
    as_many_as_the_articles = b"\n".join(contents[:286])
    assert 0.30 <= len(zstd.compress(as_many_as_the_articles, 19)) / len(as_many_as_the_articles) <= 0.36
    assert 0.35 <= len(zstd.compress(as_many_as_the_articles, 3)) / len(as_many_as_the_articles) <= 0.41


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(tmp_path: Path) -> None:
    size = corpus.write(tmp_path / "one", 50, seed=3)
    written = {str(path.relative_to(tmp_path / "one")): path.read_bytes() for path in (tmp_path / "one").rglob("*.txt")}
    assert written == dict(corpus.files(50, seed=3))
    assert size == sum(map(len, written.values()))
    assert set(written.values()).isdisjoint(data for _, data in corpus.files(50, seed=4))


def test_other_bytes_have_another_version() -> None:
    """What changes them raises ``VERSION``, and is written here beside it."""
    digest = hashlib.sha256(b"".join(data for _, data in corpus.files(50, seed=1))).hexdigest()
    assert (corpus.VERSION, digest[:16]) == (2, "612e84802e446207")
