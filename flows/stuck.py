"""Flow runs that the server takes for alive and whose process is gone.

Belongs here: telling which those are, and saying so to the server.  Does not belong here: starting or ending processes
(``flows.up``); Prefect's client, which takes longer to import than all of this takes to run.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import httpx

from flows import processes
from flows.server import client
from warehouse.clock import now_us

_ALIVE = {"any_": ["RUNNING", "PENDING", "CANCELLING"]}
# In a process that a worker starts, Prefect puts the id of its run into the environment.
_FLOW_RUN = b"PREFECT__FLOW_RUN_ID="
WHY = "its process is gone; what it committed counts, and the next run does the rest"


def dead(
    runs: Iterable[Mapping[str, Any]], *, work_pool: str | None, at_work: Collection[str], now: float, seconds: float
) -> list[str]:
    """The ids of the runs that nobody works on any more.

    A run that was started in a process of ours bears that process's tag; one of the work pool, where all its workers
    are on this machine, has a process that bears its id (``at_work``) a few ``seconds`` after its state was set.  Of
    all others nothing is known here.
    """
    found = []
    for run in runs:
        lives = [living for word in run["tags"] if (living := processes.is_living(word)) is not None]
        since = datetime.fromisoformat(run["state"]["timestamp"]).timestamp()
        is_of_pool = work_pool is not None and run["work_pool_name"] == work_pool and now - since >= seconds
        if (lives and not any(lives)) or (not lives and is_of_pool and run["id"] not in at_work):
            found.append(run["id"])
    return found


def at_work() -> set[str]:
    """The flow runs that some living process bears in its environment."""
    return {
        word.removeprefix(_FLOW_RUN).decode()
        for words in processes.environments().values()
        for word in words
        if word.startswith(_FLOW_RUN)
    }


def _crash(asked: httpx.Client, kind: str, run_id: str) -> None:
    state = {"type": "CRASHED", "name": "Crashed", "message": WHY}
    asked.post(f"/{kind}/{run_id}/set_state", json={"state": state, "force": True}).raise_for_status()


def mark(api_url: str, *, work_pool: str | None = None, seconds: float = 0.0) -> int:
    """Mark every such run, and its tasks, as crashed; how many runs those were."""
    asked = client(api_url)
    # Without a pool nobody has to look into every process.
    working, now = set() if work_pool is None else at_work(), now_us() / 1e6
    chosen = {"flow_runs": {"state": {"type": _ALIVE}}}
    runs = asked.post("/flow_runs/filter", json={**chosen, "limit": 200}).raise_for_status().json()
    ids = dead(runs, work_pool=work_pool, at_work=working, now=now, seconds=seconds)
    for run_id in ids:
        tasks = {"flow_runs": {"id": {"any_": [run_id]}}, "task_runs": {"state": {"type": _ALIVE}}, "limit": 200}
        for task in asked.post("/task_runs/filter", json=tasks).raise_for_status().json():
            _crash(asked, "task_runs", task["id"])
        _crash(asked, "flow_runs", run_id)
    return len(ids)
