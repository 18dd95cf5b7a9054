"""``newsmill watch``.

Belongs here: its arguments, and a line a run.  Does not belong here: watching (``flows.watch``).
"""

from typing import Annotated

from cyclopts import Parameter

from flows.cli.arguments import DEFAULT, Common
from flows.cli.render import console, visible
from flows.summary import Outcome, headline


def watch(
    *,
    settle: Annotated[float, Parameter(help="Seconds for which a file must have been left alone.")] = 0.5,
    sweep: Annotated[float, Parameter(help="Seconds after which everything is looked at again.")] = 300.0,
    common: Common = DEFAULT,
) -> int:
    """Ingest files as they settle in the inbox, until it is stopped.

    Half-written names (hidden, .part, .tmp, .crdownload, .swp, ~) wait for their last name; a file that grows waits
    until it is left alone. Works without Prefect, on every file system.

    ```
    newsmill watch
    newsmill watch --settle 2 --sweep 60 --home /srv/news
    ```
    """
    settings = common.settings
    from flows import run
    from flows.watch import WatchOptions
    from flows.watch import watch as keep_watch
    from tasks import direct
    from warehouse.errors import ConfigError

    if settle < 0 or sweep <= 0:
        raise ConfigError("--settle must not be negative and --sweep must be more than 0 seconds")
    run.check(settings)
    out = console(stderr=True)
    out.print(f"watching {visible(str(settings.layout.inbox))}; stop with Ctrl-C")

    def tell(outcome: Outcome) -> None:
        if outcome.is_news or outcome.failures:
            out.print(visible(headline(outcome)))

    keep_watch(settings, direct, WatchOptions(settle_seconds=settle, sweep_seconds=sweep), on_run=tell)
    return 0
