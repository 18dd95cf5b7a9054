"""Events: what newsmill tells Prefect's server about files and tables.

Belongs here: names and shapes of our events, and sending them so that they are acknowledged.  Does not belong here:
what triggers on them (``flows.deployments``), when they are due (``flows.watch``, ``flows.ingest``).

Every event is an HTTP request that the server has answered: Prefect's own ``emit_event`` returns before anything was
sent, and loses the event when the process or the server ends.
"""

import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flows.summary import Outcome
from warehouse.clock import moment, now_us

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

logger = logging.getLogger(__name__)

SETTLED = "newsmill.files.settled"
LOADED = "newsmill.loaded"
# By then the server has acted on an event that it accepted, or will not.
ACT_SECONDS = 30.0
# How Prefect itself tells that an asset was made; the decorator for it tells so even where nothing new came.
MATERIALIZED = "prefect.asset.materialization.succeeded"


def _seconds(when: str) -> float:
    return datetime.fromisoformat(when).timestamp()


def inbox_resource(deployment: str) -> str:
    """The id under which a deployment's inbox stands on the server."""
    return f"newsmill.inbox.{deployment}"


def event(
    name: str, resource: Mapping[str, str], payload: Mapping[str, Any], related: Sequence[Mapping[str, str]] = ()
) -> dict[str, Any]:
    """One event as the server takes it; sent twice it is one event still, since it has its id."""
    return {
        "id": str(uuid.uuid4()),
        "occurred": moment(now_us()),
        "event": name,
        "resource": dict(resource),
        "related": [dict(one) for one in related],
        "payload": dict(payload),
    }


def settled(deployment: str, files: int) -> dict[str, Any]:
    """So many files wait in a deployment's inbox; which ones the run finds out for itself."""
    return event(SETTLED, {"prefect.resource.id": inbox_resource(deployment)}, {"files": files})


def loaded(
    deployment: str, flow_run_id: uuid.UUID | None, outcome: Outcome, tables: Mapping[str, int]
) -> list[dict[str, Any]]:
    """A snapshot was published: one event for the warehouse, and one for each table as an asset with its rows.

    ``flow_run_id``: none where the server knows of no run, because it was away.
    """
    run = {"prefect.resource.id": f"prefect.flow-run.{flow_run_id}", "prefect.resource.role": "flow-run"}
    by = [] if flow_run_id is None else [run]
    warehouse = {"prefect.resource.id": f"newsmill.warehouse.{deployment}"}
    payload = {"run_id": outcome.run_id, "counts": outcome.counts, "rows": dict(tables)}
    assets = [
        event(
            MATERIALIZED,
            {"prefect.resource.id": f"newsmill://{deployment}/{table}", "prefect.resource.name": table},
            {"rows": rows},
            by,
        )
        for table, rows in tables.items()
    ]
    return [event(LOADED, warehouse, payload, by), *assets]


def send(client: "SyncPrefectClient", events: Sequence[Mapping[str, Any]]) -> None:
    """Send once; returns when the server has them, else raises ``httpx.HTTPError``."""
    client.request("POST", "/events", json=list(events)).raise_for_status()


def deliver(events: Sequence[Mapping[str, Any]], *, pause: Callable[[float], None] = time.sleep) -> None:
    """Send until the server has accepted them, however long that takes."""
    import httpx
    from prefect.client.orchestration import get_client

    wait = 0.5
    while True:
        try:
            with get_client(sync_client=True) as client:
                return send(client, events)
        except httpx.HTTPError as error:
            logger.warning("the Prefect server did not take the event, tried again in %g s: %r", wait, error)
        pause(wait)
        wait = min(2 * wait, 30.0)


def _has_led_to_run(deployment: str, since: str) -> bool:
    """Whether a run of a deployment's ingest was due since a moment, and has not failed."""
    from prefect.client.orchestration import get_client

    wanted = {
        "deployments": {"name": {"any_": [deployment]}},
        "flows": {"name": {"any_": ["ingest"]}},
        "flow_runs": {
            "expected_start_time": {"after_": since, "before_": moment(now_us())},
            "state": {"type": {"not_any_": ["FAILED", "CRASHED"]}},
        },
    }
    with get_client(sync_client=True) as client:
        return bool(client.request("POST", "/flow_runs/count", json=wanted).raise_for_status().json())


class Announcer:
    """Tells of files that have settled, and tells it again where no run came of it.

    What the server has accepted it may lose all the same: it tries an action once, with what its database lets it do
    then, and what it has not come to when it dies is gone.
    """

    def __init__(self, deployment: str) -> None:
        self.deployment = deployment
        self.last: Mapping[str, Any] | None = None

    def tell(self, files: int) -> None:
        """Tell of so many files; returns when the server has accepted it."""
        self.last = settled(self.deployment, files)
        deliver([self.last])

    def check(self) -> None:
        """See whether a run came of what was told last, and tell it again if none did."""
        import httpx

        if self.last is None or now_us() / 1e6 - _seconds(self.last["occurred"]) < ACT_SECONDS:
            return
        try:
            is_done = _has_led_to_run(self.deployment, self.last["occurred"])
        except httpx.HTTPError as error:
            logger.warning("the Prefect server does not say whether a run came of the last event: %r", error)
            return
        if is_done:
            self.last = None
            return
        logger.warning(
            "no run of ingest/%s came of the event at %s, which is sent again; is the deployment there, and its "
            "trigger on? (newsmill deploy)",
            self.deployment,
            self.last["occurred"],
        )
        self.tell(self.last["payload"]["files"])
