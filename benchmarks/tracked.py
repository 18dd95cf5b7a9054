"""When a flow begins, with a Prefect server and without.

Belongs here: a server to measure under, and the moment at which a flow begins.  Does not belong here: what is compared.

A server notes when a flow run starts, before the flow's function is called.  Without one the function itself is where
the flow begins, and nobody notes that: ``NOTED`` is ``newsmill`` as Python runs it, and writes the moment down.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import httpx

READY_SECONDS = 180.0
NOTED = """
import sys, time
from flows import run
where, begin = sys.argv.pop(1), run.ingest
def noted(*given, **named):
    with open(where, "w") as file:
        file.write(repr(time.time()))
    return begin(*given, **named)
run.ingest = noted
from flows.cli.main import main
raise SystemExit(main())
"""


@contextlib.contextmanager
def server(home: Path) -> Iterator[dict[str, str]]:
    """A server that ends with the block; what a run needs in its environment to be tracked by it."""
    home.mkdir(parents=True)
    port = 14_200 + os.getpid() % 1000
    settings = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
    }
    process = subprocess.Popen(
        [Path(sys.executable).with_name("prefect"), "server", "start", "--no-ui", "--port", str(port)],
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + READY_SECONDS
        while not _is_healthy(settings["PREFECT_API_URL"]):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"no Prefect server answers at {settings['PREFECT_API_URL']}")
            time.sleep(0.5)
        yield settings
    finally:
        process.terminate()
        process.wait(60)


def _is_healthy(api: str) -> bool:
    try:
        return httpx.get(f"{api}/health", timeout=2).is_success
    except httpx.HTTPError:
        return False


def flow_began(settings: Mapping[str, str]) -> float:
    """When the newest flow run of the server began, in Unix time."""
    newest = {"sort": "START_TIME_DESC", "limit": 1}
    found = httpx.post(f"{settings['PREFECT_API_URL']}/flow_runs/filter", json=newest, timeout=30)
    (run,) = found.raise_for_status().json()
    return datetime.fromisoformat(run["start_time"]).timestamp()
