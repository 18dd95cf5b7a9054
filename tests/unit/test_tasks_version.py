"""The pipeline version: equal in every process, another one as soon as a byte could be."""

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks import version
from tasks.text import language

ROOT = Path(__file__).parents[2]


@pytest.fixture
def fresh() -> Callable[[], str]:
    """The version computed now, whatever was before."""
    return version.pipeline_version.__wrapped__


def test_it_is_our_number_and_a_hash(fresh: Callable[[], str]) -> None:
    found = version.pipeline_version()
    assert re.fullmatch(rf"{version.NUMBER}-[0-9a-f]{{12}}", found)
    assert fresh() == found


def test_it_is_equal_in_every_process() -> None:
    code = "from tasks.version import pipeline_version; print(pipeline_version())"
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed, "HOME": "/nowhere", "LC_ALL": "C"},
        )  # fmt: skip
        assert done.stdout.strip() == version.pipeline_version()


def test_it_changes_with_the_language(fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = fresh()
    monkeypatch.setattr(language, "fingerprint", lambda: "other rules")
    assert fresh() != before


def test_it_changes_with_our_number(fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = fresh()
    monkeypatch.setattr(version, "NUMBER", version.NUMBER + 1)
    assert fresh() != before
    assert fresh().split("-")[1] == before.split("-")[1]


@pytest.mark.parametrize("library", version.LIBRARIES)
def test_it_changes_with_every_library(fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    before, real = fresh(), importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99" if name == library else real(name))
    assert fresh() != before


def test_it_changes_with_python_and_unicode(fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = fresh()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "version_info", (4, 0, 0))
        assert fresh() != before
    monkeypatch.setattr(unicodedata, "unidata_version", "99.0.0")
    assert fresh() != before


def imported(path: Path) -> set[str]:
    """The top-level names that a module imports."""
    found = set[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_every_library_that_a_text_passes_through_is_in_it() -> None:
    modules = [*(ROOT / "tasks" / "text").rglob("*.py"), *(ROOT / "tasks" / "readers").rglob("*.py")]
    modules += [
        ROOT / "tasks" / "document.py",
        ROOT / "tasks" / "record.py",
        ROOT / "warehouse" / "parts.py",
        ROOT / "warehouse" / "schema.py",
    ]
    names = set[str]().union(*map(imported, modules)) - sys.stdlib_module_names - {"tasks", "warehouse"}
    # A module of Python 3.14.
    names -= {"compression"}
    distributions = importlib.metadata.packages_distributions()
    makers = {distributions[name][0] for name in names}
    # What computes langdetect's answers faster, and is proved equal to it.
    makers -= {"numpy", "numba", "llvmlite"}
    # What unpacks gives the packed bytes or none.
    makers -= {"backports.zstd", "backports-zstd"}
    told = {*version.LIBRARIES, *(item.partition("=")[0] for item in language.fingerprint().split(";"))}
    assert makers <= told
    assert {"chardet", "ftfy", "langdetect", "pyarrow"} <= makers


def test_it_does_not_change_with_the_package(fresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    before, real = fresh(), importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "99" if name in ("newsmill", "duckdb") else real(name)
    )
    assert fresh() == before


def test_a_run_says_what_it_stood_on() -> None:
    found: dict[str, Any] = version.versions()
    assert {"newsmill", "python", "duckdb", "prefect", *version.LIBRARIES} <= found.keys()
    assert all(isinstance(value, str) and value for value in found.values())


def test_no_outcome_changes_without_the_number() -> None:
    """Every golden case and sample still becomes what the record in ``tests/golden/fingerprint.json`` says."""
    recorded = json.loads((ROOT / "tests" / "golden" / "fingerprint.json").read_text("utf-8"))["versions"]
    if recorded["python"] != ".".join(map(str, sys.version_info[:2])):
        pytest.skip(f"the record was made with Python {recorded['python']}")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fingerprint"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
