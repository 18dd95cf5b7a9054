"""``newsmill watch``.

Belongs here: its arguments, and a line a run.  Does not belong here: watching (``flows.watch``).
"""

import logging
from typing import Annotated, Literal

from cyclopts import Parameter

from flows.cli.arguments import DEFAULT, Common
from flows.cli.render import console, visible
from flows.summary import Outcome, headline

Trigger = Annotated[
    Literal["run", "flow", "event"],
    Parameter(help="What settled files lead to: a run here, a flow run here, an event for the deployment elsewhere."),
]


def watch(
    *,
    settle: Annotated[float, Parameter(help="Seconds for which a file must have been left alone.")] = 0.5,
    sweep: Annotated[float, Parameter(help="Seconds after which everything is looked at again.")] = 300.0,
    trigger: Trigger = "run",
    metrics_port: Annotated[int | None, Parameter(help="Port at which Prometheus reads metrics; default none.")] = None,
    common: Common = DEFAULT,
) -> int:
    """Ingest files as they settle in the inbox, until it is stopped.

    Half-written names (hidden, .part, .tmp, .crdownload, .swp, ~) wait for their last name; a file that grows waits
    until it is left alone. Works on every file system, and without Prefect unless --trigger says otherwise: `flow` and
    `event` need the server that PREFECT_API_URL names.

    ```
    newsmill watch
    newsmill watch --settle 2 --sweep 60 --home /srv/news
    newsmill watch --trigger event
    ```
    """
    settings = common.settings
    from flows import password, run
    from flows.metrics import Metrics, serve
    from flows.settings import prepare_prefect
    from flows.watch import MakeRun, WatchOptions, direct_runs, event_runs, flow_runs
    from flows.watch import watch as keep_watch
    from warehouse.errors import ConfigError

    if settle < 0 or sweep <= 0:
        raise ConfigError("--settle must not be negative and --sweep must be more than 0 seconds")
    run.check(settings)
    options = WatchOptions(settle_seconds=settle, sweep_seconds=sweep)

    metrics = Metrics()

    def chosen() -> MakeRun:
        if trigger == "run":
            return direct_runs(settings, options, metrics)
        prepare_prefect(settings.layout)
        password.find(settings.layout)
        from prefect.settings import get_current_settings

        if get_current_settings().api.url is None:
            raise ConfigError(f"--trigger {trigger} needs a Prefect server: set PREFECT_API_URL")
        return flow_runs(common.flags(), options, metrics) if trigger == "flow" else event_runs(settings)

    if metrics_port is not None:
        serve(metrics, metrics_port, settings.metrics_host)
    make_run = chosen()
    out = console(stderr=True)
    # Prefect takes our lines for the log of a run; what goes wrong between runs has nobody else to tell.
    told = logging.StreamHandler()
    told.setLevel(logging.WARNING)
    logging.getLogger("flows").addHandler(told)
    out.print(f"watching {visible(str(settings.layout.inbox))}; stop with Ctrl-C")

    def tell(outcome: Outcome) -> None:
        metrics.ended(settings.layout, outcome)
        if outcome.is_news or outcome.failures:
            out.print(visible(headline(outcome)))

    keep_watch(settings, make_run, options, on_run=tell, on_look=metrics.pending.set)
    return 0
