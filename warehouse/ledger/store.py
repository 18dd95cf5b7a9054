"""Open the ledger: SQLite in the home, or PostgreSQL by URL.

Belongs here: engines, transactions, migration to the newest tables, and the refusal to go on with a ledger that is
absent or older than what stands beside it.  Does not belong here: what is written (``commits``) or asked
(``queries``).
"""

import contextlib
import functools
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from warehouse import presence
from warehouse.durable import fsync_path, lock, make_folder, uninterrupted
from warehouse.errors import ConfigError, LedgerError
from warehouse.layout import Home
from warehouse.ledger.answering import KIND, answering, where

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0006"
_WRITES = "newsmill_writes"
# Seconds to wait for whoever else is at the ledger.
_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """An open ledger; safe to use from several threads."""

    engine: sa.Engine

    @property
    def url(self) -> str | None:
        """Where another process finds it, with its password; None for the file in the home."""
        is_file = self.engine.dialect.name == "sqlite"
        return None if is_file else self.engine.url.render_as_string(hide_password=False)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One consistent view of the ledger."""
        with answering(self.engine), self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One serialised transaction: no other writer is inside at the same time; durable when the block ends."""
        with (
            answering(self.engine),
            uninterrupted(),
            self.engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("LOCK TABLE commits IN EXCLUSIVE MODE")
            yield connection

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def _log_ahead(connection: sqlite3.Connection) -> None:
    # A change of the journal is refused at once where another is at the file, whatever the timeout: two who make a home
    # at the same moment meet here.
    end = time.monotonic() + _WAIT
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & KIND != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


@functools.lru_cache(maxsize=4)
def _engine(home: Home, url: str | None) -> sa.Engine:
    # An engine keeps the statements that it has compiled, which take a tenth of a second a run, and once it is disposed
    # no connection.
    if url is not None:
        try:
            return sa.create_engine(url, pool_pre_ping=True)
        except (sa.exc.ArgumentError, ImportError) as error:
            raise ConfigError(
                f"ledger_url is no URL of a database that newsmill can use ({error}); "
                "write postgresql+psycopg://USER@HOST/NAME and install newsmill[postgres]"
            ) from error
        except ValueError:
            # Its words, and what led to it, may hold a part of the password.
            raise ConfigError(
                "ledger_url is no URL: its port is no number. What a password has of / ? # @ : stands percent-encoded, "
                "as %2F for the first"
            ) from None
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(home.ledger)), connect_args={"timeout": _WAIT})

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver's own transactions begin late and leave DDL outside; ours begin where they are written.
        connection.isolation_level = None
        _log_ahead(connection)
        connection.execute("PRAGMA synchronous=FULL")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _version(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _config() -> "Config":
    # It takes half as long as SQLAlchemy, and hardly any ledger is of an earlier version.
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "warehouse.ledger:migrations")
    return config


def _migrate(engine: sa.Engine) -> None:
    from alembic import command

    config = _config()
    with engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, HEAD)


def _known_revisions() -> set[str]:
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def open_ledger(home: Home, url: str | None = None, *, create: bool = False) -> Ledger:
    """The home's ledger at the newest tables.

    Without ``create`` a home that was never used raises ``LedgerError``; a ledger that is absent beside parts or
    snapshots, or that a newer newsmill wrote, always does.  ``LedgerUnreachable`` where its disk or server has trouble.
    """
    exists = url is not None or presence.exists(home)
    if not exists and home.has_data():
        raise presence.absent(home)
    if not exists and not create:
        raise LedgerError(f"no newsmill home at {home.path}; run `newsmill ingest PATH` first, or name one with --home")
    if url is None:
        make_folder(home.path)
    engine = _engine(home, url)
    try:
        with answering(engine):
            _bring_up_to_date(engine, home, create=create)
    except sa.exc.DatabaseError as error:
        raise LedgerError(
            f"the ledger {where(engine)} cannot be used ({error.orig}); put it back from a backup, else run "
            "`newsmill rebuild --ledger`"
        ) from error
    return Ledger(engine)


def new_ledger(home: Home, url: str | None = None) -> Ledger:
    """A ledger with its tables and nothing in them, whatever stands beside it; refuses one that has tables already."""
    if url is None:
        make_folder(home.path)
    engine = _engine(home, url)
    with answering(engine):
        if _version(engine) is not None:
            engine.dispose()
            raise LedgerError(
                "the ledger's database has newsmill's tables already; rename its schema and give ledger_url an "
                "empty one"
            )
        _migrate(engine)
    return Ledger(engine)


def _bring_up_to_date(engine: sa.Engine, home: Home, *, create: bool) -> None:
    version = _version(engine)
    if version == HEAD:
        return
    if version is None and not create:
        if home.has_data():
            raise presence.absent(home)
        raise LedgerError(f"no newsmill home at {home.path}; run `newsmill ingest PATH` first, or name one with --home")
    with lock(home.lock("ledger")):
        version = _version(engine)
        if version is not None and version not in _known_revisions():
            raise LedgerError(
                f"the ledger of {home.path} was written by a newer newsmill (tables {version}, this one knows {HEAD}); "
                "install that version"
            )
        if version is None and home.has_data():
            raise presence.absent(home)
        if version != HEAD:
            _migrate(engine)
    if engine.dialect.name == "sqlite":
        fsync_path(home.path)


def check_beside(ledger: Ledger, home: Home, published: tuple[int, str] | None) -> None:
    """Refuse a ledger that ends below, or differs from, the last commit that the newest snapshot holds.

    ``published`` is that commit's number and hash, None where nothing was published yet.
    """
    if published is None or published[0] == 0:
        return
    from warehouse.ledger.tables import COMMITS

    with ledger.reading() as connection:
        last = connection.scalar(sa.select(sa.func.coalesce(sa.func.max(COMMITS.c.commit_no), 0)))
        found = connection.scalar(sa.select(COMMITS.c.commit_hash).where(COMMITS.c.commit_no == published[0]))
    if found != published[1]:
        raise presence.outdated(home, last or 0, published[0])


@contextlib.contextmanager
def nothing_yet() -> Iterator[Ledger]:
    """An empty ledger in memory, for looking at files without a home."""
    from warehouse.ledger.tables import METADATA

    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    METADATA.create_all(engine)
    try:
        yield Ledger(engine)
    finally:
        engine.dispose()
