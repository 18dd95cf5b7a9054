"""What ``newsmill up`` runs: the Prefect server, the deployments' registration, a worker, the watcher.

Belongs here: the command, order and environment of each, and finding a free port.  Does not belong here: when one is
started again (``flows.supervise``), doing it (``flows.up``).
"""

import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from flows import guard
from flows.password import CLIENT, SERVER
from flows.running import Running
from flows.settings import PREFIX, Settings, inherited
from warehouse.errors import ConfigError

HOST = "127.0.0.1"
# -P: a folder named like one of ours, where `up` is started, is none of ours.
_PYTHON = (sys.executable, "-P", "-m")
_NEWSMILL = (*_PYTHON, "flows.cli.main")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """What a person may choose.

    ``watch``: further words for the watcher's command.  A server that does not answer ``ready_seconds`` after its
    start, or is silent for ``patience_seconds`` later, is started anew.
    """

    port: int | None = None
    metrics_port: int | None = None
    watch: tuple[str, ...] = ()
    ready_seconds: float = 180.0
    patience_seconds: float = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One of them; ``needs`` is what has to be there before, ``grace`` the seconds in which it may end by itself.

    One that ``is_once`` has done its work when it ends well.
    """

    name: str
    command: tuple[str, ...]
    grace: float
    needs: str | None = None
    is_once: bool = False

    def guarded(self) -> list[str]:
        """The command with its guard in front."""
        return [sys.executable, "-I", "-S", guard.__file__, str(self.grace), *self.command]


def services(settings: Settings, running: Running, options: UpOptions, words: Sequence[str]) -> list[Service]:
    """What is run, in the order in which it starts; ``words`` name home and settings on the command line.

    The watcher waits for nobody: what it does before the server answers stands in the ledger all the same.
    """
    metrics = () if options.metrics_port is None else ("--metrics-port", str(options.metrics_port))
    worker = ("worker", "start", "--pool", settings.work_pool, "--type", "process", "--name", settings.deployment)
    return [
        Service(
            name="server",
            command=(*_PYTHON, "prefect", "server", "start", "--host", HOST, "--port", str(running.port)),
            grace=4.0,
        ),
        Service(
            name="watcher",
            command=(*_NEWSMILL, "watch", "--trigger", "flow", *words, *options.watch, *metrics),
            grace=10.0,
        ),
        Service(
            name="deployments",
            command=(*_NEWSMILL, "deploy", *words, "--api-url", running.api_url),
            grace=2.0,
            needs="server",
            is_once=True,
        ),
        Service(name="worker", command=(*_PYTHON, "prefect", *worker), grace=4.0, needs="deployments"),
    ]


def environment(settings: Settings, api_url: str, password: str) -> dict[str, str]:
    """The environment of what ``newsmill up`` runs: a Prefect of the home's own, whatever else a person has.

    Whoever the server listens to has its worker run anything: it wants the password, and takes nothing that a page of
    another origin sends.  The ledger's URL goes along, because a worker starts its runs in folders where no
    newsmill.toml is.
    """
    home = settings.layout
    kept = inherited("PREFECT_API_", "PREFECT_PROFILE", "PREFECT_HOME", "PREFECT__")
    own = {
        "PREFECT_HOME": str(home.prefect.absolute()),
        "PREFECT_API_URL": api_url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str((home.prefect / "ui").absolute()),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
        SERVER: password,
        CLIENT: password,
    }
    # What a person has chosen in these stays.
    defaults = {
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "5",
        "PREFECT_WORKER_QUERY_SECONDS": "5",
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": api_url.removesuffix("/api"),
    }
    if settings.ledger_url is not None:
        own[f"{PREFIX}LEDGER_URL"] = settings.ledger_url
    return {**defaults, **kept, **own}


def is_free(port: int) -> bool:
    """Whether a server could listen on a port of the loopback interface."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
        except OSError:
            return False
    return True


def _claim(port: int) -> socket.socket | None:
    """Claim a port among all of newsmill on this machine; None where it is claimed already."""
    claim = socket.socket(socket.AF_UNIX)
    if sys.platform == "linux":
        try:
            # A name without a file, which ends with the process.
            claim.bind(f"\0newsmill-up-{port}")
        except OSError:
            claim.close()
            return None
    return claim


def _any_port() -> int:
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        return int(listening.getsockname()[1])


@contextmanager
def claimed_port(remembered: int, wanted: int | None = None) -> Iterator[int]:
    """A free port that no other ``up`` takes meanwhile, since the server listens only seconds later.

    The one that is ``wanted``, else that of the last time, else Prefect's usual one, else any.
    """
    for port in (wanted,) if wanted is not None else (remembered, 4200, *(_any_port() for _ in range(10))):
        claim = _claim(port) if port and is_free(port) else None
        if claim is not None:
            with claim:
                yield port
            return
    raise ConfigError(f"port {wanted} is taken by another program; name another, or none: one is chosen")
