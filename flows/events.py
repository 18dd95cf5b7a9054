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
from typing import TYPE_CHECKING, Any

from flows.summary import Outcome
from warehouse.clock import moment, now_us

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

logger = logging.getLogger(__name__)

SETTLED = "newsmill.files.settled"
LOADED = "newsmill.loaded"
# How Prefect itself tells that an asset was made; the decorator for it tells so even where nothing new came.
MATERIALIZED = "prefect.asset.materialization.succeeded"


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
    deployment: str, flow_run_id: uuid.UUID, outcome: Outcome, tables: Mapping[str, int]
) -> list[dict[str, Any]]:
    """A snapshot was published: one event for the warehouse, and one for each table as an asset with its rows."""
    by = [{"prefect.resource.id": f"prefect.flow-run.{flow_run_id}", "prefect.resource.role": "flow-run"}]
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
