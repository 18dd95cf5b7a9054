"""A pool of light worker processes: who works on which batch, and what it means when one dies.

Belongs here: forking, killing and replacing workers, and halving a batch until the file that kills is alone.  Does not
belong here: what they are forked from (``tasks.template``), what runs in them (``tasks.worker``), whose doing their end
is (``tasks.watched``), how batches are cut (``tasks.plan``).

Only batches and paths go in, only receipts and hashes come out.  A file that alone kills its worker, or keeps it busy
beyond its time, is rejected as ``crash`` or ``timeout``, by a sighting in the ledger: how long a machine takes is no
property of the bytes.  One whose worker stood still or was killed from outside is deferred.
"""

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tasks import plan
from tasks.hashing import Hashed, Hasher, hashed, joined, unhashed
from tasks.options import BatchOptions
from tasks.template import Template
from tasks.turns import Turns
from tasks.watched import Died, StoodStill, Worker, died, look_seconds, stood_still
from tasks.worker import BATCH, FORK, HASH, LEAVE, REAP, WARM
from warehouse.errors import Deferred, NewsmillError, TransientError
from warehouse.layout import Home
from warehouse.records import Batch, Receipt
from warehouse.vocabulary import DeferReason, Reason

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

    def template(self) -> Template:
        """Begin the process that such workers are forked from."""
        return Template(self.memory_bytes, self.cache)


class Pool:
    """Workers that are forked as they are needed; safe to use from several threads, each holds one worker at a time.

    ``is_careful``: one of the files may kill or hold whoever hashes it, too.  ``template``: one that was begun before,
    with the same options, and is the pool's from now on.
    """

    def __init__(self, options: PoolOptions, *, is_careful: bool = False, template: Template | None = None) -> None:
        self._options, self.is_careful = options, is_careful
        self._idle: list[Worker] = []
        self._lock = threading.Lock()
        self._turns = Turns(options.workers)
        self._is_warm = False
        # At which jobs a worker stood still and none has answered since: one disk may hang while another does not.
        self._still: set[str] = set()
        self.hasher = PoolHasher(self)
        self._template = template or options.template()
        self._control = self._template.control

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
        # The template kills its workers; whoever waits for one gets an end of file.
        self._template.close()
        self.hasher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, home: Home, batch: Batch, options: BatchOptions, *, is_last_try: bool = False) -> Iterator[Receipt]:
        """The receipts of a batch: one, or one a cut; where a file kills its worker, those of the pieces around it.

        Raises what the work raised, if that is the home's trouble or a passing one.
        """
        left, trouble = yield from self._tried(home, batch, options)
        if trouble is not None and left.files:
            yield from self._around(home, left, options, trouble, is_last_try=is_last_try)

    def _tried(self, home: Home, batch: Batch, options: BatchOptions) -> Generator[Receipt, None, tuple[Batch, object]]:
        """What one worker makes of a batch; what is left of it then, and the trouble with that."""
        left, trouble = batch, None
        for answer in self._answers((BATCH, home, batch, options), self._options.batch_seconds):
            if isinstance(answer, Receipt):
                left = plan.remaining(left, answer)
                yield answer
            else:
                trouble = answer
        return left, trouble

    def _around(
        self, home: Home, left: Batch, options: BatchOptions, trouble: object, *, is_last_try: bool = False
    ) -> Iterator[Receipt]:
        """The receipts of the pieces around a trouble."""
        # What cannot be imported is the machine's trouble, too: the limit of open files, say.
        if isinstance(trouble, (NewsmillError, OSError, ImportError)):
            raise trouble
        end = trouble if isinstance(trouble, Died) else Died(Reason.CRASH, f"{type(trouble).__name__}: {trouble}")
        if stood_still(end):
            # One by one, files on a disk that is dead would wait for days.
            yield from [_unread(left, end, options)] if end.is_again else self._past(home, options, left, end)
        elif len(left.files) > 1:
            for half in plan.halves(left):
                yield from self.run(home, half, options)
        elif not is_last_try and end.reason is not Reason.TIMEOUT:
            # A worker can be killed from outside, too: a file is only blamed when it was alone and did it twice.
            yield from self.run(home, left, options, is_last_try=True)
        else:
            yield _unread(left, end, options)

    def _past(self, home: Home, options: BatchOptions, left: Batch, end: Died) -> Iterator[Receipt]:
        """The receipts of the pieces around what a worker waits for; where both halves wait it is the machine."""
        if len(left.files) == 1:
            yield _unread(left, end, options)
            return
        waiting: list[tuple[Batch, Died]] = []
        for half in plan.halves(left):
            rest, trouble = yield from self._tried(home, half, options)
            if rest.files and stood_still(trouble):
                waiting.append((rest, trouble))
            elif rest.files and trouble is not None:
                yield from self._around(home, rest, options, trouble)
        if len(waiting) == 1:
            yield from self._past(home, options, *waiting[0])
        else:
            for rest, how in waiting:
                yield _unread(rest, how, options)

    def hash(self, paths: Sequence[bytes], sizes: Sequence[int]) -> Hashed:
        """What files are that have about these sizes; before any batch, which need hashes to be cut.

        Nothing is held against a file here: where the worker dies this process does its work, and what it waits for is
        put off.
        """
        return self._hashed(paths, sizes, self._asked(paths, sizes))

    def _asked(self, paths: Sequence[bytes], sizes: Sequence[int]) -> object:
        """What one worker says of files, or how it died; None where there is none."""
        seconds = self._options.batch_seconds + sum(sizes) / _LEAST_BYTES_A_SECOND
        answers: list[object] = []
        # Where no worker can be had any more, the batches say so.
        with contextlib.suppress(TransientError, OSError):
            answers = list(self._answers((HASH, paths, sizes), seconds, is_urgent=True))
        return answers[-1] if answers else None

    def _hashed(self, paths: Sequence[bytes], sizes: Sequence[int], answer: object) -> Hashed:
        """What files are of which a worker said this."""
        if isinstance(answer, Hashed):
            return answer
        if not stood_still(answer):
            if self._control.fileno() < 0:
                raise TransientError("the workers were stopped while they hashed")
            return hashed(paths, sizes)
        middle = len(paths) // 2
        halves = [(paths[:middle], sizes[:middle]), (paths[middle:], sizes[middle:])] if middle else []
        answers = [self._asked(*half) for half in halves]
        if all(map(stood_still, answers)):
            return unhashed(len(paths), Deferred(DeferReason.STALLED, answer.detail))
        return joined(self._hashed(*half, one) for half, one in zip(halves, answers, strict=True))

    def _answers(
        self, message: tuple[str, *tuple[Any, ...]], seconds: float, *, is_urgent: bool = False
    ) -> Iterator[object]:
        """All that a worker answers, and what ended it early: an exception, or how the worker died."""
        with self._turns.taken(is_urgent=is_urgent):
            worker = self._take()
            is_again = (job := message[0]) in self._still
            look = look_seconds(seconds) if is_again else seconds
            try:
                for answer in worker.answers(message, seconds, look):
                    self._still.discard(job)
                    yield answer
            except TimeoutError:
                self._leave(worker)
                yield Died(Reason.TIMEOUT, f"took more than {seconds:g} s; see batch_seconds")
            except StoodStill:
                self._leave(worker)
                self._still.add(job)
                detail = f"the worker hardly worked for {look:g} s: a disk or the machine stood still"
                yield Died(DeferReason.STALLED, detail, is_again)
            except EOFError:
                yield died(self._end(worker))
            except BaseException:
                self._leave(worker)
                raise
            else:
                with self._lock:
                    self._idle.append(worker)

    def _take(self) -> Worker:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if not self._is_warm:
                self._received(len(WARM))
                self._is_warm = True
            ours, theirs = socket.socketpair()
            socket.send_fds(self._control, [FORK], [theirs.fileno()])
            theirs.close()
            return Worker(self._read(), ours, self._options.batch_seconds)

    def _end(self, worker: Worker) -> int:
        """Kill a worker if it still runs, and wait for it; its exit code, negative for a signal."""
        worker.kill()
        with self._lock:
            self._control.sendall(REAP + worker.pid.to_bytes(8, "big"))
            code = self._read()
        return code - (1 << 32) if code >= 1 << 31 else code

    def _leave(self, worker: Worker) -> None:
        """Kill a worker and wait for nothing: one that waits for a disk dies when that answers."""
        worker.kill()
        with self._lock, contextlib.suppress(OSError):
            self._control.sendall(LEAVE + worker.pid.to_bytes(8, "big"))

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
        """In a worker, in this process as long as there is none and nothing speaks against it."""
        if not paths or not (self._pool.is_warm or self._pool.is_careful):
            return super().begin(paths, sizes)
        return self._threads.submit(self._pool.hash, paths, sizes).result

    def close(self) -> None:
        """Let go of what was not begun."""
        self._threads.shutdown(cancel_futures=True)


def _unread(left: Batch, end: Died, options: BatchOptions) -> Receipt:
    return plan.unread(left, end.reason, end.detail, options.pipeline_version, options.settings_fingerprint)
