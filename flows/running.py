"""What runs of ``newsmill up`` on a home, for whoever else wants to know or stop it.

Belongs here: the lock, the file that says what runs, and sweeping up behind one that was killed.  Does not belong
here: running it (``flows.up``).
"""

import contextlib
import json
import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from flows import processes
from warehouse.durable import discard_left, lock, make_folder, private_file, rename_durably, temporary_file
from warehouse.errors import TransientError, WarehouseBusy
from warehouse.layout import Home

# In the environment of every process of an ``up``: by this a later one knows its own, whatever their ids are then.
MARK = "_NEWSMILL_UP"


@dataclass(slots=True)
class Running:
    """One ``newsmill up``: its process, its mark, the addresses, and for each service its process and state."""

    pid: int
    tag: str = field(default_factory=processes.tag)
    mark: str = field(default_factory=lambda: secrets.token_hex(16))
    port: int = 0
    metrics_port: int | None = None
    is_ready: bool = False
    services: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where a person opens Prefect's pages."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        """Where programs speak with the Prefect server."""
        return f"{self.address}/api"


def told(running: Running) -> str:
    """Its services and how each of them is, in one line.

    >>> told(Running(1, services={"server": {"pid": 2, "is_ready": True, "restarts": 1}}))
    'server runs (1 restart)'
    """
    return ", ".join(
        f"{name} {('runs' if s['is_ready'] else 'starts') if s['pid'] else 'done' if s['is_ready'] else 'waits'}"
        + (f" ({s['restarts']} restart{'s' * (s['restarts'] != 1)})" if s["restarts"] else "")
        for name, s in running.services.items()
    )


def _file(home: Home) -> Path:
    return home.up / "running.json"


def remembered(home: Home) -> Running | None:
    """What was last written, whether it still runs or not."""
    try:
        return Running(**json.loads(_file(home).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write(home: Home, running: Running) -> None:
    """Write down what runs."""
    make_folder(home.up)
    with temporary_file(home.up, _file(home)) as temporary:
        temporary.write_text(json.dumps(asdict(running), indent=1), encoding="utf-8")
        rename_durably(temporary, _file(home))


def is_held(home: Home) -> bool:
    """Whether an ``up`` runs on the home; a home that was never used is not begun by the question."""
    if not home.lock("up").exists():
        return False
    try:
        with lock(home.lock("up"), wait=False):
            return False
    except WarehouseBusy:
        return True


def current(home: Home) -> Running | None:
    """The ``up`` that runs on a home now."""
    return remembered(home) if is_held(home) else None


@contextmanager
def held(home: Home) -> Iterator[Running]:
    """Be the one ``up`` of a home; whatever a killed one left is ended first."""
    with _only(home):
        discard_left(_file(home))
        before = remembered(home)
        if before is not None:
            processes.end(MARK, before.mark)
        running = Running(os.getpid(), port=before.port if before else 0)
        write(home, running)
        try:
            yield running
        finally:
            # The port stays in the file, so that the addresses are the same the next time.
            write(home, Running(0, port=running.port))


@contextmanager
def _only(home: Home) -> Iterator[None]:
    # Whoever only asks, as `newsmill status` does, has the lock for a moment.
    for pause in (0.05, 0.1, 0.2, 0.4, None):
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(lock(home.lock("up"), wait=False))
            except WarehouseBusy:
                if pause is None:
                    raise _busy(home) from None
                time.sleep(pause)
                continue
            yield
            return


def _busy(home: Home) -> WarehouseBusy:
    other = remembered(home)
    where = f" (process {other.pid}, {other.address})" if other is not None else ""
    return WarehouseBusy(
        f"newsmill up runs on {home.path} already{where}; `newsmill status` shows it, `newsmill down` ends it"
    )


def end(home: Home, *, seconds: float = 60.0) -> Running | None:
    """Ask the ``up`` of a home to end and wait until it has; what ran, or None where none did."""
    running = current(home)
    if running is None:
        return None
    if not running.pid or processes.is_living(running.tag) is False:
        # It has the lock and has not yet written who it is; the file is an earlier one's.
        raise TransientError("newsmill up is only just starting; try again in a moment")
    os.kill(running.pid, signal.SIGTERM)
    until = time.monotonic() + seconds
    while is_held(home) or processes.is_living(running.tag):
        if time.monotonic() > until:
            raise TransientError(f"newsmill up (process {running.pid}) has not ended within {seconds:g} s; kill it")
        time.sleep(0.1)
    return running


def open_log(home: Home, name: str) -> BinaryIO:
    """The log file of a service, open for appending; one that has grown large becomes the older one."""
    path = log(home, name)
    make_folder(home.up)
    if path.exists() and path.stat().st_size > 10_000_000:
        os.rename(path, path.with_suffix(".log.1"))
    private_file(path)
    return path.open("ab")


def log(home: Home, name: str) -> Path:
    """Where a service's output goes."""
    return home.up / f"{name}.log"


def last_line(home: Home, name: str) -> str:
    """What a service said last, as the end of a sentence; empty where it said nothing."""
    with contextlib.suppress(OSError), log(home, name).open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - 4096))
        lines = stream.read().decode(errors="replace").split("\n")
        return next((f": {line.strip()[:200]}" for line in reversed(lines) if line.strip()), "")
    return ""
