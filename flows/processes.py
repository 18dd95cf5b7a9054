"""What the kernel says of processes: which live, since when, and with which words in their environment.

Belongs here: reading /proc, and ending processes that carry a mark.  Does not belong here: starting any
(``flows.up``), which are whose (``flows.running``).

Where there is no /proc nothing is found: what is left of a killed ``newsmill up`` ends there by its guards alone.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

_PROC = Path("/proc")


def started(pid: int) -> int | None:
    """When a living process began, in the kernel's ticks; None where there is no such process, or no /proc."""
    try:
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in b"ZX" else int(fields[19])


def tag() -> str:
    """A word for this process that no other will ever bear on this boot.

    >>> is_living(tag()), is_living("process-0-1"), is_living("another tag")
    (True, False, None)
    """
    pid = os.getpid()
    return f"process-{pid}-{started(pid) or 0}"


def is_living(word: str) -> bool | None:
    """Whether the process of a tag lives; None where the word is no such tag or nobody can tell."""
    kind, _, rest = word.partition("-")
    pid, _, since = rest.partition("-")
    if kind != "process" or not (pid.isdecimal() and since.isdecimal()) or since == "0":
        return None
    return started(int(pid)) == int(since)


def environments() -> dict[int, frozenset[bytes]]:
    """The ``NAME=value`` words of the environment of every living process of this user."""
    found = {}
    for entry in _PROC.iterdir() if _PROC.is_dir() else ():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                found[int(entry.name)] = frozenset((entry / "environ").read_bytes().split(b"\0"))
    return found


def bearing(name: str, value: str) -> list[int]:
    """The living processes, this one left out, that have a variable beginning with this in their environment."""
    begin = f"{name}={value}".encode()
    return [
        pid
        for pid, words in environments().items()
        if any(word.startswith(begin) for word in words) and pid != os.getpid() and started(pid) is not None
    ]


def end(name: str, value: str, *, seconds: float = 10.0) -> int:
    """Kill whatever bears a mark until nothing does and all of it has ended; how many were found.

    A killed process gives back its memory first, and with it the mark; its locks and ports a moment later.
    """
    ended, until = dict[int, int](), time.monotonic() + seconds
    while there := {*bearing(name, value), *(pid for pid, since in ended.items() if started(pid) == since)}:
        for pid in there:
            if (since := started(pid)) is not None:
                ended[pid] = since
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > until:
            break
        time.sleep(0.02)
    return len(ended)
