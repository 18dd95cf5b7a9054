"""When a service of ``newsmill up`` is to be started: a plan without a clock or a process.

Belongs here: the states of a service and what follows from what.  Does not belong here: starting and stopping
(``flows.up``), what the services are (``flows.services``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

# A service that stayed up for so long starts with no failures to its name.
STEADY_SECONDS = 60.0
LONGEST_PAUSE = 60.0
# A busy machine may keep a server from answering once or twice; so often in a row it does not.
MISSES = 5


@dataclass(frozen=True, slots=True)
class State:
    """One service: running (``pid``) or not, whether it answers, and the moment from which it may be started.

    ``needs`` names a service that has to answer before this one is started the first time; later this one bears it.
    ``misses``: so often in a row it did not answer, the first time at ``silent_since``.
    """

    needs: str | None = None
    pid: int | None = None
    is_ready: bool = False
    is_done: bool = False
    since: float = 0.0
    due: float = 0.0
    failures: int = 0
    restarts: int = -1
    misses: int = 0
    silent_since: float = 0.0

    def begun(self, pid: int, now: float) -> "State":
        """It was started."""
        return replace(self, pid=pid, is_ready=False, since=now, restarts=self.restarts + 1, misses=0)

    def ready(self) -> "State":
        """It answers."""
        return replace(self, is_ready=True, misses=0)

    def missed(self, now: float) -> "State":
        """It answered before, and did not when it was asked now."""
        since = self.silent_since if self.misses else now
        return replace(self, misses=self.misses + 1, silent_since=since)

    def done(self) -> "State":
        """It had one thing to do, and did it."""
        return replace(self, pid=None, is_ready=True, is_done=True)

    def ended(self, now: float) -> "State":
        """It died: started again after a pause that doubles with each failure in a row.

        >>> state = State().begun(7, 0.0).ended(1.0)
        >>> state.due, state.begun(8, 2.0).ended(3.0).due, state.begun(8, 2.0).ended(100.0).due
        (2.0, 5.0, 101.0)
        """
        failures = 0 if now - self.since >= STEADY_SECONDS else self.failures
        pause = min(LONGEST_PAUSE, 2.0**failures)
        return replace(self, pid=None, is_ready=False, since=now, due=now + pause, failures=failures + 1)


def due(states: Mapping[str, State], now: float) -> list[str]:
    """The services to start now, in their order.

    >>> due({"server": State(), "worker": State(needs="server")}, 0.0)
    ['server']
    >>> due({"server": State().begun(1, 0.0).ready(), "worker": State(needs="server")}, 0.0)
    ['worker']
    """
    return [
        name
        for name, state in states.items()
        if state.pid is None
        and not state.is_done
        and now >= state.due
        and (state.needs is None or states[state.needs].is_ready)
    ]


def is_late(state: State, now: float, seconds: float) -> bool:
    """Whether a service that was started does not answer after so many seconds."""
    return state.pid is not None and not state.is_ready and now - state.since >= seconds


def is_hung(state: State, now: float, seconds: float) -> bool:
    """Whether a service that did answer has been silent for so long, however often it was asked.

    Time alone says nothing: where ``up`` itself stood still, nobody asked.

    >>> state = State().begun(1, 0.0).ready().missed(10.0)
    >>> is_hung(state, 1000.0, 180.0)
    False
    >>> for now in (11.0, 12.0, 13.0, 14.0):
    ...     state = state.missed(now)
    >>> is_hung(state, 14.0, 180.0), is_hung(state, 190.0, 180.0), is_hung(state.ready(), 190.0, 180.0)
    (False, True, False)
    """
    return state.pid is not None and state.is_ready and state.misses >= MISSES and now - state.silent_since >= seconds
