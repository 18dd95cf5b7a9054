"""What a comparison found and under what: as JSON, and from that as the tables of docs/performance.md.

    python -m benchmarks.report FILE.json … [--page docs/performance.md]

Without ``--page`` the tables are printed.  With it they take the place of what stands between the two marks of that
page, so that its figures are those of the files.

Belongs here: the form of a report, and what has to be known to measure it again.  Does not belong here: measuring.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import corpus

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
HEAD = "| what | target | found | holds |\n| --- | --- | --- | --- |"
_VERSIONS = """
import importlib.metadata, json, sys
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: what was asked, what it should be, what was found, and the figures behind it."""

    what: str
    target: str
    found: str
    holds: bool
    details: dict[str, object] = field(default_factory=dict)


def load() -> str:
    """How many processes wanted a core, over one, five and fifteen minutes."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def _named(lines: Sequence[str]) -> list[str]:
    """The packages of lines of pyproject.toml that hold for this Python."""
    return [match[0] for line in lines if "python_version" not in line and (match := re.match(r"[\w-]+", line))]


def _versions(python: Path | str, names: Sequence[str]) -> dict[str, str]:
    done = subprocess.run([python, "-c", _VERSIONS, *names], check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def _commit() -> str:
    """The commit that is measured, and whether files differ from it; empty outside a clone."""

    def asked(*words: str) -> str:
        done = subprocess.run(["git", "-C", ROOT, *words], check=False, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = asked("rev-parse", "--short=12", "HEAD")
    return f"{commit} with changes" if commit and asked("status", "--porcelain") else commit


def environment(peers: Mapping[str, Path], settings: Sequence[Mapping[str, Any]], rounds: int) -> dict[str, Any]:
    """What has to be known to measure it again.

    ``peers``: the Python of each peer that is measured; ``settings``: as ``newsmill settings`` lists them.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    ours = ["newsmill", *_named(project["project"]["dependencies"])]
    groups = project["dependency-groups"]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": _commit(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_at_start": load(),
        "rounds": rounds,
        "settings": {row["setting"]: row["value"] for row in settings},
        "set": [row["setting"] for row in settings if row["from"] != "default"],
        "corpus": {
            "version": corpus.VERSION,
            "seed": "the number of files",
            "median_characters": corpus.MEDIAN,
            "deviation_of_log": corpus.LOG_DEVIATION,
            "german_share": corpus.GERMAN_SHARE,
            "paragraphs": corpus.PARAGRAPHS,
            "paragraphs_deviation_of_log": corpus.PARAGRAPHS_DEVIATION,
            "exchanged_share": corpus.EXCHANGED_SHARE,
            "blended_share": corpus.BLENDED_SHARE,
        },
        "versions": _versions(sys.executable, ours),
        "peers": {name: _versions(python, _named(groups[f"peer-{name}"])) for name, python in peers.items()},
    }


def line(row: Mapping[str, Any]) -> str:
    """A row of the table."""
    cells = (row["what"], row["target"], row["found"], "yes" if row["holds"] else "**no**")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def conditions(found: Mapping[str, Any]) -> str:
    """The words below the table: what was measured, on what and how."""
    versions, made, chosen = found["versions"], found["corpus"], found["settings"]
    shown = {name: versions[name] for name in ("newsmill", "duckdb", "pyarrow", "prefect")}
    other = ", ".join(name for name in found["set"] if name != "workers") or "none"
    lines = [
        f"{found['date']}, rounds: {found['rounds']}, load {found['load_at_start']} at the start and",
        f"{found['load_at_end']} at the end, {found['cores']} cores, {found['machine']}, {found['system']}, Python",
        f"{found['python']}. {_listed(shown)}, commit {found['commit'] or 'unknown'};",
        f"{chosen['workers']} workers, settings other than the defaults: {other}.",
        f"Corpus {made['version']}: median {made['median_characters']:,} characters, deviation of the logarithm",
        f"{made['deviation_of_log']}, {made['german_share']:.0%} German, seed {made['seed']}.",
    ]
    lines += [f"{name}: {_listed(versions)}." for name, versions in found["peers"].items()]
    return "\n".join(lines)


def as_json(found: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """The report as it is written to a file."""
    report = {"environment": {**found, "load_at_end": load()}, "rows": [asdict(row) for row in rows]}
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def tables(reports: Sequence[Mapping[str, Any]]) -> str:
    """A table for each report, with its conditions below."""
    return "\n\n".join(
        "\n".join([HEAD, *map(line, report["rows"]), "", conditions(report["environment"])]) for report in reports
    )


def renewed(page: str, block: str) -> str:
    """The page with the block between its marks.

    Raises ``ValueError`` where the marks are not there once each, in their order.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"the page needs {BEGIN} and {END}, each once")
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{block}\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Print the tables, or write them into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.json")
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    block = tables([json.loads(file.read_text(encoding="utf-8")) for file in options.files])
    if options.page is None:
        print(block)
    else:
        options.page.write_text(renewed(options.page.read_text(encoding="utf-8"), block), encoding="utf-8")


if __name__ == "__main__":
    main()
