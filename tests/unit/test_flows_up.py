"""What `newsmill up` plans, remembers and cleans, without the processes themselves."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import processes, running, stuck, supervise
from flows.password import CLIENT, SERVER
from flows.running import MARK, Running
from flows.services import UpOptions, claimed_port, environment, is_free, services
from flows.settings import Settings
from flows.supervise import State
from warehouse.durable import lock
from warehouse.errors import ConfigError, TransientError, WarehouseBusy
from warehouse.layout import Home

linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")


def test_a_service_that_dies_again_and_again_waits_ever_longer_up_to_a_minute() -> None:
    state, now, pauses = State(), 0.0, []
    for _ in range(10):
        now = max(now, state.due)
        state = state.begun(1, now).ended(now + 1)
        pauses.append(state.due - (now + 1))
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    steady = state.begun(1, now).ended(now + supervise.STEADY_SECONDS)
    assert steady.due == now + supervise.STEADY_SECONDS + 1
    assert steady.restarts == 10


def test_what_needs_another_starts_when_that_one_is_there() -> None:
    states = {
        "server": State(),
        "watcher": State(),
        "deployments": State(needs="server"),
        "worker": State(needs="deployments"),
    }
    assert supervise.due(states, 0.0) == ["server", "watcher"]
    states |= {"server": State().begun(1, 0.0), "watcher": State().begun(2, 0.0)}
    assert supervise.due(states, 0.0) == []
    states["server"] = states["server"].ready()
    assert supervise.due(states, 0.0) == ["deployments"]
    states["deployments"] = states["deployments"].begun(3, 0.0)
    assert supervise.due(states, 0.0) == []
    states["deployments"] = states["deployments"].done()
    assert supervise.due(states, 0.0) == ["worker"], "what is done is not done again"
    states["server"] = states["server"].ended(5.0)
    states["worker"] = State(needs="deployments").begun(4, 5.0)
    assert supervise.due(states, 5.5) == []
    assert supervise.due(states, 6.0) == ["server"]


def test_a_server_that_never_answers_is_late() -> None:
    state = State().begun(1, 10.0)
    assert not supervise.is_late(state, 100.0, 180.0)
    assert supervise.is_late(state, 190.0, 180.0)
    assert not supervise.is_late(state.ready(), 1000.0, 180.0)


def test_a_server_hangs_when_it_was_asked_often_and_long_and_never_answered() -> None:
    state = State().begun(1, 0.0).ready()
    for now in range(0, 160, 20):
        state = state.missed(1000.0 + now)
    assert not supervise.is_hung(state, 1160.0, 180.0), "not for long enough"
    assert supervise.is_hung(state, 1180.0, 180.0)
    assert not supervise.is_hung(state.ready(), 1180.0, 180.0), "one answer is enough"
    assert state.ready().missed(1190.0).silent_since == 1190.0
    assert not supervise.is_hung(state.ready().missed(1190.0), 9000.0, 180.0), "asked once, however long ago"
    assert not supervise.is_hung(state.ended(1180.0), 1180.0, 180.0), "it is gone"
    assert not supervise.is_hung(state.begun(2, 1180.0), 1380.0, 180.0), "one that starts is late, if anything"


def run(run_id: str, *tags: str, pool: str | None = None, since: str = "2026-11-28T08:00:00Z") -> dict[str, Any]:
    return {"id": run_id, "tags": list(tags), "work_pool_name": pool, "state": {"timestamp": since}}


@linux
def test_a_run_is_dead_when_its_process_is() -> None:
    gone = "process-0-1"
    runs = [
        run("here", "newsmill", processes.tag()),
        run("gone", "newsmill", gone),
        run("worker", "newsmill", pool="newsmill"),
        run("fresh", pool="newsmill", since="2026-11-28T08:00:55+00:00"),
        run("at work", pool="newsmill"),
        run("other pool", pool="somebody's"),
        run("stranger", "process-x", "newsmill"),
    ]
    now = 1_795_852_860.0  # 2026-11-28 08:01:00
    found = stuck.dead(runs, work_pool="newsmill", at_work={"at work"}, now=now, seconds=20)
    assert found == ["gone", "worker"]
    assert stuck.dead(runs, work_pool="newsmill", at_work=set(), now=now, seconds=0) == [
        "gone", "worker", "fresh", "at work",
    ]  # fmt: skip
    assert stuck.dead(runs, work_pool=None, at_work=set(), now=now, seconds=0) == ["gone"]


@linux
def test_a_process_is_known_by_the_run_in_its_environment(asleep: Callable[..., "subprocess.Popen[bytes]"]) -> None:
    child = asleep(PREFECT__FLOW_RUN_ID="some-run")
    assert "some-run" in stuck.at_work()
    child.kill()
    child.wait()
    assert "some-run" not in stuck.at_work()


@linux
def test_the_next_up_ends_what_a_killed_one_left_and_nothing_else(
    tmp_path: Path, asleep: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    home = Home(tmp_path)
    killed = Running(os.getpid(), port=4711)
    running.write(home, killed)
    left = asleep(**{MARK: f"{killed.mark}-server"})
    other = asleep(**{MARK: "another-server"})
    with running.held(home) as here:
        assert left.wait(10) == -9
        assert other.poll() is None
        assert here.port == 4711
        assert here.mark != killed.mark
        assert running.current(home) == here
        with pytest.raises(WarehouseBusy, match="newsmill down"), running.held(home):
            pass
    assert running.current(home) is None
    assert running.end(home) is None
    remembered = running.remembered(home)
    assert remembered is not None
    assert remembered.port == 4711


@linux
def test_what_was_ended_holds_nothing_any_more(tmp_path: Path) -> None:
    """The kernel takes its time to free memory, and closes files after that."""
    held = "import pathlib, sys, time; from warehouse.durable import lock; x = b'x' * 300_000_000\n"
    held += "with lock(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    path = tmp_path / "some.lock"
    child = subprocess.Popen(
        [sys.executable, "-c", held, path], env={**os.environ, MARK: "to-end"}, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    with child, child.stdout:
        assert child.stdout.readline() == b"held\n"
        assert processes.end(MARK, "to-end") == 1
        with lock(path, wait=False):
            pass


@linux
def test_down_signals_nobody_by_an_old_note(tmp_path: Path) -> None:
    """An `up` has the lock and has not written yet; the note is of a killed one, whose number another has by now."""
    home = Home(tmp_path)
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        with running.held(home):
            since = processes.started(stranger.pid)
            assert since is not None
            running.write(home, Running(stranger.pid, tag=f"process-{stranger.pid}-{since - 1}"))
            with pytest.raises(TransientError, match="just starting"):
                running.end(home, seconds=1)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_damaged_note_is_no_note(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.up.mkdir()
    for text in ("", "{", "[]", '{"pid": 1, "who": 2}'):
        (home.up / "running.json").write_text(text)
        assert running.remembered(home) is None
    with running.held(home) as here:
        assert here.pid == os.getpid()


def test_a_port_is_kept_where_it_is_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free(port)
        with claimed_port(port) as other:
            assert other != port
        with pytest.raises(ConfigError, match="name another"), claimed_port(0, port):
            pass
    with claimed_port(port) as kept:
        assert kept == port


@linux
def test_two_that_begin_at_once_take_two_ports() -> None:
    """Between the choice of a port and the server's listening there are seconds."""
    with claimed_port(4711) as one, claimed_port(4711) as other:
        assert one != other
        assert is_free(one)
        with pytest.raises(ConfigError), claimed_port(0, one):
            pass


def test_every_service_works_on_the_home_and_on_its_own_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere.example/api")
    monkeypatch.setenv("PREFECT_PROFILE", "mine")
    monkeypatch.setenv("PREFECT_WORKER_QUERY_SECONDS", "3")
    settings = Settings(home=tmp_path, ledger_url="postgresql+psycopg://a@b/c", work_pool="pool")
    here = Running(1, port=4711)
    words = ("--home", str(tmp_path))
    chosen = {
        one.name: one for one in services(settings, here, UpOptions(metrics_port=9464, watch=("--settle", "2")), words)
    }
    assert list(chosen) == ["server", "watcher", "deployments", "worker"]
    assert chosen["watcher"].needs is None, "data waits for nobody"
    assert chosen["server"].command[-4:] == ("--host", "127.0.0.1", "--port", "4711")
    assert chosen["watcher"].command[-6:] == (*words, "--settle", "2", "--metrics-port", "9464")
    assert "pool" in chosen["worker"].command
    found = environment(settings, here.api_url, "newsmill:planted")
    assert found["PREFECT_API_URL"] == "http://127.0.0.1:4711/api"
    assert found["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert found["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert found["NEWSMILL_LEDGER_URL"] == "postgresql+psycopg://a@b/c"
    assert found["PREFECT_WORKER_QUERY_SECONDS"] == "3"
    assert "PREFECT_PROFILE" not in found


def test_the_server_is_closed_to_whoever_has_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a person has set for another server, and though an empty password would let everybody in."""
    monkeypatch.setenv(CLIENT, "someone:elsewhere")
    monkeypatch.setenv(SERVER, "")
    found = environment(Settings(home=tmp_path), "http://127.0.0.1:4711/api", "newsmill:planted")
    assert (found[SERVER], found[CLIENT]) == ("newsmill:planted", "newsmill:planted")
    assert found["PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED"] == "true"
    assert found["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:4711"
    monkeypatch.setenv("PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS", "https://prefect.example")
    found = environment(Settings(home=tmp_path), "http://127.0.0.1:4711/api", "newsmill:planted")
    assert found["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"] == "https://prefect.example"


def test_status_says_what_runs(tmp_path: Path) -> None:
    told = running.told(
        Running(
            1,
            services={
                "server": {"pid": 2, "is_ready": True, "restarts": 0},
                "watcher": {"pid": 3, "is_ready": False, "restarts": 2},
                "deployments": {"pid": None, "is_ready": True, "restarts": 0},
                "worker": {"pid": None, "is_ready": False, "restarts": 1},
            },
        )
    )
    assert told == "server runs, watcher starts (2 restarts), deployments done, worker waits (1 restart)"


def test_a_sweep_of_no_seconds_is_refused_before_anything_starts(mill: Any) -> None:
    answer = mill.cli("up", "--sweep", "0")
    assert answer.code == 2
    assert "--sweep" in answer.err
    assert not mill.home.exists()
