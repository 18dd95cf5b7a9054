"""newsmill beside what a user would pick instead, and beside itself; as a table and as JSON.

    python -m benchmarks.compare TOPIC … [--rounds 3] [--tracked] [--work FOLDER] [--peers FOLDER] [--json FILE]

Topics: peers, prefect, noop, scale, size, start.  Everything that is compared takes turns within one run, ratios are
taken within a round, and their median is reported: this says something on a busy machine, too.  Before the first round
everything is run once on a few files, which compiles and caches what a first run has to.  ``--tracked`` measures peers
and scale under a Prefect server as well.  ``python -m benchmarks.report`` takes the JSON into docs/performance.md.

Belongs here: what is compared with what.  Does not belong here: how newsmill and its peers are run
(``bench``), the form of what is found (``report``).
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks import process, report, tracked
from benchmarks.bench import DIRECT, FEW, NEWSMILL, SCRIPTS, Bench, Way, figures
from benchmarks.evaluation.material import BESIDE, Material
from benchmarks.process import Run
from benchmarks.report import Row

SMALL, MIDDLE, LARGE, HUGE = 2_000, 20_000, 100_000, 200_000


def peers(bench: Bench) -> Iterator[Row]:
    """Wall for each document against the naive script, datatrove, dlt and dask."""
    runs: dict[tuple[str, int], list[Run]] = {}
    with bench.ways() as ways:
        for name in SCRIPTS:
            bench.peer(name, FEW)
        for _ in range(bench.rounds):
            for count, beside in ((MIDDLE, ("naive", "datatrove")), (LARGE, ("dlt", "dask"))):
                for way in ways:
                    runs.setdefault((way.name, count), []).append(bench.ingest(count, way))
                for name in beside:
                    small = SMALL if name == "naive" else MIDDLE
                    runs.setdefault((name, small), []).append(bench.peer(name, small))
    for way in ways:
        for name, count, own, least in (
            ("naive", SMALL, LARGE, 28.0),
            ("datatrove", MIDDLE, MIDDLE, 2.5),
            ("dlt", MIDDLE, MIDDLE, 1.4),
            ("dask", MIDDLE, MIDDLE, 0.0),
        ):
            theirs, ours = runs[name, count], runs[way.name, own]
            ratios = [(peer.wall / count) / (mine.wall / own) for peer, mine in zip(theirs, ours, strict=True)]
            ratio = statistics.median(ratios)
            yield Row(
                f"{name} on {count:,} files, wall a document against newsmill on {own:,}{way.name}",
                f"≥ {least:g} times" if least else "–",
                f"{ratio:.2f} times",
                ratio >= least,
                {"ratios": ratios, name: figures(theirs), "newsmill": figures(ours)},
            )


def prefect(bench: Bench) -> Iterator[Row]:
    """The same flow under a running Prefect server against ``--direct``, from its beginning to the end of the process.

    Under the server that is when the flow run started by its word, with ``--direct`` when the function of the flow was
    called; starting Python and importing is in neither, artifacts, events and the final state are in.
    """
    note = bench.work / "began.txt"
    runs: dict[str, list[Run]] = {"direct": [], "tracked": []}
    began: dict[str, list[float]] = {"direct": [], "tracked": []}
    with bench.server() as settings:
        bench.ingest(FEW, DIRECT)
        way = Way("", (), settings)
        bench.ingest(FEW, way)
        for _ in range(bench.rounds):
            given: list[str | Path] = [
                "ingest",
                "--home",
                bench.fresh("direct"),
                bench.files(LARGE),
                "--format",
                "json",
                "--direct",
            ]
            runs["direct"].append(process.run([sys.executable, "-c", tracked.NOTED, note, *given]))
            began["direct"].append(float(note.read_text()))
            runs["tracked"].append(bench.ingest(LARGE, way, home="tracked"))
            began["tracked"].append(tracked.flow_began(settings))
    flows = {
        name: [run.ended - start for run, start in zip(found, began[name], strict=True)] for name, found in runs.items()
    }
    ratios = [ours / direct for ours, direct in zip(flows["tracked"], flows["direct"], strict=True)]
    ratio = statistics.median(ratios)
    yield Row(
        f"{LARGE:,} files under a running Prefect server against --direct, from the start of the flow to the end of "
        "the process", "≤ 1.10", f"{ratio:.3f}", ratio <= 1.10,
        {"ratios": ratios, "flow_s": flows, **{name: figures(found) for name, found in runs.items()}},
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
    bench.ingest(LARGE, DIRECT)
    given: list[str | Path] = ["ingest", "--home", bench.work / "home", bench.files(LARGE), "--direct"]
    loaded = bench.work / "modules.txt"
    process.run([sys.executable, "-c", LOADED, loaded, *given])
    again: list[str | Path] = [NEWSMILL, *given]
    bare: list[str | Path] = [sys.executable, "-c", WALK, bench.files(LARGE), loaded]
    process.run(again)
    pairs = [(process.run(again), process.run(bare)) for _ in range(max(5, bench.rounds))]
    ratio = statistics.median(ours.wall / walk.wall for ours, walk in pairs)
    yield Row(
        f"no-op run over {LARGE:,} files against scandir, stat and imports", "≤ 1.4", f"{ratio:.2f}", ratio <= 1.4,
        {"newsmill": figures([ours for ours, _ in pairs]), "bare": figures([walk for _, walk in pairs])},
    )  # fmt: skip


def scale(bench: Bench) -> Iterator[Row]:
    """How wall and memory grow from 20,000 to 200,000 files; memory in runs of its own, whose time does not count."""
    with bench.ways() as ways:
        for way in ways:
            pairs = [(bench.ingest(MIDDLE, way), bench.ingest(HUGE, way)) for _ in range(bench.rounds)]
            growth = statistics.median((large.wall / HUGE) / (small.wall / MIDDLE) for small, large in pairs)
            yield Row(
                f"wall a document, {HUGE:,} files against {MIDDLE:,}{way.name}",
                "≤ 1.1", f"{growth:.2f}", growth <= 1.1,
                {f"{MIDDLE:,}": figures([run for run, _ in pairs]), f"{HUGE:,}": figures([run for _, run in pairs])},
            )  # fmt: skip
            few, many = (
                [bench.ingest(count, way, memory=True).peak_mb or 0 for _ in range(bench.rounds)]
                for count in (MIDDLE, HUGE)
            )
            small, large = statistics.median(few), statistics.median(many)
            yield Row(
                f"peak memory (summed PSS) at {MIDDLE:,} and {HUGE:,} files{way.name}", "≤ 750 MB, within 10 %",
                f"{small:.0f} and {large:.0f} MB",
                max(small, large) <= 750 and abs(large - small) <= 0.1 * max(small, large),
                {"every_s": process.EVERY_SECONDS, f"{MIDDLE:,}": few, f"{HUGE:,}": many},
            )  # fmt: skip


def _bytes(folder: Path) -> dict[str, int]:
    """Bytes of the files below each entry of a folder; what a link points at counts where it lies."""
    found: dict[str, int] = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            name = path.relative_to(folder).parts[0]
            found[name] = found.get(name, 0) + path.stat().st_size
    return found


def size(bench: Bench) -> Iterator[Row]:
    """Bytes of the lake and of the whole home against the raw files."""
    articles = bench.fresh("articles")
    articles.mkdir(parents=True)
    for number, text in enumerate(Material(BESIDE).articles):
        (articles / f"{number:03d}.txt").write_text(f" date 2019-04 {text}\n", encoding="utf-8")
    # The same bytes on every machine and day.
    plain = "--format=ustar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=0644"
    packed = int(
        subprocess.run(
            f"set -o pipefail; tar {plain} -C {articles} -cf - . | zstd -19 -c | wc -c",
            shell=True, executable="/bin/bash", check=True, capture_output=True, text=True,
        ).stdout
    )  # fmt: skip
    home = bench.fresh("articles-home")
    process.run([NEWSMILL, "ingest", "--home", home, articles, "--direct"])
    for state, bound in (("as written", 1.35), ("compacted", 1.2)):
        if state == "compacted":
            process.run([NEWSMILL, "compact", "--home", home, "--set", "compact_grace_seconds=0"])
        lake = sum(_bytes(home / "lake").values())
        what = f"lake against tar | zstd -19, articles, {state}"
        yield Row(
            what, f"≤ {bound}", f"{lake / packed:.3f}", lake / packed <= bound, {"lake": lake, "tar_zstd": packed}
        )
    bench.ingest(MIDDLE, DIRECT)
    counted, raw = _bytes(bench.work / "home"), sum(_bytes(bench.files(MIDDLE)).values())
    ratio = sum(counted.values()) / raw
    yield Row(
        f"home against raw bytes, {MIDDLE:,} documents, every file of it ({', '.join(sorted(counted))})",
        "≤ 2.2", f"{ratio:.2f}", ratio <= 2.2, {"raw": raw, **counted},
    )  # fmt: skip


def start(bench: Bench) -> Iterator[Row]:
    """CPU of a cold process."""
    bench.ingest(MIDDLE, DIRECT)
    home = bench.work / "home"
    for words, most in ((["--help"], 0.6), (["sql", "select 1", "--home", home], 1.0)):
        process.run([NEWSMILL, *words])
        runs = [process.run([NEWSMILL, *words]) for _ in range(max(5, bench.rounds))]
        cpu = statistics.median(run.cpu for run in runs)
        what = f"newsmill {' '.join(map(str, words[:2]))}, CPU"
        yield Row(what, f"≤ {most} s", f"{cpu:.2f} s", cpu <= most, {**figures(runs)})


TOPICS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "peers": peers, "prefect": prefect, "noop": noop, "scale": scale, "size": size, "start": start,
}  # fmt: skip


def main() -> int:
    """Exit status 1 where a row does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topics", nargs="*", choices=[*TOPICS, []], default=list(TOPICS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tracked", action="store_true", help="peers and scale under a Prefect server, too")
    parser.add_argument("--work", type=Path, default=Path("data/benchmarks"))
    parser.add_argument("--peers", type=Path, default=Path(".venv-peers"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    bench = Bench(options.work.resolve(), options.peers.resolve(), options.rounds, options.tracked)
    bench.work.mkdir(parents=True, exist_ok=True)
    pythons = {name: bench.python(name) for name in SCRIPTS} if "peers" in options.topics else {}
    settings = json.loads(process.run([NEWSMILL, "settings", "--format", "json"]).out)
    found = report.environment(pythons, settings, bench.rounds)
    rows: list[Row] = []
    print(report.HEAD, flush=True)
    for topic in options.topics:
        for row in TOPICS[topic](bench):
            rows.append(row)
            print(report.line(asdict(row)), flush=True)
    written = report.as_json(found, rows)
    print(f"\n{report.conditions(json.loads(written)['environment'])}")
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(written, encoding="utf-8")
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
