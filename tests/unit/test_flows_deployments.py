"""What is deployed: the same in code and in prefect.yaml, at the right moments, and never with a secret."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import anyio
import pytest
import yaml
from prefect.server.schemas.schedules import CronSchedule

from flows.deployments import described
from flows.settings import Settings
from warehouse.errors import ConfigError

FILE = Path(__file__).parents[2] / "deploy" / "prefect.yaml"


def test_prefect_yaml_says_what_the_code_says(tmp_path):
    text = FILE.read_text()
    for name, value in {"NEWSMILL_HOME": str(tmp_path), "NEWSMILL_WORK_POOL": "pool"}.items():
        assert f"{{{{ ${name} }}}}" in text
        text = text.replace(f"{{{{ ${name} }}}}", value)
    assert yaml.safe_load(text)["deployments"] == described(Settings(home=tmp_path, work_pool="pool"))


def _instants(cron, zone, start, days):
    """The instants at which Prefect's server would start a run, by its own computation."""
    begin = datetime.combine(start, datetime.min.time(), ZoneInfo(zone))
    schedule = CronSchedule(cron=cron, timezone=zone)

    async def dates():
        return await schedule.get_dates(n=1000, start=begin, end=begin + timedelta(days=days))

    return [datetime.fromtimestamp(date.timestamp(), UTC) for date in anyio.run(dates)]


@pytest.mark.parametrize("start", [datetime(2026, 3, 28), datetime(2026, 10, 24)], ids=["spring", "autumn"])
def test_the_default_schedule_runs_every_hour_across_a_change_of_the_clock(start):
    cron = described(Settings())[0]["schedules"][0]
    found = _instants(cron["cron"], cron["timezone"], start, 3)
    assert {later - sooner for sooner, later in itertools.pairwise(found)} == {timedelta(hours=1)}


def test_a_nightly_run_happens_once_each_night_across_both_changes_of_the_clock():
    spring = _instants("15 4 * * *", "Europe/Berlin", datetime(2026, 3, 28), 3)
    assert spring == [datetime(2026, 3, day, hour, 15, tzinfo=UTC) for day, hour in ((28, 3), (29, 2), (30, 2))]
    autumn = _instants("15 4 * * *", "Europe/Berlin", datetime(2026, 10, 24), 3)
    assert autumn == [datetime(2026, 10, day, hour, 15, tzinfo=UTC) for day, hour in ((24, 2), (25, 3), (26, 3))]


@pytest.mark.parametrize("start", [datetime(2026, 3, 28), datetime(2026, 10, 24)], ids=["spring", "autumn"])
def test_in_the_hour_that_is_missing_or_double_there_is_one_run_all_the_same(start):
    zone = ZoneInfo("Europe/Berlin")
    found = [instant.astimezone(zone) for instant in _instants("15 2 * * *", "Europe/Berlin", start, 3)]
    assert [when.date() for when in found] == [(start + timedelta(days=day)).date() for day in range(3)]
    # In the night without a second hour it is the first or the third, by the version of Python.
    assert all((when.hour, when.minute) in {(1, 15), (2, 15), (3, 15)} for when in found)


def test_workers_learn_what_differs_but_no_secret(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(home="data", ledger_url="postgresql://user:secret@host/db", encoding="latin1", workers=1)
    for one in described(settings):
        environment = one["work_pool"]["job_variables"]["env"]
        assert environment["NEWSMILL_HOME"] == str(tmp_path / "data")
        assert environment["NEWSMILL_ENCODING"] == "iso8859-1"
        assert environment["NEWSMILL_WORKERS"] == "1"
        assert "secret" not in str(environment)


def test_what_workers_learn_gives_the_same_settings(tmp_path, monkeypatch):
    from flows.settings import load

    given = Settings(home=tmp_path, fields={"a": {"text": "body"}}, publish_seconds=1.5, workers=3, keep_runs_days=7)
    for name, value in given.environment().items():
        monkeypatch.setenv(name, value)
    assert load().settings == given


@pytest.mark.parametrize("name", ["Newsmill", "a/b", "", "-a", "a b"])
def test_a_deployment_has_a_plain_name(name):
    from flows.settings import load

    with pytest.raises(ConfigError, match="deployment"):
        load({"deployment": name})
