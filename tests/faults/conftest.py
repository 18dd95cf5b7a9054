"""What the faults share: the shim that kills a process at the n-th call by which it changes its home."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path | str:
    """The compiled crashpoint.c, or why there is none."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if sys.platform != "linux" or compiler is None:
        return "there is no C compiler here"
    source, target = Path(__file__).with_name("crashpoint.c"), tmp_path_factory.mktemp("shim") / "crashpoint.so"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", target, source, "-ldl", "-lpthread"]
    done = subprocess.run(command, capture_output=True, text=True)
    return target if done.returncode == 0 else f"crashpoint.c does not compile here: {done.stderr[-300:]}"


@pytest.fixture(scope="session")
def shim(compiled: Path | str) -> Path:
    """The compiled shim."""
    if isinstance(compiled, str):
        pytest.skip(compiled)
    return compiled


@pytest.fixture(scope="session")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory where there is one: a kill says nothing about disks, so none need be waited for."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK) or shutil.disk_usage(shared).free < 500_000_000:
        yield tmp_path_factory.mktemp("kills")
        return
    folder = Path(tempfile.mkdtemp(prefix="newsmill-kills-", dir=shared))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def mutated(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """A function from Python code to an environment in which every Python process begins with it: another build.

    It runs before anything else is imported, in the forked workers' template too.
    """

    def write(code: str) -> dict[str, str]:
        folder = tmp_path / "mutated"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(code)
        return {"PYTHONPATH": str(folder)}

    return write
