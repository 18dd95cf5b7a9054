"""The password of the server of `newsmill up`: who has it, and who is told it."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import password, running
from flows.password import CLIENT, SERVER
from warehouse.layout import Home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home, in an environment that says nothing of Prefect."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    monkeypatch.setattr(os, "environ", others)
    return Home(tmp_path / "home")


@pytest.fixture
def url(home: Home) -> Iterator[str]:
    """The address of an ``up`` that runs on the home."""
    password.settle(home)
    del os.environ[SERVER], os.environ[CLIENT]
    with running.held(home) as here:
        here.port = 4711
        running.write(home, here)
        yield here.api_url


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_once_and_is_the_owners_alone(home: Home) -> None:
    """In a folder that an earlier version has left open, too."""
    home.prefect.mkdir(0o755, parents=True)
    assert password.kept(home) is None
    mask = os.umask(0)
    try:
        made = password.settle(home)
    finally:
        os.umask(mask)
    assert (mode(home.prefect), mode(home.password)) == (0o700, 0o600)
    assert os.environ[SERVER] == made == password.kept(home) == password.prefect_password()
    assert [path.name for path in home.prefect.iterdir()] == ["password"]
    del os.environ[SERVER]
    assert password.settle(home) == made
    other = Home(home.path / "other")
    del os.environ[SERVER]
    assert password.settle(other) != made


def test_what_a_person_has_set_is_written_nowhere(home: Home) -> None:
    os.environ[SERVER] = "admin:planted"
    os.environ[CLIENT] = "admin:elsewhere"
    assert password.settle(home) == "admin:planted" == password.prefect_password()
    assert list(home.prefect.iterdir()) == []
    assert SERVER in password.told(home, "http://127.0.0.1:1/api")


def test_an_empty_one_is_none(home: Home) -> None:
    os.environ[SERVER] = ""
    home.prefect.mkdir(parents=True)
    home.password.write_text("\n")
    assert password.settle(home) not in ("", "\n")


def test_a_command_on_the_home_finds_it(home: Home, url: str) -> None:
    os.environ["PREFECT_API_URL"] = f"{url}/"
    password.find(home)
    assert os.environ[CLIENT] == password.kept(home)


def test_a_command_that_is_given_the_address_finds_it(home: Home, url: str) -> None:
    os.environ["PREFECT_API_URL"] = "http://elsewhere.example/api"
    os.environ[SERVER] = "admin:set"
    password.find(home, url)
    assert os.environ[CLIENT] == "admin:set"


@pytest.mark.parametrize("other", ["http://elsewhere.example/api", "http://127.0.0.1:4712/api", None])
def test_another_server_is_not_told_it(home: Home, url: str, other: str | None) -> None:
    assert password.kept(home) is not None
    if other is not None:
        os.environ["PREFECT_API_URL"] = other
    password.find(home)
    assert CLIENT not in os.environ
    os.environ["PREFECT_API_URL"] = url
    if other is not None:
        password.find(home, other)
    assert CLIENT not in os.environ


def test_what_a_server_here_asks_for_is_said_to_no_other(home: Home) -> None:
    os.environ |= {SERVER: "admin:here", CLIENT: "admin:elsewhere"}
    assert password.prefect_password() == "admin:elsewhere"
    del os.environ[CLIENT]
    assert password.prefect_password() is None


def test_whoever_has_the_port_of_one_that_has_ended_is_not_told_it(home: Home) -> None:
    password.settle(home)
    del os.environ[SERVER], os.environ[CLIENT]
    with running.held(home) as here:
        here.port = 4711
        running.write(home, here)
    os.environ["PREFECT_API_URL"] = here.api_url
    password.find(home)
    assert CLIENT not in os.environ


def test_one_that_a_person_gives_stays(home: Home, url: str) -> None:
    os.environ |= {"PREFECT_API_URL": url, CLIENT: "admin:mine"}
    password.find(home)
    assert os.environ[CLIENT] == "admin:mine"


def test_a_person_is_told_the_file(home: Home, url: str) -> None:
    text = password.told(home, url)
    assert "\n" not in text
    assert f'{CLIENT}="$(cat {home.password})"' in text
    assert str(password.kept(home)) not in text


def test_what_a_killed_up_left_goes(home: Home) -> None:
    """Half a password, and half a note of what runs; the names of others stay."""
    left = [home.prefect / ".tmp-x-password", home.up / ".tmp-x-running.json"]
    others = [home.prefect / ".tmp-x", home.up / "running.json.old"]
    for path in [*left, *others]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    password.settle(home)
    with running.held(home):
        assert [path for path in [*left, *others] if path.exists()] == others
