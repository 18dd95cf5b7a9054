"""How long from a dropped file to a row that can be asked for: `newsmill watch` in a home that holds documents.

    python -m benchmarks.latency HOME [--drops 50]

HOME is a home that was ingested into already (benchmarks.corpus makes the files); it gets the dropped files.  The time
runs from the rename into the inbox to the first answer of `warehouse.duckdb` that holds the document.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import duckdb


def _holds(warehouse: Path, word: str) -> bool:
    with duckdb.connect(str(warehouse.resolve()), read_only=True) as connection:
        found = connection.execute("SELECT count(*) FROM documents WHERE uri = ?", [word]).fetchone()
    return found is not None and found[0] == 1


def main() -> None:
    """Print p50, p95 and the slowest, in seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--drops", type=int, default=50)
    chosen = parser.parse_args()
    inbox, warehouse = chosen.home / "inbox" / "drops", chosen.home / "warehouse.duckdb"
    inbox.mkdir(parents=True, exist_ok=True)
    command = [Path(sys.executable).with_name("newsmill"), "watch", "--home", chosen.home]
    # Whoever ends this measurement ends the watcher, too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    taken = []
    try:
        # The first one warms the process and is not counted.
        for number in range(chosen.drops + 1):
            name = f"{time.time_ns()}.txt"
            text = f"Meldung Nummer {name}. Der Rat der Stadt tagte am Abend und beriet lange über die Brücke.\n"
            (inbox / f"{name}.part").write_text(text)
            started = time.monotonic()
            os.rename(inbox / f"{name}.part", inbox / name)
            while not _holds(warehouse, f"drops/{name}"):
                time.sleep(0.02)
            if number:
                taken.append(time.monotonic() - started)
            time.sleep(0.3)
    finally:
        process.terminate()
        process.wait()
    taken.sort()
    p95 = taken[int(len(taken) * 0.95) - 1]
    print(f"{len(taken)} drops: p50 {statistics.median(taken):.2f} s, p95 {p95:.2f} s, slowest {taken[-1]:.2f} s")


if __name__ == "__main__":
    main()
