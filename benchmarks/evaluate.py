"""Everything that is promised of the text core, as one table: what, at least, found, holds.

    python -m benchmarks.evaluate [--quick] [--json FILE] [--data FOLDER] [--only TOPIC]

The material lies beside the repository, in ``../shared/data``; ``--data`` takes other material of the same layout.
Exit status 1 where a row does not hold or the material is absent.

Belongs here: the order of the topics and printing.  Does not belong here: measuring (``benchmarks.evaluation``).
"""

import argparse
import dataclasses
import json
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.evaluation import (
    deciding,
    encodings,
    equality,
    hostile,
    mending,
    sentences,
    speed,
    stable,
    start,
)
from benchmarks.evaluation.material import BESIDE, Material
from benchmarks.evaluation.row import Row
from tasks.version import pipeline_version

TOPICS: dict[str, Callable[[Material], Iterator[Row]]] = {
    "encodings": encodings.rows,
    "mending": mending.rows,
    "stable": stable.rows,
    "sentences": sentences.rows,
    # Before langdetect's profiles are in memory: they would slow every full garbage collection of what follows.
    "hostile": hostile.rows,
    "deciding": deciding.rows,
    "start": start.rows,
    "speed": speed.rows,
    "equality": equality.rows,
}


def table_of(rows: list[Row]) -> Table:
    """The rows for a person."""
    table = Table(title=f"text core, pipeline version {pipeline_version()}", show_lines=True)
    for heading in ("what", "at least", "found", "holds", "how measured"):
        table.add_column(heading, justify="center" if heading == "holds" else "left")
    for row in rows:
        table.add_row(row.what, row.least, row.found, "yes" if row.holds else "[bold red]no[/]", row.how)
    return table


def measured(material: Material, topics: list[str], said: Console) -> list[Row]:
    """All rows of these topics; each is told as soon as it is known."""
    rows: list[Row] = []
    for topic in topics:
        for row in TOPICS[topic](material):
            said.print(f"{topic}: {row.found}", markup=False, highlight=False)
            rows.append(row)
    return rows


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=BESIDE, metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="a sample where a row is long")
    parser.add_argument("--only", choices=TOPICS, action="append", help="repeat for several")
    options = parser.parse_args()
    material = Material(options.data, options.quick)
    if missing := material.missing():
        print(
            f"evaluation material is absent: {', '.join(missing)} not found in {options.data}; give --data FOLDER",
            file=sys.stderr,
        )
        return 1
    rows = measured(material, options.only or list(TOPICS), Console(stderr=True))
    # A pipe has no width: as wide as the longest cells like it.
    console = Console() if sys.stdout.isatty() else Console(width=160)
    console.print(table_of(rows))
    failed = [row.what for row in rows if not row.holds]
    console.print(f"{len(rows) - len(failed)} of {len(rows)} rows hold", highlight=False)
    if options.json is not None:
        report = {
            "pipeline_version": pipeline_version(),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "quick": options.quick,
            "rows": [dataclasses.asdict(row) for row in rows],
        }
        options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
