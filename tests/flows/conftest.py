"""Real Prefect servers and workers, on loopback and free ports, stopped by their ids."""

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

PREFECT = Path(sys.executable).with_name("prefect")


@dataclasses.dataclass
class Server:
    """A server with a database of its own, which may be killed and started again."""

    folder: Path
    port: int
    environment: dict[str, str]
    running: list["subprocess.Popen[bytes]"] = dataclasses.field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def env(self, **more: str) -> dict[str, str]:
        """The environment of whoever works with the server."""
        return {**self.environment, "PREFECT_API_URL": self.url, **more}

    def start(self, *command: str | Path | bytes, **more: str) -> "subprocess.Popen[bytes]":
        """A process in a session of its own, its output in a file of the folder."""
        with (self.folder / "output.txt").open("ab") as output:
            process = subprocess.Popen(
                command,
                env=self.env(**more),
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.running.append(process)
        return process

    @staticmethod
    def until(check: Callable[[], Any], seconds: float = 180, what: str = "it") -> Any:
        """Wait for something to be true; what it was at last."""
        end = time.monotonic() + seconds
        while not (found := check()):
            assert time.monotonic() < end, f"{what} never came to be"
            time.sleep(0.2)
        return found

    def up(self) -> "subprocess.Popen[bytes]":
        """Start the server and wait for it."""
        process = self.start(PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        self.until(self.answers, 180, "the server")
        return process

    def work(self, pool: str = "newsmill") -> "subprocess.Popen[bytes]":
        """Start a worker on a pool."""
        return self.start(PREFECT, "worker", "start", "--pool", pool, "--type", "process")

    def answers(self) -> bool:
        """Whether the server is there."""
        try:
            return httpx.get(f"{self.url}/health", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """A request, sent again where SQLite was busy with another, which Prefect answers with 503."""

        def answer() -> httpx.Response | None:
            # Longer than the minute that the server waits for a lock of its database.
            found = httpx.request(method, f"{self.url}/{path}", json=body, timeout=90)
            return None if found.status_code == 503 else found

        # More than two such minutes.
        response: httpx.Response = self.until(answer, 150, f"an answer to {path}")
        return response.raise_for_status()

    def ask(self, path: str, body: Any = None, **named: Any) -> Any:
        """The answer to a request with a body."""
        return self.send("POST", path, named if body is None else body).json()

    def get(self, path: str) -> Any:
        """The answer to a request."""
        return self.send("GET", path).json()

    def schedule(self, deployment: str, slug: str, every: int, **parameters: Any) -> None:
        """A schedule that asks for three runs, so many seconds apart, and for no more.

        One without an end leaves runs behind when it is deleted: the server may just be writing the next hour's.
        """
        # A server makes runs only ahead of their time.
        start = datetime.now(UTC) + timedelta(seconds=10)
        rule = f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:FREQ=SECONDLY;INTERVAL={every};COUNT=3"
        schedule = {"rrule": rule, "timezone": "UTC"}
        body = [{"active": True, "slug": slug, "schedule": schedule, "parameters": parameters}]
        self.ask(f"deployments/{deployment}/schedules", body=body)

    def runs(self, flow: str = "ingest") -> list[dict[str, Any]]:
        """The flow runs of a flow that are due, from the oldest."""
        found = self.ask("flow_runs/filter", sort="EXPECTED_START_TIME_ASC", flows={"name": {"any_": [flow]}})
        soon = time.time() + 30
        return [run for run in found if _seconds(run["expected_start_time"]) < soon]

    def output(self) -> str:
        """What all processes wrote."""
        return (self.folder / "output.txt").read_text(errors="replace")

    @staticmethod
    def kill(process: "subprocess.Popen[bytes]", number: int = signal.SIGKILL) -> None:
        """End one of the processes with those that it started, and wait."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        process.wait(60)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of this module, quick to schedule and to try again."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NEWSMILL_", "PREFECT_"))}
    server = Server(
        folder,
        port,
        {
            **kept,
            "HOME": str(folder),
            "NEWSMILL_CACHE": str(Path.home() / ".cache" / "newsmill"),
            "NEWSMILL_WORKERS": "0",
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
            "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "2",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_WORKER_PREFETCH_SECONDS": "2",
        },
    )
    try:
        server.up()
        yield server
    finally:
        for process in reversed(server.running):
            server.kill(process)
        shutil.rmtree(folder / "prefect", ignore_errors=True)
