"""What Prefect is to run, when, and on what: the description, and registering it on a server.

Belongs here: the deployments as ``deploy/prefect.yaml`` writes them (a test holds both equal), work pool, schedule,
trigger.  Does not belong here: the flows (``flows.ingest``, ``flows.maintain``), the form of their parameters, which
Prefect reads from the flows; starting workers (``flows.up``).
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.events import SETTLED, inbox_resource
from flows.server import refusal, shown
from flows.settings import RUN_ENVIRONMENT, TAG, Settings
from warehouse.clock import now_us
from warehouse.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.actions import DeploymentScheduleCreate

# A worker that is there takes a run that is due within a few seconds.
LATE_SECONDS = 60
# Runs that are asked for at once.
PAGE = 200
# Batches that settle within so many seconds of the first share its run, which begins when they have passed.
GATHER_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Registered:
    """One deployment as the server knows it now; ``name`` is what ``prefect deployment run`` takes."""

    name: str
    id: str
    schedule: str
    work_pool: str


def described(settings: Settings) -> list[dict[str, Any]]:
    """The deployments in the shape of a ``prefect.yaml``."""
    pool = {"name": settings.work_pool, "job_variables": {"env": {**RUN_ENVIRONMENT, **settings.environment()}}}
    one_at_a_time = {"limit": 1, "collision_strategy": "ENQUEUE"}
    return [
        {
            "name": settings.deployment,
            "description": "Ingest everything new in the inbox: files become documents that can be queried.",
            "entrypoint": "flows.ingest.ingest",
            "tags": [TAG],
            "parameters": {},
            "enforce_parameter_schema": True,
            "schedules": [{"slug": "ingest", "cron": settings.ingest_cron, "timezone": settings.timezone}],
            "concurrency_limit": one_at_a_time,
            "triggers": [
                {
                    "type": "event",
                    "enabled": True,
                    "name": f"{settings.deployment}: files have settled",
                    "description": "A watcher (newsmill watch --trigger event) tells of files that wait in the inbox.",
                    "match": {"prefect.resource.id": inbox_resource(settings.deployment)},
                    "expect": [SETTLED],
                    "for_each": ["prefect.resource.id"],
                    "posture": "Reactive",
                    "threshold": 1,
                    # No longer than what the run waits: else a file could settle behind the run and inside the window.
                    "within": GATHER_SECONDS,
                    "schedule_after": GATHER_SECONDS,
                }
            ],
            "work_pool": pool,
        },
        {
            "name": settings.deployment,
            "description": "Keep the home small and proven: compact, verify, forget old runs in Prefect's database.",
            "entrypoint": "flows.maintain.maintain",
            "tags": [TAG],
            "parameters": {},
            "enforce_parameter_schema": True,
            "schedules": [{"slug": "maintain", "cron": settings.maintain_cron, "timezone": settings.timezone}],
            "concurrency_limit": one_at_a_time,
            "triggers": [],
            "work_pool": pool,
        },
    ]


@contextmanager
def _server(api_url: str | None) -> Iterator["SyncPrefectClient"]:
    """A client of a server that is named; none is started for it, since it would forget everything at once."""
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

    url = api_url or get_current_settings().api.url
    if url is None:
        raise ConfigError("no Prefect server is named: give --api-url URL, or set PREFECT_API_URL")
    try:
        with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as client:
            yield client
    except httpx.HTTPStatusError as error:
        if (refused := refusal(error, url)) is not None:
            raise refused from error
        raise
    except httpx.TransportError as error:
        raise TransientError(f"the Prefect server at {shown(url)} does not answer; start it or name another") from error


def _ensure_pool(client: "SyncPrefectClient", name: str) -> None:
    """A process work pool, unless there is one of that name: whoever made that one chose its kind."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
    from prefect.workers.process import ProcessWorker

    try:
        client.read_work_pool(name)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        try:
            client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))
        except ObjectAlreadyExists:
            return


def _schedule(given: Mapping[str, Any], *, is_active: bool) -> "DeploymentScheduleCreate":
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule

    try:
        when = CronSchedule(cron=given["cron"], timezone=given["timezone"])
    except ValueError as error:
        raise ConfigError(
            f"{given['cron']!r} in {given['timezone']!r} is no schedule: a cron expression has five fields, "
            "a time zone a name like Europe/Berlin"
        ) from error
    return DeploymentScheduleCreate(slug=given["slug"], schedule=when, active=is_active)


def _register(client: "SyncPrefectClient", given: Mapping[str, Any]) -> Registered:
    from prefect.client.schemas.objects import ConcurrencyOptions
    from prefect.events import DeploymentEventTrigger
    from prefect.exceptions import ObjectNotFound
    from prefect.flows import Flow, load_flow_from_entrypoint
    from prefect.utilities.callables import parameter_schema

    flow: Flow[..., Any] = load_flow_from_entrypoint(given["entrypoint"])
    name = f"{flow.name}/{given['name']}"
    # What an operator has switched off stays off.
    stopped: set[str | None] = set()
    try:
        known = client.read_deployment_by_name(name)
    except ObjectNotFound:
        pass
    else:
        stopped |= {schedule.slug for schedule in known.schedules if not schedule.active}
        owned = client.read_resource_related_automations(f"prefect.deployment.{known.id}")
        stopped |= {automation.name for automation in owned if not automation.enabled}
    limit = given["concurrency_limit"]
    deployment_id = client.create_deployment(
        flow_id=client.create_flow_from_name(flow.name),
        name=given["name"],
        description=given["description"],
        entrypoint=given["entrypoint"],
        tags=given["tags"],
        parameters=given["parameters"],
        parameter_openapi_schema=parameter_schema(flow).model_dump(exclude_unset=True),
        enforce_parameter_schema=given["enforce_parameter_schema"],
        schedules=[_schedule(one, is_active=one["slug"] not in stopped) for one in given["schedules"]],
        concurrency_limit=limit["limit"],
        concurrency_options=ConcurrencyOptions(collision_strategy=limit["collision_strategy"]),
        work_pool_name=given["work_pool"]["name"],
        job_variables=given["work_pool"]["job_variables"],
        pull_steps=[],
    )
    client.delete_resource_owned_automations(f"prefect.deployment.{deployment_id}")
    for one in given["triggers"]:
        trigger = DeploymentEventTrigger(**{**one, "enabled": one["name"] not in stopped})
        trigger.set_deployment_id(deployment_id)
        client.create_automation(trigger.as_automation())
    _drop_late(client, deployment_id)
    schedules = ", ".join(f"{one['cron']} {one['timezone']}" for one in given["schedules"])
    return Registered(name, str(deployment_id), schedules, given["work_pool"]["name"])


def _drop_late(client: "SyncPrefectClient", deployment_id: "UUID") -> None:
    """Of the runs that a schedule asked for while nobody was there to run them keep the newest: it takes all there is.

    After a night without a worker all of them would begin at once, and hold up what comes next for half a minute.
    Those with other parameters are another schedule's.
    """
    from prefect.client.schemas import filters
    from prefect.client.schemas.sorting import FlowRunSort
    from prefect.exceptions import ObjectNotFound

    due = dt.datetime.fromtimestamp(now_us() / 1e6 - LATE_SECONDS, dt.UTC)
    chosen = filters.FlowRunFilter(
        deployment_id=filters.FlowRunFilterDeploymentId(any_=[deployment_id]),
        state=filters.FlowRunFilterState(name=filters.FlowRunFilterStateName(any_=["Scheduled", "Late"])),
        expected_start_time=filters.FlowRunFilterExpectedStartTime.model_validate({"before_": due}),
    )
    kept: set[str] = set()
    offset = 0
    while page := client.read_flow_runs(
        flow_run_filter=chosen, sort=FlowRunSort.EXPECTED_START_TIME_DESC, offset=offset, limit=PAGE
    ):
        for run in page:
            given = json.dumps(run.parameters, sort_keys=True, default=str)
            if run.auto_scheduled and given in kept:
                with suppress(ObjectNotFound):
                    client.delete_flow_run(run.id)
                continue
            offset += 1
            if run.auto_scheduled:
                kept.add(given)


def register(settings: Settings, *, api_url: str | None = None, work_pool: str | None = None) -> list[Registered]:
    """Register every deployment on a server, the configured one unless it is named; doing it again changes nothing."""
    if work_pool is not None:
        settings = settings.model_copy(update={"work_pool": work_pool})
    with _server(api_url) as client:
        _ensure_pool(client, settings.work_pool)
        return [_register(client, given) for given in described(settings)]
