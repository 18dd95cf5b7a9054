"""Settings: flag > environment > newsmill.toml > default, and where each value came from.

Belongs here: the only code that reads the environment, and all that a person can set.  Does not belong here: what a
setting does (the options classes stand beside the code that obeys them).

Every setting ``x`` is ``--set x=…`` on the command line, ``NEWSMILL_X`` in the environment and ``x`` in the
``newsmill.toml`` of the working folder.
"""

import codecs
import hashlib
import json
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from warehouse.durable import make_folder
from warehouse.errors import ConfigError
from warehouse.layout import Home

if TYPE_CHECKING:
    from tasks.options import DocumentOptions
    from tasks.pool import PoolOptions

PREFIX = "NEWSMILL_"
# On everything of ours on a Prefect server, which may be shared.
TAG = "newsmill"
FILE = "newsmill.toml"
# The settings of ``tasks.readers.ReadOptions`` that bound what is read; their names are the same.
GUARDS = (
    "max_file_bytes", "max_record_bytes", "max_page_bytes", "max_unpacked_bytes", "max_ratio", "max_members",
    "max_depth", "max_window_bytes",
)  # fmt: skip
Mapped = Literal["text", "title", "date", "url", "authors", "id", "records"]
# ``tasks.readers.READERS``, which no command should have to import.
ReaderName = Literal["plain", "json_lines", "delimited", "parquet", "html", "warc", "markdown", "mail", "news_docs"]


class Settings(BaseModel):
    """Everything that can be set; the descriptions are what ``newsmill settings`` shows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(Path("data"), description="folder of inbox, lake, ledger and warehouse")
    ledger_url: str | None = Field(
        None, description="PostgreSQL ledger as an SQLAlchemy URL; default SQLite in the home"
    )
    batch_bytes: int = Field(8_000_000, gt=0, description="bytes of raw files that one task handles at most")
    batch_files: int = Field(3_000, gt=0, description="raw files that one task handles at most")
    batch_records: int = Field(10_000, gt=0, description="records of one cut of a big file at most")
    max_file_bytes: int = Field(
        256_000_000, gt=0, description="what must be held whole (text, mail, an archive in an archive) is refused above"
    )
    max_stream_bytes: int = Field(
        1_000_000_000_000, gt=0, description="a raw file that goes through in pieces is refused above"
    )
    max_record_bytes: int = Field(16_000_000, gt=0, description="a longer line, row or record is refused")
    max_page_bytes: int = Field(8_000_000, gt=0, description="a longer HTML or Markdown page is refused")
    max_unpacked_bytes: int = Field(100_000_000_000, gt=0, description="what a container may unpack to")
    max_ratio: int = Field(200, gt=0, description="how many times its size a container may unpack to, beyond 10 MB")
    max_members: int = Field(100_000, gt=0, description="members of one archive at most")
    max_depth: int = Field(2, ge=0, description="containers in containers at most; a .tar.gz is two")
    max_window_bytes: int = Field(134_217_728, ge=1 << 20, description="memory that unpacking xz or zstd may ask for")
    fields: dict[str, dict[Mapped, str]] = Field(
        {}, description="for a source, or default: the field of text, title, date, url, authors, id or records"
    )
    settle_seconds: float = Field(0.0, ge=0, description="a file that changed more recently is deferred")
    workers: int = Field(
        default_factory=lambda: len(os.sched_getaffinity(0)),
        ge=0,
        description="processes that work on batches; 0 works in this one",
    )
    batch_seconds: float = Field(300.0, gt=0, description="a batch that takes longer is taken apart")
    worker_memory_bytes: int = Field(2_000_000_000, ge=0, description="private memory of one worker; 0 for no limit")
    publish_seconds: float = Field(30.0, ge=0, description="least time between publishes inside one run")
    compact_level: int = Field(19, ge=1, le=22, description="level of zstd at which `newsmill compact` writes")
    compact_grace_seconds: float = Field(
        3600.0, ge=0, description="age at which `newsmill compact` removes files that no commit needs"
    )
    deployment: str = Field(
        "newsmill",
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="name of this home's deployments on a Prefect server; small letters, digits, hyphens",
    )
    work_pool: str = Field(
        "newsmill", pattern=r"^[^/%&><]+$", description="Prefect work pool that runs the deployments"
    )
    ingest_cron: str = Field("0 * * * *", description="when the deployment of the ingest runs, as a cron expression")
    maintain_cron: str = Field("30 4 * * sun", description="when the deployment of the maintenance runs")
    timezone: str = Field("UTC", description="time zone of both schedules, as Europe/Berlin")
    keep_runs_days: int = Field(
        30, ge=1, description="age at which the maintenance removes newsmill's runs from Prefect's database"
    )
    metrics_host: str = Field("127.0.0.1", description="address at which --metrics-port listens")
    shown_examples: int = Field(
        5, ge=0, le=100, description="titles, and a file a reason, that a run shows on a Prefect server; 0 for none"
    )
    encoding: str | None = Field(None, description="encoding hint for every file; wins over detection")
    reader: ReaderName | None = Field(None, description="format of all files but WARC and Parquet, by any name")
    cache: Path | None = Field(None, description="folder for compiled tables; default the user's cache folder")

    @field_validator("home")
    @classmethod
    def _usable(cls, home: Path) -> Path:
        # DuckDB takes a question mark in a path for the begin of parameters; Prefect's parameters are text.
        text = str(home)
        if "?" in text or not text.isprintable() or any("\ud800" <= c <= "\udfff" for c in text):
            raise ValueError("the path may hold no question mark, control character or byte that is not UTF-8")
        return home

    @field_validator("fields", mode="before")
    @classmethod
    def _parsed(cls, fields: Any) -> Any:
        # The environment and flags can only hold text.
        return json.loads(fields) if isinstance(fields, str) else fields

    @field_validator("encoding")
    @classmethod
    def _exists(cls, encoding: str | None) -> str | None:
        if encoding is None:
            return None
        try:
            " ".encode(encoding)
        except LookupError as error:
            raise ValueError("Python knows no such text encoding") from error
        return codecs.lookup(encoding).name

    def row_settings(self) -> dict[str, Any]:
        """Those settings that can change a row."""
        names = ("encoding", "reader", "fields", *GUARDS)
        return {name: getattr(self, name) for name in names}

    def document_options(self, *, reader: str | None = None, language: str | None = None) -> "DocumentOptions":
        """How files are read, as the readers want it."""
        from tasks.options import DocumentOptions
        from tasks.readers.options import ReadOptions

        return DocumentOptions(
            read=ReadOptions(encoding=self.encoding, **{name: getattr(self, name) for name in GUARDS}),
            reader=reader or self.reader,
            language=language,
            fields=tuple((source, tuple(sorted(names.items()))) for source, names in sorted(self.fields.items())),
        )

    def pool_options(self) -> "PoolOptions":
        """What the workers obey."""
        from tasks.pool import PoolOptions

        return PoolOptions(
            workers=self.workers,
            batch_seconds=self.batch_seconds,
            memory_bytes=self.worker_memory_bytes,
            cache=self.cache,
        )

    def fingerprint(self) -> str:
        """16 hex digits over the settings that can change a row: part of every batch id."""
        return hashlib.sha256(json.dumps(self.row_settings(), sort_keys=True).encode()).hexdigest()[:16]

    def environment(self) -> dict[str, str]:
        """What a worker elsewhere must find in its environment to work with these settings.

        Only what is not the default, since that may depend on the machine, and never the ledger's URL: Prefect stores
        what is passed.  The home is absolute, because a worker starts its runs in folders of its own.
        """
        elsewhere = {
            "home", "ledger_url", "cache", "deployment", "work_pool", "ingest_cron", "maintain_cron", "timezone",
        }  # fmt: skip
        told = self.model_dump(mode="json", exclude_defaults=True, exclude=elsewhere)
        values = {name: value if isinstance(value, str) else json.dumps(value) for name, value in told.items()}
        return {
            f"{PREFIX}{name.upper()}": value for name, value in {"home": str(self.home.absolute()), **values}.items()
        }

    def shown_ledger_url(self) -> str:
        """The kind of the ledger's database; everything else in its URL may be a secret."""
        return f"{self.ledger_url.partition(':')[0]}://***" if self.ledger_url else ""

    @property
    def layout(self) -> Home:
        """Every path in the home."""
        return Home(self.home)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and for each the place that gave it: flag, environment, file or default."""

    settings: Settings
    origins: dict[str, str]


def _from_file(folder: Path) -> dict[str, Any]:
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    if "ledger_url" in values and path.stat().st_mode & stat.S_IROTH:
        raise ConfigError(
            f"{path} names ledger_url, which may hold a password, and every account may read the file: "
            f"run `chmod o-rwx {path.name}`, or set NEWSMILL_LEDGER_URL instead"
        )
    return values


def load(flags: Mapping[str, Any] | None = None, *, folder: Path | None = None) -> Loaded:
    """The effective settings; a value of None in ``flags`` says that the flag was not given.

    Raises ``ConfigError`` for a name that is no setting, or a value that it cannot have, and names the known ones.
    """
    known = Settings.model_fields
    in_environment = {
        name[len(PREFIX) :].lower(): value for name, value in os.environ.items() if name.startswith(PREFIX)
    }
    places = {
        FILE: _from_file(folder or Path.cwd()),
        "environment": in_environment,
        "flag": {name: value for name, value in (flags or {}).items() if value is not None},
    }
    values: dict[str, Any] = {}
    origins = dict.fromkeys(known, "default")
    for place, given in places.items():
        if unknown := sorted(given.keys() - known.keys()):
            raise ConfigError(f"unknown setting {unknown[0]!r} in {place}; known are {', '.join(known)}")
        values |= given
        origins |= dict.fromkeys(given, place)
    try:
        return Loaded(Settings(**values), origins)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise ConfigError(
            f"setting {name} from {origins[name]}: {first['msg']}, got {first['input']!r}; "
            f"it is the {known[name].description}"
        ) from error


# Our own lines go to the server with the log of a run.
RUN_ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "flows,tasks,warehouse",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}


def has_own_prefect() -> bool:
    """Whether a person has chosen a Prefect of their own."""
    return "PREFECT_API_URL" in os.environ or (Path.home() / ".prefect" / "profiles.toml").is_file()


def prepare_prefect(home: Home, api_url: str | None = None) -> None:
    """Set what Prefect must find in the environment before it is imported; what a person has set stays.

    No telemetry, nothing that Prefect would import from the current folder, time enough for a temporary server on a
    busy machine; its state in the home, and the server at ``api_url``, unless the person has a Prefect of their own.
    """
    defaults = {
        **RUN_ENVIRONMENT,
        "PYTHONSAFEPATH": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        # A failed run is told in one line on the terminal; its server gets the whole log.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    }
    if not has_own_prefect():
        if not home.prefect.is_dir():
            make_folder(home.prefect)
            # Logs and parameters of runs are nobody else's business.
            home.prefect.chmod(0o700)
        defaults["PREFECT_HOME"] = str(home.prefect.absolute())
        if api_url is not None:
            defaults["PREFECT_API_URL"] = api_url
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def inherited(*left_out: str) -> dict[str, str]:
    """The environment for a process of ours, without the variables that begin so."""
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}


def given(name: str) -> str | None:
    """A variable of the environment that is not one of ours; None where it is empty, too."""
    return os.environ.get(name) or None


def give(name: str, value: str) -> None:
    """Set a variable for this process and those that it starts."""
    os.environ[name] = value
