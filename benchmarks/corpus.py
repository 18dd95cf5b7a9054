"""A corpus of raw news files to measure on: as many as wanted, the same for the same seed.

    python -m benchmarks.corpus FOLDER --files 20000 [--seed 1]

Belongs here: making the files.  Does not belong here: measuring them.

Every sentence comes from the project's own samples.  So that the corpus does not compress as only repetition does, a
share of the capitalised words inside a sentence is exchanged for others of the same language, and digits are drawn
anew.  Lengths follow a log-normal distribution fitted to German newspaper articles (median 2,090 characters, mean
2,690, 5 % above 5,700); 90 of 100 files are German, the others one of the samples' other languages.
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

LOG_MEAN, LOG_DEVIATION = 7.644, 0.728
SHORTEST, LONGEST = 200, 40_000
GERMAN_SHARE = 0.9
SENTENCES_A_PARAGRAPH = 4
EXCHANGED_SHARE = 0.4
FILES_A_FOLDER = 1_000
_INNER_CAPITALISED = re.compile(r"(?<=[^\W\d_] )[^\W\d_a-zß-öø-ÿ][^\W\d_]{3,}")


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


@cache
def _capitalised(language: str) -> list[str]:
    return sorted({word for text in sentences()[language] for word in _INNER_CAPITALISED.findall(text)})


def _varied(text: str, language: str, random_: random.Random) -> str:
    words = _capitalised(language)
    if words:
        text = _INNER_CAPITALISED.sub(
            lambda match: random_.choice(words) if random_.random() < EXCHANGED_SHARE else match[0], text
        )
    return re.sub(r"\d", lambda _: str(random_.randrange(10)), text)


def article(random_: random.Random) -> str:
    """One raw file's text, header included."""
    others = sorted(sentences().keys() - {"de"})
    language = "de" if random_.random() < GERMAN_SHARE else random_.choice(others)
    wanted = min(LONGEST, max(SHORTEST, round(random_.lognormvariate(LOG_MEAN, LOG_DEVIATION))))
    paragraphs: list[str] = []
    size = 0
    while size < wanted:
        chosen = (random_.choice(sentences()[language]) for _ in range(SENTENCES_A_PARAGRAPH))
        paragraphs.append(" ".join(_varied(text, language, random_) for text in chosen))
        size += len(paragraphs[-1]) + 2
    text = "\n\n".join(paragraphs)[:wanted].rstrip()
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
