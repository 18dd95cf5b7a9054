"""What Prefect is told before a run of the command line."""

import pytest
from prefect.context import SettingsContext, get_settings_context
from prefect.settings import Settings, get_current_settings

from flows.cli import orchestrator

FREQUENCY = "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"


def in_a_run() -> int | None:
    """How often a run sends a heartbeat, in the environment as it is now."""
    with SettingsContext(profile=get_settings_context().profile, settings=Settings()):
        assert get_current_settings().flows.heartbeat_frequency is not None, "there is something to switch off"
        with orchestrator._without_heartbeat():
            return get_current_settings().flows.heartbeat_frequency


def test_a_run_sends_no_heartbeats_unless_a_person_has_set_how_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FREQUENCY, raising=False)
    assert in_a_run() is None
    monkeypatch.setenv(FREQUENCY, "60")
    assert in_a_run() == 60
