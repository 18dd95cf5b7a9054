"""newsmill beside what a user would pick instead, and beside itself; as JSON and as the tables of docs/performance.md.

    python -m benchmarks.compare TOPIC … [--rounds 3] [--work FOLDER] [--peers FOLDER] [--json FILE]

Topics: peers, prefect, noop, scale, size, start.  Everything that is compared takes turns within one run, ratios are
taken within a round, and their median is reported: this says something on a busy machine, too.

Belongs here: what is compared with what.  Does not belong here: running commands (``process``), making a corpus.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import corpus, process
from benchmarks.evaluation.material import BESIDE, Material
from benchmarks.process import Run

NEWSMILL = Path(sys.executable).with_name("newsmill")
PEERS = Path(__file__).with_name("peers")
SMALL, MIDDLE, LARGE, HUGE = 2_000, 20_000, 100_000, 200_000


@dataclass(frozen=True, slots=True)
class Bench:
    """Where corpora and homes lie, where the peers' environments are, and how often everything is run."""

    work: Path
    peers: Path
    rounds: int

    def files(self, count: int) -> Path:
        """The corpus of so many files, made where it is not there."""
        folder = self.work / f"corpus-{corpus.VERSION}-{count}"
        if not folder.exists():
            draft = folder.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            corpus.write(draft, count, seed=count)
            draft.rename(folder)
        return folder

    def fresh(self, name: str) -> Path:
        """A place that does not exist yet."""
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def ingest(self, count: int, *more: str, home: str = "home", environment: dict[str, str] | None = None) -> Run:
        """One ingest of a corpus into a new home."""
        return process.run(
            [NEWSMILL, "ingest", "--home", self.fresh(home), self.files(count), "--format", "json", *more], environment
        )

    def peer(self, name: str, script: str, count: int) -> Run:
        """One run of a peer into a new folder; it must say how many documents it has."""
        done = process.run(
            [self.peers / name / "bin" / "python", PEERS / script, self.files(count), self.fresh(f"peer-{name}")],
            {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"},
        )
        assert done.out.split()[-1] == str(count), done.out[-500:]
        return done


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: what was asked, what was found, and the figures behind it."""

    what: str
    least: str
    found: str
    holds: bool
    details: dict[str, object] = field(default_factory=dict)


def _figures(runs: Sequence[Run]) -> dict[str, list[float]]:
    return {
        "wall_s": [round(run.wall, 2) for run in runs],
        "cpu_s": [round(run.cpu, 2) for run in runs],
        "peak_mb": [round(run.peak_mb) for run in runs],
    }


def peers(bench: Bench) -> Iterator[Row]:
    """Wall for each document against the naive script, datatrove, dlt and dask."""
    runs: dict[str, list[Run]] = {}
    for _ in range(bench.rounds):
        runs.setdefault("newsmill 20k", []).append(bench.ingest(MIDDLE, "--direct"))
        runs.setdefault("naive", []).append(bench.peer("naive", "naive.py", SMALL))
        runs.setdefault("datatrove", []).append(bench.peer("datatrove", "trove.py", MIDDLE))
        runs.setdefault("newsmill 100k", []).append(bench.ingest(LARGE, "--direct"))
        runs.setdefault("dlt", []).append(bench.peer("dlt", "load.py", MIDDLE))
        runs.setdefault("dask", []).append(bench.peer("dask", "bag.py", MIDDLE))
    for name, count, ours, own, least in (
        ("naive", SMALL, "newsmill 100k", LARGE, 28.0),
        ("datatrove", MIDDLE, "newsmill 20k", MIDDLE, 2.5),
        ("dlt", MIDDLE, "newsmill 20k", MIDDLE, 1.4),
        ("dask", MIDDLE, "newsmill 20k", MIDDLE, 0.0),
    ):
        ratios = [(peer.wall / count) / (mine.wall / own) for peer, mine in zip(runs[name], runs[ours], strict=True)]
        ratio = statistics.median(ratios)
        yield Row(
            f"{name} on {count:,} files, wall a document against {ours}",
            f"{least:g} times" if least else "–",
            f"{ratio:.2f} times",
            ratio >= least,
            {"ratios": ratios, name: _figures(runs[name]), ours: _figures(runs[ours])},
        )


def _flow_seconds(home: Path) -> float:
    """How long the last run of a home took, from the start of the flow to the snapshot that shows it."""
    asked = "SELECT epoch(max(started_at)) AS began FROM runs"
    found = process.run([NEWSMILL, "sql", asked, "--home", home, "--format", "json"])
    newest = max((home / "versions").glob("warehouse-*.duckdb"))
    return newest.stat().st_mtime - float(json.loads(found.out)[0]["began"])


def prefect(bench: Bench) -> Iterator[Row]:
    """The same flow under a running Prefect server against ``--direct``, from the start of the flow."""
    import httpx

    home = bench.fresh("prefect")
    home.mkdir(parents=True)
    port = 14_200 + os.getpid() % 1000
    settings = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
    }
    server = subprocess.Popen(
        [Path(sys.executable).with_name("prefect"), "server", "start", "--no-ui", "--port", str(port)],
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 180
        while time.monotonic() < until:
            try:
                if httpx.get(f"{settings['PREFECT_API_URL']}/health", timeout=2).is_success:
                    break
            except httpx.HTTPError:
                time.sleep(0.5)
        ratios, figures = [], []
        for _ in range(bench.rounds):
            bench.ingest(LARGE, "--direct", home="direct")
            direct = _flow_seconds(bench.work / "direct")
            bench.ingest(LARGE, home="tracked", environment=settings)
            tracked = _flow_seconds(bench.work / "tracked")
            ratios.append(tracked / direct)
            figures.append({"direct_s": direct, "tracked_s": tracked})
    finally:
        server.terminate()
        server.wait(60)
    ratio = statistics.median(ratios)
    yield Row(
        f"{LARGE:,} files under a running Prefect server against --direct", "≤ 1.10", f"{ratio:.3f}", ratio <= 1.10,
        {"ratios": ratios, "runs": figures},
    )  # fmt: skip


# The modules of a run, in the order in which they were imported.
LOADED = """
import sys
from flows.cli.main import main
where = sys.argv.pop(1)
try:
    main()
finally:
    with open(where, "w") as file:
        print(*(name for name, module in sys.modules.items() if getattr(module, "__spec__", None)), file=file)
"""
WALK = """
import importlib, os, sys
for name in open(sys.argv[2]).read().split():
    importlib.import_module(name)
def walk(folder):
    with os.scandir(folder) as scan:
        for entry in scan:
            if entry.is_dir(follow_symlinks=False):
                walk(entry.path)
            else:
                entry.stat(follow_symlinks=False)
walk(sys.argv[1])
"""


def noop(bench: Bench) -> Iterator[Row]:
    """A run that finds nothing new against a bare walk with the same imports."""
    bench.ingest(LARGE, "--direct")
    given = ["ingest", "--home", bench.work / "home", bench.files(LARGE), "--direct"]
    loaded = bench.work / "modules.txt"
    process.run([sys.executable, "-c", LOADED, loaded, *given])
    again, bare = [NEWSMILL, *given], [sys.executable, "-c", WALK, bench.files(LARGE), loaded]
    process.run(again)
    pairs = [(process.run(again), process.run(bare)) for _ in range(max(5, bench.rounds))]
    ratio = statistics.median(ours.wall / walk.wall for ours, walk in pairs)
    yield Row(
        f"no-op run over {LARGE:,} files against scandir, stat and imports", "≤ 1.4", f"{ratio:.2f}", ratio <= 1.4,
        {"newsmill": _figures([ours for ours, _ in pairs]), "bare": _figures([walk for _, walk in pairs])},
    )  # fmt: skip


def scale(bench: Bench) -> Iterator[Row]:
    """How wall and memory grow from 20,000 to 200,000 files."""
    pairs = [(bench.ingest(MIDDLE, "--direct"), bench.ingest(HUGE, "--direct")) for _ in range(bench.rounds)]
    growth = statistics.median((large.wall / HUGE) / (small.wall / MIDDLE) for small, large in pairs)
    small = statistics.median(run.peak_mb for run, _ in pairs)
    large = statistics.median(run.peak_mb for _, run in pairs)
    details: dict[str, object] = {
        f"{MIDDLE:,}": _figures([run for run, _ in pairs]), f"{HUGE:,}": _figures([run for _, run in pairs]),
    }  # fmt: skip
    yield Row("wall a document, 200,000 files against 20,000", "≤ 1.1", f"{growth:.2f}", growth <= 1.1, details)
    yield Row(
        "peak memory (summed PSS) at 20,000 and 200,000 files", "≤ 750 MB, within 10 %",
        f"{small:.0f} and {large:.0f} MB", max(small, large) <= 750 and abs(large - small) <= 0.1 * max(small, large),
    )  # fmt: skip


def _bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def size(bench: Bench) -> Iterator[Row]:
    """Bytes of the lake and of the home against the raw files."""
    articles = bench.fresh("articles")
    articles.mkdir(parents=True)
    for number, text in enumerate(Material(BESIDE).articles):
        (articles / f"{number:03d}.txt").write_text(f" date 2019-04 {text}\n", encoding="utf-8")
    packed = subprocess.run(
        f"tar -C {articles} -cf - . | zstd -19 -c | wc -c", shell=True, check=True, capture_output=True, text=True
    )
    home = bench.fresh("articles-home")
    process.run([NEWSMILL, "ingest", "--home", home, articles, "--direct"])
    written = _bytes(home / "lake") / int(packed.stdout)
    yield Row("lake against tar | zstd -19, articles, as written", "≤ 1.35", f"{written:.3f}", written <= 1.35)
    process.run([NEWSMILL, "compact", "--home", home, "--set", "compact_grace_seconds=0"])
    merged = _bytes(home / "lake") / int(packed.stdout)
    yield Row("lake against tar | zstd -19, articles, compacted", "≤ 1.2", f"{merged:.3f}", merged <= 1.2)
    bench.ingest(MIDDLE, "--direct")
    home = bench.work / "home"
    whole = _bytes(home / "lake") + home.joinpath("ledger.sqlite").stat().st_size
    whole += (home / "warehouse.duckdb").resolve().stat().st_size
    ratio = whole / _bytes(bench.files(MIDDLE))
    yield Row(f"home against raw bytes, {MIDDLE:,} documents", "≤ 2.2", f"{ratio:.2f}", ratio <= 2.2)


def start(bench: Bench) -> Iterator[Row]:
    """CPU of a cold process."""
    if not (bench.work / "home" / "warehouse.duckdb").exists():
        bench.ingest(SMALL, "--direct")
    home = bench.work / "home"
    for words, least in ((["--help"], 0.6), (["sql", "select 1", "--home", home], 1.0)):
        runs = [process.run([NEWSMILL, *words]) for _ in range(max(5, bench.rounds))]
        cpu = statistics.median(run.cpu for run in runs)
        what = f"newsmill {' '.join(map(str, words[:2]))}, CPU"
        yield Row(what, f"≤ {least} s", f"{cpu:.2f} s", cpu <= least, _figures(runs))


TOPICS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "peers": peers, "prefect": prefect, "noop": noop, "scale": scale, "size": size, "start": start,
}  # fmt: skip


def main() -> int:
    """Exit status 1 where a row does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topics", nargs="*", choices=[*TOPICS, []], default=list(TOPICS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks"))
    parser.add_argument("--peers", type=Path, default=Path(".venv-peers"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    bench = Bench(options.work.resolve(), options.peers.resolve(), options.rounds)
    bench.work.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    print("| what | at least | found | holds |\n| --- | --- | --- | --- |", flush=True)
    for topic in options.topics:
        for row in TOPICS[topic](bench):
            rows.append(row)
            print(f"| {row.what} | {row.least} | {row.found} | {'yes' if row.holds else '**no**'} |", flush=True)
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"\n{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load}")
    if options.json is not None:
        report = [{"what": r.what, "least": r.least, "found": r.found, "holds": r.holds, **r.details} for r in rows]
        options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
