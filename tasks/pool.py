"""A pool of light worker processes: who works on which batch, and what it means when one dies.

Belongs here: starting, killing and replacing workers, time limits, and halving a batch until the file that kills is
alone.  Does not belong here: what runs in them (``tasks.worker``), how batches are cut (``tasks.plan``).

Only batches and paths go in, only receipts and hashes come out.  A file that alone kills its worker, or keeps it beyond
its time, is rejected as ``crash`` or ``timeout``, by a sighting in the ledger: how long a machine takes is no property
of the bytes.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tasks import plan
from tasks.hashing import Hashed, Hasher, hashed
from tasks.worker import BATCH, END, FORK, HASH, OUT_OF_MEMORY, REAP, WARM
from warehouse.errors import NewsmillError, TransientError
from warehouse.layout import Home
from warehouse.records import Batch, Receipt
from warehouse.vocabulary import Reason

if TYPE_CHECKING:
    # What batches are worked on with is imported where that is done.
    from tasks.ingest_batch import BatchOptions

# A disk that is slower than this has failed.
_LEAST_BYTES_A_SECOND = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """How many workers there are and what each may take.

    ``batch_seconds``: the slowest input known, solid mojibake, takes 10 s a megabyte, so a batch of it 80.
    ``memory_bytes``: a worker's private memory; a batch of 8 MB takes some 200 MB.  0 sets no limit.
    """

    workers: int = 2
    batch_seconds: float = 300.0
    memory_bytes: int = 2_000_000_000
    cache: Path | None = None


@dataclass(frozen=True, slots=True)
class Died:
    """How a worker ended before it answered."""

    reason: Reason
    detail: str


class _Worker:
    """One forked process and the socket to it."""

    def __init__(self, pid: int, connection: Connection) -> None:
        self.pid, self.connection = pid, connection

    def answers(self, message: object, seconds: float) -> Iterator[object]:
        """All that is answered; ``EOFError`` where the process dies, ``TimeoutError`` where it takes too long."""
        try:
            self.connection.send(message)
            while True:
                if not self.connection.poll(seconds):
                    raise TimeoutError
                answer = self.connection.recv()
                if answer == END:
                    return
                yield answer
                if isinstance(answer, Exception):
                    return
        except ConnectionError as error:
            raise EOFError from error


class _Turns:
    """So many may work at once; who waits gets a turn in order, and before all others where it is ``is_urgent``."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def taken(self, *, is_urgent: bool) -> Iterator[None]:
        """One turn, for as long as the block takes."""
        turn = threading.Event()
        with self._lock:
            if self._free:
                self._free -= 1
                turn.set()
            elif is_urgent:
                self._waiting.appendleft(turn)
            else:
                self._waiting.append(turn)
        turn.wait()
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().set()
                else:
                    self._free += 1


class Pool:
    """Workers that are forked as they are needed; safe to use from several threads, each holds one worker at a time."""

    def __init__(self, options: PoolOptions) -> None:
        self._options = options
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._turns = _Turns(options.workers)
        self._is_warm = False
        self.hasher = PoolHasher(self)
        self._control, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", "tasks.worker", str(theirs.fileno()), str(options.memory_bytes)]
        if options.cache is not None:
            command.append(str(options.cache))
        self._template = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()

    @property
    def workers(self) -> int:
        """How many batches can be worked on at once."""
        return self._options.workers

    @property
    def is_warm(self) -> bool:
        """Whether a worker could begin now."""
        # Who holds the lock may wait for the template.
        if not self._is_warm and self._lock.acquire(blocking=False):
            try:
                if not self._is_warm and select.select([self._control], [], [], 0)[0]:
                    self._is_warm = bool(self._control.recv(len(WARM)))
            finally:
                self._lock.release()
        return self._is_warm

    def close(self) -> None:
        """End all processes."""
        # The template kills its workers when it sees this end closed; whoever waits for one gets an end of file.
        self._control.close()
        try:
            self._template.wait(10)
        except subprocess.TimeoutExpired:
            self._template.kill()
            self._template.wait()
        self.hasher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, home: Home, batch: Batch, options: "BatchOptions", *, is_last_try: bool = False) -> Iterator[Receipt]:
        """The receipts of a batch: one, or one a cut; where a file kills its worker, those of the pieces around it.

        Raises what the work raised, if that is the home's trouble or a passing one.
        """
        left, trouble = batch, None
        for answer in self._answers((BATCH, home, batch, options), self._options.batch_seconds):
            if isinstance(answer, Receipt):
                left = plan.remaining(left, answer)
                yield answer
            else:
                trouble = answer
        if trouble is None or not left.files:
            return
        if isinstance(trouble, (NewsmillError, OSError)):
            raise trouble
        if len(left.files) > 1:
            for half in plan.halves(left):
                yield from self.run(home, half, options)
        elif not is_last_try and not (isinstance(trouble, Died) and trouble.reason is Reason.TIMEOUT):
            # A worker can be killed from outside, too: a file is only blamed when it was alone and did it twice.
            yield from self.run(home, left, options, is_last_try=True)
        else:
            died = trouble if isinstance(trouble, Died) else Died(Reason.CRASH, f"{type(trouble).__name__}: {trouble}")
            yield plan.refusal(left, died.reason, died.detail, options.pipeline_version, options.settings_fingerprint)

    def hash(self, paths: Sequence[bytes], sizes: Sequence[int]) -> Hashed:
        """What files are that have about these sizes; before any batch, which need hashes to be cut.

        Nothing is held against a file here: where the worker ends without an answer this process does its work.
        """
        seconds = self._options.batch_seconds + sum(sizes) / _LEAST_BYTES_A_SECOND
        answers: list[object] = []
        # Where no worker can be had any more, the batches say so.
        with contextlib.suppress(TransientError, OSError):
            answers = list(self._answers((HASH, paths, sizes), seconds, is_urgent=True))
        found = next((answer for answer in answers if isinstance(answer, Hashed)), None)
        if found is None and self._control.fileno() < 0:
            raise TransientError("the workers were stopped while they hashed")
        return found or hashed(paths, sizes)

    def _answers(self, message: object, seconds: float, *, is_urgent: bool = False) -> Iterator[object]:
        """All that a worker answers, and what ended it early: an exception, or how the worker died."""
        with self._turns.taken(is_urgent=is_urgent):
            worker = self._take()
            try:
                yield from worker.answers(message, seconds)
            except TimeoutError:
                self._end(worker)
                yield Died(Reason.TIMEOUT, f"took more than {seconds:g} s; see batch_seconds")
            except EOFError:
                yield Died(Reason.CRASH, _ending(self._end(worker)))
            except BaseException:
                self._end(worker)
                raise
            else:
                with self._lock:
                    self._idle.append(worker)

    def _take(self) -> _Worker:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if not self._is_warm:
                self._received(len(WARM))
                self._is_warm = True
            ours, theirs = socket.socketpair()
            socket.send_fds(self._control, [FORK], [theirs.fileno()])
            theirs.close()
            return _Worker(self._read(), Connection(ours.detach()))

    def _end(self, worker: _Worker) -> int:
        """Kill a worker if it still runs; its exit code, negative for a signal."""
        worker.connection.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)
        with self._lock:
            self._control.sendall(REAP + worker.pid.to_bytes(8, "big"))
            code = self._read()
        return code - (1 << 32) if code >= 1 << 31 else code

    def _read(self) -> int:
        return int.from_bytes(self._received(8), "big")

    def _received(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._control.recv(count - len(data))
            if not more:
                raise TransientError("the process that forks workers has ended; run the command again")
            data += more
        return data


class PoolHasher(Hasher):
    """Hashes in the workers of a pool, which is done before any batch that waits."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._threads = ThreadPoolExecutor(pool.workers, thread_name_prefix="hash")

    @property
    def ahead(self) -> int:
        """So many that no worker waits for the next batch; none while workers are still to come."""
        return 1 + self._pool.workers if self._pool.is_warm else 0

    def begin(self, paths: Sequence[bytes], sizes: Sequence[int]) -> Callable[[], Hashed]:
        """In a worker, in this process as long as there is none."""
        if not paths or not self._pool.is_warm:
            return super().begin(paths, sizes)
        return self._threads.submit(self._pool.hash, paths, sizes).result

    def close(self) -> None:
        """Let go of what was not begun."""
        self._threads.shutdown(cancel_futures=True)


def _ending(code: int) -> str:
    if code == OUT_OF_MEMORY:
        return "the worker ran out of memory; see worker_memory_bytes"
    if code < 0:
        return f"the worker was killed by {signal.Signals(-code).name}"
    return f"the worker ended with {code}"
