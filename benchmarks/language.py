"""Speed and accuracy of the language package against seeded langdetect, side by side, as JSON.

    python -m benchmarks.language [--rounds 5] [--texts 286] [--articles FILE] [--sentences FOLDER]

Speed: CPU seconds on one core; in each round langdetect, the replay and the whole decision take turns on the same
texts, so that a busy machine slows all of them; the median of the rounds' ratios is reported.  Fewer texts a call
cost more each: replay and pycld2 push each other's tables out of the processor's caches.
"""

import argparse
import gc
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tasks.text import language
from tasks.text.language import codes, detector, labels

MATERIAL = Path(__file__).parents[1].parent / "shared" / "data"
START = """
import json, re, sys, time
wall, cpu = time.perf_counter(), time.process_time()
from tasks.text import language
imported = time.process_time() - cpu
{}
language.detect_many(["Der Rat der Stadt hat den Haushalt beschlossen."])
print(json.dumps({{"import_cpu_s": imported, "cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall,
    "peak_rss_mb": int(re.search(r"VmHWM:\\s+([0-9]+)", open("/proc/self/status").read())[1]) / 1024}}))
"""


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def speed(texts: list[str], rounds: int) -> dict[str, float]:
    """The three take turns on the same texts."""
    size = len(texts)
    rows = []
    labels.factory()
    gc.freeze()  # or each full collection during the others' turns would walk through langdetect's profiles
    for _ in range(rounds):
        naive = cpu(lambda: labels.labels_of(texts)) / size
        # Repeated to last as long as a clock can measure; in turn, so that both see the same machine.
        replay = cpu(lambda: [detector.detector_labels(texts) for _ in range(10)]) / size / 10
        whole = cpu(lambda: [language.detect_many(texts) for _ in range(10)]) / size / 10
        rows.append((naive, replay, whole))
    return {
        "texts": size,
        "mean_characters": round(statistics.mean(map(len, texts)), 1),
        "langdetect_us": round(statistics.median(row[0] for row in rows) * 1e6, 1),
        "replay_us": round(statistics.median(row[1] for row in rows) * 1e6, 1),
        "decision_us": round(statistics.median(row[2] for row in rows) * 1e6, 1),
        "replay_ratio": round(statistics.median(row[0] / row[1] for row in rows), 1),
        "decision_ratio": round(statistics.median(row[0] / row[2] for row in rows), 1),
    }


def accuracy(folder: Path) -> dict[str, float]:
    """Shares of right answers; the rules were made on every other sentence, from the first on."""
    gold, texts, halves = [], [], []
    for file in sorted(folder.glob("*.txt")):
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        texts += lines
        halves += [number % 2 for number in range(len(lines))]
        gold += [codes.fold(file.stem)] * len(lines)
    found = language.detect_many(texts)
    right = [g == d.language for g, d in zip(gold, found, strict=True)]
    result: dict[str, float] = {"sentences": len(texts)}
    for half, name in ((0, "made_on"), (1, "reported_on")):
        rows = [(ok, g in codes.KNOWN) for ok, g, h in zip(right, gold, halves, strict=True) if h == half]
        result[f"{name}_all"] = round(statistics.mean(ok for ok, _ in rows), 4)
        result[f"{name}_known_to_langdetect"] = round(statistics.mean(ok for ok, known in rows if known), 4)
    deciders: dict[str, list[bool]] = {}
    for ok, detection in zip(right, found, strict=True):
        deciders.setdefault(detection.language_decided_by.value, []).append(ok)
    result |= {f"right_by_{name}": round(statistics.mean(rows), 4) for name, rows in sorted(deciders.items())}
    return result


def start(prepare: str) -> dict[str, float]:
    """What a fresh process pays until its first answer."""
    done = subprocess.run([sys.executable, "-c", START.format(prepare)], check=True, capture_output=True, text=True)
    return {name: round(value, 3) for name, value in json.loads(done.stdout).items()}


def main() -> None:
    """Prints the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=Path, default=MATERIAL / "articles_de.jsonl")
    parser.add_argument("--sentences", type=Path, default=MATERIAL / "languages")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=286)
    options = parser.parse_args()
    language.preload()
    articles = [json.loads(line)["text"] for line in options.articles.open(encoding="utf-8")]
    sentences = (options.sentences / "de.txt").read_text(encoding="utf-8").splitlines()
    report = {
        "python": sys.version.split()[0],
        "fingerprint": language.fingerprint(),
        "articles": speed(articles[: options.texts], options.rounds),
        "german_sentences": speed(sentences[: options.texts], options.rounds),
        "accuracy": accuracy(options.sentences),
        "start_warm": start("language.preload()"),
        "start_without_cache": start("language.configure(None); language.preload()"),
        "start_few_texts_without_cache": start("language.configure(None)"),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
