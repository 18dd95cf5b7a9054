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
from warehouse.errors import NewsmillError
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
def ahead(home: Home, book: ledger.Ledger, commits: Sequence[Commit]) -> Iterator[Iterator[Incoming]]:
    """What each of these commits brings, in their order; they follow one another in the ledger."""
    source: IO[bytes] | None = None
    with contextlib.ExitStack() as stack:
        if _documents(commits) >= DOCUMENTS:
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
        except (OSError, ValueError) as error:  # of which Arrow's and JSON's are
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
    number, names = json.loads(line)
    if number != commit.commit_no:
        raise ValueError(f"it sends commit {number} for {commit.commit_no}")
    return {name: pa.ipc.open_stream(stream).read_all() for name in names}


def _write(sink: IO[bytes], commit: Commit, brought: Incoming) -> None:
    sink.write(json.dumps([commit.commit_no, list(brought)]).encode() + b"\n")
    for table in brought.values():
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    sink.flush()


def main() -> int:
    """Write what the commits bring that standard input names to standard output, until nobody listens."""
    # One core is the other process's.
    pa.set_cpu_count(1)
    memory.give_back()
    path, url, first, count = json.loads(sys.stdin.buffer.read())
    home = Home(Path(path))
    try:
        book = ledger.open_ledger(home, url)
        commits = ledger.commits_above(book, first - 1)[:count]
        # The other process reads in bursts: it stores many at a time.
        with ThreadPoolExecutor(1, thread_name_prefix="write") as writer:
            writing: deque[Future[None]] = deque()
            for commit, brought in zip(commits, _here(home, book, commits), strict=True):
                writing.append(writer.submit(_write, sys.stdout.buffer, commit, brought))
                if len(writing) == HELD:
                    writing.popleft().result()
            for each in writing:
                each.result()
    except BrokenPipeError:
        # Nothing is left to write to when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except NewsmillError:
        return 1  # the other process comes to the same place, and says it
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main())
