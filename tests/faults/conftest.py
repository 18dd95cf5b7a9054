"""What the faults share: the shim that kills a process at the n-th call by which it changes its home."""

import shutil
import subprocess
import sys
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
