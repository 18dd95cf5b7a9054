"""A corpus of raw news files to measure on: as many as wanted, the same for the same seed.

    python -m benchmarks.corpus FOLDER --files 20000 [--seed 1]

Belongs here: making the files.  Does not belong here: measuring them.

Lengths are log-normal with the median and the 95th percentile of the 286 German newspaper articles that the evaluation
reads, 2,260 and 5,710 characters, which gives a mean of 2,650; theirs is 2,690.  Nine of ten files are German, the
others one of the samples' other languages.

Paragraphs are log-normal about six with a deviation of 0.17, as in the project's own samples: 27 files of five to nine
each.  The articles have lost their breaks, so that they say nothing of it.

Sentences are those of the samples, in which most words are exchanged for others of their language, kind and length, as
often as the samples have them; some of the long ones are the beginning of one and the end of another, so that there
are about as many different words as in articles.  As many files as there are articles pack as those do, 0.33 with
zstd -19 and 0.38 with zstd -3; 2,000 files 0.30 and 0.37.

``VERSION`` grows with every change of a byte: what was measured on one corpus says nothing about another.
"""

import argparse
import hashlib
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from benchmarks.evaluation.material import Material
from benchmarks.evaluation.row import documents

VERSION = 2
MEDIAN, LOG_DEVIATION = 2_260, 0.564
SHORTEST, LONGEST = 200, 40_000
GERMAN_SHARE = 0.9
PARAGRAPHS, PARAGRAPHS_DEVIATION = 6, 0.17
EXCHANGED_SHARE, BLENDED_SHARE, LONG = 0.85, 0.45, 6
FILES_A_FOLDER = 1_000
# Single letters are parts of abbreviations.
_WORD = re.compile(r"[^\W\d_]{2,}")


@cache
def sentences() -> dict[str, list[str]]:
    """The sentences of the project's own regular samples by language."""
    found: dict[str, list[str]] = {}
    own = [data for name, data in Material(Path()).ordinary if name[:3].isdigit()]
    for result in documents(own):
        for document in result.documents:
            texts = (document.text[segment.start : segment.end] for segment in document.segments)
            found.setdefault(document.language, []).extend(text for text in texts if len(text) >= 20)
    return found


def _kind(word: str) -> tuple[bool, bool, int]:
    """What a word may be exchanged for: others with the same capitals and about as many letters."""
    return word[0].isupper(), word.isupper(), min(len(word) // 3, 3)


@cache
def _words(language: str) -> dict[tuple[bool, bool, int], list[str]]:
    """The words of the samples by their kind, each as often as it is there."""
    found: dict[tuple[bool, bool, int], list[str]] = {}
    for text in sentences()[language]:
        for word in _WORD.findall(text):
            found.setdefault(_kind(word), []).append(word)
    return found


def _varied(text: str, language: str, random_: random.Random) -> str:
    words = _words(language)

    def other(match: re.Match[str]) -> str:
        if random_.random() >= EXCHANGED_SHARE:
            return match[0]
        alike = words[_kind(match[0])]
        word, end = random_.choice(alike), random_.choice(alike)
        if len(word) < LONG or len(end) < LONG or random_.random() >= BLENDED_SHARE:
            return word
        return word[: random_.randrange(3, len(word))] + end[random_.randrange(2, len(end) - 2) :].lower()

    return re.sub(r"\d", lambda _: str(random_.randrange(10)), _WORD.sub(other, text))


def article(random_: random.Random) -> str:
    """One raw file's text, header included."""
    others = sorted(sentences().keys() - {"de"})
    language = "de" if random_.random() < GERMAN_SHARE else random_.choice(others)
    wanted = min(LONGEST, max(SHORTEST, round(MEDIAN * random_.lognormvariate(0, LOG_DEVIATION))))
    chosen: list[str] = []
    while sum(map(len, chosen)) + len(chosen) < wanted:
        chosen.append(_varied(random_.choice(sentences()[language]), language, random_))
    breaks = min(len(chosen), round(PARAGRAPHS * random_.lognormvariate(0, PARAGRAPHS_DEVIATION))) - 1
    for number in random_.sample(range(1, len(chosen)), breaks):
        chosen[number] = f"\n\n{chosen[number]}"
    text = " ".join(chosen).replace(" \n", "\n")[:wanted].rstrip()
    return f" date {random_.randrange(2010, 2020)}-{random_.randrange(1, 13):02d} {text}\n"


def files(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Path below the corpus and bytes of each file."""
    random_ = random.Random(seed)
    for number in range(count):
        data = article(random_).encode()
        name = f"{number % FILES_A_FOLDER:03d}_{hashlib.sha256(data).hexdigest()[:16]}.txt"
        yield f"{number // FILES_A_FOLDER:04d}/{name}", data


def write(folder: Path, count: int, seed: int = 1) -> int:
    """Write the corpus below ``folder``, which must not exist; returns its size in bytes."""
    folder.mkdir(parents=True)
    total = 0
    for path, data in files(count, seed):
        (folder / path).parent.mkdir(exist_ok=True)
        total += (folder / path).write_bytes(data)
    return total


def main() -> None:
    """Make one corpus and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    size = write(options.folder, options.files, options.seed)
    print(f"{options.files} files, {size / 1e6:.1f} MB in {options.folder}")


if __name__ == "__main__":
    main()
