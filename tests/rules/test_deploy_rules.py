"""What no schema knows of deploy/: commands and settings exist, nothing is open, nothing secret, nobody privileged."""

import importlib.metadata
import itertools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cyclopts
import prefect.settings
import pytest
import yaml

from flows.cli.main import application
from flows.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".png")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
BIN = Path(sys.executable).parent
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
MANIFESTS: list[dict[str, Any]] = [
    document
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
# Variables of others that the files set.
FOREIGN = {"DO_NOT_TRACK", "HOME", "PATH", "PGDATA", "POSTGRES_DB", "POSTGRES_PASSWORD", "POSTGRES_USER",
           "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}  # fmt: skip
SECRETS = re.compile(r"AUTH_STRING|PASSWORD|_URL|_KEY|TOKEN")


class Process(NamedTuple):
    """One process that a file of deploy/ starts: its words, its environment as written, where that stands."""

    where: str
    words: list[str]
    environment: dict[str, Any]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for document in MANIFESTS:
        if "template" in document.get("spec", {}):
            yield document["metadata"]["name"], document["spec"]["template"]["spec"]


def unit_lines(unit: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)


def processes() -> Iterator[Process]:
    for name, service in COMPOSE["services"].items():
        environment = service.get("environment", {})
        if "command" in service:
            yield Process(f"compose {name}", service["command"], environment)
        if "healthcheck" in service:
            yield Process(f"compose {name} health", service["healthcheck"]["test"][1:], environment)
    for name, pod in pods():
        for container in pod["containers"]:
            environment = {one["name"]: one.get("value", one.get("valueFrom")) for one in container.get("env", [])}
            if "command" in container:
                yield Process(f"kubernetes {name} {container['name']}", container["command"], environment)
    for unit in UNITS:
        words = [pair for line in unit_lines(unit, "Environment") for pair in shlex.split(line)]
        environment = dict(pair.split("=", 1) for pair in words)
        for line in [*unit_lines(unit, "ExecStartPre"), *unit_lines(unit, "ExecStart")]:
            yield Process(f"systemd {unit.name}", shlex.split(line), environment)


PROCESSES = list(processes())
SERVERS = [one for one in PROCESSES if one.words[1:3] == ["server", "start"] or one.words[1:2] == ["up"]]


def written(program: str) -> Iterator[list[str]]:
    """What the pages call of a program in their blocks of `sh` and between backticks."""
    pages = "\n".join(path.read_text(encoding="utf-8") for path in DEPLOY.glob("*.md"))
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```$", pages, re.DOTALL | re.MULTILINE))
    for line in [*blocks.replace("\\\n", " ").splitlines(), *re.findall(rf"`({program} [^`…]+)`", pages)]:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&><()")
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        for word in [*lexer, ";"]:
            if not set(word) <= set("|;&><()"):
                words.append(word)
                continue
            for place, one in enumerate(words[:-1]):
                # Somebody else may start it, whose flags can have a value of that name.
                before = words[place - 1] if place else "--"
                is_started = before == "--" or (before[0] != "-" and words[0] != "kubectl")
                if one.rpartition("/")[2] == program and words[0] in {one, "sudo", "docker", "kubectl"} and is_started:
                    yield words[place + 1 :]
                    break
            words = []


def called(program: str) -> list[list[str]]:
    """What is called of a program, each once: in files that start it and in the pages beside them."""
    started = [one.words[1:] for one in PROCESSES if Path(one.words[0]).name == program]
    return [list(words) for words in dict.fromkeys(map(tuple, [*started, *written(program)]))]


@pytest.mark.parametrize("words", called("newsmill"), ids=" ".join)
def test_a_command_of_newsmill_exists_with_these_flags(words: list[str]) -> None:
    try:
        application().parse_args(words, print_error=False, exit_on_error=False)
    except cyclopts.CycloptsError as error:
        pytest.fail(f"newsmill {' '.join(words)}: {error}")


@pytest.mark.parametrize("words", called("prefect"), ids=" ".join)
def test_a_command_of_prefect_exists_with_these_flags(words: list[str], tmp_path: Path) -> None:
    command = [BIN / "prefect", *itertools.takewhile(lambda word: word[0] != "-", words), "--help"]
    env = {**os.environ, "PREFECT_HOME": str(tmp_path), "COLUMNS": "200"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
    assert done.returncode == 0, done.stderr
    for word in words:
        if word.startswith("--"):
            assert re.search(rf"{word.partition('=')[0]}\b", done.stdout), word


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(DEPLOY).as_posix())
def test_every_variable_is_somebodys_setting(path: Path) -> None:
    known = {f"NEWSMILL_{name.upper()}" for name in Settings.model_fields}
    for name in set(re.findall(r"\b(?:NEWSMILL|PREFECT)_[A-Z][A-Z_]+\b(?!…)", path.read_text(encoding="utf-8"))):
        if name.startswith("NEWSMILL_"):
            assert name in known
        else:
            assert hasattr(prefect.settings, name), name


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.where)
def test_nothing_else_is_set(process: Process) -> None:
    for name in process.environment:
        assert name in FOREIGN or name.startswith(("NEWSMILL_", "PREFECT_")), name


def test_ports_are_bound_to_the_loopback_interface() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not str(port).startswith("127.0.0.1:")] == []
    assert [name for name, service in COMPOSE["services"].items() if "network_mode" in service] == []
    kinds = {document["kind"] for document in MANIFESTS}
    assert not kinds & {"Ingress", "Gateway", "HTTPRoute"}
    services = [document["spec"] for document in MANIFESTS if document["kind"] == "Service"]
    assert {spec.get("type", "ClusterIP") for spec in services} == {"ClusterIP"}
    assert [spec for spec in services if "externalIPs" in spec] == []
    for name, pod in pods():
        assert not pod.get("hostNetwork"), name
        assert not any("hostPort" in port for one in pod["containers"] for port in one.get("ports", [])), name
    for process in SERVERS:
        if process.where.startswith("systemd"):
            assert process.environment["PREFECT_SERVER_API_HOST"] == "127.0.0.1", process.where
    for process in PROCESSES:
        if "--with-healthcheck" in process.words:
            assert process.environment["PREFECT_WORKER_WEBSERVER_HOST"] == "127.0.0.1", process.where
    for unit in UNITS:
        assert unit_lines(unit, "IPAddressDeny") == ["any"], unit.name
        assert unit_lines(unit, "IPAddressAllow") == ["localhost"], unit.name


def is_given(value: Any) -> bool:
    """Whether a value comes from outside and may not be missing or empty."""
    if isinstance(value, dict):
        return bool(value.get("secretKeyRef")) and not value["secretKeyRef"].get("optional")
    return bool(re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value or ""))


def test_every_server_wants_a_password_and_csrf_tokens() -> None:
    assert {process.where.split()[0] for process in SERVERS} == {"compose", "kubernetes", "systemd"}
    for process in SERVERS:
        assert process.environment["PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED"] == "true", process.where
        if not process.where.startswith("systemd"):
            assert is_given(process.environment["PREFECT_SERVER_API_AUTH_STRING"]), process.where
        if "up" not in process.words:
            origin = process.environment["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"]
            assert origin == "http://127.0.0.1:4200", f"{process.where}: pages of other origins may ask it nothing"
    for process in PROCESSES:
        if "PREFECT_API_URL" in process.environment and not process.where.startswith("systemd"):
            assert is_given(process.environment["PREFECT_API_AUTH_STRING"]), process.where


@pytest.mark.parametrize("unit", ["newsmill.service", "newsmill-server.service"])
@pytest.mark.parametrize(
    ("server", "client", "code"), [("a:b", "a:b", 0), ("", "", 1), (None, None, 1), ("a:b", "a:c", 1), ("a:b", "", 1)]
)
def test_a_unit_does_not_start_a_server_without_a_password(
    unit: str, server: str | None, client: str | None, code: int
) -> None:
    (line,) = unit_lines(DEPLOY / "systemd" / unit, "ExecStartPre")
    given = {"PREFECT_SERVER_API_AUTH_STRING": server, "PREFECT_API_AUTH_STRING": client}
    environment = {name: value for name, value in given.items() if value is not None}
    done = subprocess.run(
        shlex.split(line.replace("$$", "$")), env={"PATH": os.defpath, **environment}, capture_output=True, text=True
    )
    assert done.returncode == code
    assert ("must be set" in done.stderr) == bool(code)
    assert unit_lines(DEPLOY / "systemd" / unit, "EnvironmentFile") == ["/etc/newsmill/newsmill.env"], "never optional"


def test_no_value_of_a_secret_is_here() -> None:
    for line in (DEPLOY / "example.env").read_text(encoding="utf-8").splitlines():
        name, sign, value = line.partition("=")
        if sign and re.fullmatch(r"[A-Z_]+", name):
            assert not value, line
    (secret,) = [document for document in MANIFESTS if document["kind"] == "Secret"]
    assert set(secret["stringData"].values()) == {""}
    addresses = re.compile(r"http://(?:127\.0\.0\.1|server|localhost):\d+(?:/api)?")
    for process in PROCESSES:
        for name, value in process.environment.items():
            if SECRETS.search(name) and not addresses.fullmatch(str(value)):
                assert value is None or isinstance(value, dict) or str(value).startswith("${"), (
                    f"{process.where} {name}"
                )
    for path in FILES:
        for url in re.findall(r"://[^\s/@]*:([^\s/@]+)@", path.read_text(encoding="utf-8")):
            assert url == "PASSWORD", path.name
    assert "deploy/.env" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    done = subprocess.run(["git", "ls-files", "deploy"], cwd=ROOT, capture_output=True, text=True)
    assert not re.search(r"\.env$(?<!example\.env)", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_service_has_no_privileges(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "cap_add", "pid", "ipc", "userns_mode", "devices"}
    assert service["restart"] != "no"
    assert "healthcheck" in service or service["restart"].startswith("on-failure"), "watched, or done some time"
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))


@pytest.mark.parametrize(("name", "pod"), [*pods()], ids=lambda value: value if isinstance(value, str) else "")
def test_a_pod_has_no_privileges(name: str, pod: dict[str, Any]) -> None:
    """What the profile `restricted` asks for, and a read-only root beside it."""
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    assert [volume for volume in pod["volumes"] if "hostPath" in volume] == []
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert "memory" in container["resources"]["limits"]


def test_every_pod_is_known_to_a_network_policy() -> None:
    policies = [document["spec"] for document in MANIFESTS if document["kind"] == "NetworkPolicy"]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies, "nobody speaks unless it is said"
    named = str([policy["podSelector"] for policy in policies])
    for name, _ in pods():
        assert f"'{name}'" in named
    assert {document["metadata"].get("namespace") for document in MANIFESTS if document["kind"] != "Namespace"} == {
        "newsmill"
    }


def test_the_image_is_made_of_the_locks_by_nobody_in_particular() -> None:
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    assert re.match(r"python:3\.11\.\d+-slim-\w+ ", stages[0])
    assert re.search(r"^USER 10001:10001$", stages[-1], re.MULTILINE)
    assert "pip install" not in stages[-1]
    installs = re.findall(r"pip install ([^&\n]*)", text)
    for arguments in installs:
        words = shlex.split(arguments)
        assert "--no-deps" in words
        if words[-1] != ".":
            assert "--require-hashes" in words, arguments
            assert (ROOT / words[words.index("-r") + 1]).is_file()
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"
    }
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in allowed, source
    packages = re.search(r"packages = \[([^\]]+)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert packages
    for package in re.findall(r'"(\w+)"', packages[1]):
        assert f"\nCOPY {package} {package}\n" in text
    users = {pod["securityContext"]["runAsUser"] for name, pod in pods() if name != "postgres"}
    assert users == {10001}


def test_the_command_knows_its_version() -> None:
    """An upgrade is looked at by it."""
    done = subprocess.run([BIN / "newsmill", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == importlib.metadata.version("newsmill") != "0.0.0"


def test_it_is_said_that_no_container_was_run() -> None:
    assert "No container was run" in (DEPLOY / "README.md").read_text(encoding="utf-8")
