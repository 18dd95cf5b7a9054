"""The data does not wait for Prefect's server: it is killed in the middle of a run, stays away, and comes back."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

NEWSMILL = Path(sys.executable).with_name("newsmill")
FILES = 300


def documents(mill):
    return mill.one("SELECT count(*) FROM documents") if (mill.home / "warehouse.duckdb").exists() else 0


@pytest.fixture
def inbox(mill, write_news):
    folder = mill.home / "inbox" / "a"
    folder.mkdir(parents=True)
    for number in range(FILES):
        (folder / f"{number}.txt").write_text(write_news(number))
    return folder


def test_a_server_that_dies_in_the_middle_of_a_run_costs_nothing(prefect_server, mill, inbox, write_news):
    (server,) = prefect_server.running
    watcher = prefect_server.start(
        NEWSMILL,
        "watch",
        "--home",
        mill.home,
        "--trigger",
        "flow",
        "--set",
        "batch_files=5",
        "--set",
        "publish_seconds=600",
    )
    prefect_server.until(lambda: mill.commits() >= 3)
    prefect_server.kill(server)
    assert mill.commits() < FILES / 5, "the server died in the middle"
    prefect_server.until(lambda: documents(mill) == FILES, what="the data of the run")
    (inbox / "without.txt").write_text(write_news(FILES))
    prefect_server.until(lambda: documents(mill) == FILES + 1, what="the data of a run without a server")
    assert "does not answer: this run is known to the ledger only" in prefect_server.output()
    again = prefect_server.up()
    before = len(prefect_server.runs())
    (inbox / "again.txt").write_text(write_news(FILES + 1))
    prefect_server.until(lambda: documents(mill) == FILES + 2, what="the data of a run with the server that is back")
    prefect_server.until(lambda: len(prefect_server.runs()) == before + 1)
    assert mill.column("SELECT DISTINCT status FROM runs") == ["completed"]
    assert mill.column("SELECT DISTINCT orchestrator FROM runs ORDER BY ALL") == ["direct", "prefect"]
    assert mill.problems() == []
    # Even while nobody takes what is left of Prefect's own events.
    prefect_server.kill(again)
    watcher.send_signal(signal.SIGTERM)
    assert watcher.wait(20) == 143


@pytest.mark.long
def test_a_watcher_tells_of_files_when_the_server_is_back(prefect_server, mill, inbox, write_news):
    """Needs no worker: an event that the server has accepted is what counts."""
    for process in prefect_server.running:
        prefect_server.kill(process)
    watcher = prefect_server.start(NEWSMILL, "watch", "--home", mill.home, "--trigger", "event")
    prefect_server.until(lambda: "did not take the event" in prefect_server.output())
    prefect_server.up()
    wanted = {"event": {"name": ["newsmill.files.settled"]}, "occurred": {"since": "2020-01-01T00:00:00Z"}}
    (event,) = prefect_server.until(lambda: prefect_server.ask("events/filter", filter=wanted)["events"])
    assert event["payload"] == {"files": FILES}
    assert event["resource"]["prefect.resource.id"] == "newsmill.inbox.newsmill"
    watcher.send_signal(signal.SIGTERM)
    assert watcher.wait(20) == 143


@pytest.mark.long
def test_an_event_that_leads_to_no_run_is_sent_until_one_does(prefect_server, mill, inbox):
    """The server accepts an event before it acts on it, and may lose it: here nobody is there to act."""
    if not prefect_server.answers():
        prefect_server.up()
    watcher = prefect_server.start(NEWSMILL, "watch", "--home", mill.home, "--trigger", "event", "--sweep", "5")
    prefect_server.until(lambda: "no run of ingest/newsmill came of the event" in prefect_server.output())
    command = [NEWSMILL, "deploy", "--home", mill.home]
    subprocess.run(command, env=prefect_server.env(), check=True, timeout=120, capture_output=True)
    prefect_server.work()
    prefect_server.until(lambda: documents(mill) == FILES, 180, "a run")
    said = prefect_server.output().count("is the deployment there")
    ended = lambda: [one for one in prefect_server.runs() if one["deployment_id"] and one["end_time"]]  # noqa: E731
    (run,) = prefect_server.until(ended)
    assert run["created_by"]["display_value"] == "newsmill: files have settled"
    time.sleep(40)
    assert prefect_server.output().count("is the deployment there") == said, "it is content with one run"
    watcher.send_signal(signal.SIGTERM)
    assert watcher.wait(20) == 143
