"""A fork server for crashes: one warm process that ingests in children, kills them at a chosen call, and looks after.

Started by the tests with crashpoint.c preloaded, or without where there is no compiler: then the calls of this
project's own Python code are counted instead.  Orders come in as JSON lines, answers go out as JSON lines.

    {"do": "ingest", "home": …, "raw": …, "at": n, "action": …, "mutant": …, "trace": …}   a child, killed at call n;
        with "work" replay it replays everything as another pipeline version would, with compact it compacts, with
        forget it forgets a content that was seen twice
    {"do": "recover", "home": …, "raw": …, "acks": …}   what stands there, one clean ingest, verify --deep, the rows;
        with "work" compact also a clean compaction before the proof; with forget a clean forgetting where the killed
        one was not begun: one that was begun must be finished by the ingest
"""

import ctypes
import gc
import hashlib
import json
import os
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# All work in the one process whose calls are counted.
FORGOTTEN = "012.txt"  # 013.txt has the same bytes
NO_GRACE = ("--set", "compact_grace_seconds=0")
SETTINGS = ("--set", "batch_files=20", "--set", "publish_seconds=12", "--set", "workers=0")


def warm() -> None:
    """Import what an ingest imports, and start no thread: a child may only be forked from a process without."""

    from tasks.document import DocumentOptions, documents_of
    from tasks.text import language
    from warehouse import ledger
    from warehouse.layout import Home
    from warehouse.records import RawFile, Stamp

    language.preload()
    stamp = Stamp(size_bytes=0, mtime_ns=0, ctime_ns=0, inode=0)
    file = RawFile(root="", uri="a.txt", source="", path=b"", stamp=stamp, file_id="0" * 64)
    documents_of([(file, b" date 2019-04 Ein Satz zum Warmwerden. Und noch einer.")], DocumentOptions())
    with tempfile.TemporaryDirectory() as folder:
        book = ledger.open_ledger(Home(Path(folder) / "home"), create=True)
        ledger.conservation(book)
        book.close()
    gc.collect()
    gc.freeze()  # what is there now is shared by all children instead of copied into each


class Ticks:
    """The module ``time`` with a clock that goes on by a second a look: publishes come after a number of batches."""

    def __init__(self) -> None:
        import time

        self.now, self.real = 0.0, time

    def monotonic(self) -> float:
        """A second more than the last time."""
        self.now += 1.0
        return self.now

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def steady(acks: str | None) -> None:
    """Make the same calls come in the same order every time, and report every acknowledged commit."""
    import duckdb

    from flows import run
    from warehouse import ledger, loader

    # Both, since a publish that took long is followed by a longer pause.
    run.time, loader.time = Ticks(), Ticks()
    connect = duckdb.connect

    def single(*arguments: Any, **options: Any) -> Any:
        connection = connect(*arguments, **options)
        connection.execute("SET threads = 1")
        return connection

    def reporting(commit: Callable[..., Any]) -> Callable[..., Any]:
        def reported(*arguments: Any, **options: Any) -> Any:
            number = commit(*arguments, **options)
            if number is not None and acks is not None:
                fd = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                os.write(fd, f"{number}\n".encode())
                os.close(fd)
            return number

        return reported

    duckdb.connect = single
    for name in ("append", "compact", "forget"):
        setattr(ledger, name, reporting(getattr(ledger, name)))


def commit_before_parts() -> None:
    """Mutant: a commit names parts that get their names only afterwards."""
    from warehouse import ledger, parts

    append, held = ledger.append, []

    def hold(temporary: Path, final: Path) -> None:
        waiting = final.with_name(f"held-{final.name}")
        os.rename(temporary, waiting)
        held.append((waiting, final))

    def early(*arguments: Any, **options: Any) -> Any:
        number = append(*arguments, **options)
        while held:
            os.rename(*held.pop())
        return number

    parts.rename_durably = hold
    ledger.append = early


def publish_in_place() -> None:
    """Mutant: the next snapshot is built under its final name, where readers and the next run find it."""
    from warehouse import loader, snapshots

    @contextmanager
    def at_once(folder: Path) -> Iterator[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        number = max((int(path.stem.rpartition("-")[2]) for path in folder.glob("*.duckdb")), default=0) + 1
        path = folder / f"warehouse-{number:08d}.duckdb"
        path.touch()
        yield path

    def name_it(home: Any, built: Path) -> Path:
        snapshots.point(home)
        return built

    loader.temporary_file = at_once
    snapshots.publish_file = name_it


def remove_before_commit() -> None:
    """Mutant: what a compaction replaces is removed as soon as its rows are in the merged parts."""
    from warehouse import compact

    merged = compact._merged

    def early(home: Any, book: Any, group: Any) -> Any:
        tables = merged(home, book, group)
        for one in group:
            for part in one.holder.parts:
                home.part(part.kind, part.name).unlink()
        return tables

    compact._merged = early


MUTANTS: dict[str, Callable[[], None]] = {
    "commit before parts": commit_before_parts,
    "in place": publish_in_place,
    "early": remove_before_commit,
}


class PythonCalls:
    """Counts what our own Python code does to disks and ledger, where no shim can be compiled."""

    def __init__(self, root: str, at: int, trace: str | None) -> None:
        self.root, self.at, self.count = root, at, 0
        self.trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if trace else None
        for name in ("rename", "replace", "unlink", "symlink", "mkdir", "chmod", "fsync"):
            setattr(os, name, self.counted(name, getattr(os, name)))

        import sqlalchemy as sa

        @sa.event.listens_for(sa.Engine, "commit")
        def _commit(_connection: Any) -> None:
            self.hit("commit", f"{self.root}/ledger.sqlite")

    def counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """A call that is counted before it is made."""

        def call(*arguments: Any, **options: Any) -> Any:
            subject = arguments[1] if name in ("rename", "replace", "symlink") else arguments[0]
            path = os.readlink(f"/proc/self/fd/{subject}") if name == "fsync" else os.path.abspath(os.fspath(subject))
            if os.fsdecode(path).startswith(self.root):
                self.hit(name, os.fsdecode(path))
            return real(*arguments, **options)

        return call

    def hit(self, what: str, path: str) -> None:
        """One call: counted, written down, and if it is the one, the last."""
        self.count += 1
        if self.trace is not None:
            os.write(self.trace, f"{self.count}\t{what}\t{path[len(self.root) :]}\n".encode())
        if self.count == self.at:
            os.killpg(0, signal.SIGKILL)


def arm(order: dict[str, Any]) -> None:
    """Count from here on, and die at the call that the order names."""
    if os.environ.get("CRASH_SHIM"):
        shim = ctypes.CDLL(os.environ["CRASH_SHIM"])
        trace = order.get("trace")
        fd = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if trace else -1
        shim.crash_arm(os.fsencode(order["home"]), b"", ctypes.c_long(order["at"]), order["action"].encode(), fd)
    else:
        PythonCalls(order["home"], order["at"], order.get("trace"))


def ingest(order: dict[str, Any]) -> int:
    """The ingest, replay, compaction or forgetting that may be killed."""
    from flows.cli.main import run

    steady(order.get("acks"))
    if order.get("mutant"):
        MUTANTS[order["mutant"]]()
    if order.get("work") == "compact":
        small_parts()
        arm(order)
        return run(["compact", "--home", order["home"], *NO_GRACE])
    if order.get("work") == "forget":
        arm(order)
        return run(["forget", "--uri", FORGOTTEN, "--home", order["home"]])
    if order.get("work") == "replay":
        from tasks import version

        version.pipeline_version = lambda: "2-faked"
        arm(order)
        return run(["replay", "--stale", "--direct", "--home", order["home"], *SETTINGS])
    arm(order)
    return run(["ingest", "--direct", order["raw"], "--home", order["home"], *SETTINGS])


def small_parts() -> None:
    """Let a compaction of few files be several, of which the last compacts what the others have."""
    from flows import maintain
    from warehouse.compact import CompactOptions

    maintain._options = lambda _settings: CompactOptions(level=1, part_bytes=150_000)


def left_behind(home: Path, acks: Path) -> list[str]:
    """What is wrong with what a kill left, before anybody has mended it."""
    import duckdb

    problems = []
    with sqlite3.connect(home / "ledger.sqlite") as ledger:
        commits = [number for (number,) in ledger.execute("SELECT commit_no FROM commits ORDER BY commit_no")]
        parts = ledger.execute("SELECT kind, name, sha256 FROM parts WHERE replaced_by IS NULL").fetchall()
    ledger.close()
    acknowledged = [int(line) for line in acks.read_text().split()] if acks.exists() else []
    if lost := set(acknowledged) - set(commits):
        problems.append(f"acknowledged commits {sorted(lost)} are lost")
    if commits != list(range(1, len(commits) + 1)):
        problems.append(f"commits have gaps: {commits}")
    for kind, name, digest in parts:
        path = home / "lake" / kind / name
        if not path.is_file():
            problems.append(f"part {kind}/{name} is committed and missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            problems.append(f"part {kind}/{name} is committed and torn")
    link = home / "warehouse.duckdb"
    if os.path.lexists(link):
        try:
            with duckdb.connect(str(link.resolve()), read_only=True) as database:
                (held,) = database.execute("SELECT max(commit_no) FROM loads").fetchone()
                (odd,) = database.execute(
                    "SELECT count(*) FROM documents WHERE segment_count <> "
                    "(SELECT count(*) FROM segments WHERE segments.document_id = documents.document_id) "
                    "OR paragraph_count <> "
                    "(SELECT count(*) FROM paragraphs WHERE paragraphs.document_id = documents.document_id)"
                ).fetchone()
            if held > len(commits) or odd:
                problems.append(f"the snapshot holds commit {held} of {len(commits)}, {odd} documents are torn")
        except duckdb.Error as error:
            problems.append(f"what readers see does not open: {error}")
    return problems


def rows(home: Path) -> dict[str, Any]:
    """What an analyst finds, as hashes that two homes can be compared by."""
    import duckdb

    queries = {
        "documents": "SELECT document_id, file_id, uri, text, language, published_on FROM documents ORDER BY ALL",
        "segments": "SELECT segment_id, text, char_start, char_end FROM segments ORDER BY ALL",
        "paragraphs": "SELECT document_id, paragraph_no, kind FROM paragraphs ORDER BY ALL",
        "files": "SELECT file_id, uri, status, is_current, document_count, reject_count FROM files ORDER BY ALL",
        "rejects": "SELECT reject_id, uri, stage, reason FROM rejects ORDER BY ALL",
        "current": "SELECT document_id, copy_count FROM v_documents ORDER BY ALL",
    }
    with duckdb.connect(str((home / "warehouse.duckdb").resolve()), read_only=True) as database:
        found = {name: database.execute(query).fetchall() for name, query in queries.items()}
    return {name: [len(rows), hashlib.sha256(repr(rows).encode()).hexdigest()] for name, rows in found.items()}


def not_needed(home: Path) -> list[str]:
    """Files in the lake that no commit needs, after the cleaner was there."""
    with sqlite3.connect(home / "ledger.sqlite") as ledger:
        named = {f"{kind}/{name}" for kind, name in ledger.execute(
            "SELECT kind, name FROM parts WHERE replaced_by IS NULL")}  # fmt: skip
    ledger.close()
    found = {path.relative_to(home / "lake").as_posix() for path in (home / "lake").glob("*/*")}
    return [f"not needed and not removed: {name}" for name in sorted(found - named)]


def recover(order: dict[str, Any]) -> dict[str, Any]:
    """What a kill left, one clean ingest, the proof, and what an analyst finds then."""
    from flows.cli.main import run

    home = Path(order["home"])
    problems = left_behind(home, Path(order["acks"])) if order.get("acks") else []
    where = ["--home", str(home)]
    if code := run(["ingest", "--direct", order["raw"], *where, "--set", "batch_files=20"]):
        problems.append(f"the clean ingest ended with {code}")
    if order.get("work") == "compact":
        if code := run(["compact", *where, *NO_GRACE]):
            problems.append(f"the clean compaction ended with {code}")
        problems.extend(not_needed(home))
    if order.get("work") == "forget":
        with sqlite3.connect(home / "ledger.sqlite") as ledger:
            states = [erased for (erased,) in ledger.execute("SELECT erased_at FROM tombstones")]
        ledger.close()
        if None in states:
            problems.append("the ingest left a forgetting half done")
        if not states and (code := run(["forget", "--uri", FORGOTTEN, *where])):
            problems.append(f"the clean forgetting ended with {code}")
    if code := run(["verify", "--deep", *where]):
        problems.append(f"verify ended with {code}")
    problems.extend(
        f"left lying about: {path.relative_to(home)}"
        for folder in (home, home / "lake" / "documents", home / "lake" / "files", home / "versions")
        for path in folder.glob(".tmp-*")
    )
    try:
        found = rows(home)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        return {"problems": [*problems, f"the warehouse does not answer: {error}"], "rows": {}}
    return {"problems": problems, "rows": found}


def forked(work: Callable[[], dict[str, Any]], log: str) -> dict[str, Any]:
    """Do something in a child that is a session of its own; what it returns, and how it ended."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.setsid()
            os.close(reading)
            fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(fd, 1)
            os.dup2(fd, 2)
            answer = work()
            sys.stdout.flush()
            os.write(writing, json.dumps(answer).encode())
            code = 0
        except BaseException:  # noqa: BLE001 - told to the parent, which fails
            import traceback

            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = stream.read()
    _, status = os.waitpid(pid, 0)
    return {"status": os.waitstatus_to_exitcode(status), **(json.loads(answer) if answer else {})}


def main() -> None:
    """Take orders until there are no more."""
    warm()
    for line in sys.stdin:
        order = json.loads(line)
        work = {"ingest": lambda order=order: {"code": ingest(order)}, "recover": lambda order=order: recover(order)}
        answer = forked(work[order["do"]], order["log"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
