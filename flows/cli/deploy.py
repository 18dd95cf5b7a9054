"""``newsmill deploy``.

Belongs here: its arguments, and what was registered.  Does not belong here: the deployments (``flows.deployments``).
"""

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from flows import password, running
from flows.cli.arguments import DEFAULT, Common, Format
from flows.cli.render import show
from flows.settings import load, prepare_prefect


def deploy(
    *,
    api_url: Annotated[str | None, Parameter(help="Prefect server; default PREFECT_API_URL, or newsmill up's.")] = None,
    cron: Annotated[str | None, Parameter(help="When to ingest; default the setting ingest_cron.")] = None,
    timezone: Annotated[str | None, Parameter(help="Of the schedules; default the setting timezone.")] = None,
    work_pool: Annotated[str | None, Parameter(help="Made if it is missing; default the setting work_pool.")] = None,
    format: Format = "table",  # noqa: A002 - the word that a person types
    common: Common = DEFAULT,
) -> int:
    """Register the deployments on a Prefect server: ingest and maintain, with schedule and trigger.

    Asks nothing, and may be repeated: what is there is brought up to date, a schedule or trigger that was switched
    off stays off. The runs work on this home, at the same path on the worker's machine.

    ```
    newsmill deploy --api-url http://127.0.0.1:4200/api
    newsmill deploy --cron "*/15 * * * *" --timezone Europe/Berlin
    prefect worker start --pool newsmill
    ```
    """
    given = {"ingest_cron": cron, "timezone": timezone, "work_pool": work_pool}
    settings = load({**common.flags(), **{name: value for name, value in given.items() if value is not None}}).settings
    up = running.current(settings.layout)
    prepare_prefect(settings.layout, up.api_url if up is not None and up.is_ready else None)
    password.find(settings.layout, api_url)
    from flows.deployments import register

    rows = [asdict(one) for one in register(settings, api_url=api_url)]
    show(rows, ["name", "schedule", "work_pool", "id"], format)
    return 0
