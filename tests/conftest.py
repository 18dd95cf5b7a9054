"""Builders that every folder of tests may use: a home with its raw folder, and ways to work on it.

``mill`` runs in this process and without Prefect; ``Mill.newsmill`` is the installed command in a process of its own.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

NEWSMILL = Path(sys.executable).with_name("newsmill")
SAMPLES = Path(__file__).parents[1] / "seeds" / "raw"
WORDS = (
    "Der Rat der Stadt tagte am Abend und beriet lange.",
    "Die Brücke bleibt wegen Bauarbeiten gesperrt.",
    "Niemand wurde verletzt, sagte eine Sprecherin.",
    "Im Juni soll der Betrieb wieder aufgenommen werden.",
    "Die Kosten trägt zum größten Teil das Land.",
)


def news(number: int, paragraphs: int = 2) -> str:
    """A short German news text in the shape of the real ones, different for every number."""
    blocks = [
        f"Meldung Nummer {number}, Absatz {block}. {WORDS[(number + block) % 5]} {WORDS[(number * 3 + block + 1) % 5]}"
        for block in range(paragraphs)
    ]
    return f" date 2019-{number % 12 + 1:02d} " + "\n\n".join(blocks) + "\n"


def environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of newsmill or Prefect that a person may have."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NEWSMILL_", "PREFECT_"))}
    return {**kept, **more}


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str
    # Who still lived in the command's session when it had ended; empty where nobody looked.
    survivors: Sequence[str] = ()

    def json(self) -> Any:
        """Standard output as strict JSON: NaN and Infinity are refused."""

        def refuse(word: str) -> None:
            raise ValueError(f"{word} is not JSON")

        return json.loads(self.out, parse_constant=refuse)


def session_processes(session: int) -> list[str]:
    """Command lines of the living processes of one session, zombies left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):
            # The name of the program stands in brackets and may hold blanks; the state and ids stand behind it.
            state, _parent, _group, its_session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state not in "ZX":
                words = (entry / "cmdline").read_bytes().split(b"\0")
                found.append(f"{entry.name} {b' '.join(words).decode(errors='replace')[:200]}")
    return found


@dataclasses.dataclass(frozen=True)
class Mill:
    """A home, and a folder of raw files beside it."""

    home: Path
    raw: Path

    def put(self, name: str | bytes, content: str | bytes) -> bytes:
        """Write a raw file, with the folders above it; returns its path."""
        path = os.path.join(os.fsencode(self.raw), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
        return path

    def fill(self, count: int, first: int = 0) -> None:
        """Write so many different news files."""
        for number in range(first, first + count):
            self.put(f"{number:04d}.txt", news(number))

    def settings(self, **given: Any) -> Any:
        """Settings of this home."""
        from flows.settings import Settings

        return Settings(home=self.home, **given)

    def ingest(self, *paths: str | bytes | Path, source: str | None = None, **settings: Any) -> Any:
        """Ingest without Prefect, the raw folder where no path is named."""
        from flows import run
        from tasks import direct

        chosen = [os.fsencode(path) for path in paths or (self.raw,)]
        return run.ingest(self.settings(**settings), direct, chosen, source=source)

    def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """The answer of the newest snapshot."""
        from warehouse import queries

        return queries.rows(self.settings().layout, sql, parameters or None)

    def one(self, sql: str, **parameters: Any) -> Any:
        """The only value of the only row."""
        (row,) = self.rows(sql, **parameters)
        (value,) = row.values()
        return value

    def column(self, sql: str, **parameters: Any) -> list[Any]:
        """The only column."""
        return [next(iter(row.values())) for row in self.rows(sql, **parameters)]

    def problems(self, *, deep: bool = False) -> list[str]:
        """What `newsmill verify` finds, in this process; ``deep`` costs a rebuild."""
        from flows import run
        from warehouse import verify

        with run.opened(self.settings()) as book:
            return verify.verify(self.settings().layout, book, deep=deep).problems

    def newest(self) -> Path:
        """The newest snapshot."""
        from warehouse import snapshots

        path = snapshots.newest(self.settings().layout)
        assert path is not None, "nothing was published"
        return path

    def hashes(self) -> dict[str, tuple[int, int]]:
        """Rows and content hash of every public table."""
        from warehouse.verify import table_hashes

        return table_hashes(self.newest())

    def last_commit(self) -> int:
        """Number of the newest commit of the ledger."""
        from flows import run
        from warehouse import ledger

        with run.opened(self.settings()) as book:
            return ledger.last_commit(book)[0]

    def commits(self) -> int:
        """How many commits the ledger has, asked beside a process that may be making it; none before it exists."""
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.home / 'ledger.sqlite'}?mode=ro", uri=True)) as ledger:
                return int(ledger.execute("SELECT count(*) FROM commits").fetchone()[0])
        except sqlite3.OperationalError:
            return 0

    def parts(self) -> dict[str, bytes]:
        """Every file in the lake: name below it, and bytes."""
        lake = self.home / "lake"
        return {path.relative_to(lake).as_posix(): path.read_bytes() for path in sorted(lake.rglob("*.parquet"))}

    def tree(self, *ignored: str) -> dict[str, str]:
        """What stands in the home: name, and what its content is.

        Lock files are nobody's content, and SQLite's shared memory and empty log hold nothing.
        """
        found = {}
        for path in sorted(self.home.rglob("*")):
            name = path.relative_to(self.home).as_posix()
            if name.split("/", 1)[0] in ("locks", *ignored):
                continue
            if name == "ledger.sqlite-shm" or (name == "ledger.sqlite-wal" and path.stat().st_size == 0):
                continue
            if path.is_symlink():
                found[name] = f"-> {path.readlink()}"
            elif path.is_file():
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                found[name] = "folder"
        return found

    def cli(self, *arguments: str | Path, stdin: str = "") -> Answer:
        """One command in this process, on this home."""
        from flows.cli.main import run

        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = run([*map(str, arguments), "--home", str(self.home)])
        return Answer(code, out.getvalue(), err.getvalue())

    def newsmill(
        self,
        *arguments: str | bytes | Path,
        stdin: str = "",
        seconds: float = 120,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        before_exec: Callable[[], None] | None = None,
    ) -> Answer:
        """The installed command on this home, in a process of its own."""
        done = subprocess.run(
            self.command(*arguments),
            input=stdin.encode(),
            capture_output=True,
            timeout=seconds,
            env=environment(**(env or {})),
            cwd=cwd or self.raw.parent,
            preexec_fn=before_exec,
        )
        return Answer(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def under_prefect(self, *arguments: str | bytes | Path, seconds: float = 300) -> Answer:
        """The installed command under a temporary Prefect server, and who is left when it has ended."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(
                self.command(*arguments),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=self.prefect_environment(),
                start_new_session=True,
            )
            try:
                process.wait(seconds)
                survivors = session_processes(process.pid)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            out.seek(0)
            err.seek(0)
            return Answer(
                process.returncode,
                out.read().decode(errors="replace"),
                err.read().decode(errors="replace"),
                survivors,
            )

    def prefect_environment(self) -> dict[str, str]:
        """An environment in which nobody has a Prefect of their own."""
        own = self.home.parent / "nobody"
        own.mkdir(exist_ok=True)
        return environment(HOME=str(own), NEWSMILL_CACHE=str(Path.home() / ".cache" / "newsmill"))

    def command(self, *arguments: str | bytes | Path) -> list[bytes]:
        """The command line of ``newsmill``: the command, this home, its other arguments."""
        command, *others = map(os.fsencode, arguments)
        return [os.fsencode(NEWSMILL), command, b"--home", os.fsencode(self.home), *others]


def pytest_configure() -> None:
    """A suite in the background of a shell ignores Ctrl-C, and so would every process that a test starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("NEWSMILL_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def new_mill(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Mill]:
    """A function that makes homes that do not exist yet, each with a raw folder of its own unless one is given."""

    def make(name: str = "mill", raw: Path | None = None) -> Mill:
        folder = tmp_path_factory.mktemp(name)
        made = Mill(home=folder / "home", raw=raw or folder / "raw")
        made.raw.mkdir(exist_ok=True)
        return made

    return make


@pytest.fixture(scope="session")
def mill_type() -> type[Mill]:
    """``Mill`` itself, for homes at a place of one's own."""
    return Mill


@pytest.fixture
def mill(new_mill: Callable[..., Mill]) -> Mill:
    """A home that does not exist yet, and an empty raw folder."""
    return new_mill()


@pytest.fixture(scope="session")
def write_news() -> Callable[..., str]:
    """``news``: a German news text for a number."""
    return news


@pytest.fixture(scope="session")
def samples() -> Path:
    """The sample files of the project."""
    return SAMPLES


@pytest.fixture
def processes_of() -> Callable[[int], list[str]]:
    """``session_processes``: who still lives in a session."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("no /proc here: processes cannot be counted")
    return session_processes


@pytest.fixture
def only_safe_names() -> Callable[[Path], None]:
    """A check that no name from outside became a name in the lake or among the snapshots."""
    safe = re.compile(r"lake/[a-z]+/[0-9a-f]{32}-[0-9a-f]{16}\.parquet|versions/warehouse-\d{8,}\.duckdb")

    def check(home: Path) -> None:
        names = [
            os.fsencode(path.relative_to(home)).decode(errors="backslashreplace")
            for folder in ("lake", "versions")
            for path in (home / folder).rglob("*")
            if not path.is_dir()
        ]
        assert names
        assert [name for name in names if not safe.fullmatch(name)] == []

    return check


@pytest.fixture
def asleep() -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """A function that starts a process that sleeps, with more in its environment; it is killed at the end."""
    sleeping: list[subprocess.Popen[bytes]] = []

    def start(**more: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(["sleep", "600"], env={**os.environ, **more})
        sleeping.append(process)
        # For a moment after its start the kernel has no environment of it yet.
        until = time.monotonic() + 60
        while sys.platform == "linux" and not Path(f"/proc/{process.pid}/environ").read_bytes():
            assert time.monotonic() < until
            time.sleep(0.001)
        return process

    yield start
    for process in sleeping:
        process.kill()
        process.wait()


@pytest.fixture
def started() -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """A function that starts a process in a session of its own; whatever still lives at the end is killed by its id."""
    running: list[subprocess.Popen[bytes]] = []

    def start(command: Sequence[str | bytes | Path], **options: Any) -> "subprocess.Popen[bytes]":
        options.setdefault("env", environment())
        process = subprocess.Popen(command, start_new_session=True, **options)
        running.append(process)
        return process

    yield start
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What the campaigns of this run were worth: faults, how many of them differ, and the places that they hit.

    Here, because the process that shares tests among others reads no conftest of a folder below.
    """
    faults, survived, missed = 0, 0, list[str]()
    points, sites = set[tuple[Any, ...]](), set[tuple[str, ...]]()
    for reports in terminalreporter.stats.values():
        for report in reports:
            found = dict(getattr(report, "user_properties", ())) if getattr(report, "when", "") == "call" else {}
            faults += int(found.get("faults", 0))
            survived += int(found.get("survived", 0))
            missed += found.get("missed", ())
            points |= {tuple(point) for point in found.get("points", ())}
            sites |= {tuple(site) for site in found.get("sites", ())}
    if faults:
        lines = len({site[2] for site in sites})
        terminalreporter.write_line(
            f"faults: {faults} tried at {len(points)} points, {survived} survived; "
            f"{len(sites)} kinds of calls, from {lines} code paths"
        )
        for moment in missed:
            terminalreporter.write_line(f"did not come: {moment}")
