"""A Prefect server that may come and go: whether it answers, and what it has not been told yet.

Belongs here: asking it with few imports; the end of flow runs and the events that it did not hear of.  Does not belong
here: what events say (``flows.events``), runs whose process is gone (``flows.stuck``).
"""

import base64
import functools
import logging
import time
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from flows.password import CLIENT, prefect_password
from flows.summary import Outcome, headline
from warehouse.errors import ConfigError

logger = logging.getLogger(__name__)

# The end of flow runs of this process, by their id, in the shape of the API.
_UNTOLD: dict[str, Mapping[str, str]] = {}
# What the server was last to hear of the warehouse; newer events say all that older ones did.
_UNTOLD_EVENTS: list[Mapping[str, Any]] = []


def shown(url: str) -> str:
    """An address without what may be a secret in it: user, password, query.

    >>> shown("https://someone:secret@prefect.example/api?token=1")
    'https://prefect.example/api'
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class Rights(httpx.Auth):
    """What a server may ask for: the password, and with what changes something a token of its own against forgery."""

    requires_response_body = True

    def __init__(self, api_url: str, password: str | None) -> None:
        self.tokens = f"{api_url}/csrf-token"
        self.headers: dict[str, str] = {}
        if password is not None:
            self.headers["Authorization"] = f"Basic {base64.b64encode(password.encode()).decode()}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Ask with what is known; where a token is missing or too old, get one and ask again."""
        request.headers.update(self.headers)
        answer = yield request
        if answer.status_code != httpx.codes.FORBIDDEN:
            return
        name = str(uuid.uuid4())
        answer = yield httpx.Request("GET", self.tokens, params={"client": name}, headers=self.headers)
        if answer.is_success:
            self.headers |= {"Prefect-Csrf-Client": name, "Prefect-Csrf-Token": answer.json()["token"]}
            request.headers.update(self.headers)
            yield request


@functools.cache
def client(api_url: str) -> httpx.Client:
    """A client of a server, one for all: to read the certificates takes longer than most requests."""
    base = api_url.rstrip("/")
    return httpx.Client(
        base_url=base, timeout=10, auth=Rights(base, prefect_password() or httpx.URL(base).userinfo.decode() or None)
    )


def refusal(error: httpx.HTTPError, api_url: str) -> ConfigError | None:
    """What to do about a server that did not take the password; None for any other error."""
    if not isinstance(error, httpx.HTTPStatusError) or error.response.status_code != httpx.codes.UNAUTHORIZED:
        return None
    return ConfigError(f"the Prefect server at {shown(api_url)} asks for another password: set {CLIENT} to it")


def answers(api_url: str) -> bool:
    """Whether a server is there; one on this machine that is not says so at once."""
    try:
        return client(api_url).get("/health", timeout=2).is_success
    except httpx.HTTPError:
        return False


def is_silent(api_url: str, seconds: float) -> bool:
    """Whether a server does not answer within so many seconds; whatever it answers, it does not hang."""
    try:
        client(api_url).get("/health", timeout=seconds)
    except httpx.HTTPError:
        return True
    return False


def is_of(api_url: str, folder: str) -> bool:
    """Whether the server that answers keeps its state in a folder, and is not somebody else's at the same port."""
    try:
        answer = client(api_url).get("/admin/settings", timeout=5)
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


def keep_events(events: Sequence[Mapping[str, Any]]) -> None:
    """Keep what the server was to hear of the warehouse for when it answers again."""
    _UNTOLD_EVENTS[:] = events


def tell_at_last(api_url: str | None, *, pause: Callable[[float], None] = time.sleep) -> None:
    """Tell what was kept before this process ends, more than once: a server may be busy for some seconds."""
    for seconds in (1.0, 2.0, 4.0, 8.0, None):
        tell(api_url)
        if api_url is None or seconds is None or not (_UNTOLD or _UNTOLD_EVENTS):
            return
        pause(seconds)


def tell(api_url: str | None) -> None:
    """Tell a server that answers what was kept."""
    if api_url is None:
        return
    for flow_run_id, state in list(_UNTOLD.items()):
        try:
            answer = client(api_url).post(f"/flow_runs/{flow_run_id}/set_state", json={"state": state, "force": True})
            # A database that was begun anew knows nothing of it.
            if answer.status_code != httpx.codes.NOT_FOUND:
                answer.raise_for_status()
        except httpx.HTTPError as error:
            logger.warning("the Prefect server did not take the end of a run, tried again later: %r", error)
            return
        del _UNTOLD[flow_run_id]
    if _UNTOLD_EVENTS:
        try:
            client(api_url).post("/events", json=_UNTOLD_EVENTS).raise_for_status()
        except httpx.HTTPError as error:
            logger.warning("the Prefect server did not take events, tried again later: %r", error)
            return
        _UNTOLD_EVENTS.clear()
