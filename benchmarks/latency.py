"""How long from a dropped file to a row that can be asked for, in a home that holds documents.

    python -m benchmarks.latency HOME [--by watch|up|deployment] [--drops 50] [--flood 1000] [--json]

HOME is a home that was ingested into already (benchmarks.corpus makes the files); it gets the dropped files.  `watch`
and `up` are the commands of these names, half a second of settling included; `deployment` starts what `newsmill up`
registered, so that a worker starts a process for it, while the watcher stands still; each run when the one before has
ended.  The time runs from the rename into the inbox, or from the request to run, to the first answer of
`warehouse.duckdb` that holds the document.  A flood is that many files at once: how long until all of them are in, and
in how many runs.
"""

import argparse
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import httpx

from flows import guard
from flows.password import SERVER, kept
from flows.server import Rights
from flows.settings import given
from warehouse.durable import lock
from warehouse.layout import Home

NEWSMILL = Path(sys.executable).with_name("newsmill")
# What a server that is busy answers, and so long it is asked again: SQLite has one writer at a time.
BUSY = {429, 502, 503, 504}
PATIENCE_SECONDS = 60.0


def _ask(warehouse: Path, query: str, *values: str) -> int:
    with duckdb.connect(str(warehouse.resolve()), read_only=True) as connection:
        found = connection.execute(query, list(values)).fetchone()
    return int(found[0]) if found is not None else 0


class Deployment:
    """The deployment of the ingest on the server of an ``up``: its address, and the password that it asks for."""

    def __init__(self, api: str, password: str | None) -> None:
        self.client = httpx.Client(base_url=api, timeout=30, auth=Rights(api, password))
        self.id = self.ask("GET", "/deployments/name/ingest/newsmill")["id"]

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer to a request, sent again while the server is busy or its connection breaks."""
        until, pause = time.monotonic() + PATIENCE_SECONDS, 0.1
        while True:
            try:
                answer = self.client.request(method, path, json=body)
            except httpx.TransportError:
                if time.monotonic() > until:
                    raise
            else:
                if answer.status_code not in BUSY or time.monotonic() > until:
                    return answer.raise_for_status().json()
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    def start(self) -> str:
        """Ask for one run, and one only however often it has to be asked; its id."""
        body = {"idempotency_key": str(uuid.uuid4())}
        return str(self.ask("POST", f"/deployments/{self.id}/create_flow_run", body)["id"])

    def wait(self, run_id: str) -> None:
        """Until a run has ended: one that begins before would wait for it."""
        while (state := self.ask("GET", f"/flow_runs/{run_id}")["state_type"]) != "COMPLETED":
            if state in ("FAILED", "CRASHED", "CANCELLED"):
                raise SystemExit(f"run {run_id} ended as {state}")
            time.sleep(0.2)


@contextmanager
def _running(home: Path, by: str) -> Iterator[Deployment | None]:
    """The command at work, until the block ends; the deployment where that is what is measured."""
    command = [NEWSMILL, "watch" if by == "watch" else "up", "--home", home]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        state: dict[str, Any] = {}
        while by != "watch" and not (state.get("is_ready") and state["pid"] == process.pid):
            time.sleep(0.5)
            if (home / "up" / "running.json").exists():
                state = json.loads((home / "up" / "running.json").read_text())
        if by != "deployment":
            yield None
            return
        # The watcher must not take the files first; while the lock is held here it is not in the middle of a run.
        with lock(Home(home).lock("run")):
            for pid in guard.descendants(state["services"]["watcher"]["pid"]):
                os.kill(pid, signal.SIGSTOP)
        yield Deployment(f"http://127.0.0.1:{state['port']}/api", given(SERVER) or kept(Home(home)))
    finally:
        process.terminate()
        process.wait()


def _text(name: str) -> str:
    return f"Meldung Nummer {name}. Der Rat der Stadt tagte am Abend und beriet lange über die Brücke.\n"


def _drops(inbox: Path, warehouse: Path, count: int, deployment: Deployment | None) -> list[float]:
    taken = []
    # The first one warms the process and is not counted.
    for number in range(count + 1):
        name = f"{time.time_ns()}.txt"
        (inbox / f"{name}.part").write_text(_text(name))
        started = time.monotonic()
        os.rename(inbox / f"{name}.part", inbox / name)
        run_id = deployment.start() if deployment is not None else None
        while not _ask(warehouse, "SELECT count(*) FROM documents WHERE uri = ?", f"drops/{name}"):
            time.sleep(0.02)
        if number:
            taken.append(time.monotonic() - started)
        if deployment is not None and run_id is not None:
            deployment.wait(run_id)
        # At any moment between two looks, as files come.
        time.sleep(0.3 + 0.7 * ((number * 37) % 50) / 50)
    return sorted(taken)


def _flood(inbox: Path, warehouse: Path, count: int, deployment: Deployment | None) -> tuple[float, int]:
    """Seconds until so many files at once are in, and the runs that took them."""
    begin = time.time_ns()
    started = time.monotonic()
    for number in range(count):
        (inbox / f"{begin}-{number}.txt").write_text(_text(f"{begin}, Blatt {number}"))
    if deployment is not None:
        deployment.start()
    query = "SELECT count(*) FROM documents WHERE uri LIKE ?"
    while _ask(warehouse, query, f"drops/{begin}-%") < count:
        time.sleep(0.05)
    seconds = time.monotonic() - started
    runs = _ask(warehouse, "SELECT count(DISTINCT run_id) FROM files WHERE uri LIKE ?", f"drops/{begin}-%")
    return seconds, runs


def _in_words(figures: dict[str, Any]) -> str:
    words = (
        "{by}, {documents} documents, {drops} drops: p50 {p50:.2f} s, p95 {p95:.2f} s, slowest {slowest:.2f} s; "
        "load {load:.1f} on {cores} cores"
    )
    if "flood" in figures:
        words += "\n{flood} files at once: all in after {flood_seconds:.1f} s, in {flood_runs} runs"
    return words.format(**figures)


def main() -> None:
    """Print p50, p95 and the slowest, in seconds, with the load of the machine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--by", choices=["watch", "up", "deployment"], default="up")
    parser.add_argument("--drops", type=int, default=50)
    parser.add_argument("--flood", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one object instead of words")
    chosen = parser.parse_args()
    home = chosen.home.absolute()
    inbox, warehouse = home / "inbox" / "drops", home / "warehouse.duckdb"
    inbox.mkdir(parents=True, exist_ok=True)
    # Whoever ends this measurement ends the command, too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with _running(home, chosen.by) as deployment:
        documents = _ask(warehouse, "SELECT count(*) FROM documents")
        taken = _drops(inbox, warehouse, chosen.drops, deployment)
        figures: dict[str, Any] = {
            "by": chosen.by,
            "documents": documents,
            "drops": len(taken),
            "p50": statistics.median(taken),
            "p95": taken[math.ceil(0.95 * len(taken)) - 1],
            "slowest": taken[-1],
            "load": os.getloadavg()[0],
            "cores": os.cpu_count(),
        }
        if chosen.flood:
            figures["flood"] = chosen.flood
            figures["flood_seconds"], figures["flood_runs"] = _flood(inbox, warehouse, chosen.flood, deployment)
    print(json.dumps(figures) if chosen.json else _in_words(figures))


if __name__ == "__main__":
    main()
