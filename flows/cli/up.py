"""``newsmill up`` and ``newsmill down``.

Belongs here: their arguments, lines and the status line on a terminal, and going into the background.  Does not belong
here: running the services (``flows.up``).
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flows.cli.arguments import DEFAULT, Common
from flows.cli.render import console, visible
from warehouse.layout import Home

if TYPE_CHECKING:
    from rich.live import Live

    from flows.running import Running

_LONGEST = 300

Port = Annotated[int | None, Parameter(help="Port of Prefect's pages on the loopback interface; default a free one.")]
Metrics = Annotated[int | None, Parameter(help="Port on the loopback interface for Prometheus; default none.")]


def up(
    *,
    detach: Annotated[bool, Parameter(help="Come back when everything runs, and leave it running.")] = False,
    port: Port = None,
    metrics_port: Metrics = None,
    settle: Annotated[float, Parameter(help="Seconds for which a file must have been left alone.")] = 0.5,
    sweep: Annotated[float, Parameter(help="Seconds after which everything is looked at again.")] = 300.0,
    patience: Annotated[float, Parameter(help="Seconds of silence after which the server is started anew.")] = 180.0,
    common: Common = DEFAULT,
) -> int:
    """Run everything on this machine: Prefect's server and pages, the schedules, a worker, the watcher.

    What dies is started again, and a server that hangs. All state stands in the home; nothing listens beyond this
    machine. Ctrl-C, SIGTERM or `newsmill down` stop everything, and no process stays behind, even when this one is
    killed.

    ```
    newsmill up
    newsmill up --detach --home /srv/news
    newsmill up --metrics-port 9464
    ```
    """
    settings = common.settings
    from flows import run
    from flows.running import told
    from flows.services import UpOptions
    from flows.up import up as run_everything
    from warehouse.errors import ConfigError

    if settle < 0 or min(sweep, patience) <= 0:
        raise ConfigError("--settle must not be negative, --sweep and --patience must be more than 0 seconds")
    run.check(settings)
    words = ("--home", str(settings.home.absolute()), *(word for pair in common.set for word in ("--set", pair)))
    watching = ("--settle", str(settle), "--sweep", str(sweep))
    if detach:
        chosen = [("--port", port), ("--metrics-port", metrics_port), ("--patience", patience)]
        given = [word for name, value in chosen if value is not None for word in (name, str(value))]
        return _detached(settings.layout, [*words, *watching, *given])
    out = console(stderr=True)
    relayed, shown = _Tail(settings.layout), list[str]()
    with _status_line() as line:

        def tell(text: str) -> None:
            (out if line is None else line.console).print(visible(text), soft_wrap=True)

        def show(here: "Running") -> None:
            for said in relayed.lines():
                # What Prefect's client says of a server that has gone fills a screen; the log has it whole.
                tell(said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…")
            text = f"{here.address}  {told(here)}"
            if line is not None and text not in shown:
                shown[:] = [text]
                line.update(text, refresh=True)

        options = UpOptions(port=port, metrics_port=metrics_port, watch=watching, patience_seconds=patience)
        return 128 + run_everything(settings, options, words, tell=tell, show=show)


def down(*, common: Common = DEFAULT) -> int:
    """End the newsmill up of this home, and wait until it has ended.

    ```
    newsmill down
    newsmill down --home /srv/news
    ```
    """
    from flows import running

    ended = running.end(common.settings.layout)
    console(stderr=True).print("no newsmill up runs on this home" if ended is None else "everything has ended")
    return 0


@contextmanager
def _status_line() -> "Iterator[Live | None]":
    if not sys.stderr.isatty():
        yield None
        return
    from rich.live import Live

    with Live("", console=console(stderr=True), auto_refresh=False, transient=True) as live:
        yield live


class _Tail:
    """What the watcher has written to its log since the last look."""

    def __init__(self, home: Home) -> None:
        from flows.running import log

        self.path: Path = log(home, "watcher")
        self.at = self.path.stat().st_size if self.path.exists() else 0

    def lines(self) -> list[str]:
        """The lines that are new and whole."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(self.at if self.at <= size else 0)
            whole, newline, rest = stream.read().rpartition(b"\n")
            self.at = stream.tell() - len(rest)
        return whole.decode(errors="replace").split("\n") if newline else []


def _detached(home: Home, words: list[str]) -> int:
    """Start the same command in the background, and wait until it is ready or has ended."""
    from flows import password, running
    from warehouse.errors import TransientError

    with running.open_log(home, "up") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "flows.cli.main", "up", *words],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    out = console(stderr=True)
    until = time.monotonic() + 300
    while time.monotonic() < until:
        if process.poll() is not None:
            raise TransientError(f"newsmill up has ended{running.last_line(home, 'up')}")
        here = running.current(home)
        if here is not None and here.pid == process.pid and here.is_ready:
            out.print(f"everything runs: {here.address}; `newsmill status` shows it, `newsmill down` ends it")
            out.print(visible(password.told(home, here.api_url)), soft_wrap=True)
            return 0
        time.sleep(0.25)
    raise TransientError(f"newsmill up is not ready after 300 s; see {running.log(home, 'up')}, or newsmill down")
