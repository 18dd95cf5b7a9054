"""The second opinion, from outside: what strace sees and injects, whichever way a call was made.

The shim of the campaigns sees calls of the C library; strace sees the system calls themselves.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from warehouse.errors import DamagedError

CALLS = "fsync,fdatasync,rename,renameat,renameat2"
LINE = re.compile(r"(?P<call>\w+)\((?P<rest>.*)\) += 0")
# Builds that do not flush: anything, the bytes of a part or snapshot, the folder of its name.
UNFLUSHED = {
    "anything": "True",
    "bytes": "not path.is_dir()",
    "folders": "path.is_dir()",
}
PICKY = """
from warehouse import durable
flush = durable.fsync_path
durable.fsync_path = lambda path: None if {} else flush(path)
"""


def stracing(words: list[str | bytes | Path]) -> list[str | bytes | Path]:
    """A command under strace, or a skip."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("there is no strace here")
    if subprocess.run([strace, "-f", "-e", "trace=none", "true"], capture_output=True).returncode:
        pytest.skip("strace may not trace here")
    return [strace, "-f", *words]


def unflushed_names(mill: Any, tmp_path: Path, env: dict[str, str]) -> tuple[int, list[str]]:
    """How many files got their names in an ingest, and those whose bytes or folder were not flushed around it."""
    log = tmp_path / "calls"
    command = ["-y", "-o", log, "-e", f"trace={CALLS}", *mill.command("ingest", "--direct", mill.raw)]
    done = subprocess.run(stracing(command), capture_output=True, env={**os.environ, **env}, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    flushed, named, problems = set[str](), list[tuple[str, bool]](), list[str]()
    waiting: dict[str, str] = {}
    for line in log.read_text(errors="replace").splitlines():
        found = LINE.search(line)
        if found is None:
            continue
        if found["call"].startswith("rename"):
            old, new = re.findall(r'"([^"]*)"', found["rest"])
            if "/lake/" in new or "/versions/" in new:
                named.append((new, old in flushed))
                waiting[os.path.dirname(new)] = new
        else:
            path = found["rest"].partition("<")[2].rpartition(">")[0]
            flushed.add(path)
            waiting.pop(path, None)
    problems += [f"{new}: its bytes were not flushed" for new, is_flushed in named if not is_flushed]
    problems += [f"{new}: its folder was not flushed" for new in waiting.values()]
    return len(named), problems


@pytest.mark.faults
def test_every_name_stands_between_two_flushes(mill: Any, tmp_path: Path) -> None:
    """What was written is flushed before its name, and the folder after it; and the canaries are noticed."""
    mill.fill(6)
    count, problems = unflushed_names(mill, tmp_path, {})
    assert count >= 3, "two parts and a snapshot"
    assert problems == []
    for number, (what, condition) in enumerate(UNFLUSHED.items(), start=1):
        (tmp_path / "sitecustomize.py").write_text(PICKY.format(condition))
        mill.fill(3, first=10 * number)
        assert unflushed_names(mill, tmp_path, {"PYTHONPATH": str(tmp_path)})[1] != [], what


# SQLite flushes by fdatasync, this project's own code by fsync.
INJECTED = {
    "a ledger whose disk has died": "fdatasync:error=EIO:when=2+",
    "a name": "rename:error=ENOSPC:when=1",
    "a flush": "fsync:error=EIO:when=2",
    "a kill in the ledger": "fdatasync:signal=SIGKILL:when=3",
}


# What cannot be flushed or named is taken for done.
GOES_ON = """
import contextlib
from warehouse import durable, parts

rename = parts.rename_durably

def lenient(*paths):
    with contextlib.suppress(OSError):
        rename(*paths)

parts.rename_durably = lenient
"""


def injected(mill: Any, inject: str, tmp_path: Path, env: Mapping[str, str]) -> None:
    """An ingest into which strace injects something, and what must hold after the next."""
    mill.fill(5)
    mill.ingest()
    mill.fill(5, first=5)
    shutil.copy(mill.raw / "0007.txt", mill.raw / "twice.txt")
    words = mill.command("ingest", "--direct", mill.raw, "--set", "batch_files=3", "--set", "workers=0")
    log = tmp_path / "injected"
    traced = ["-e", f"trace={inject.partition(':')[0]}", "-e", f"inject={inject}"]
    command = stracing(["-o", log, *traced, *words])
    done = subprocess.run(command, capture_output=True, timeout=300, start_new_session=True, env={**os.environ, **env})
    said = log.read_text(errors="replace")
    assert "(INJECTED)" in said or "killed by SIGKILL" in said, "nothing was hit, so this proves nothing"
    assert done.returncode != 0, "what was hit is no success"
    assert b"Traceback" not in done.stderr
    assert mill.ingest().failures == []
    assert mill.one("SELECT count(*) FROM documents") == 10
    assert mill.one("SELECT count(*) FROM rejects") == 0
    assert mill.problems(deep=True) == []


@pytest.mark.faults
@pytest.mark.parametrize("what", INJECTED)
def test_what_strace_injects_is_survived(
    mill: Any, what: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    injected(mill, INJECTED[what], tmp_path, {})
    record_property("faults", 1)
    record_property("survived", 1)
    record_property("points", [["strace"]])


@pytest.mark.faults
def test_a_build_that_goes_on_without_a_name_is_noticed(
    mill: Any, tmp_path: Path, mutated: Callable[[str], dict[str, str]]
) -> None:
    """The canary: a commit names a part that never got its name."""
    with pytest.raises(DamagedError, match=r"part .* is missing"):
        injected(mill, INJECTED["a name"], tmp_path, mutated(GOES_ON))
