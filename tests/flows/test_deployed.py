"""Deployments on a real server with a real worker: registered, scheduled, triggered, one at a time, and told of."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.escape import markdown
from warehouse.durable import lock

NEWSMILL = Path(sys.executable).with_name("newsmill")
TITLES = (
    "<script>alert('title')</script>",
    "[title](javascript:alert(1)) ![i](http://evil.invalid/x.png) | **fett** `code`",
    "# <img src=x onerror=alert(2)> https://evil.invalid a@evil.invalid",
)
# No run of it may come by itself and be taken for one that a test asked for: next on a 29th of February.
CRON = "0 0 29 2 *"
WHEN = ("--cron", CRON, "--timezone", "Europe/Berlin")
NAME = "<img src=x>[name](javascript:alert(3)).txt"


@pytest.fixture(scope="module")
def mill(new_mill):
    made = new_mill("deployed")
    (made.home / "inbox" / "a").mkdir(parents=True)
    return made


@pytest.fixture(scope="module")
def deploy(prefect_server, mill):
    """A function that runs `newsmill deploy`, as a person would, with nobody there to ask."""

    def call(*arguments):
        command = [NEWSMILL, "deploy", "--home", mill.home, "--format", "json", *arguments]
        done = subprocess.run(
            command, env=prefect_server.env(), cwd=mill.raw, capture_output=True, timeout=120, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    return call


@pytest.fixture(scope="module")
def deployed(prefect_server, deploy):
    """Both deployments on the server, and a worker that has started."""
    found = {row["name"]: row["id"] for row in deploy(*WHEN)}
    prefect_server.work()
    prefect_server.until(
        lambda: any(one["status"] == "ONLINE" for one in prefect_server.ask("work_pools/newsmill/workers/filter"))
    )
    return found


@pytest.fixture(scope="module")
def triggered(prefect_server, deployed, mill, write_news):
    """A run that a watcher's event has triggered, on content that is hostile; it has ended."""
    inbox = mill.home / "inbox" / "a"
    rows = [{"id": n, "title": title, "text": write_news(n)} for n, title in enumerate(TITLES)]
    (inbox / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n{broken\n")
    (inbox / NAME).write_bytes(b"\xff\xd8\xff\x00\x01" * 40)
    watcher = prefect_server.start(NEWSMILL, "watch", "--home", mill.home, "--trigger", "event")
    try:
        return prefect_server.until(lambda: ended(prefect_server, 1), what="the triggered run")[0]
    finally:
        prefect_server.kill(watcher)


ENDED = ("COMPLETED", "FAILED", "CRASHED")


def ended(server, count):
    """The runs of the ingest that have ended, if there are so many."""
    found = [run for run in server.runs() if run["state_type"] in ENDED]
    return found if len(found) >= count else None


def is_at_rest(server):
    """Whether no run is at work, and none waits but for its hour: an event may have asked for one more."""
    return all(
        run["state_type"] in ENDED or (run["state_type"] == "SCHEDULED" and run["auto_scheduled"])
        for run in server.runs()
    )


def known(server):
    """What a server says of a deployment that registering it again must not change."""
    found = {}
    for name in ("ingest/newsmill", "maintain/newsmill"):
        answer = server.get(f"deployments/name/{name}")
        kept = (
            "id", "name", "description", "entrypoint", "tags", "parameters", "parameter_openapi_schema", "pull_steps",
            "work_pool_name", "job_variables", "concurrency_options", "enforce_parameter_schema", "paused",
        )  # fmt: skip
        schedules = [(one["slug"], one["active"], one["schedule"]) for one in answer["schedules"]]
        limit = answer["global_concurrency_limit"]["limit"]
        automations = [
            (one["name"], one["enabled"], one["actions"], {**one["trigger"], "id": None})
            for one in server.get(f"automations/related-to/prefect.deployment.{answer['id']}")
        ]
        found[name] = ({name: answer[name] for name in kept}, schedules, limit, automations)
    return found


def test_deploying_again_changes_nothing_and_what_is_off_stays_off(prefect_server, deploy, deployed):
    identity = deployed["maintain/newsmill"]
    (schedule,) = prefect_server.get(f"deployments/{identity}/schedules")
    prefect_server.send("PATCH", f"deployments/{identity}/schedules/{schedule['id']}", {"active": False})
    before = known(prefect_server)
    assert {row["name"]: row["id"] for row in deploy(*WHEN)} == deployed
    assert known(prefect_server) == before
    answer, schedules, limit, automations = before["ingest/newsmill"]
    assert limit == 1
    assert answer["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    assert [trigger["expect"] for _, _, _, trigger in automations] == [["newsmill.files.settled"]]
    ((slug, is_active, when),) = schedules
    assert (slug, is_active, when["cron"], when["timezone"]) == ("ingest", True, CRON, "Europe/Berlin")
    ((slug, is_active, when),) = before["maintain/newsmill"][1]
    assert (slug, is_active, when["timezone"]) == ("maintain", False, "Europe/Berlin")


def test_the_form_of_the_parameters_asks_for_no_types(prefect_server, deployed):
    for name, count in (("ingest/newsmill", 3), ("maintain/newsmill", 4)):
        schema = prefect_server.get(f"deployments/name/{name}")["parameter_openapi_schema"]
        assert len(schema["properties"]) == count
        for one in schema["properties"].values():
            assert one["description"].endswith(".")
            assert isinstance(one["type"], str), "a parameter of several types has a form that asks which"
            assert "default" in one


def test_an_event_of_the_watcher_triggers_the_deployment(triggered, prefect_server, deployed, mill):
    assert triggered["state_type"] == "COMPLETED", prefect_server.output()
    assert triggered["deployment_id"] == deployed["ingest/newsmill"]
    assert triggered["created_by"]["display_value"] == "newsmill: files have settled"
    assert sorted(mill.column("SELECT title FROM documents")) == sorted(TITLES)
    assert mill.column("SELECT DISTINCT orchestrator FROM runs") == ["prefect"]


def test_a_run_tells_what_it_did(triggered, prefect_server, mill):
    assert triggered["name"] == "1 ingested, 1 rejected, 3 documents"
    artifacts = prefect_server.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [triggered["id"]]}})
    data = {artifact["key"]: artifact["data"] for artifact in artifacts}
    assert data.keys() == {"newsmill-summary", "newsmill-counts", "newsmill-rejects", "newsmill-progress"}
    assert data["newsmill-progress"] == 100
    counts = {row["what"]: row["count"] for row in json.loads(data["newsmill-counts"])}
    assert counts["became documents"] == 1
    assert counts["documents"] == 3
    rejects = {row["reason"]: row for row in json.loads(data["newsmill-rejects"])}
    assert {reason: row["rejects"] for reason, row in rejects.items()} == {"binary": 1, "malformed": 1}

    def lines():
        logs = prefect_server.ask("logs/filter", logs={"flow_run_id": {"any_": [triggered["id"]]}})
        return [log["message"] for log in logs if "committed" in log["message"]]

    # A server writes logs by the handful, every two seconds.
    assert prefect_server.until(lines) == ["batch 0 committed: 2 files, 3 documents, 2 rejects"]


def test_texts_from_outside_are_only_text(triggered, prefect_server, mill):
    from markdown_it import MarkdownIt

    artifacts = prefect_server.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [triggered["id"]]}})
    data = {artifact["key"]: artifact["data"] for artifact in artifacts}
    summary, rejects = data["newsmill-summary"], data["newsmill-rejects"]
    for title in TITLES:
        assert markdown(title) in summary
    shown = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(summary)
    for tag in ("<script", "<img", "<a ", "<h1"):
        assert tag not in shown
    (example,) = [row["for example"] for row in json.loads(rejects) if row["reason"] == "binary"]
    assert "<" not in example
    assert "javascript\\:" in example.replace("\\%3A", "\\:")


def test_the_event_of_a_load_and_the_assets_have_the_rows(triggered, prefect_server, mill):
    def found(prefix):
        wanted = {"event": {"prefix": [prefix]}, "occurred": {"since": "2020-01-01T00:00:00Z"}}
        return prefect_server.ask("events/filter", filter=wanted, limit=50)["events"]

    (loaded,) = prefect_server.until(lambda: found("newsmill.loaded"))
    assert loaded["payload"]["rows"]["documents"] == 3
    assert loaded["payload"]["counts"]["rejected"] == 1
    assert loaded["related"][0]["prefect.resource.id"] == f"prefect.flow-run.{triggered['id']}"
    # Prefect sends these by itself, when it has time.
    told = prefect_server.until(lambda: len(events := found("prefect.asset.")) == 5 and events)
    rows = {one["resource"]["prefect.resource.name"]: one["payload"]["rows"] for one in told}
    assert rows == {name: mill.one(f"SELECT count(*) FROM {name}") for name in rows}
    assert rows.keys() == {"files", "documents", "paragraphs", "segments", "rejects"}


def test_one_run_at_a_time_and_a_schedule_that_fires(triggered, prefect_server, deployed, mill, write_news):
    identity = deployed["ingest/newsmill"]
    (mill.home / "inbox" / "a" / "later.txt").write_text(write_news(50))
    before = len(prefect_server.runs())
    # Whoever runs now waits for the home, so that the others come while it is at work.
    with lock(mill.settings().layout.lock("run")):
        prefect_server.schedule(identity, "often", 5)
        until = time.monotonic() + 120
        most = waited = 0
        while time.monotonic() < until and not (most and waited):
            states = [run["state"]["name"] for run in prefect_server.runs()[before:]]
            most = max(most, sum(name in ("Pending", "Running") for name in states))
            waited = max(waited, states.count("AwaitingConcurrencySlot"))
            time.sleep(0.3)
        assert most == 1
        assert waited >= 1
    last = prefect_server.until(lambda: ended(prefect_server, before + 3))[before:]
    assert [(run["state_type"], run["auto_scheduled"]) for run in last] == [("COMPLETED", True)] * 3
    assert mill.one("SELECT count(*) FROM documents") == 4
    assert mill.problems() == []


def test_what_is_forgotten_is_no_longer_shown_on_the_pages(triggered, prefect_server, mill):
    def told():
        artifacts = prefect_server.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [triggered["id"]]}})
        return {artifact["key"]: artifact["data"] for artifact in artifacts}

    def forget(*words, **env):
        answer = mill.newsmill("forget", *words, "--format", "json", env=prefect_server.env(**env), seconds=120)
        assert answer.code == 0, answer.err
        return answer.json()["prefect"]

    before = told()
    assert markdown(TITLES[0]) in before["newsmill-summary"]
    away = forget("--uri", "a/rows.jsonl", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert away["changed_artifacts"] == 0
    assert "http://127.0.0.1:9/api does not answer" in away["problem"]
    assert told() == before
    assert forget() == {"changed_artifacts": 2, "problem": None}, "it is never too late"
    after = told()
    for text in (*TITLES, NAME, "rows.jsonl"):
        assert not any(markdown(text) in str(data) for data in after.values())
    assert "In the warehouse now" in after["newsmill-summary"]
    counted = [[row["rejects"] for row in json.loads(data["newsmill-rejects"])] for data in (before, after)]
    assert counted == [[1, 1], [1, 1]]
    latest = prefect_server.ask("artifacts/latest/filter", artifacts={"key": {"any_": list(after)}})
    assert not any(markdown(TITLES[0]) in str(one["data"]) for one in latest)
    assert forget() == {"changed_artifacts": 0, "problem": None}


def test_the_maintenance_runs_and_forgets_only_our_old_runs(triggered, prefect_server, deployed, mill):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.retention import forget_runs

    prefect_server.ask(f"deployments/{deployed['maintain/newsmill']}/create_flow_run", body={})
    (run,) = prefect_server.until(lambda: [one for one in prefect_server.runs("maintain") if one["end_time"]])
    assert (run["state_type"], run["name"]) == ("COMPLETED", "0 files and 0 old runs removed"), prefect_server.output()
    stranger = prefect_server.ask("flow_runs/", body={"flow_id": run["flow_id"], "state": {"type": "COMPLETED"}})
    prefect_server.until(lambda: is_at_rest(prefect_server))
    ours = len(ended(prefect_server, 1)) + 1
    with temporary_settings({PREFECT_API_URL: prefect_server.url}):
        assert forget_runs(1) == 0
        assert forget_runs(0) == ours
    assert [one["id"] for one in prefect_server.runs("maintain")] == [stranger["id"]]
    assert ended(prefect_server, 0) == []
    assert prefect_server.ask("artifacts/filter", body={}) == []
