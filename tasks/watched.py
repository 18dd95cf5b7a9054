"""One worker as its pool sees it: what it answers, how much it works meanwhile, and whose doing its end is.

Belongs here: the socket to a worker, its time limit, and judging how it ended.  Does not belong here: starting and
replacing workers, and what follows for a batch (``tasks.pool``).

A file is blamed on evidence only: its worker worked all the time, or died by its own fault.  One that waited, or was
killed, may have met a disk that stood still or a machine without memory, and the next run may not meet them.
"""

import contextlib
import os
import signal
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeGuard

from tasks.worker import END, OUT_OF_MEMORY
from warehouse.vocabulary import DeferReason, Reason

# Who worked for this share of its limit was busy with the file, however crowded the machine is ...
_BUSY = 0.5
# ... and who worked for less than this share of the time between two looks stands still.
_STILL = 0.05
# Behind one that stood still the next is looked at sooner: after this share of its limit, but not before so long.
_SOONER, _LEAST_SECONDS = 0.1, 10.0
# What a process brings upon itself; every other signal was sent to it.
_OWN = {
    signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP,
    signal.SIGXCPU, signal.SIGXFSZ,
}  # fmt: skip


class StoodStill(Exception):
    """A worker that neither answered nor worked."""


@dataclass(frozen=True, slots=True)
class Died:
    """How a worker ended before it answered: with a ``Reason`` by the file's doing, else by that of something else.

    ``is_again``: it stood still, and so did another before it began.
    """

    reason: Reason | DeferReason
    detail: str
    is_again: bool = False


def stood_still(answer: object) -> TypeGuard[Died]:
    """Whether an answer is that the worker only waited."""
    return isinstance(answer, Died) and answer.reason is DeferReason.STALLED


def died(code: int) -> Died:
    """What the exit code of a worker says, which is negative for a signal.

    >>> died(-signal.SIGSEGV)
    Died(reason=<Reason.CRASH: 'crash'>, detail='the worker was killed by SIGSEGV', is_again=False)
    >>> died(-signal.SIGKILL).reason
    <DeferReason.KILLED: 'killed'>
    """
    if code == OUT_OF_MEMORY:
        return Died(Reason.CRASH, "the worker ran out of memory; see worker_memory_bytes")
    if code < 0:
        number = signal.Signals(-code)
        return Died(Reason.CRASH if number in _OWN else DeferReason.KILLED, f"the worker was killed by {number.name}")
    return Died(Reason.CRASH, f"the worker ended with {code}")


def worked_seconds(pid: int) -> float | None:
    """CPU time of a process, all its threads, to a hundredth; None where the system does not tell."""
    try:
        # The program's name stands in brackets and may hold blanks.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def look_seconds(seconds: float) -> float:
    """When to look whether a worker with this limit works, where another has just stood still.

    >>> look_seconds(300.0), look_seconds(30.0), look_seconds(3.0)
    (30.0, 10.0, 3.0)
    """
    return min(seconds, max(_SOONER * seconds, _LEAST_SECONDS))


class Worker:
    """One forked process and the socket to it; sending or receiving what was begun takes ``seconds`` at most."""

    def __init__(self, pid: int, ours: socket.socket, seconds: float) -> None:
        limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, option, limit)
        self.pid, self.connection = pid, Connection(ours.detach())

    def answers(self, message: object, seconds: float, look_seconds: float) -> Iterator[object]:
        """All that is answered.

        Raises ``EOFError`` where the process dies, ``TimeoutError`` where it works for too long, and ``StoodStill``
        where at a look, so many seconds after the last, it had not worked.
        """
        try:
            self.connection.send(message)
            while True:
                self._wait(seconds, look_seconds)
                answer = self.connection.recv()
                if answer == END:
                    return
                yield answer
                if isinstance(answer, Exception):
                    return
        except BlockingIOError as error:
            raise StoodStill from error
        except ConnectionError as error:
            raise EOFError from error

    def kill(self) -> None:
        """End it, if it has not ended."""
        self.connection.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def _wait(self, seconds: float, look_seconds: float) -> None:
        """Until there is an answer: at most ten times ``seconds``, on a machine that hardly lets the worker work."""
        before = worked_seconds(self.pid)
        left = _BUSY * seconds
        while not self.connection.poll(look_seconds):
            now = worked_seconds(self.pid)
            if now is None or before is None:
                raise TimeoutError
            left -= now - before
            if left <= 0:
                raise TimeoutError
            if now - before < _STILL * look_seconds:
                raise StoodStill
            before = now
