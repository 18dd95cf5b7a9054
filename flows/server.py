"""A Prefect server that may come and go: whether it answers, and what it has not been told yet.

Belongs here: the end of flow runs that a server did not hear of.  Does not belong here: events (``flows.events``), runs
whose process is gone (``flows.stuck``).
"""

import functools
import logging
from collections.abc import Mapping

import httpx

from flows.summary import Outcome, headline

logger = logging.getLogger(__name__)

# The end of flow runs of this process, by their id, in the shape of the API.
_UNTOLD: dict[str, Mapping[str, str]] = {}


@functools.cache
def _client() -> httpx.Client:
    # One for all: to read the certificates takes longer than most requests.
    return httpx.Client(timeout=5)


def answers(api_url: str) -> bool:
    """Whether a server is there; one on this machine that is not says so at once."""
    try:
        return _client().get(f"{api_url.rstrip('/')}/health", timeout=2).is_success
    except httpx.HTTPError:
        return False


def is_of(api_url: str, folder: str) -> bool:
    """Whether the server that answers keeps its state in a folder, and is not somebody else's at the same port."""
    try:
        answer = _client().get(f"{api_url.rstrip('/')}/admin/settings", timeout=5)
        return answer.is_success and answer.json().get("home") == folder
    except (httpx.HTTPError, ValueError, AttributeError):
        return False


def keep(flow_run_id: str, outcome: Outcome | None) -> None:
    """Keep the end of a run for when the server answers again; without an outcome it ended half-way."""
    if outcome is None:
        state = {"type": "CRASHED", "name": "Crashed", "message": "the server went while it ran; done without it"}
    elif outcome.failures:
        state = {"type": "FAILED", "name": "Failed", "message": headline(outcome)}
    else:
        state = {"type": "COMPLETED", "name": "Completed", "message": f"{headline(outcome)} (told late)"}
    _UNTOLD[flow_run_id] = state


def tell(api_url: str | None) -> None:
    """Tell a server that answers what was kept."""
    if api_url is None:
        return
    for flow_run_id, state in list(_UNTOLD.items()):
        try:
            url = f"{api_url.rstrip('/')}/flow_runs/{flow_run_id}/set_state"
            answer = _client().post(url, json={"state": state, "force": True})
            # A database that was begun anew knows nothing of it.
            if answer.status_code != httpx.codes.NOT_FOUND:
                answer.raise_for_status()
        except httpx.HTTPError as error:
            logger.warning("the Prefect server did not take the end of a run, tried again later: %r", error)
            return
        del _UNTOLD[flow_run_id]
