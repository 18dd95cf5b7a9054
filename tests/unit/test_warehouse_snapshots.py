"""Snapshots: numbered, read-only, one symlink, and no more of them than are needed."""

import os
import stat
import threading
import time
from pathlib import Path

import duckdb
import pytest

from warehouse import snapshots
from warehouse.durable import TEMPORARY
from warehouse.errors import DamagedError
from warehouse.layout import Home

HOUR = 3600


def published(home: Home, *numbers: int) -> list[Path]:
    """Files that stand where snapshots do; what is in them is not asked here."""
    home.versions.mkdir(parents=True, exist_ok=True)
    paths = [home.versions / f"warehouse-{number:08d}.duckdb" for number in numbers]
    for path in paths:
        path.write_bytes(b"a snapshot")
    return paths


def built(home: Home, content: bytes = b"new") -> Path:
    home.versions.mkdir(parents=True, exist_ok=True)
    path = home.versions / f"{TEMPORARY}built"
    path.write_bytes(content)
    return path


def database(path: Path, *statements: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


ABOUT = (
    "CREATE TABLE about (tables_fingerprint VARCHAR, views_fingerprint VARCHAR, commit_no BIGINT, commit_hash VARCHAR)",
    "INSERT INTO about VALUES ('t', 'v', 7, 'h')",
)


class TestNumbers:
    def test_the_first_is_number_one(self, home: Home) -> None:
        path = snapshots.publish_file(home, built(home))
        assert path == home.versions / "warehouse-00000001.duckdb"
        assert path.read_bytes() == b"new"

    def test_the_next_number_is_behind_the_highest(self, home: Home) -> None:
        published(home, 1, 7, 3)
        assert snapshots.publish_file(home, built(home)).name == "warehouse-00000008.duckdb"

    def test_a_number_is_never_used_again_while_it_stands(self, home: Home) -> None:
        first = snapshots.publish_file(home, built(home, b"1"))
        second = snapshots.publish_file(home, built(home, b"2"))
        assert (first.read_bytes(), second.read_bytes()) == (b"1", b"2")

    def test_numbers_go_on_behind_eight_digits(self, home: Home) -> None:
        published(home, 99_999_999)
        path = snapshots.publish_file(home, built(home))
        assert path.name == "warehouse-100000000.duckdb"
        assert snapshots.newest(home) == path

    def test_the_newest_has_the_highest_number_not_the_latest_time(self, home: Home) -> None:
        nine, ten = published(home, 9, 10)
        os.utime(nine, (time.time() + HOUR, time.time() + HOUR))
        assert snapshots.newest(home) == ten
        assert [number for number, _ in snapshots.numbered(home)] == [9, 10]

    def test_other_files_are_no_snapshots(self, home: Home) -> None:
        (one,) = published(home, 1)
        for name in (
            "warehouse-2.duckdb",
            "warehouse-00000003.duckdb.wal",
            "warehouse-0000000x.duckdb",
            ".tmp-x",
            "notes",
        ):
            (home.versions / name).touch()
        assert snapshots.numbered(home) == [(1, one)]

    def test_a_home_without_snapshots_has_none(self, home: Home) -> None:
        assert snapshots.newest(home) is None
        assert snapshots.last_published(home) is None
        snapshots.point(home)
        assert not home.path.exists()


class TestPublish:
    def test_a_snapshot_is_closed_to_writing_and_linked(self, home: Home) -> None:
        path = snapshots.publish_file(home, built(home))
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
        assert home.warehouse.is_symlink()
        assert home.warehouse.resolve() == path.resolve()
        assert sorted(p.name for p in home.versions.iterdir()) == [path.name]

    def test_a_home_may_be_moved(self, home: Home, tmp_path: Path) -> None:
        snapshots.publish_file(home, built(home))
        home.path.rename(tmp_path / "elsewhere")
        assert (tmp_path / "elsewhere" / "warehouse.duckdb").read_bytes() == b"new"

    def test_an_older_link_is_brought_up_to_date(self, home: Home) -> None:
        """A crash between the name and the symlink's swap."""
        old, new = published(home, 1, 2)
        home.warehouse.symlink_to(os.path.join("versions", old.name))
        snapshots.point(home)
        assert home.warehouse.resolve() == new.resolve()

    @pytest.mark.parametrize("target", ["versions/warehouse-00000009.duckdb", "nowhere"])
    def test_a_dangling_link_is_brought_up_to_date(self, home: Home, target: str) -> None:
        (path,) = published(home, 1)
        home.warehouse.symlink_to(target)
        snapshots.point(home)
        assert home.warehouse.resolve() == path.resolve()

    def test_a_good_link_is_left_alone(self, home: Home) -> None:
        published(home, 1)
        snapshots.point(home)
        before = os.lstat(home.warehouse)
        snapshots.point(home)
        assert os.lstat(home.warehouse).st_ino == before.st_ino

    def test_a_reader_finds_a_whole_snapshot_at_any_moment(self, home: Home) -> None:
        snapshots.publish_file(home, built(home, b"0"))
        stop, torn = threading.Event(), []

        def read() -> None:
            while not stop.is_set():
                try:
                    if not home.warehouse.read_bytes().isdigit():
                        torn.append("another content")
                except OSError as error:
                    torn.append(str(error))

        reading = threading.Thread(target=read)
        reading.start()
        for number in range(60):
            snapshots.publish_file(home, built(home, str(number).encode()))
        stop.set()
        reading.join()
        assert torn == []


class TestPrune:
    @pytest.mark.parametrize(
        ("ages", "kept"),
        [
            # Ages in hours, oldest snapshot first.
            ([], []),
            ([99], [1]),
            ([99, 98], [1, 2]),
            ([99, 98, 97], [2, 3]),
            ([0.9, 0.8, 0.7], [1, 2, 3]),
            ([1.1, 0.9, 0.8], [2, 3]),
            ([0.5, 0.4, 0.3, 0.2, 0.1, 0], [2, 3, 4, 5, 6]),
            ([2, 2, 2, 0.5, 0.4, 0.3, 0.2, 0.1, 0], [5, 6, 7, 8, 9]),
            ([9, 0.5, 9, 0.4, 9], [2, 4, 5]),
        ],
    )
    def test_the_newest_two_and_the_young_stay_at_most_five(
        self, home: Home, ages: list[float], kept: list[int]
    ) -> None:
        paths = published(home, *range(1, len(ages) + 1)) if ages else []
        home.versions.mkdir(parents=True, exist_ok=True)
        for path, age in zip(paths, ages, strict=True):
            moment = time.time() - age * HOUR
            os.utime(path, (moment, moment))
        gone = snapshots.prune(home, {})
        assert [number for number, _ in snapshots.numbered(home)] == kept
        assert sorted(gone) == [path for path in paths if not path.exists()]

    def test_what_killed_builds_left_goes(self, home: Home) -> None:
        published(home, 1)
        left = [home.versions / f"{TEMPORARY}x", home.versions / f"{TEMPORARY}x.wal"]
        for path in left:
            path.touch()
        dangling = home.path / f"{TEMPORARY}123-warehouse.duckdb"
        dangling.symlink_to("versions/warehouse-00000009.duckdb")
        snapshots.sweep(home)
        assert not any(os.path.lexists(path) for path in [*left, dangling])
        assert len(snapshots.numbered(home)) == 1

    def test_nothing_else_goes(self, home: Home) -> None:
        published(home, 1, 2, 3)
        others = [home.versions / "notes.txt", home.path / "ledger.sqlite", home.path / f"{TEMPORARY}other"]
        for path in others:
            path.touch()
        snapshots.prune(home, {})
        assert all(path.exists() for path in others)

    def test_a_reader_keeps_what_it_has_open(self, home: Home) -> None:
        path = home.versions / "warehouse-00000001.duckdb"
        database(path, "CREATE TABLE t AS SELECT range AS n FROM range(1000)")
        published(home, 2, 3)
        os.utime(path, (0, 0))
        with snapshots.opened(path) as connection:
            assert snapshots.prune(home, {}) == [path]
            assert connection.execute("SELECT sum(n) FROM t").fetchone() == (499500,)


class TestAbout:
    def test_a_snapshot_says_what_it_holds(self, home: Home) -> None:
        path = home.versions / "warehouse-00000001.duckdb"
        database(path, *ABOUT)
        assert snapshots.about(path) == snapshots.About("t", "v", 7, "h")
        assert snapshots.last_published(home) == (7, "h")

    def test_it_is_opened_for_reading_only(self, home: Home) -> None:
        path = home.versions / "warehouse-00000001.duckdb"
        database(path, *ABOUT)
        with snapshots.opened(path) as connection, pytest.raises(duckdb.Error, match=r"read-only"):
            connection.execute("DELETE FROM about")
        assert [p.name for p in home.versions.iterdir()] == [path.name]

    @pytest.mark.parametrize("content", [b"", b"no database", b"\0" * 20_000])
    def test_a_file_that_is_no_database_is_damage(self, home: Home, content: bytes) -> None:
        (path,) = published(home, 1)
        path.write_bytes(content)
        with pytest.raises(DamagedError, match=r"newsmill rebuild"):
            snapshots.about(path)

    def test_a_database_that_is_cut_short_is_damage(self, home: Home) -> None:
        path = home.versions / "warehouse-00000001.duckdb"
        database(path, *ABOUT, "CREATE TABLE t AS SELECT hash(range) AS n FROM range(100000)")
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(DamagedError, match=r"newsmill rebuild"), snapshots.opened(path) as connection:
            connection.execute("SELECT sum(n % 7) FROM t").fetchone()

    @pytest.mark.parametrize("statements", [(), ABOUT[:1], ("CREATE TABLE about (x INT)",)])
    def test_a_database_that_is_not_newsmills_is_damage(self, home: Home, statements: tuple[str, ...]) -> None:
        path = home.versions / "warehouse-00000001.duckdb"
        database(path, *statements)
        with pytest.raises(DamagedError, match=r"newsmill rebuild"):
            snapshots.about(path)

    def test_a_snapshot_that_is_gone_is_damage(self, home: Home) -> None:
        with pytest.raises(DamagedError):
            snapshots.about(home.versions / "warehouse-00000001.duckdb")
