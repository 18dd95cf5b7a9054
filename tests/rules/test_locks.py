"""What pyproject.toml asks for is what the locks hold, and nothing in them comes from a place of its own."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def logical_lines(lock: Path) -> list[str]:
    """The requirements of a lock, each with its hashes on one line; comments are left out."""
    text = re.sub(r"\\\n", " ", lock.read_text(encoding="utf-8"))
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def pinned(*names: str) -> dict[str, Version]:
    """The version that the locks hold of each package, for the Python that runs this."""
    found = {}
    for name in names:
        for line in logical_lines(ROOT / "requirements" / name):
            requirement = Requirement(line.partition(" --hash")[0])
            if requirement.marker is None or requirement.marker.evaluate():
                (specifier,) = requirement.specifier
                found[canonicalize_name(requirement.name)] = Version(specifier.version)
    return found


def test_there_is_a_lock_for_everything() -> None:
    assert {lock.stem for lock in LOCKS} >= {"build", "core", "dev", "postgres"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_line_is_one_version_with_its_hashes(lock: Path) -> None:
    lines = logical_lines(lock)
    assert lines
    for line in lines:
        assert re.fullmatch(
            r"[A-Za-z0-9][\w.-]*(\[[\w,-]+\])?==[\w.!+]+( ?;[^;]+?)?(\s+--hash=sha256:[0-9a-f]{64})+", line
        ), line[:100]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_host_and_no_file(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    for word in ("://", "@ ", "--index", "--extra", "--find-links", "--trusted-host", "-i ", "-f ", "file:", "-e "):
        assert not re.search(rf"(?m)^.*(?<!-){re.escape(word)}", text), word


@pytest.mark.parametrize(
    ("locks", "wanted"),
    [
        (["core.txt"], PROJECT["project"]["dependencies"]),
        (["core.txt", "postgres.txt"], PROJECT["project"]["optional-dependencies"]["postgres"]),
        (["core.txt", "postgres.txt", "dev.txt"], PROJECT["dependency-groups"]["dev"]),
        (["build.txt"], PROJECT["dependency-groups"]["build"]),
    ],
    ids=["core", "postgres", "dev", "build"],
)
def test_every_dependency_is_locked_at_a_version_that_fits(locks: list[str], wanted: list[str]) -> None:
    found = pinned(*locks)
    for line in wanted:
        requirement = Requirement(line)
        locked = found.get(canonicalize_name(requirement.name))
        assert locked is not None, line
        assert requirement.specifier.contains(locked, prereleases=True), f"{line}: locked is {locked}"


def test_what_builds_the_package_is_locked() -> None:
    found = pinned("build.txt")
    for line in PROJECT["build-system"]["requires"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(found[canonicalize_name(requirement.name)])


def test_two_locks_agree() -> None:
    """They are installed into one environment, one after the other."""
    every = [pinned(f"{stem}.txt") for stem in ("core", "postgres", "dev")]
    for one in every:
        for other in every:
            assert {name: one[name] for name in one.keys() & other.keys()} == {
                name: other[name] for name in one.keys() & other.keys()
            }


def test_what_is_installed_is_what_is_locked() -> None:
    for name, locked in pinned("core.txt", "dev.txt").items():
        try:
            assert Version(version(name)) == locked, name
        except PackageNotFoundError:
            pytest.fail(f"{name} is locked but not installed; run `make test`")


def test_this_python_is_one_of_those_promised() -> None:
    assert (
        Version(".".join(map(str, sys.version_info[:3])))
        in Requirement(f"python{PROJECT['project']['requires-python']}").specifier
    )


def test_the_bill_of_materials_names_every_package_with_its_hashes() -> None:
    done = subprocess.run([sys.executable, ROOT / "requirements" / "sbom.py"], capture_output=True, check=True)
    bill = json.loads(done.stdout)
    locks = (logical_lines(ROOT / "requirements" / f"{name}.txt") for name in ("core", "postgres", "search"))
    wanted = {line.split(" ")[0].split(";")[0].lower() for lines in locks for line in lines}
    assert {f"{part['name']}=={part['version']}" for part in bill["components"]} == wanted
    assert all(part["hashes"] for part in bill["components"])
