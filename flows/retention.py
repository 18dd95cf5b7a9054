"""What shall not stay in Prefect's database: old runs, else it only grows, and texts of contents that were forgotten.

Belongs here: which those are, and asking the server to remove them.  Does not belong here: the ledger's own record of
runs, which stays; how a summary looks without texts (``flows.artifacts``).
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey, FlowRunFilter
from prefect.client.schemas.objects import TERMINAL_STATES, Artifact
from prefect.client.schemas.sorting import ArtifactSort, FlowRunSort
from prefect.exceptions import ObjectNotFound

from flows.artifacts import SHOWING, rewrite, without_examples
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


def _hide(client: SyncPrefectClient, artifact: Artifact) -> bool:
    """Take texts from outside out of an artifact; whether there were any."""
    if artifact.key not in SHOWING:
        return False
    hidden = without_examples(artifact.key, str(artifact.data))
    if hidden != artifact.data:
        rewrite(client, artifact.id, hidden)
    return hidden != artifact.data


def _remove(client: SyncPrefectClient, run_id: UUID) -> None:
    # The server removes a run's logs with it, its artifacts it does not.
    mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
    while artifacts := client.read_artifacts(artifact_filter=mine, limit=_PAGE):
        for artifact in artifacts:
            # The server tells of the last one of its key as an event, with all that it holds.
            _hide(client, artifact)
            client.delete_artifact(artifact.id)
    client.delete_flow_run(run_id)


def forget_runs(days: int) -> int:
    """Remove the runs of ours that ended more than so many days ago; how many there were."""
    removed = 0
    with get_client(sync_client=True) as client:
        before = _old(datetime.fromtimestamp(now_us() / 1_000_000, UTC) - timedelta(days=days))
        # From the oldest: of the newest artifact of a key that goes, the one before it is told as an event, too.
        while found := client.read_flow_runs(
            flow_run_filter=before, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=_PAGE
        ):
            for run in found:
                try:
                    _remove(client, run.id)
                except ObjectNotFound:
                    # Another maintenance was faster.
                    continue
                removed += 1
    return removed


def hide_examples(before_us: int) -> int:
    """Take titles, and names and details of rejects, out of everything that runs left before a ledger time.

    Which run showed which content nobody can tell once the content is gone, so all of them go: counts and reasons
    stay.  Returns how many artifacts were changed; done again it changes nothing.
    """
    before, changed, offset = datetime.fromtimestamp(before_us / 1_000_000, UTC), 0, 0
    ours = ArtifactFilter(key=ArtifactFilterKey(any_=[*SHOWING]))
    with get_client(sync_client=True) as client:
        # In the order of their ids nothing moves to where it was looked at before.
        while found := client.read_artifacts(
            artifact_filter=ours, sort=ArtifactSort.ID_DESC, limit=_PAGE, offset=offset
        ):
            offset += len(found)
            for artifact in found:
                if artifact.created is not None and artifact.created < before:
                    changed += _hide(client, artifact)
    return changed
