"""Real processes in the environments that deploy/ gives them: without a container, without an init system."""

import base64
import dataclasses
import http.client
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
BIN = Path(sys.executable).parent
PASSWORD = "admin:planted-canary-9d1e"
pytestmark = pytest.mark.long


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def asked(url: str, *, password: str | None = None, body: bytes | None = None) -> int:
    """The status of an answer; 0 where there is none."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    if password is not None:
        request.add_header("Authorization", f"Basic {base64.b64encode(password.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except (URLError, OSError, http.client.HTTPException):
        return 0


def until(holds: Callable[[], bool], process: "subprocess.Popen[bytes]", seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert process.poll() is None, "it has ended"
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.5)


class Composed:
    """The services of compose.yaml as processes: its commands and environments, other ports, SQLite for PostgreSQL."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {"4200": str(free_port()), "8080": str(free_port())}
        text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8").replace("http://server:", "http://127.0.0.1:")
        for old, new in self.ports.items():
            text = text.replace(old, new)
        self.services = yaml.safe_load(text)["services"]
        self.url = f"http://127.0.0.1:{self.ports['4200']}"

    def environment(self, service: str) -> dict[str, str]:
        given = self.services[service]["environment"]
        filled = {name: re.sub(r"\$\{\w+AUTH_STRING.*\}", PASSWORD, value) for name, value in given.items() if value}
        image = dict(re.findall(r"(PREFECT_SERVER_\w+|DO_NOT_TRACK)=(\S+)", (DEPLOY / "Dockerfile").read_text()))
        merged = {**image, **filled}
        return {
            **{name: value for name, value in merged.items() if not name.startswith("PREFECT_SERVER_DATABASE")},
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "NEWSMILL_HOME": str(self.folder / "home"),
            "PREFECT_HOME": str(self.folder / service),
            "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(self.folder / "ui"),
        }

    def command(self, service: str) -> list[str]:
        words = self.services[service]["command"]
        return [str(BIN / words[0]), *words[1:]]

    def is_healthy(self, service: str) -> bool:
        """What the file's own health check says."""
        words = self.services[service]["healthcheck"]["test"][1:]
        return subprocess.run(words, env=self.environment(service), capture_output=True).returncode == 0


def test_the_services_of_compose_get_along_behind_their_password(
    tmp_path: Path, new_mill: Any, started: Any, write_news: Callable[[int], str]
) -> None:
    composed = Composed(tmp_path)
    environment = composed.environment("server")
    assert environment["PREFECT_SERVER_API_HOST"] == "0.0.0.0", "inside a container"
    environment["PREFECT_SERVER_API_HOST"] = "127.0.0.1"
    log = (tmp_path / "log").open("wb")
    options = {"stdout": log, "stderr": log, "cwd": tmp_path}
    assert not composed.is_healthy("server")
    server = started(composed.command("server"), env=environment, **options)
    until(lambda: composed.is_healthy("server"), server)
    api = f"{composed.url}/api"
    assert asked(f"{api}/work_pools/newsmill") == 401
    assert asked(f"{api}/work_pools/newsmill", password="admin:guess") == 401
    assert asked(f"{api}/work_pools/newsmill", password=PASSWORD) == 404, "it may ask, and there is none yet"
    for path in ("flows/filter", "events", "work_pools/"):
        assert asked(f"{api}/{path}", body=b"{}") in (401, 403)
        assert asked(f"{api}/{path}", password=PASSWORD, body=b"{}") == 403, "no CSRF token"
    assert asked(composed.url) == 200, "the user interface, which asks for the password"

    def registered() -> int:
        return asked(f"{api}/work_pools/newsmill", password=PASSWORD)

    done = subprocess.run(
        composed.command("deploy"), env=composed.environment("deploy"), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert registered() == 200
    assert not composed.is_healthy("worker")
    worker = started(composed.command("worker"), env=composed.environment("worker"), **options)
    until(lambda: composed.is_healthy("worker"), worker)
    until(lambda: registered() == 200, worker)
    mill = dataclasses.replace(new_mill(), home=tmp_path / "home")
    watcher = started(composed.command("watcher"), env=composed.environment("watcher"), **options)
    (mill.home / "inbox" / "wire").mkdir(parents=True)
    (mill.home / "inbox" / "wire" / "1.txt").write_text(write_news(1), encoding="utf-8")
    until((mill.home / "warehouse.duckdb").exists, watcher)
    assert mill.one("SELECT count(*) FROM documents") == 1
    assert composed.is_healthy("watcher")
    watcher.send_signal(signal.SIGTERM)
    watcher.wait(60)
    for process in (worker, server):
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    log.close()
    assert b"canary" not in (tmp_path / "log").read_bytes()


def test_the_unit_of_up_works_behind_its_password(mill: Any, started: Any, write_news: Callable[[int], str]) -> None:
    """Server, deployments, worker and watcher get along with password and CSRF tokens on."""
    unit = (DEPLOY / "systemd" / "newsmill.service").read_text(encoding="utf-8")
    words = [pair for line in re.findall(r"^Environment=(.*)$", unit, re.MULTILINE) for pair in shlex.split(line)]
    given = dict(pair.split("=", 1) for pair in words)
    (command,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    said = mill.raw.parent / "said"
    home = str(mill.home)
    with said.open("wb") as log:
        process = started(
            [BIN / Path(shlex.split(command)[0]).name, *shlex.split(command)[1:]],
            env={
                "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
                **{name: value.replace("/srv/news", home) for name, value in given.items()},
                "PREFECT_SERVER_API_AUTH_STRING": PASSWORD,
                "PREFECT_API_AUTH_STRING": PASSWORD,
            },
            stdout=log, stderr=log, cwd=mill.raw,
        )  # fmt: skip

        def is_ready() -> bool:
            return re.search(rb"^ready:", said.read_bytes(), re.MULTILINE) is not None

        until(is_ready, process)
        address = re.search(rb"http://127\.0\.0\.1:\d+", said.read_bytes())
        assert address
        api = f"{address[0].decode()}/api"
        assert asked(f"{api}/deployments/name/ingest/newsmill") == 401
        assert asked(f"{api}/deployments/name/ingest/newsmill", password=PASSWORD) == 200
        (mill.home / "inbox" / "wire").mkdir(parents=True, exist_ok=True)
        (mill.home / "inbox" / "wire" / "1.txt").write_text(write_news(1), encoding="utf-8")
        until(lambda: mill.home.joinpath("warehouse.duckdb").exists(), process)
        until(lambda: mill.one("SELECT count(*) FROM documents") == 1, process)
        process.send_signal(signal.SIGTERM)
        process.wait(90)
    for word in (b"401", b"403", b"canary", b"did not take"):
        assert word not in said.read_bytes(), said.read_text(encoding="utf-8")
    assert [path for path in mill.home.rglob("*") if path.is_file() and b"planted-canary" in path.read_bytes()] == []
