"""Every file of deploy/ passes a public validator of its kind; each validator is shown to find a fault."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
BIN = Path(sys.executable).parent
YAMLLINT = """
extends: default
rules:
  document-start: disable
  braces: {max-spaces-inside: 0}
  comments: {min-spaces-from-content: 2}
  line-length: {max: 130}
  truthy: {check-keys: false}
"""


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def compose(path: Path) -> subprocess.CompletedProcess[str]:
    return run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", path)


def test_the_compose_file_follows_the_specification() -> None:
    done = compose(DEPLOY / "compose.yaml")
    assert done.returncode == 0, done.stdout


def test_a_wrong_compose_file_is_found(tmp_path: Path) -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(text.replace("condition: service_healthy", "condition: service_health"), encoding="utf-8")
    done = compose(wrong)
    assert done.returncode == 1
    assert "service_health" in done.stdout


def test_the_dockerfile_passes_hadolint(tmp_path: Path) -> None:
    done = run(BIN / "hadolint", "--no-color", DEPLOY / "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")
    wrong = tmp_path / "Dockerfile"
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    wrong.write_text(re.sub(r"python:\S+", "python:latest", text), encoding="utf-8")
    done = run(BIN / "hadolint", "--no-color", wrong)
    assert done.returncode == 1
    assert "DL3007" in done.stdout


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_is_what_kubernetes_takes(path: Path) -> None:
    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    assert documents
    for document in documents:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize(("key", "value"), [("replicas", "one"), ("replica", 1)])
def test_a_wrong_manifest_is_found(key: str, value: Any) -> None:
    (document,) = yaml.safe_load_all((DEPLOY / "kubernetes" / "50-newsmill.yaml").read_text(encoding="utf-8"))
    document["spec"][key] = value
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_every_yaml_file_is_tidy(tmp_path: Path) -> None:
    done = run(BIN / "yamllint", "--strict", "--config-data", YAMLLINT, DEPLOY)
    assert done.returncode == 0, done.stdout
    (tmp_path / "twice.yaml").write_text("a: 1\na: 2\n", encoding="utf-8")
    assert run(BIN / "yamllint", "--config-data", YAMLLINT, tmp_path).returncode == 1


def analyse(*words: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze here: the units are not validated")
    if "--offline" not in run(program, "--help").stdout:
        pytest.skip("systemd-analyze is older than 250: the units are not validated")
    return run(program, *words)


def installed(units: list[Path], folder: Path, **changes: str) -> list[Path]:
    """Copies of units whose programs exist: those of this environment."""
    for unit in units:
        text = unit.read_text(encoding="utf-8").replace("/opt/newsmill/bin", str(BIN))
        for old, new in changes.items():
            text = text.replace(f"\n{old}=", f"\n{new}=")
        (folder / unit.name).write_text(text, encoding="utf-8")
    return [folder / unit.name for unit in units]


def test_systemd_has_no_word_to_say_about_the_units(tmp_path: Path) -> None:
    done = analyse("verify", "--man=no", *installed(UNITS, tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_wrong_unit_is_found(tmp_path: Path) -> None:
    """systemd only warns of a key that it does not know, and ends with 0."""
    done = analyse("verify", "--man=no", *installed(UNITS, tmp_path, ProtectHome="ProtectHouse"))
    assert re.search(r"Unknown key.*'ProtectHouse'", done.stderr)


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_unit_is_exposed_below_four(unit: Path, tmp_path: Path) -> None:
    done = analyse("security", "--offline=true", "--threshold=39", unit)
    assert done.returncode == 0, done.stdout
    bare = tmp_path / unit.name
    bare.write_text(f"[Service]\nExecStart={BIN / 'newsmill'} watch\n", encoding="utf-8")
    assert analyse("security", "--offline=true", "--threshold=39", bare).returncode != 0
