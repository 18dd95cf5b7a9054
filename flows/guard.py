"""Stand between ``newsmill up`` and one service, so that nothing of the service outlives either of them.

Belongs here: a script of its own that needs nothing but the standard library.  Does not belong here: which services
there are and when they start (``flows.services``, ``flows.supervise``).

    python -I -S guard.py GRACE COMMAND…

Standard input is a pipe that ``up`` holds open: its end means that ``up`` has gone, however it went.  The guard adopts
whatever the service leaves without a parent (Linux), and goes only when all of it has ended.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
# So long the processes that were killed may take to go.
_KILLED_SECONDS = 5.0


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _die_with(guard: int) -> None:
    """In the new process: end at once when the guard is killed, also if it was before this line."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard:
        os._exit(1)


def descendants(ancestor: int) -> list[int]:
    """The living processes below one, by what /proc says; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    with contextlib.suppress(OSError):
        for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - pathlib costs a third of the start
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stream:  # noqa: PTH123
                # The program's name stands in brackets and may hold blanks; state and parent follow.
                state, parent = stream.read().rpartition(b")")[2].split()[:2]
                if state not in b"ZX":
                    children.setdefault(int(parent), []).append(int(name))
    found, todo = [], [ancestor]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _send(number: int, session: int) -> bool:
    """Send a signal to everything of the service; whether there was anything."""
    there = descendants(os.getpid())
    for pid in there:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    if not there and sys.platform != "linux":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(session, number)
            return True
    return bool(there)


def _reap() -> dict[int, int]:
    """Whatever has ended of the children and the adopted: id and exit code."""
    ended = {}
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = os.waitstatus_to_exitcode(found[1])
    return ended


def main() -> int:
    """Run the command until it ends or shall end; the exit code is the command's."""
    grace, command = float(sys.argv[1]), sys.argv[2:]
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    # A handler, other than SIG_IGN, is not inherited by the command.
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    guard = os.getpid()
    service = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: _die_with(guard),  # noqa: PLW1509 - there is one thread
    )
    # Popen must not take away the exit code that is read here.
    pid, code = service.pid, None
    deadline: float | None = None
    service.returncode = 0
    while code is None:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select([reading] if deadline else [reading, 0], [], [], timeout)
        numbers = os.read(reading, 4096) if reading in ready else b""
        code = _reap().get(pid)
        if code is None and deadline is None and (0 in ready or {signal.SIGTERM, signal.SIGINT} & set(numbers)):
            _send(signal.SIGTERM, pid)
            deadline = time.monotonic() + grace
        elif deadline is not None and time.monotonic() >= deadline:
            break
    until = time.monotonic() + _KILLED_SECONDS
    while _send(signal.SIGKILL, pid) and time.monotonic() < until:
        code = _reap().get(pid, code)
        time.sleep(0.01)
    code = _reap().get(pid, code)
    return 128 + signal.SIGKILL if code is None else code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
