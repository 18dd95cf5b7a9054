"""Prefect's server takes a run that was killed for alive, until the next one tells it."""

import sys
from pathlib import Path

NEWSMILL = Path(sys.executable).with_name("newsmill")
FILES = 200


def test_the_next_run_tells_of_one_that_was_killed(prefect_server, mill, tmp_path, write_news):
    folder = tmp_path / "raw"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}.txt").write_text(write_news(number))
    command = (NEWSMILL, "ingest", "--home", mill.home, "--set", "batch_files=5", folder)
    killed = prefect_server.start(*command)
    prefect_server.until(lambda: mill.commits() >= 3)
    prefect_server.kill(killed)
    assert mill.commits() < FILES / 5, "it was killed in the middle"
    assert [run["state_type"] for run in prefect_server.runs()] == ["RUNNING"]
    # One in a pool may have its process on another machine.
    flow = prefect_server.runs()[0]["flow_id"]
    prefect_server.ask("work_pools/", name="elsewhere", type="process")
    there = prefect_server.ask("deployments/", name="there", flow_id=flow, work_pool_name="elsewhere")["id"]
    state = {"type": "RUNNING", "name": "Running"}
    elsewhere = prefect_server.ask(f"deployments/{there}/create_flow_run", state=state)["id"]

    assert prefect_server.start(*command).wait(300) == 0, prefect_server.output()
    states = {run["id"]: run["state_type"] for run in prefect_server.runs()}
    assert states.pop(elsewhere) == "RUNNING"
    assert sorted(states.values()) == ["COMPLETED", "CRASHED"]
    tasks = prefect_server.ask("task_runs/filter", flow_runs={"id": {"any_": [*states]}})
    assert tasks
    assert {task["state_type"] for task in tasks} <= {"COMPLETED", "CRASHED"}
    assert mill.one("SELECT count(*) FROM documents") == FILES
    assert mill.problems() == []
