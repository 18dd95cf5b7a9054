"""The processes that do the work of batches: one warm template, and workers that it forks.

Belongs here: what runs in those processes, ``python -m tasks.worker``.  Does not belong here: who asks for workers and
what their death means (``tasks.pool``), the work itself (``tasks.ingest_batch``).

The template imports and warms up once and is then cheap to fork, because it starts no thread.  A worker takes one
job after the other from its socket: of a batch it answers with receipts, of files with their hashes, or with an
exception; nothing else leaves it but parts.
When the process at the other end is gone, however it ended, so are template and workers.
"""

import contextlib
import ctypes
import gc
import os
import pickle
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

# What pool.py asks for on the control socket.
FORK, REAP, LEAVE = b"f", b"r", b"l"
# What pool.py asks of a worker: the receipts of a batch, or the hashes of files.
BATCH, HASH = "batch", "hash"
# What follows the last answer.
END = "end"
# What the template says once, when it can fork.
WARM = b"w"
OUT_OF_MEMORY = 77
_PR_SET_PDEATHSIG = 1


def warm(cache: Path | None) -> None:
    """Import and load all that batches need, without starting a thread."""
    from warehouse import memory

    memory.give_back()
    from tasks import ingest_batch  # noqa: F401 - imported for every child
    from tasks.document import documents_of
    from tasks.options import DocumentOptions
    from tasks.text import language
    from tasks.text.language import second_opinion
    from warehouse.records import RawFile, Stamp

    memory.look_seldom()
    if cache is not None:
        language.configure(cache)
    language.preload()
    with contextlib.suppress(OSError):  # it unpacks its model into the temporary folder; who needs it will say so
        second_opinion.preload()
    stamp = Stamp(size_bytes=0, mtime_ns=0, ctime_ns=0, inode=0)
    file = RawFile(root="", uri="a.txt", source="", path=b"", stamp=stamp, file_id="0" * 64)
    documents_of([(file, b" date 2019-04 Ein Satz zum Warmwerden. Und noch einer.")], DocumentOptions())
    gc.collect()
    gc.freeze()  # what is there now is shared by all workers instead of copied into each
    memory.set_aside_libraries()


def _dies_with_parent() -> None:
    with contextlib.suppress(AttributeError):  # where the system has no such call, an end of file must do
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _portable(error: Exception) -> Exception:
    """The exception, or one that can travel and says the same."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - whatever an exception class does when it is copied
        # What is the machine's trouble must not become the file's.
        kind = OSError if isinstance(error, (OSError, ImportError)) else RuntimeError
        return kind(f"{type(error).__name__}: {error}")
    return error


def _answers(job: str, *arguments: Any) -> Iterator[object]:
    """All answers to a job and an end, or what was raised instead."""
    from tasks.hashing import hashed
    from tasks.ingest_batch import ingest_batch

    try:
        if job == HASH:
            yield hashed(*arguments)
        else:
            yield from ingest_batch(*arguments)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except Exception as error:  # noqa: BLE001 - judged by whoever asked
        yield _portable(error)
    else:
        yield END


def serve(connection: Connection, memory_bytes: int) -> None:
    """Do one job after the other until the other end is closed."""
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    while True:
        try:
            job, *arguments = connection.recv()
        except (EOFError, ConnectionError):
            return
        try:
            for answer in _answers(job, *arguments):
                connection.send(answer)
        except ConnectionError:
            return


def _fork(fd: int, memory_bytes: int, control: socket.socket) -> int:
    pid = os.fork()
    if pid:
        os.close(fd)
        return pid
    code = 1
    try:
        _dies_with_parent()
        control.close()
        serve(Connection(fd), memory_bytes)
        code = 0
    except BaseException:  # noqa: BLE001 - a fork must not return into the template; its end is what is told
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def main() -> None:
    """The template: fork on request, tell how a worker ended, go when the control socket is closed."""
    control = socket.socket(fileno=int(sys.argv[1]))
    memory_bytes, cache = int(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None
    # Ctrl-C reaches the whole group of processes; whoever asked decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warm(cache)
    children: set[int] = set()
    # Whoever asked may be gone in the middle of an answer.
    with contextlib.suppress(ConnectionError):
        control.sendall(WARM)
        _obey(control, memory_bytes, children)
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    # A run waits for this end before it publishes, and taking all modules apart takes a tenth of a second.
    os._exit(0)


def _obey(control: socket.socket, memory_bytes: int, children: set[int]) -> None:
    """Fork and reap as asked until the control socket is closed."""
    left: set[int] = set()
    while True:
        message, fds, _, _ = socket.recv_fds(control, 9, 1)
        if not message:
            return
        if message[:1] == FORK:
            pid = _fork(fds[0], memory_bytes, control)
            children.add(pid)
            control.sendall(pid.to_bytes(8, "big"))
        elif message[:1] == REAP:
            pid = int.from_bytes(message[1:9], "big")
            _, status = os.waitpid(pid, 0)
            children.discard(pid)
            control.sendall((os.waitstatus_to_exitcode(status) & 0xFFFFFFFF).to_bytes(8, "big"))
        elif message[:1] == LEAVE:
            left.add(int.from_bytes(message[1:9], "big"))
        ended = {pid for pid in left if os.waitpid(pid, os.WNOHANG)[0]}
        left -= ended
        children -= ended


if __name__ == "__main__":
    main()
