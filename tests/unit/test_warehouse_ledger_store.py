"""Opening the ledger: made where there is nothing, refused where something is missing, never begun anew in silence."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from warehouse import ledger, presence
from warehouse.errors import LedgerError, NewsmillError
from warehouse.layout import Home
from warehouse.ledger.store import HEAD, _known_revisions
from warehouse.ledger.tables import METADATA

# What takes a ledger of today back to what an earlier version made.
_BEFORE_0006 = ("CREATE INDEX sightings_file ON sightings (file_id)",)
_BEFORE_0004 = (*_BEFORE_0006, "DROP TABLE snapshots")
_BEFORE_0003 = (
    *_BEFORE_0004,
    "DROP TABLE tombstones", "DROP INDEX spans_retired", "CREATE INDEX spans_retired ON spans (retired_by)",
)  # fmt: skip
_BEFORE_0002 = (*_BEFORE_0003, "DROP INDEX parts_replaced", "ALTER TABLE parts DROP COLUMN replaced_by")
EARLIER = {"0001": _BEFORE_0002, "0002": _BEFORE_0003, "0003": _BEFORE_0004, "0004": _BEFORE_0006, "0005": _BEFORE_0006}


def with_data(home: Home, kind: str) -> None:
    path = {
        "part": home.part("documents", "x.parquet"),
        "files part": home.part("files", "x.parquet"),
        "snapshot": home.versions / "warehouse-00000001.duckdb",
    }[kind]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"data")


def tree(home: Home) -> dict[str, bytes]:
    """Every file of a home but locks, whose content means nothing."""
    return {
        path.relative_to(home.path).as_posix(): path.read_bytes()
        for path in home.path.rglob("*")
        if path.is_file() and path.parent != home.locks
    }


class TestAbsence:
    def test_a_home_that_was_never_used_is_made_only_when_asked(self, home: Home) -> None:
        with pytest.raises(LedgerError, match=r"newsmill ingest"):
            ledger.open_ledger(home)
        assert not home.path.exists()
        ledger.open_ledger(home, create=True).close()
        ledger.open_ledger(home).close()

    @pytest.mark.parametrize("kind", ["part", "files part", "snapshot"])
    @pytest.mark.parametrize("create", [True, False])
    def test_no_ledger_beside_data_is_refused(self, home: Home, kind: str, create: bool) -> None:
        with_data(home, kind)
        before = tree(home)
        with pytest.raises(LedgerError, match=r"absent.*backup"):
            ledger.open_ledger(home, create=create)
        assert tree(home) == before

    @pytest.mark.parametrize("create", [True, False])
    def test_an_empty_ledger_beside_data_is_refused(self, home: Home, create: bool) -> None:
        with_data(home, "part")
        home.ledger.touch()
        with pytest.raises(LedgerError, match=r"empty.*backup"):
            ledger.open_ledger(home, create=create)

    def test_a_database_without_tables_beside_data_is_refused(self, home: Home) -> None:
        with_data(home, "part")
        connection = sqlite3.connect(home.ledger)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA user_version=1")
        connection.close()
        with pytest.raises(LedgerError, match=r"backup"):
            ledger.open_ledger(home, create=True)

    def test_an_empty_ledger_on_another_machine_beside_data_is_refused(
        self, home: Home, new_database: Callable[[], str]
    ) -> None:
        """A PostgreSQL that somebody emptied, or a URL with a slip in it."""
        with_data(home, "part")
        with pytest.raises(LedgerError, match=r"backup"):
            ledger.open_ledger(home, new_database(), create=True)

    def test_other_files_in_the_home_are_no_data(self, home: Home) -> None:
        (home.inbox / "wire").mkdir(parents=True)
        (home.inbox / "wire" / "a.parquet").touch()
        (home.lake / "documents").mkdir(parents=True)
        ledger.open_ledger(home, create=True).close()


class TestDamage:
    def test_a_file_that_is_no_ledger_is_refused(self, home: Home) -> None:
        content = b"this is no database, but long enough to look like one" * 100
        home.path.mkdir()
        home.ledger.write_bytes(content)
        with pytest.raises(LedgerError, match=r"ledger\.sqlite.*backup"):
            ledger.open_ledger(home, create=True)
        assert home.ledger.read_bytes() == content

    def test_a_ledger_of_a_newer_newsmill_is_refused(self, home: Home) -> None:
        book = ledger.open_ledger(home, create=True)
        with book.writing() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        book.close()
        with pytest.raises(LedgerError, match=r"newer newsmill.*9999"):
            ledger.open_ledger(home)
        with sqlite3.connect(home.ledger) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]

    @pytest.mark.parametrize(
        "url",
        [
            "garbage",
            "postgresql://",
            "nosuchdatabase://user:secret@host/name",
            "mysql://user:secret@host/name",
            "postgresql+psycopg://user:secret@127.0.0.1:1/name",
            "postgresql+psycopg://user:sec:ret@127.0.0.1:1/name",
        ],
    )
    def test_a_url_that_leads_nowhere_is_one_line_without_the_password(self, home: Home, url: str) -> None:
        with pytest.raises(NewsmillError) as error:
            ledger.open_ledger(home, url, create=True)
        assert "sec" not in str(error.value)


class TestOlder:
    """The snapshot holds a commit that the ledger does not."""

    def test_a_ledger_that_has_what_was_published_is_good(self, sqlite_book: Any, home: Home, make: Any) -> None:
        ledger.append(sqlite_book, "run-1", sightings=[make.refusal("a")])
        published = ledger.last_commit(sqlite_book)
        ledger.append(sqlite_book, "run-1", sightings=[make.refusal("b")])
        for known in (published, ledger.last_commit(sqlite_book), None, (0, "")):
            ledger.check_beside(sqlite_book, home, known)
            presence.check(home, known)

    @pytest.mark.parametrize(
        ("published", "words"),
        [((3, "f" * 64), "ends at commit 2.*holds commit 3"), ((2, "f" * 64), "another commit 2")],
    )
    def test_a_ledger_that_has_not_is_refused(
        self, sqlite_book: Any, home: Home, make: Any, published: tuple[int, str], words: str
    ) -> None:
        for name in ("a", "b"):
            ledger.append(sqlite_book, "run-1", sightings=[make.refusal(name)])
        with pytest.raises(LedgerError, match=words):
            ledger.check_beside(sqlite_book, home, published)
        with pytest.raises(LedgerError, match=words):
            presence.check(home, published)


class TestPresence:
    """The same refusals for commands that do not load the ledger."""

    def test_a_home_without_anything_passes(self, home: Home) -> None:
        presence.check(home, None)
        assert not home.path.exists()

    @pytest.mark.parametrize("kind", ["part", "snapshot"])
    def test_no_ledger_beside_data_is_refused(self, home: Home, kind: str) -> None:
        with_data(home, kind)
        with pytest.raises(LedgerError, match=r"absent"):
            presence.check(home, (1, "f" * 64))
        home.ledger.touch()
        with pytest.raises(LedgerError, match=r"empty"):
            presence.check(home, (1, "f" * 64))

    def test_a_damaged_ledger_is_refused(self, home: Home) -> None:
        with_data(home, "part")
        home.ledger.write_bytes(b"this is no database, but long enough to look like one" * 100)
        with pytest.raises(LedgerError, match=r"damaged.*backup"):
            presence.check(home, (1, "f" * 64))

    def test_a_read_that_failed_is_not_damage(
        self, sqlite_book: Any, home: Home, make: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """SQLite has one word for both."""
        ledger.append(sqlite_book, "run-1", sightings=[make.refusal("a")])
        published = ledger.last_commit(sqlite_book)
        sqlite_book.close()
        connect, asked = sqlite3.connect, list[str]()

        def failing(database: str, **options: Any) -> sqlite3.Connection:
            asked.append(database)
            if len(asked) == 1:
                raise sqlite3.DatabaseError("database disk image is malformed")
            return connect(database, **options)

        monkeypatch.setattr(sqlite3, "connect", failing)
        presence.check(home, published)
        assert len(asked) == 2

    def test_looking_leaves_no_files_behind(self, sqlite_book: Any, home: Home, make: Any) -> None:
        ledger.append(sqlite_book, "run-1", sightings=[make.refusal("a")])
        published = ledger.last_commit(sqlite_book)
        sqlite_book.close()
        before = sorted(os.listdir(home.path))
        presence.check(home, published)
        assert sorted(os.listdir(home.path)) == before

    def test_looking_does_not_wait_for_a_writer(self, sqlite_book: Any, home: Home, make: Any) -> None:
        ledger.append(sqlite_book, "run-1", sightings=[make.refusal("a")])
        published = ledger.last_commit(sqlite_book)
        with sqlite_book.writing():
            presence.check(home, published)

    def test_a_ledger_that_may_not_be_read_does_not_stop_a_reader(
        self, home: Home, obedient: Callable[[], Any], tmp_path: Path
    ) -> None:
        with_data(home, "snapshot")
        home.ledger.write_bytes(b"x" * 5000)
        home.ledger.chmod(0)
        with obedient():
            presence.check(home, (1, "f" * 64))


class TestTables:
    @pytest.mark.parametrize("where", ["sqlite", "postgresql"])
    def test_migrations_end_at_the_tables(self, request: pytest.FixtureRequest, home: Home, where: str) -> None:
        url = request.getfixturevalue("new_database")() if where == "postgresql" else None
        book = ledger.open_ledger(home, url, create=True)
        try:
            with book.reading() as connection:
                context = MigrationContext.configure(connection, opts={"compare_type": True})
                assert compare_metadata(context, METADATA) == []
                # What alembic does not compare.
                found = sa.inspect(connection)
                for table in METADATA.sorted_tables:
                    assert found.get_pk_constraint(table.name)["constrained_columns"] == [
                        c.name for c in table.primary_key
                    ]
                    nullable = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
                    assert nullable == {column.name: column.nullable for column in table.columns}
                assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == HEAD
        finally:
            book.close()

    def test_every_earlier_version_is_tried(self) -> None:
        assert _known_revisions() == {*EARLIER, HEAD}

    @pytest.mark.parametrize("version", EARLIER)
    @pytest.mark.parametrize("where", ["sqlite", "postgresql"])
    def test_a_ledger_of_an_earlier_version_keeps_its_rows_and_its_chain(
        self, request: pytest.FixtureRequest, home: Home, make: Any, where: str, version: str
    ) -> None:
        url = request.getfixturevalue("new_database")() if where == "postgresql" else None
        book = ledger.open_ledger(home, url, create=True)
        for name in "ab":
            receipt = make.paper_receipt([make.result(make.raw_file(name, name))])
            ledger.append(book, "run-1", receipt=receipt)
        commits = ledger.commits_above(book, 0)
        with book.writing() as connection:
            for statement in EARLIER[version]:
                connection.exec_driver_sql(statement)
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")
        book.close()
        book = ledger.open_ledger(home, url)
        try:
            with book.reading() as connection:
                assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == HEAD
                context = MigrationContext.configure(connection, opts={"compare_type": True})
                assert compare_metadata(context, METADATA) == []
            assert ledger.commits_above(book, 0) == commits
            assert list(ledger.chain_problems(book)) == []
            assert [holder.commit_no for holder in ledger.holders(book)] == [1, 2]
            assert ledger.refused(book) == set()
            ledger.forget(book, "run-1", [make.content("a")], pipeline_version="v", settings_fingerprint="s")
            assert ledger.refused(book) == {make.content("a")}
        finally:
            book.close()

    def test_the_comparison_would_see_a_difference(self, home: Home) -> None:
        book = ledger.open_ledger(home, create=True)
        with book.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE spans ADD COLUMN extra TEXT")
            connection.exec_driver_sql("DROP INDEX sightings_uri")
        with book.reading() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert {change[0] for change in compare_metadata(context, METADATA)} == {"remove_column", "add_index"}
        book.close()

    def test_opening_again_changes_nothing(self, home: Home) -> None:
        ledger.open_ledger(home, create=True).close()
        before = home.ledger.read_bytes()
        ledger.open_ledger(home, create=True).close()
        assert home.ledger.read_bytes() == before

    def test_a_migration_that_is_killed_leaves_nothing(self, home: Home) -> None:
        """Tables and their version come in one transaction."""
        script = (
            "import os, sys\n"
            "from pathlib import Path\n"
            "from alembic import command\n"
            "from warehouse import ledger\n"
            "from warehouse.layout import Home\n"
            "real = command.upgrade\n"
            "command.upgrade = lambda *a: (real(*a), os._exit(9))\n"
            "ledger.open_ledger(Home(Path(sys.argv[1])), create=True)\n"
        )
        assert subprocess.run([sys.executable, "-c", script, home.path]).returncode == 9
        with sqlite3.connect(home.ledger) as connection:
            assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
        ledger.open_ledger(home, create=True).close()

    def test_two_processes_may_make_a_home_at_the_same_moment(self, home: Home) -> None:
        script = (
            "import sys\n"
            "from pathlib import Path\n"
            "from warehouse import ledger\n"
            "from warehouse.layout import Home\n"
            "ledger.open_ledger(Home(Path(sys.argv[1])), create=True).close()\n"
        )
        both = [
            subprocess.Popen([sys.executable, "-c", script, home.path], stderr=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        assert [(process.communicate()[1], process.returncode) for process in both] == [("", 0)] * 3

    def test_who_comes_while_another_makes_the_ledger_waits(self, home: Home) -> None:
        home.path.mkdir(parents=True)
        other = sqlite3.connect(home.ledger, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        ends = threading.Timer(0.3, other.rollback)
        ends.start()
        ledger.open_ledger(home, create=True).close()
        ends.join()
        other.close()


class TestDurability:
    def test_sqlite_keeps_a_commit_through_a_power_cut(self, sqlite_book: Any) -> None:
        with sqlite_book.writing() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2

    def test_an_acknowledged_commit_survives_the_process(self, home: Home) -> None:
        script = (
            "import os, sys\n"
            "from pathlib import Path\n"
            "from warehouse import ledger\n"
            "from warehouse.layout import Home\n"
            "from warehouse.records import Sighting, Stamp\n"
            "from warehouse.vocabulary import *\n"
            "book = ledger.open_ledger(Home(Path(sys.argv[1])), create=True)\n"
            "stamp = Stamp(size_bytes=1, mtime_ns=1, ctime_ns=1, inode=1)\n"
            "one = Sighting(root='inbox', uri='a', source='s', file_id=None, stamp=stamp, status=FileStatus.REJECTED,"
            " stage=Stage.DISCOVER, reason=Reason.SYMLINK)\n"
            "assert ledger.append(book, 'run', sightings=[one]) == 1\n"
            "os._exit(9)\n"
        )
        assert subprocess.run([sys.executable, "-c", script, home.path]).returncode == 9
        book = ledger.open_ledger(home)
        assert ledger.last_commit(book)[0] == 1
        book.close()

    def test_a_copy_of_a_closed_ledger_is_whole(self, sqlite_book: Any, home: Home, make: Any, tmp_path: Path) -> None:
        """What a backup copies while nothing runs."""
        ledger.append(sqlite_book, "run-1", sightings=[make.refusal("a")])
        last = ledger.last_commit(sqlite_book)
        sqlite_book.close()
        copy = Home(tmp_path / "copy")
        copy.path.mkdir()
        shutil.copy(home.ledger, copy.ledger)
        book = ledger.open_ledger(copy)
        assert ledger.last_commit(book) == last
        book.close()


@pytest.mark.parametrize("name", ["a b", "a%20b", "ü", "a#b", "a'b", "a;b", "a[1]", "sqlite:"])
def test_a_home_of_any_name_holds_its_ledger(tmp_path: Path, name: str) -> None:
    home = Home(tmp_path / name / "home")
    ledger.open_ledger(home, create=True).close()
    assert home.ledger.is_file()
    assert os.listdir(tmp_path) == [name]
    presence.check(home, None)


def test_a_home_with_a_question_mark_holds_its_ledger_or_is_refused(tmp_path: Path) -> None:
    """SQLite's URLs and DuckDB's paths end there: a ledger beside the home would never be found again."""
    home = Home(tmp_path / "a?b" / "home")
    try:
        ledger.open_ledger(home, create=True).close()
    except NewsmillError:
        assert os.listdir(tmp_path) == []
    else:
        assert home.ledger.is_file()
        assert os.listdir(tmp_path) == ["a?b"]


def test_an_empty_ledger_in_memory_answers(make: Any) -> None:
    with ledger.nothing_yet() as book:
        assert list(ledger.remembered(book, "inbox")) == []
        assert ledger.known_roots(book) == []
        assert ledger.finished_contents(book, [make.content("a")]) == set()
        assert ledger.held_contents(book, [make.content("a")])[1] == {}
        assert ledger.places(book, [make.content("a")]) == []
