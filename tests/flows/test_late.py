"""Runs that a schedule asked for while nobody was there to run them: one of them is enough."""

import pytest

from flows import deployments


@pytest.fixture(scope="module")
def deployed(prefect_server, new_mill):
    """The ingest on a server without a worker, with two schedules that ask for a few runs and for no more.

    Its own schedule comes on a 29th of February only.
    """
    settings = new_mill("late").settings(deployment="late", ingest_cron="0 0 29 2 *")
    found = {one.name: one.id for one in deployments.register(settings, api_url=prefect_server.url)}
    identity = found["ingest/late"]
    prefect_server.schedule(identity, "all", 1)
    prefect_server.schedule(identity, "other", 1, limit=7)
    return settings, identity


def late(server, **parameters):
    """The runs of a schedule that wait, from the oldest."""
    return [
        run["id"]
        for run in server.runs()
        if run["state_type"] == "SCHEDULED" and run["auto_scheduled"] and run["parameters"] == parameters
    ]


def test_of_late_runs_the_newest_of_each_schedule_stays(prefect_server, deployed, monkeypatch):
    settings, identity = deployed
    # A run is called late a quarter of a minute after its time: by then all are due.
    prefect_server.until(lambda: any(run["state"]["name"] == "Late" for run in prefect_server.runs()))
    asked = prefect_server.ask(f"deployments/{identity}/create_flow_run", body={})["id"]
    ours, others = late(prefect_server), late(prefect_server, limit=7)
    assert len(ours) == len(others) == 3
    # Those that a worker may be taking stay.
    monkeypatch.setattr(deployments, "LATE_SECONDS", 1000)
    deployments.register(settings, api_url=prefect_server.url)
    assert (late(prefect_server), late(prefect_server, limit=7)) == (ours, others)
    monkeypatch.setattr(deployments, "LATE_SECONDS", 0)
    monkeypatch.setattr(deployments, "PAGE", 2)
    deployments.register(settings, api_url=prefect_server.url)
    assert late(prefect_server) == ours[-1:]
    assert late(prefect_server, limit=7) == others[-1:]
    # A person's run is not the schedule's.
    assert prefect_server.get(f"flow_runs/{asked}")["state_type"] == "SCHEDULED"
