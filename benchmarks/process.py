"""Running whole commands and measuring them from outside.

Belongs here: wall, CPU and memory of a process with all that it starts.  Does not belong here: what is compared.

Memory is the highest sum, sampled every 0.2 s, of the proportional set sizes of the command and its descendants: pages
that processes share count once.  A look at half a gigabyte takes some 16 ms of CPU, so that it is taken only where
memory is asked for: the time of such a run says nothing.
"""

import os
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

EVERY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command: seconds, what it printed, its end in Unix time, and megabytes where they were asked."""

    wall: float
    cpu: float
    out: str
    ended: float
    peak_mb: float | None = None


def _descendants(pid: int) -> list[int]:
    found = [pid]
    for member in found:
        try:
            children = Path(f"/proc/{member}/task/{member}/children").read_text()
            threads = [Path(path, "children").read_text() for path in Path(f"/proc/{member}/task").iterdir()]
        except OSError:
            continue
        found.extend(int(child) for child in dict.fromkeys(" ".join([children, *threads]).split()))
    return found


def _shared_memory_mb(pids: Sequence[int]) -> float:
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None, *, memory: bool = False) -> Run:
    """Run a command to its end; raises ``RuntimeError`` with its words where it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    peak = 0.0
    over = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(EVERY_SECONDS):
            peak = max(peak, _shared_memory_mb(_descendants(process.pid)))

    watcher = threading.Thread(target=watch)
    if memory:
        watcher.start()
    out, err = process.communicate()
    wall, ended = time.perf_counter() - started, time.time()
    if memory:
        over.set()
        watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {err[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall, cpu, out, ended, peak if memory else None)
