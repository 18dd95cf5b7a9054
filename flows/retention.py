"""Forgetting old runs in Prefect's database, which else only grows.

Belongs here: which runs go, and asking the server to remove them.  Does not belong here: the ledger's own record of
runs, which stays.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter
from prefect.client.schemas.objects import TERMINAL_STATES
from prefect.exceptions import ObjectNotFound

from flows.settings import TAG
from warehouse.clock import now_us

# As many as the server gives at a time.
_PAGE = 200


def _old(before: datetime) -> FlowRunFilter:
    """Ended runs of ours: the server may be shared with others, whose runs carry other tags."""
    return FlowRunFilter.model_validate(
        {
            "tags": {"all_": [TAG]},
            "state": {"type": {"any_": sorted(TERMINAL_STATES)}},
            "end_time": {"before_": before},
        }
    )


def _remove(client: SyncPrefectClient, run_id: UUID) -> None:
    # The server removes a run's logs with it, its artifacts it does not.
    mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
    while artifacts := client.read_artifacts(artifact_filter=mine, limit=_PAGE):
        for artifact in artifacts:
            client.delete_artifact(artifact.id)
    client.delete_flow_run(run_id)


def forget_runs(days: int) -> int:
    """Remove the runs of ours that ended more than so many days ago; how many there were."""
    removed = 0
    with get_client(sync_client=True) as client:
        before = _old(datetime.fromtimestamp(now_us() / 1_000_000, UTC) - timedelta(days=days))
        while found := client.read_flow_runs(flow_run_filter=before, limit=_PAGE):
            for run in found:
                try:
                    _remove(client, run.id)
                except ObjectNotFound:
                    # Another maintenance was faster.
                    continue
                removed += 1
    return removed
