"""How long from a dropped file to a row that can be asked for, in a home that holds documents.

    python -m benchmarks.latency HOME [--by watch|up|deployment] [--drops 50] [--flood 1000]

HOME is a home that was ingested into already (benchmarks.corpus makes the files); it gets the dropped files.  `watch`
and `up` are the commands of these names, half a second of settling included; `deployment` starts what `newsmill up`
registered, so that a worker starts a process for it.  The time runs from the rename into the inbox, or from the
request to run, to the first answer of `warehouse.duckdb` that holds the document.  A flood is that many files at once:
how long until all of them are in, and in how many runs.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import httpx

NEWSMILL = Path(sys.executable).with_name("newsmill")


def _ask(warehouse: Path, query: str, *values: str) -> int:
    with duckdb.connect(str(warehouse.resolve()), read_only=True) as connection:
        found = connection.execute(query, list(values)).fetchone()
    return int(found[0]) if found is not None else 0


@contextmanager
def _running(home: Path, by: str) -> Iterator[str]:
    """The command at work, until the block ends; the address of Prefect's API, empty where there is none."""
    command = [NEWSMILL, "watch" if by == "watch" else "up", "--home", home]
    if by == "deployment":
        # The watcher must not take the files first.
        command += ["--settle", "100000"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        state: dict[str, Any] = {}
        while by != "watch" and not (state.get("is_ready") and state["pid"] == process.pid):
            time.sleep(0.5)
            if (home / "up" / "running.json").exists():
                state = json.loads((home / "up" / "running.json").read_text())
        yield f"http://127.0.0.1:{state['port']}/api" if state else ""
    finally:
        process.terminate()
        process.wait()


def _text(name: str) -> str:
    return f"Meldung Nummer {name}. Der Rat der Stadt tagte am Abend und beriet lange über die Brücke.\n"


def _drops(inbox: Path, warehouse: Path, count: int, ask_for_run: Callable[[], None]) -> list[float]:
    taken = []
    # The first one warms the process and is not counted.
    for number in range(count + 1):
        name = f"{time.time_ns()}.txt"
        (inbox / f"{name}.part").write_text(_text(name))
        started = time.monotonic()
        os.rename(inbox / f"{name}.part", inbox / name)
        ask_for_run()
        while not _ask(warehouse, "SELECT count(*) FROM documents WHERE uri = ?", f"drops/{name}"):
            time.sleep(0.02)
        if number:
            taken.append(time.monotonic() - started)
        # At any moment between two looks, as files come.
        time.sleep(0.3 + 0.7 * ((number * 37) % 50) / 50)
    return sorted(taken)


def _flood(inbox: Path, warehouse: Path, count: int) -> tuple[float, int]:
    """Seconds until so many files at once are in, and the runs that took them."""
    begin = time.time_ns()
    started = time.monotonic()
    for number in range(count):
        (inbox / f"{begin}-{number}.txt").write_text(_text(f"{begin}, Blatt {number}"))
    query = "SELECT count(*) FROM documents WHERE uri LIKE ?"
    while _ask(warehouse, query, f"drops/{begin}-%") < count:
        time.sleep(0.05)
    seconds = time.monotonic() - started
    runs = _ask(warehouse, "SELECT count(DISTINCT run_id) FROM files WHERE uri LIKE ?", f"drops/{begin}-%")
    return seconds, runs


def main() -> None:
    """Print p50, p95 and the slowest, in seconds, with the load of the machine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--by", choices=["watch", "up", "deployment"], default="up")
    parser.add_argument("--drops", type=int, default=50)
    parser.add_argument("--flood", type=int, default=0)
    chosen = parser.parse_args()
    home = chosen.home.absolute()
    inbox, warehouse = home / "inbox" / "drops", home / "warehouse.duckdb"
    inbox.mkdir(parents=True, exist_ok=True)
    # Whoever ends this measurement ends the command, too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with _running(home, chosen.by) as api:

        def ask_for_run() -> None:
            if chosen.by == "deployment":
                found = httpx.get(f"{api}/deployments/name/ingest/newsmill", timeout=30).raise_for_status().json()
                url = f"{api}/deployments/{found['id']}/create_flow_run"
                httpx.post(url, json={}, timeout=30).raise_for_status()

        documents = _ask(warehouse, "SELECT count(*) FROM documents")
        taken = _drops(inbox, warehouse, chosen.drops, ask_for_run)
        p95 = taken[int(len(taken) * 0.95) - 1]
        print(
            f"{chosen.by}, {documents} documents, {len(taken)} drops: p50 {statistics.median(taken):.2f} s, "
            f"p95 {p95:.2f} s, slowest {taken[-1]:.2f} s; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        )
        if chosen.flood:
            seconds, runs = _flood(inbox, warehouse, chosen.flood)
            print(f"{chosen.flood} files at once: all in after {seconds:.1f} s, in {runs} runs")


if __name__ == "__main__":
    main()
