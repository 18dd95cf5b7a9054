"""Runs that a schedule asked for while nobody was there to run them: one of them is enough."""

import pytest

from flows import deployments


@pytest.fixture(scope="module")
def deployed(prefect_server, new_mill):
    """The ingest on a server without a worker, with a schedule that comes every two seconds."""
    settings = new_mill("late").settings(deployment="late")
    found = {one.name: one.id for one in deployments.register(settings, api_url=prefect_server.url)}
    identity = found["ingest/late"]
    interval = {"interval": 2, "anchor_date": "2026-01-01T00:00:00Z", "timezone": "UTC"}
    prefect_server.ask(f"deployments/{identity}/schedules", body=[{"active": True, "schedule": interval}])
    return settings, identity


def late(server):
    return [run["id"] for run in server.runs() if run["state_type"] == "SCHEDULED" and run["auto_scheduled"]]


def test_of_late_runs_the_newest_stays(prefect_server, deployed, monkeypatch):
    settings, identity = deployed
    prefect_server.until(lambda: sum(run["state"]["name"] == "Late" for run in prefect_server.runs()) > 2)
    asked = prefect_server.ask(f"deployments/{identity}/create_flow_run", body={})["id"]
    # Those that a worker may be taking stay.
    deployments.register(settings, api_url=prefect_server.url)
    before = late(prefect_server)
    assert len(before) > 2
    monkeypatch.setattr(deployments, "LATE_SECONDS", 0)
    monkeypatch.setattr(deployments, "PAGE", 2)
    deployments.register(settings, api_url=prefect_server.url)
    assert late(prefect_server) == before[-1:]
    # A person's run is not the schedule's.
    assert prefect_server.get(f"flow_runs/{asked}")["state_type"] == "SCHEDULED"
