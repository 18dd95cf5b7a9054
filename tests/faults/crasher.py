"""A fork server for crashes: one warm process that ingests in children, kills them at a chosen call, and looks after.

Started by the tests with crashpoint.c preloaded, or without where there is no compiler: then the calls of this
project's own Python code are counted instead.  Orders come in as JSON lines, answers go out as JSON lines.

    {"do": "work", "home": …, "raw": …, "at": n, "action": …, "mutant": …, "trace": …}   a child that ingests, and finds
        its end or an error ("errno") at call n; "work" names other work than an ingest (``WORK``); "reads": calls that
        look at home and raw files count instead of those that change the home; "mount": what loses its power;
        "look": if it ends it says what stands there
    {"do": "recover", "home": …, "raw": …, "acks": …}   what stands there, one clean ingest, verify --deep, the rows;
        with "work" compact also a clean compaction before the proof; with forget a clean forgetting where the killed
        one was not begun: one that was begun must be finished by the ingest; with "shallow" verify without --deep
"""

import ctypes
import gc
import hashlib
import importlib
import json
import os
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# All work in the one process whose calls are counted.
FORGOTTEN = "012.txt"  # 013.txt has the same bytes
NO_GRACE = ("--set", "compact_grace_seconds=0")
SETTINGS = ("--set", "batch_files=20", "--set", "publish_seconds=12", "--set", "workers=0")


def warm() -> None:
    """Import what an ingest imports, and start no thread: a child may only be forked from a process without.

    What only shows while an ingest is at work (readers, parts of libraries) is asked of a child that does one.
    """

    import duckdb  # noqa: F401 - imported for every child
    import pyarrow.compute  # noqa: F401 - the same

    import flows.cli.compact
    import flows.cli.ingest
    import flows.cli.publish
    import flows.cli.replay
    import flows.cli.verify  # noqa: F401 - the same
    from tasks.document import documents_of
    from tasks.options import DocumentOptions
    from tasks.text import language
    from tasks.text.language import second_opinion
    from warehouse import ledger
    from warehouse.layout import Home
    from warehouse.records import RawFile, Stamp

    language.preload()
    second_opinion.preload()
    stamp = Stamp(size_bytes=0, mtime_ns=0, ctime_ns=0, inode=0)
    file = RawFile(root="", uri="a.txt", source="", path=b"", stamp=stamp, file_id="0" * 64)
    documents_of([(file, b" date 2019-04 Ein Satz zum Warmwerden. Und noch einer.")], DocumentOptions())
    with tempfile.TemporaryDirectory() as folder:
        book = ledger.open_ledger(Home(Path(folder) / "home"), create=True)
        ledger.conservation(book)
        book.close()
        log = Path(folder) / "log"
        answer = forked(partial(imported, Path(folder)), str(log))
        assert "modules" in answer, log.read_text()
        threads = len(os.listdir("/proc/self/task"))
        for name in answer["modules"]:
            with suppress(ImportError):  # made by hand while another was imported, under a name that nobody finds
                importlib.import_module(name)
        assert len(os.listdir("/proc/self/task")) <= threads, "an import has started a thread"
    gc.collect()
    gc.freeze()  # what is there now is shared by all children instead of copied into each


def imported(folder: Path) -> dict[str, Any]:
    """What an ingest of two formats and a verify have imported, beyond what there was."""
    before = set(sys.modules)

    from flows.cli.main import run

    raw = folder / "raw"
    raw.mkdir()
    (raw / "a.txt").write_text(" date 2019-04 Ein Satz zum Warmwerden. Und noch einer.")
    (raw / "b.jsonl").write_text('{"text": "Ein anderer Satz zum Warmwerden."}\n')
    home = ["--home", str(folder / "warmed")]
    codes = [run(["ingest", "--direct", str(raw), *SETTINGS, *home]), run(["verify", "--deep", *home])]
    assert codes == [0, 0], codes
    return {"modules": sorted(set(sys.modules) - before)}


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

    from flows import execution
    from warehouse import draft, ledger

    # Both, since a publish that took long is followed by a longer pause.
    execution.time, draft.time = Ticks(), Ticks()
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


def acknowledge_early() -> None:
    """Mutant: a commit is acknowledged before it is made."""
    from warehouse import ledger

    append = ledger.append

    def early(book: Any, *arguments: Any, **options: Any) -> Any:
        fd = os.open(ACKS[0], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, f"{ledger.last_commit(book)[0] + 1}\n".encode())
        os.close(fd)
        return append(book, *arguments, **options)

    ledger.append = early


def refuse_what_cannot_be_read() -> None:
    """Mutant: what could not be read now is taken for a bad file."""
    from tasks import plan
    from warehouse.vocabulary import FileStatus, Reason, Stage

    deferral = plan.deferral

    def refusal(file: Any, reason: Any) -> Any:
        put_off = deferral(file, reason)
        return put_off._replace(status=FileStatus.REJECTED, stage=Stage.READ, reason=Reason.DAMAGED)

    plan.deferral = refusal


def not_flushing(is_spared: Callable[[Path], bool]) -> None:
    """Mutant: nothing that this project writes, or some of it, is flushed; the ledger's own log is."""
    from warehouse import durable, forget
    from warehouse.ledger import store

    flush = durable.fsync_path

    def picky(path: Path) -> None:
        if not is_spared(Path(path)):
            flush(path)

    durable.fsync_path = forget.fsync_path = store.fsync_path = picky


def lazy_ledger() -> None:
    """Mutant: a ledger that answers before its log is on the disk."""
    import sqlalchemy as sa

    from warehouse.ledger import store

    make, made = store._engine, set[int]()

    def lazy(*arguments: Any) -> Any:
        engine = make(*arguments)
        if id(engine) not in made:
            made.add(id(engine))
            sa.event.listen(engine, "connect", lambda found, _record: found.execute("PRAGMA synchronous=NORMAL"))
        return engine

    store._engine = lazy


def restore_in_place() -> None:
    """Mutant: a ledger that is made anew stands under its name before it holds anything."""
    from warehouse import rebuild

    rebuild.temporary_folder = lambda becomes: nullcontext(becomes.parent)
    rebuild._aside = rebuild.rename_durably = lambda *_paths: None


ACKS: list[str] = []
MUTANTS: dict[str, Callable[[], None]] = {
    "commit before parts": commit_before_parts,
    "in place": publish_in_place,
    "early": remove_before_commit,
    "acknowledged early": acknowledge_early,
    "refusing": refuse_what_cannot_be_read,
    "unflushed": partial(not_flushing, lambda _path: True),
    "unflushed parts": partial(not_flushing, lambda path: "lake" in path.parts and path.is_file()),
    "lazy ledger": lazy_ledger,
    "restored in place": restore_in_place,
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


PACKAGES = ("/flows/", "/tasks/", "/warehouse/")
HELD: list[Any] = []


def place(path: str) -> str:
    """A name in the home without what differs from file to file."""
    return re.sub(
        r"\.tmp-[^/]*?(?=$|-warehouse|-ledger|-search|\.wal|\.tmp)|[0-9a-f]{32}-[0-9a-f]{16}|\d{8}", "*", path
    )


def ours(frame: Any) -> list[str]:
    """The lines of this project among the callers of a frame, innermost first."""
    lines = []
    while frame is not None:
        name = frame.f_code.co_filename
        if any(package in name for package in PACKAGES) and "/site-packages/" not in name:
            lines.append(f"{Path(name).stem}.{frame.f_code.co_name}:{frame.f_lineno}")
        frame = frame.f_back
    return lines


def watch(shim: Any, home: str, sites: str) -> None:
    """Write down for every call which code made it; a library's own thread works for what waits in the main thread."""
    fd = os.open(sites, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def seen(number: int, what: bytes, path: bytes) -> None:
        lines = ours(sys._getframe()) or ours(sys._current_frames().get(threading.main_thread().ident))
        name = os.fsdecode(path)
        where = place(name[len(home) :]) if name.startswith(home) else "raw files"
        site = what.decode(), where, " < ".join(lines[:4])
        os.write(fd, "\t".join((str(number), *site)).encode() + b"\n")

    HELD.append(ctypes.CFUNCTYPE(None, ctypes.c_long, ctypes.c_char_p, ctypes.c_char_p)(seen))
    shim.crash_watch(HELD[0])


def arm(order: dict[str, Any]) -> Callable[[], int]:
    """Count from here on, and die or fail at the call that the order names; what was counted can be asked for."""
    trace = order.get("trace")
    if not os.environ.get("CRASH_SHIM"):
        calls = PythonCalls(order["home"], order["at"], trace)
        return lambda: calls.count
    shim = ctypes.CDLL(os.environ["CRASH_SHIM"])
    shim.crash_count.restype = ctypes.c_long
    fd = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if trace else -1
    if order.get("errno"):
        shim.crash_error(order["errno"])
    if order.get("reads"):
        shim.crash_reads(os.fsencode(order["raw"]))
    if order.get("mount"):
        shim.crash_power(os.fsencode(order["mount"]))
    if trace:
        watch(shim, order["home"], str(Path(trace).with_name("sites")))
    shim.crash_arm(os.fsencode(order["home"]), b"", ctypes.c_long(order["at"]), order["action"].encode(), fd)
    return lambda: int(shim.crash_count())


def forked_template() -> None:
    """Let a pool's template be forked from this warm process: the same code, without its start."""
    from tasks import template, worker

    class Forked:
        """What ``template`` uses of a ``Popen``."""

        def __init__(self, command: list[str], *, pass_fds: list[int], **_options: Any) -> None:
            self.pid = os.fork()
            if self.pid == 0:
                # Executed, it would have no other socket: the end of this one is how it learns to go.
                for fd in map(int, os.listdir("/proc/self/fd")):
                    with suppress(OSError):
                        if fd not in pass_fds and os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
                            os.close(fd)
                sys.argv = command[command.index("-m") + 1 :]
                try:
                    worker.main()
                finally:
                    os._exit(0)

            self.is_over = False

        def wait(self, _seconds: float | None = None) -> None:
            """Its end."""
            if not self.is_over:
                os.waitpid(self.pid, 0)
                self.is_over = True

        def kill(self) -> None:
            """End it."""
            if not self.is_over:
                os.kill(self.pid, signal.SIGKILL)

    real = template.subprocess
    template.subprocess = SimpleNamespace(Popen=Forked, DEVNULL=real.DEVNULL, TimeoutExpired=real.TimeoutExpired)


def work(order: dict[str, Any]) -> dict[str, Any]:
    """The ingest, or other work, that may be killed."""
    from flows.cli.main import run

    steady(order.get("acks"))
    ACKS.append(order["acks"])
    if order.get("mutant"):
        MUTANTS[order["mutant"]]()
    words = WORK[order.get("work", "ingest")](order)
    counted = arm(order)
    code = run([*words, "--home", order["home"]])
    answer = {"code": code, "calls": counted()}
    if order.get("look"):
        home = Path(order["home"])
        answer |= {"problems": left_behind(home, Path(order["acks"])), "refused": refusals(home)}
    return answer


def ingesting(order: dict[str, Any]) -> list[str]:
    """An ingest in this process."""
    return ["ingest", "--direct", order["raw"], *SETTINGS]


def ingesting_with_workers(order: dict[str, Any]) -> list[str]:
    """An ingest whose batches are the work of two forked processes."""
    forked_template()
    return ["ingest", "--direct", order["raw"], *SETTINGS, "--set", "workers=2", "--set", "batch_files=2"]


def replaying(order: dict[str, Any]) -> list[str]:
    """A replay of everything, as another pipeline version would do it."""
    from tasks import version

    version.pipeline_version = lambda: "2-faked"
    return ["replay", "--stale", "--direct", *SETTINGS]


def compacting(order: dict[str, Any]) -> list[str]:
    """A compaction that comes in several pieces."""
    small_parts()
    return ["compact", *NO_GRACE]


def cutting(order: dict[str, Any]) -> list[str]:
    """An ingest in which one file is several batches."""
    return [*ingesting(order), "--set", "batch_records=2"]


def restoring(order: dict[str, Any]) -> list[str]:
    """Making anew a ledger that is lost."""
    for path in Path(order["home"]).glob("ledger.sqlite*"):
        path.unlink()
    return ["rebuild", "--ledger"]


WORK: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "ingest": ingesting,
    "workers": ingesting_with_workers,
    "cuts": cutting,
    "replay": replaying,
    "compact": compacting,
    "rebuild": lambda _order: ["rebuild"],
    "restore": restoring,
    "forget": lambda _order: ["forget", "--uri", FORGOTTEN],
}


def small_parts() -> None:
    """Let a compaction of few files be several, of which the last compacts what the others have."""
    from flows import compacting
    from warehouse.compact import CompactOptions

    compacting._options = lambda _settings: CompactOptions(level=1, part_bytes=150_000)


@contextmanager
def looked_at(home: Path) -> Iterator[sqlite3.Connection]:
    """The ledger as a kill left it, opened in a copy: whoever opens it mends it.

    Before it has tables there are empty ones.
    """
    with tempfile.TemporaryDirectory(dir=home.parent) as folder:
        for path in home.glob("ledger.sqlite*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, folder)
        with closing(sqlite3.connect(Path(folder) / "ledger.sqlite")) as ledger:
            if not ledger.execute("SELECT 1 FROM sqlite_master WHERE name = 'sightings'").fetchall():
                ledger.executescript(
                    "CREATE TABLE commits (commit_no); CREATE TABLE parts (kind, name, sha256, replaced_by);"
                    "CREATE TABLE sightings (uri, reason, status)"
                )
            yield ledger


def left_behind(home: Path, acks: Path) -> list[str]:
    """What is wrong with what a kill left, before anybody has mended it."""
    import duckdb

    problems = []
    with looked_at(home) as ledger:
        commits = [number for (number,) in ledger.execute("SELECT commit_no FROM commits ORDER BY commit_no")]
        parts = ledger.execute("SELECT kind, name, sha256 FROM parts WHERE replaced_by IS NULL").fetchall()
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
            if (held or 0) > len(commits) or odd:
                problems.append(f"the snapshot holds commit {held} of {len(commits)}, {odd} documents are torn")
        except duckdb.Error as error:
            problems.append(f"what readers see does not open: {error}")
    return problems


def refusals(home: Path) -> list[list[str | None]]:
    """What the ledger says was refused, before anybody tries again; each with its reason where it has one."""
    with looked_at(home) as ledger:
        found = ledger.execute("SELECT DISTINCT uri, reason FROM sightings WHERE status = 'rejected' ORDER BY 1, 2")
        return [list(row) for row in found.fetchall()]


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
    problems = left_behind(home, Path(order["acks"]))
    refused = refusals(home)
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
    proof = ["verify"] if order.get("shallow") else ["verify", "--deep"]
    if code := run([*proof, *where]):
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
    return {"problems": problems, "rows": found, "refused": refused}


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
        do = {"work": work, "recover": recover}[order["do"]]
        answer = forked(partial(do, order), order["log"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
