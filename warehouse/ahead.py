"""What commits bring, read ahead of whoever applies them: by a process beside this one where they are many.

Belongs here: when that pays, the process, and what crosses the pipe.  Does not belong here: what a commit brings
(``incoming``), applying it (``apply``).

A rebuild reads, checks, unpacks and derives as long as DuckDB takes to store, and DuckDB holds the interpreter while it
reads Arrow: threads would wait for each other.  The process is a help and never a need: whatever ends it early, this
one goes on with the commit that is due, and says what is wrong with it where something is.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pyarrow as pa

from warehouse import ledger, memory
from warehouse.held import HeldRows
from warehouse.incoming import Incoming, incoming
from warehouse.layout import Home
from warehouse.records import Commit

logger = logging.getLogger(__name__)

# Commits that are read before anybody asks for them: a batch weighs some 12 MB here.
HELD = 12
# A process takes half a second to start; so many documents take five times that to read.
DOCUMENTS = 25_000


def _documents(commits: Sequence[Commit]) -> int:
    # A part that took over those of others stands behind each of their commits.
    parts = {part.name: part.row_count for commit in commits for part in commit.parts if part.kind == "documents"}
    return sum(parts.values())


@contextlib.contextmanager
def ahead(
    home: Home, book: ledger.Ledger, commits: Sequence[Commit], *, is_alone: bool = True
) -> Iterator[Iterator[Incoming]]:
    """What each of these commits brings, in their order; they follow one another in the ledger.

    Unless the caller ``is_alone`` on the machine's cores all are read here.
    """
    source: IO[bytes] | None = None
    with contextlib.ExitStack() as stack:
        if is_alone and _documents(commits) >= DOCUMENTS:
            try:
                source = stack.enter_context(_beside(home, book, commits))
            except OSError as error:
                logger.warning("commits are read one after the other: no process began to read ahead (%s)", error)
        yield _here(home, book, commits) if source is None else _received(home, book, commits, source)


@contextlib.contextmanager
def _beside(home: Home, book: ledger.Ledger, commits: Sequence[Commit]) -> Iterator[IO[bytes]]:
    """What a process says of these commits; it ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "warehouse.ahead"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,  # Ctrl-C is this process's business
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        # The ledger's URL may hold a password: no argument, which others see.
        with process.stdin:
            process.stdin.write(json.dumps([str(home.path), book.url, commits[0].commit_no, len(commits)]).encode())
        yield process.stdout
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def _here(home: Home, book: ledger.Ledger, commits: Sequence[Commit]) -> Iterator[Incoming]:
    held = HeldRows(home)
    return (incoming(book, held, commit) for commit in commits)


def _received(home: Home, book: ledger.Ledger, commits: Sequence[Commit], source: IO[bytes]) -> Iterator[Incoming]:
    stream = pa.PythonFile(source, "r")
    for done, commit in enumerate(commits):
        try:
            brought = _read(source, stream, commit)
        except Exception as error:  # noqa: BLE001 - whatever a torn or foreign stream does to who reads it
            rest = _here(home, book, commits[done:])
            # Where the commit is what is wrong, its own error says so.
            brought = next(rest)
            logger.warning("commits are read one after the other: the process that read ahead ended (%s)", error)
            yield brought
            yield from rest
            return
        yield brought


def _read(source: IO[bytes], stream: pa.NativeFile, commit: Commit) -> Incoming:
    line = source.readline()
    if not line:
        raise ValueError("it says nothing more")
    number, counts = json.loads(line)
    if number != commit.commit_no:
        raise ValueError(f"it sends {number} for commit {commit.commit_no}: {counts}")
    found = {name: pa.ipc.open_stream(stream).read_all() for name in counts}
    # The end of the stream would pass for the end of a table.
    if any(table.num_rows != counts[name] for name, table in found.items()):
        raise ValueError(f"rows of commit {number} are missing")
    return found


def _write(sink: IO[bytes], commit: Commit, brought: Incoming) -> None:
    counts = {name: table.num_rows for name, table in brought.items()}
    sink.write(json.dumps([commit.commit_no, counts]).encode() + b"\n")
    for table in brought.values():
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    sink.flush()


def _send(sink: IO[bytes], home: Home, url: str | None, first: int, count: int) -> None:
    """Write what these commits bring, read a few of them before they are asked for."""
    book = ledger.open_ledger(home, url)
    commits = ledger.commits_above(book, first - 1)[:count]
    # The other process reads in bursts: it stores many at a time.
    writer = ThreadPoolExecutor(1, thread_name_prefix="write")
    writing: deque[Future[None]] = deque()
    try:
        for commit, brought in zip(commits, _here(home, book, commits), strict=True):
            writing.append(writer.submit(_write, sink, commit, brought))
            if len(writing) == HELD:
                writing.popleft().result()
        for each in writing:
            each.result()
    finally:
        writer.shutdown(cancel_futures=True)


def main() -> int:
    """Write what the commits bring that standard input names to standard output, until nobody listens.

    An error is written, too: the other process tells it unless it comes to the same place.
    """
    # One core is the other process's.
    pa.set_cpu_count(1)
    memory.give_back()
    # Buffered whatever the environment says, so that nothing is written in part; nothing else may come between.
    sink = os.fdopen(os.dup(sys.stdout.fileno()), "wb", 1 << 16)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    request = sys.stdin.buffer.read()
    if not request:
        return 0  # who asked is gone
    path, *rest = json.loads(request)
    try:
        _send(sink, Home(Path(path)), *rest)
        sink.close()
    except Exception as error:  # noqa: BLE001 - passed on
        with contextlib.suppress(OSError, ValueError):
            sink.write(json.dumps([type(error).__name__, str(error)]).encode() + b"\n")
            sink.flush()
        # What is left in a buffer that nobody reads is not worth a complaint.
        os._exit(1)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main())
