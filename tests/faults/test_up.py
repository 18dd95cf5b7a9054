"""`newsmill up` with real processes: what dies comes back, what ends ends whole, and no data is lost by either."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets import ConnectionClosed, InvalidStatus, Subprotocol
from websockets.sync.client import connect

from flows import guard, processes
from flows.running import MARK
from flows.server import Rights
from flows.services import is_free
from warehouse.durable import lock
from warehouse.errors import WarehouseBusy

# In batches of two: so many that a quick machine, too, is in the middle of them when something is killed.
MANY = 6_000

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")


def until(check: Callable[[], Any], seconds: float = 120, why: str = "it never came to be") -> Any:
    """Wait for something true, and return it."""
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, why
        time.sleep(0.02)
    return found


class Upped:
    """One `newsmill up` on a home, seen from outside."""

    def __init__(self, mill: Any, started: Any, *words: str) -> None:
        self.mill, self.log = mill, mill.home.parent / "up.txt"
        (mill.home / "inbox" / "a").mkdir(parents=True, exist_ok=True)
        self.process = started(
            mill.command("up", *words),
            env=mill.prefect_environment(),
            stdout=subprocess.DEVNULL,
            stderr=self.log.open("ab"),
            stdin=subprocess.DEVNULL,
        )

    @property
    def state(self) -> dict[str, Any]:
        """What it wrote of itself."""
        with contextlib.suppress(FileNotFoundError):
            state: dict[str, Any] = json.loads((self.mill.home / "up" / "running.json").read_text())
            return state if state["pid"] == self.process.pid else {}
        return {}

    def ready(self) -> "Upped":
        """Wait until everything runs."""

        def check() -> Any:
            assert self.process.poll() is None, self.log.read_text()
            return self.state.get("is_ready")

        until(check, 240)
        self.mark, self.port = self.state["mark"], self.state["port"]
        url = f"http://127.0.0.1:{self.port}/api"
        self.client = httpx.Client(base_url=url, timeout=60, auth=Rights(url, self.password))
        return self

    @property
    def password(self) -> str:
        """What its server asks for."""
        return (self.mill.home / "prefect" / "password").read_text().strip()

    def service(self, name: str) -> int:
        """The process of a service: the child of its guard."""
        (pid,) = until(lambda: list(guard.descendants(self.state["services"][name]["pid"]))[:1])
        return int(pid)

    def api(self, path: str, **body: Any) -> Any:
        """One request to its Prefect server, again where its database was locked."""
        for _ in range(20):
            answer = self.client.post(path, json=body)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(0.5)
        return answer.raise_for_status().json()

    def runs(self) -> list[tuple[str, str]]:
        """Id and state of every flow run that has begun."""
        return [(r["id"], r["state_type"]) for r in self.api("/flow_runs/filter") if r["state_type"] != "SCHEDULED"]

    def is_settled(self) -> bool:
        """Whether there were runs and none of them claims to go on."""
        try:
            states = {state for _, state in self.runs()}
        except httpx.HTTPError:
            return False
        return bool(states) and states <= {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}

    def is_gone(self) -> bool:
        """Whether none of its processes lives and its port is free."""
        return not processes.bearing(MARK, self.mark) and is_free(self.port)


@pytest.fixture
def upped(mill: Any, started: Any) -> Iterator[Callable[..., Upped]]:
    """A function that starts `newsmill up` on the home."""
    begun: list[Upped] = []

    def start(*words: str) -> Upped:
        begun.append(Upped(mill, started, *words))
        return begun[-1]

    yield start
    for one in begun:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.process.pid, signal.SIGKILL)
        one.process.wait()
    for one in begun:
        if hasattr(one, "mark"):
            until(one.is_gone, 30)


def committed(mill: Any) -> int:
    try:
        with contextlib.closing(sqlite3.connect(f"file:{mill.home}/ledger.sqlite?mode=ro", uri=True)) as ledger:
            return int(ledger.execute("SELECT count(*) FROM commits").fetchone()[0])
    except sqlite3.Error:
        return 0


def documents(mill: Any) -> int:
    if not (mill.home / "warehouse.duckdb").exists():
        return 0
    return int(mill.one("SELECT count(*) FROM documents"))


def drop(mill: Any, write_news: Callable[..., str], first: int, count: int) -> None:
    """Let so many files arrive at once."""
    folder = mill.raw / f"from-{first}"
    folder.mkdir()
    for number in range(first, first + count):
        (folder / f"{number}.txt").write_text(write_news(number))
    folder.rename(mill.home / "inbox" / folder.name)


def assert_free(mill: Any) -> None:
    """Nobody holds a lock of the home.

    A process that was killed gives back its memory, by which it is known, before its files, and a busy machine takes
    its time between the two.
    """

    def is_free_of(path: Any) -> bool:
        try:
            with lock(path, wait=False):
                return True
        except WarehouseBusy:
            return False

    for name in ("up", "run", "publish"):
        path = mill.settings().layout.lock(name)
        if path.exists():
            until(lambda path=path: is_free_of(path), 5, f"{name} is held")


def test_up_takes_what_is_dropped_and_leaves_nothing_on_ctrl_c(
    mill: Any, upped: Callable[..., Upped], write_news: Callable[..., str]
) -> None:
    up = upped()
    drop(mill, write_news, 0, 1)
    until(lambda: documents(mill) == 1)
    up.ready()
    drop(mill, write_news, 1, 1)
    until(lambda: documents(mill) == 2)
    until(up.is_settled, 30)
    deployments = {(one["name"], one["status"]) for one in up.api("/deployments/filter")}
    assert {name for name, _ in deployments} == {"newsmill"}
    assert httpx.get(f"http://127.0.0.1:{up.port}/").is_success, "the pages are there"
    found = mill.cli("status", "--format", "json").json()["up"]
    assert found["pid"] == up.process.pid
    assert {name for name, service in found["services"].items() if service["pid"]} == {"server", "watcher", "worker"}
    assert "newsmill up, process" in mill.cli("status").out
    second = mill.newsmill("up", env={"HOME": str(mill.raw)})
    assert second.code == 1
    assert "newsmill down" in second.err
    assert str(up.port) in second.err
    os.kill(up.process.pid, signal.SIGINT)
    assert up.process.wait(30) == 130
    assert up.is_gone()
    assert_free(mill)
    assert mill.cli("status", "--format", "json").json()["up"] is None
    assert "Traceback" not in up.log.read_text()
    assert mill.problems() == []


def test_nobody_is_heard_without_the_password(
    mill: Any, upped: Callable[..., Upped], write_news: Callable[..., str]
) -> None:
    """Who could start a run of the worker could run anything: another account, a page in a browser of this machine."""
    (mill.home / "prefect").mkdir(parents=True)
    (mill.home / "prefect").chmod(0o755)
    up = upped().ready()
    drop(mill, write_news, 0, 1)
    until(lambda: documents(mill) == 1)
    until(up.is_settled, 30)
    base = f"http://127.0.0.1:{up.port}"
    token = up.client.get("/csrf-token", params={"client": "anyone"}).json()["token"]
    known = {"Prefect-Csrf-Client": "anyone", "Prefect-Csrf-Token": token}
    with httpx.Client(base_url=base, timeout=60) as anyone:
        routes = [
            (method.upper(), re.sub(r"\{[^}]*\}", str(uuid.uuid4()), path))
            for path, methods in anyone.get("/openapi.json").json()["paths"].items()
            for method in methods
        ]
        heard = [(m, path) for m, path in routes if anyone.request(m, f"/api{path}", headers=known).status_code != 401]
        assert len(routes) > 100
        assert sorted(heard) == [("GET", "/health"), ("GET", "/ready")]
        assert anyone.post("/api/flow_runs/filter", json={}, headers={"Authorization": "Basic YTpi"}).status_code == 403
        # With the password, but in the name of a person whose browser shows another page.
        assert up.client.get("/hello").status_code == 200
        by_person = httpx.BasicAuth(*up.password.split(":"))
        assert anyone.post("/api/flow_runs/filter", json={}, auth=by_person).status_code == 403, "no CSRF token"
        for origin, code in (("http://evil.example", 400), ("http://127.0.0.1:1", 400), ("null", 400), (base, 200)):
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            answer = anyone.options("/api/deployments/filter", headers=asked)
            allowed = answer.headers.get("Access-Control-Allow-Origin")
            assert (answer.status_code, allowed) == (code, base if code == 200 else None), origin
    for path in ("events/in", "events/out", "logs/out"):
        with pytest.raises(InvalidStatus, match="403"), connect(f"ws://127.0.0.1:{up.port}/api/{path}"):
            pass
        with connect(f"ws://127.0.0.1:{up.port}/api/{path}", subprotocols=[Subprotocol("prefect")]) as socket:
            socket.send(json.dumps({"type": "auth", "token": "newsmill:guess"}))
            with pytest.raises(ConnectionClosed):
                socket.recv(30)
    assert_told_to_nobody(up)


def assert_told_to_nobody(up: Upped) -> None:
    """The password stands in its file and nowhere else: no log, artifact, parameter, argument of a process."""
    home, secret = up.mill.home, up.password.partition(":")[2].encode()
    assert len(secret) == 32
    file = home / "prefect" / "password"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, file.parent)] == [0o600, 0o700]
    holding = [path for path in home.parent.rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert holding == [file]
    assert str(file) in up.log.read_text()
    ours = processes.bearing(MARK, up.mark)
    assert len(ours) >= 6
    assert [pid for pid in ours if secret in Path(f"/proc/{pid}/cmdline").read_bytes()] == []


@pytest.mark.long
def test_schedules_events_and_commands_work_behind_the_password(
    mill: Any, upped: Callable[..., Upped], started: Any, write_news: Callable[..., str]
) -> None:
    up = upped().ready()
    # What it would take itself comes by the worker.
    for pid in guard.descendants(up.state["services"]["watcher"]["pid"]):
        os.kill(pid, signal.SIGSTOP)
    environment = {**mill.prefect_environment(), "PREFECT_API_URL": f"http://127.0.0.1:{up.port}/api"}
    with (mill.home.parent / "events.txt").open("wb") as said:
        started(mill.command("watch", "--trigger", "event"), env=environment, stdout=said, stderr=said)
        drop(mill, write_news, 0, 1)
        until(lambda: documents(mill) == 1, why="an event makes no run")
    until(up.is_settled, 60)
    deployment = up.client.get("/deployments/name/maintain/newsmill").json()["id"]
    # A server makes runs only ahead of their time.
    start = datetime.now(UTC) + timedelta(seconds=20)
    rule = f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:FREQ=SECONDLY;INTERVAL=30;COUNT=3"
    schedule = {"active": True, "slug": "once", "schedule": {"rrule": rule, "timezone": "UTC"}}
    up.client.post(f"/deployments/{deployment}/schedules", json=[schedule]).raise_for_status()
    until(lambda: [run for run in up.api("/flow_runs/filter")
                   if run["deployment_id"] == deployment and run["state_type"] == "COMPLETED"], 180)  # fmt: skip
    for words in (["deploy"], ["forget", "--uri", "from-0/0.txt"]):
        answer = mill.newsmill(*words, env=mill.prefect_environment())
        assert answer.code == 0, answer.err
    answer = mill.newsmill("deploy", env={**environment, "PREFECT_API_AUTH_STRING": "newsmill:guess"})
    assert answer.code == 2
    assert "asks for another password" in answer.err
    assert b"401" not in (mill.home.parent / "events.txt").read_bytes()
    assert_told_to_nobody(up)


@pytest.mark.long
def test_down_ends_what_runs_in_the_background(mill: Any, write_news: Callable[..., str]) -> None:
    mill.home.parent.joinpath("nobody").mkdir(exist_ok=True)
    answer = mill.newsmill("up", "--detach", seconds=300, env=mill.prefect_environment())
    assert answer.code == 0, answer.err
    state = json.loads((mill.home / "up" / "running.json").read_text())
    try:
        assert f"http://127.0.0.1:{state['port']}" in answer.err
        assert f"password in {mill.home}/prefect/password;" in answer.err
        drop(mill, write_news, 0, 3)
        until(lambda: documents(mill) == 3)
        again = mill.newsmill("up", "--detach", env=mill.prefect_environment())
        assert again.code == 1
        assert "newsmill down" in again.err
        done = mill.newsmill("down")
        assert done.code == 0, done.err
        assert processes.bearing(MARK, state["mark"]) == []
        assert is_free(state["port"])
        assert processes.started(state["pid"]) is None
        assert "no newsmill up runs" in mill.newsmill("down").err
    finally:
        processes.end(MARK, state["mark"])
    assert_free(mill)
    assert mill.problems() == []


@pytest.mark.long
def test_sigterm_in_the_middle_of_a_run(mill: Any, upped: Callable[..., Upped], write_news: Callable[..., str]) -> None:
    up = upped("--set", "batch_files=2").ready()
    drop(mill, write_news, 0, MANY)
    until(lambda: committed(mill) >= 3)
    os.kill(up.process.pid, signal.SIGTERM)
    assert up.process.wait(40) == 143
    assert up.is_gone()
    assert_free(mill)
    assert 3 <= committed(mill) < MANY / 2
    assert_goes_on(mill, upped, MANY)


@pytest.mark.long
def test_a_server_that_hangs_in_the_middle_of_a_run_holds_up_no_file(
    mill: Any, upped: Callable[..., Upped], write_news: Callable[..., str]
) -> None:
    """Long before it is started anew: what the run has to tell is given up, and files go on coming in."""
    up = upped("--set", "batch_files=2").ready()
    drop(mill, write_news, 0, 300)
    until(lambda: committed(mill) >= 3)
    stopped = list(guard.descendants(up.state["services"]["server"]["pid"]))
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: documents(mill) == 300)
        drop(mill, write_news, 300, 1)
        until(lambda: documents(mill) == 301, 60, "a file waits for a server that hangs")
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    # What the server was not told it hears with the next run.
    drop(mill, write_news, 301, 1)
    until(lambda: documents(mill) == 302)
    until(up.is_settled, 90, "a run is stuck")
    assert mill.problems(deep=True) == []


def assert_goes_on(mill: Any, upped: Callable[..., Upped], count: int) -> Upped:
    """The next start is clean, takes the rest, and no run stays alive that is not."""
    up = upped().ready()
    until(lambda: documents(mill) == count)
    assert mill.one("SELECT count(DISTINCT document_id) FROM documents") == count
    until(up.is_settled, 60, "a run is stuck")
    assert mill.problems(deep=True) == []
    return up


@pytest.mark.long
def test_up_itself_is_killed_in_the_middle_of_a_run(
    mill: Any, upped: Callable[..., Upped], write_news: Callable[..., str]
) -> None:
    up = upped("--set", "batch_files=2").ready()
    drop(mill, write_news, 0, MANY)
    until(lambda: committed(mill) >= 3)
    up.process.kill()
    up.process.wait()
    until(up.is_gone, 20, "something outlived newsmill up")
    assert_free(mill)
    assert committed(mill) < MANY / 2
    later = assert_goes_on(mill, upped, MANY)
    assert later.port == up.port, "the port is remembered"


@pytest.mark.long
@pytest.mark.parametrize("victim", ["server", "watcher"])
def test_a_service_is_killed_in_the_middle_of_a_run(
    mill: Any, upped: Callable[..., Upped], write_news: Callable[..., str], victim: str
) -> None:
    up = upped("--set", "batch_files=2").ready()
    drop(mill, write_news, 0, 200)
    until(lambda: committed(mill) >= 3)
    os.kill(up.service(victim), signal.SIGKILL)
    until(lambda: documents(mill) == 200)
    drop(mill, write_news, 200, 1)
    until(lambda: documents(mill) == 201)
    until(lambda: up.state["is_ready"] and up.state["services"][victim]["restarts"] == 1)
    # What the server was not told while it was away it hears with the next run.
    drop(mill, write_news, 201, 1)
    until(lambda: documents(mill) == 202)
    until(up.is_settled, 60, "a run is stuck")
    if victim == "watcher":
        assert "CRASHED" in {state for _, state in up.runs()}
    assert f"{victim} ended (killed by SIGKILL)" in " ".join(up.log.read_text().split())
    assert mill.problems(deep=True) == []
    os.kill(up.process.pid, signal.SIGTERM)
    assert up.process.wait(40) == 143
    assert up.is_gone()


@pytest.mark.long
def test_a_server_that_hangs_is_started_anew_and_one_that_is_slow_is_not(
    mill: Any, upped: Callable[..., Upped], write_news: Callable[..., str]
) -> None:
    up = upped("--patience", "10").ready()

    def stand_still(number: int) -> None:
        for pid in guard.descendants(up.state["services"]["server"]["pid"]):
            os.kill(pid, number)

    stand_still(signal.SIGSTOP)
    time.sleep(8)
    stand_still(signal.SIGCONT)
    drop(mill, write_news, 0, 1)
    until(lambda: documents(mill) == 1)
    until(up.is_settled, 60, "a run is stuck")
    assert up.state["services"]["server"]["restarts"] == 0
    stand_still(signal.SIGSTOP)
    drop(mill, write_news, 1, 1)
    until(lambda: documents(mill) == 2, why="the data waits for the server")
    until(lambda: up.state["is_ready"] and up.state["services"]["server"]["restarts"] == 1, 240)
    drop(mill, write_news, 2, 1)
    until(lambda: documents(mill) == 3)
    until(up.is_settled, 60, "a run is stuck")
    said = " ".join(up.log.read_text().split())
    assert said.count("the server has not answered for") == 1
    assert "server ended (killed by SIGKILL)" in said
    assert mill.problems() == []
    os.kill(up.process.pid, signal.SIGTERM)
    assert up.process.wait(40) == 143
    assert up.is_gone()


@pytest.mark.long
def test_a_server_that_hangs_holds_up_no_end(mill: Any, upped: Callable[..., Upped]) -> None:
    up = upped().ready()
    for pid in guard.descendants(up.state["services"]["server"]["pid"]):
        os.kill(pid, signal.SIGSTOP)
    time.sleep(3)
    os.kill(up.process.pid, signal.SIGTERM)
    assert up.process.wait(40) == 143
    assert up.is_gone()
    assert_free(mill)


@pytest.mark.long
@pytest.mark.parametrize("is_guard", [False, True], ids=["worker", "guard"])
def test_the_worker_is_killed_in_the_middle_of_its_run(mill: Any, upped: Callable[..., Upped], is_guard: bool) -> None:
    mill.fill(300)
    up = upped("--set", "batch_files=2").ready()
    (deployment,) = (one["id"] for one in up.api("/deployments/filter") if one["entrypoint"].startswith("flows.ingest"))
    parameters = {"paths": [str(mill.raw)], "settings": {"batch_files": "2"}}
    run = up.api(f"/deployments/{deployment}/create_flow_run", parameters=parameters)
    until(lambda: committed(mill) >= 3)
    killed = up.state["services"]["worker"]["pid"] if is_guard else up.service("worker")
    os.kill(killed, signal.SIGKILL)
    until(lambda: dict(up.runs()).get(run["id"]) == "CRASHED", 90, "the run is stuck")
    assert committed(mill) < 150
    again = up.api(f"/deployments/{deployment}/create_flow_run", parameters=parameters)
    until(lambda: documents(mill) == 300)
    until(lambda: dict(up.runs()).get(again["id"]) == "COMPLETED", 60)
    assert mill.problems(deep=True) == []


@pytest.mark.long
def test_what_a_person_starts_is_seen_by_the_server_of_up(mill: Any, upped: Callable[..., Upped]) -> None:
    mill.fill(3)
    up = upped().ready()
    answer = mill.newsmill("ingest", mill.raw, env=mill.prefect_environment())
    assert answer.code == 0, answer.err
    assert "temporary" not in answer.err
    assert mill.one("SELECT orchestrator FROM runs ORDER BY started_at DESC LIMIT 1") == "prefect"
    until(up.is_settled, 30)


@pytest.mark.long
def test_two_homes_that_begin_at_once_do_not_meet(
    new_mill: Callable[..., Any], started: Any, write_news: Callable[..., str]
) -> None:
    mills = [new_mill(name) for name in ("one", "other")]
    both = [Upped(mill, started) for mill in mills]
    try:
        for up in both:
            up.ready()
        assert both[0].port != both[1].port
        for number, (mill, up) in enumerate(zip(mills, both, strict=True)):
            drop(mill, write_news, 10 * number, number + 1)
            until(lambda mill=mill, number=number: documents(mill) == number + 1)
            assert up.client.get("/admin/settings").json()["home"] == str(mill.home / "prefect")
        assert both[0].password != both[1].password
        assert (
            httpx.get(
                f"http://127.0.0.1:{both[0].port}/api/admin/settings", auth=tuple(both[1].password.split(":"))
            ).status_code
            == 401
        )
    finally:
        for up in both:
            up.process.terminate()
        assert [up.process.wait(60) for up in both] == [143, 143]
    assert all(up.is_gone() for up in both)
