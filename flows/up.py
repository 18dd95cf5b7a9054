"""One command for one machine: server, deployments, worker and watcher, kept running until it is told to stop.

Belongs here: the loop that starts, watches and stops them.  Does not belong here: what they are (``flows.services``),
when one is due (``flows.supervise``), what others may know of it (``flows.running``), terminals (``flows.cli.up``).
"""

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import httpx

from flows import password, processes, running, server, stuck, supervise
from flows.running import MARK, Running
from flows.services import Service, UpOptions, claimed_port, environment, services
from flows.settings import Settings
from flows.supervise import State
from warehouse.durable import make_folder

TICK_SECONDS = 0.25
# So often the server is asked for runs whose process is gone, and so old a worker's run is by then; and at the latest
# so often whether it answers at all.
STUCK_SECONDS = 20.0
# Longer than a busy server takes; nothing else is looked after meanwhile.
ANSWER_SECONDS = 5.0


class Up:
    """The services of one ``newsmill up``, and a line of text for whatever happens to them."""

    def __init__(
        self,
        settings: Settings,
        options: UpOptions,
        here: Running,
        chosen: Sequence[Service],
        surroundings: Mapping[str, str],
        tell: Callable[[str], None],
    ) -> None:
        self.settings, self.options, self.here, self.tell = settings, options, here, tell
        self.services = {service.name: service for service in chosen}
        self.states = {service.name: State(needs=service.needs) for service in chosen}
        self.guards: dict[str, subprocess.Popen[bytes]] = {}
        self.prefect = str(settings.layout.prefect.absolute())
        self.environment = surroundings
        self.next_look = 0.0
        self.next_question = 0.0

    def start(self, name: str, now: float) -> None:
        """Start one service behind its guard."""
        marked = {**self.environment, MARK: f"{self.here.mark}-{name}"}
        try:
            with running.open_log(self.settings.layout, name) as log:
                guard = subprocess.Popen(
                    self.services[name].guarded(), stdin=subprocess.PIPE, stdout=log, stderr=log, env=marked,
                    start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            # No memory, no room, no more processes: that passes.
            self.states[name] = self.states[name].ended(now)
            self.tell(f"{name} cannot be started: {error}; again in {self.states[name].due - now:.0f} s")
            return
        self.guards[name] = guard
        self.states[name] = self.states[name].begun(guard.pid, now)
        if self.states[name].restarts:
            self.tell(f"{name} started again")

    def reap(self, now: float) -> None:
        """Take note of those that have ended, and end what they left."""
        for name, guard in list(self.guards.items()):
            code = guard.poll()
            if code is None:
                continue
            del self.guards[name]
            if guard.stdin is not None:
                guard.stdin.close()
            if code < 0:
                # The guard itself was killed: what it would have ended is known by its mark.
                processes.end(MARK, f"{self.here.mark}-{name}")
            if code == 0 and self.services[name].is_once:
                self.states[name] = self.states[name].done()
                continue
            self.states[name] = self.states[name].ended(now)
            said = "" if code > 128 or code < 0 else running.last_line(self.settings.layout, name)
            self.tell(f"{name} ended ({_code(code)}); again in {self.states[name].due - now:.0f} s{said}")
            self.next_look = now

    def look(self, now: float) -> None:
        """Ask the server whether it answers; once it does, for runs whose process is gone."""
        state = self.states["server"]
        if state.pid is not None and not state.is_ready and server.is_of(self.here.api_url, self.prefect):
            self.states["server"] = state.ready()
            self.tell(f"Prefect answers: {self.here.address}")
            self.next_look = now
        elif supervise.is_late(state, now, self.options.ready_seconds) and self.close("server"):
            self.tell(f"the server does not answer after {self.options.ready_seconds:.0f} s")
        self.question(now)
        for name in ("watcher", "worker"):
            if self.states[name].pid is not None and not self.states[name].is_ready:
                self.states[name] = self.states[name].ready()
        state = self.states["server"]
        if state.is_ready and not state.misses and now >= self.next_look:
            self.next_look = now + STUCK_SECONDS
            age = STUCK_SECONDS if self.states["worker"].pid is not None else 0.0
            with contextlib.suppress(httpx.HTTPError):
                if count := stuck.mark(self.here.api_url, work_pool=self.settings.work_pool, seconds=age):
                    self.tell(f"{count} run{'s' * (count != 1)} whose process is gone marked as crashed")

    def question(self, now: float) -> None:
        """Ask a server that did answer whether it still does; end it where it has been silent for too long."""
        state, patience = self.states["server"], self.options.patience_seconds
        if state.pid is None or not state.is_ready or now < self.next_question:
            return
        is_silent = server.is_silent(self.here.api_url, ANSWER_SECONDS)
        self.states["server"] = state = state.missed(now) if is_silent else state.ready()
        asked = time.monotonic()
        self.next_question = asked + min(STUCK_SECONDS, patience / (2 * supervise.MISSES))
        if supervise.is_hung(state, asked, patience) and self.close("server"):
            self.tell(f"the server has not answered for {asked - state.silent_since:.0f} s")

    def remember(self) -> None:
        """Write down what runs, where that has changed."""
        told = {name: {"pid": s.pid, "is_ready": s.is_ready, "restarts": max(0, s.restarts)}
                for name, s in self.states.items()}  # fmt: skip
        is_ready = all(state.is_ready for state in self.states.values())
        if (told, is_ready) != (self.here.services, self.here.is_ready):
            if is_ready and not self.here.is_ready:
                self.tell(f"ready: files go into {self.settings.layout.inbox}/SOURCE/")
            self.here.services, self.here.is_ready = told, is_ready
            try:
                running.write(self.settings.layout, self.here)
            except OSError as error:
                self.tell(f"what runs could not be written down ({error}); it runs all the same")

    def tick(self, now: float) -> None:
        """One round: who ended, who is due, who answers."""
        self.reap(now)
        for name in supervise.due(self.states, now):
            self.start(name, now)
        self.look(now)
        self.remember()

    def close(self, name: str) -> bool:
        """Tell a service's guard that its time is over; whether it did not know yet."""
        guard = self.guards.get(name)
        if guard is None or guard.stdin is None or guard.stdin.closed:
            return False
        guard.stdin.close()
        return True

    def stop(self) -> None:
        """End all of them, the server last, so that the others can still say how they ended."""
        for names in (self.services.keys() - {"server"}, {"server"}):
            for name in names:
                self.close(name)
            for name in names:
                if (guard := self.guards.pop(name, None)) is not None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        guard.wait(self.services[name].grace + 10)
        processes.end(MARK, self.here.mark)


def _code(code: int) -> str:
    if code > 128:
        return f"killed by {signal.Signals(code - 128).name}" if code - 128 in set(signal.Signals) else f"exit {code}"
    return f"exit {code}" if code >= 0 else f"its guard was killed by {signal.Signals(-code).name}"


@contextmanager
def _told_to_stop() -> Iterator[tuple[threading.Event, list[int]]]:
    """An event that the signals to stop set, and which they were; they break nothing off."""
    event, numbers = threading.Event(), list[int]()

    def take(number: int, _frame: object) -> None:
        numbers.append(number)
        event.set()

    before = {number: signal.signal(number, take) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield event, numbers
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def up(
    settings: Settings,
    options: UpOptions,
    words: Sequence[str],
    *,
    tell: Callable[[str], None],
    show: Callable[[Running], None] = lambda _here: None,
) -> int:
    """Run it all until a signal says stop, which is returned; ``tell`` gets lines, ``show`` what runs at every tick."""
    home = settings.layout
    make_folder(home.inbox)
    with (
        running.held(home) as here,
        claimed_port(here.port, options.port) as port,
        _told_to_stop() as (over, numbers),
    ):
        here.port, here.metrics_port = port, options.metrics_port
        surroundings = environment(settings, here.api_url, password.settle(home))
        all_of_it = Up(settings, options, here, services(settings, here, options, words), surroundings, tell)
        running.write(home, here)
        tell(f"starting Prefect at {here.address}; Ctrl-C stops everything")
        tell(password.told(home, here.api_url))
        try:
            while not over.wait(TICK_SECONDS):
                all_of_it.tick(time.monotonic())
                show(here)
        finally:
            tell("stopping")
            all_of_it.stop()
        return numbers[0]
