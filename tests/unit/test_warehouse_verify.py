"""Every kind of damage is found, and named so that a person knows where to look."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from warehouse import ledger, snapshots, verify
from warehouse.layout import Home
from warehouse.schema import TABLES

# Those that an ingest puts rows into.
FILLED = [table for table in TABLES if table != "translations"]


@pytest.fixture(scope="module")
def pristine(new_mill: Callable[..., Any], write_news: Callable[..., str]) -> Home:
    """A home with everything in it: documents, duplicates, rejects of both kinds, deferred, superseded."""
    mill = new_mill("verify")
    mill.fill(4)
    mill.ingest()
    mill.put("copy.txt", write_news(1))
    mill.put("empty.txt", b"")
    mill.put("0002.txt", write_news(99))
    os.symlink("0001.txt", mill.raw / "link.txt")
    mill.ingest()
    mill.put("new.txt", write_news(100))
    mill.ingest()
    layout: Home = mill.settings().layout
    assert problems(layout, deep=True) == []
    return layout


@pytest.fixture
def home(pristine: Home, tmp_path: Path) -> Home:
    """A copy to be damaged."""
    shutil.copytree(pristine.path, tmp_path / "home", symlinks=True)
    return Home(tmp_path / "home")


def problems(home: Home, *, deep: bool = False) -> list[str]:
    book = ledger.open_ledger(home)
    try:
        report = verify.verify(home, book, deep=deep)
        assert report.holds == (report.problems == [])
        return report.problems
    finally:
        book.close()


def execute(home: Home, *statements: str) -> None:
    """Change the ledger behind its back."""
    book = ledger.open_ledger(home)
    with book.writing() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    book.close()


def tamper(home: Home, *statements: str) -> None:
    """Change the newest snapshot behind newsmill's back."""
    path = snapshots.newest(home)
    assert path is not None
    copy = path.with_name("copy.duckdb")
    shutil.copy(path, copy)
    copy.chmod(0o644)
    with duckdb.connect(str(copy)) as connection:
        for statement in statements:
            connection.execute(statement)
    copy.chmod(0o444)
    copy.rename(path)


def place(field: str, value: str, *, at: int | None = None) -> str:
    """SQL that changes a field of the segment ``at``, counted from 1, or of every segment, in every document."""
    changed = f"struct_update(place, {field} := {value})"
    chosen = changed if at is None else f"CASE n WHEN {at} THEN {changed} ELSE place END"
    return f"UPDATE documents SET segment_places = list_transform(segment_places, lambda place, n: {chosen})"


def parts_of(home: Home, kind: str) -> list[Path]:
    return sorted((home.lake / kind).iterdir())


def test_a_good_home_has_no_problems(home: Home) -> None:
    assert problems(home) == []
    assert problems(home, deep=True) == []


def test_a_report_says_what_was_checked(home: Home) -> None:
    book = ledger.open_ledger(home)
    seen: list[tuple[int, int]] = []
    report = verify.verify(home, book, on_part=lambda done, of: seen.append((done, of)))
    book.close()
    assert report.checked["commits"] == ledger_count(home, "commits") == len(snapshot_commits(home))
    assert report.checked["parts"] == ledger_count(home, "parts") == len(seen)
    assert seen[-1] == (len(seen), len(seen))
    assert report.checked["paths"] == 8
    assert (report.checked["pending"], report.checked["deferred"]) == (0, 0)


def ledger_count(home: Home, table: str) -> int:
    book = ledger.open_ledger(home)
    with book.reading() as connection:
        found = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
    book.close()
    assert isinstance(found, int)
    return found


def snapshot_commits(home: Home) -> list[int]:
    path = snapshots.newest(home)
    assert path is not None
    with snapshots.opened(path) as connection:
        return [number for (number,) in connection.execute("SELECT commit_no FROM loads ORDER BY ALL").fetchall()]


class TestParts:
    @pytest.mark.parametrize("kind", ["documents", "files"])
    @pytest.mark.parametrize("place", [0, 0.6])
    def test_one_altered_bit(self, home: Home, kind: str, place: float) -> None:
        path = parts_of(home, kind)[0]
        data = bytearray(path.read_bytes())
        data[int(place * (len(data) - 1))] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)
        assert problems(home) == [f"part {kind}/{path.name} was altered: its sha256 is not the ledger's"]

    @pytest.mark.parametrize("kind", ["documents", "files"])
    def test_a_missing_part(self, home: Home, kind: str) -> None:
        path = parts_of(home, kind)[-1]
        path.unlink()
        assert problems(home, deep=True) == [f"part {kind}/{path.name} is missing"]

    def test_a_part_cut_short(self, home: Home) -> None:
        path = parts_of(home, "documents")[0]
        path.chmod(0o644)
        size = path.stat().st_size
        os.truncate(path, size - 1)
        assert problems(home) == [f"part documents/{path.name} has {size - 1} bytes instead of {size}"]

    def test_every_damaged_part_is_named(self, home: Home) -> None:
        paths = [path for kind in ("documents", "files") for path in parts_of(home, kind)]
        assert len(paths) > 2
        for path in paths:
            path.unlink()
        found = problems(home)
        assert len(found) == len(paths)
        assert all(any(path.name in problem for problem in found) for path in paths)

    def test_a_part_that_no_commit_names_does_not_exist(self, home: Home) -> None:
        (home.lake / "documents" / f"{'0' * 32}-{'0' * 16}.parquet").write_bytes(b"an orphan of a killed run")
        assert problems(home, deep=True) == []


class TestCommits:
    def test_one_removed_in_the_middle(self, home: Home) -> None:
        execute(
            home, *(f"DELETE FROM {table} WHERE commit_no = 2" for table in ("commits", "parts", "spans", "sightings"))
        )
        found = problems(home)
        assert "ledger: commit 2 is missing" in found
        assert any("holds commit 2, which the ledger does not have" in problem for problem in found)

    def test_the_last_removed(self, home: Home) -> None:
        last = ledger_count(home, "commits")
        execute(
            home,
            *(f"DELETE FROM {table} WHERE commit_no = {last}" for table in ("commits", "parts", "spans", "sightings")),
        )
        assert any(f"holds commit {last}, which the ledger does not have" in problem for problem in problems(home))

    def test_all_removed(self, home: Home) -> None:
        execute(home, *(f"DELETE FROM {table}" for table in ("commits", "parts", "spans", "sightings")))
        assert any("holds commit 1, which the ledger does not have" in problem for problem in problems(home))

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE commits SET batch_id = 'x' WHERE commit_no = 1",
            "UPDATE commits SET pipeline_version = 'x' WHERE commit_no = 1",
            "UPDATE parts SET row_count = row_count + 1 WHERE commit_no = 1",
            "UPDATE spans SET document_count = 2 WHERE commit_no = 1",
            "UPDATE sightings SET source = 'x' WHERE commit_no = 1",
            "DELETE FROM sightings WHERE commit_no = 1 AND uri = '0001.txt'",
        ],
    )
    def test_a_changed_one(self, home: Home, change: str) -> None:
        execute(home, change)
        assert any(problem.startswith("ledger: commit 1 was changed") for problem in problems(home))

    def test_a_swapped_checksum_hides_nothing(self, home: Home) -> None:
        """A part and its checksum in the ledger exchanged together."""
        path = parts_of(home, "documents")[0]
        path.chmod(0o644)
        path.write_bytes(b"x" * path.stat().st_size)
        import hashlib

        execute(
            home,
            f"UPDATE parts SET sha256 = '{hashlib.sha256(path.read_bytes()).hexdigest()}' WHERE name = '{path.name}'",
        )
        found = problems(home)
        assert any("was changed" in problem for problem in found)

    def test_a_path_that_is_settled_without_its_content(self, home: Home) -> None:
        execute(home, f"UPDATE stamps SET file_id = '{'f' * 64}' WHERE uri = '0001.txt'")
        assert any("0001.txt" in problem for problem in problems(home))


class TestSnapshot:
    def test_none_at_all(self, home: Home) -> None:
        shutil.rmtree(home.versions)
        home.warehouse.unlink()
        assert any("none is published" in problem for problem in problems(home))

    def test_one_that_lacks_a_commit(self, home: Home) -> None:
        """The newest was lost; the one before it knows nothing of the last commits."""
        newest = snapshots.newest(home)
        assert newest is not None
        newest.unlink()
        snapshots.point(home)
        last = ledger_count(home, "commits")
        assert any(f"lacks commit {last}" in problem for problem in problems(home))

    @pytest.mark.parametrize("number", [1, 2])
    def test_one_that_lacks_a_commit_in_the_middle(self, home: Home, number: int) -> None:
        tamper(home, f"DELETE FROM loads WHERE commit_no = {number}")
        assert any(f"lacks commit {number}" in problem for problem in problems(home))

    def test_one_that_holds_another_commit(self, home: Home) -> None:
        tamper(home, f"UPDATE loads SET commit_hash = '{'f' * 64}' WHERE commit_no = 1")
        assert any("lacks commit 1" in problem for problem in problems(home))

    def test_a_link_that_is_missing_or_stale(self, home: Home) -> None:
        home.warehouse.unlink()
        assert any("does not point at the newest" in problem for problem in problems(home))
        home.warehouse.symlink_to("versions/warehouse-00000001.duckdb")
        assert any("does not point at the newest" in problem for problem in problems(home))

    def test_a_file_in_the_place_of_the_link(self, home: Home) -> None:
        home.warehouse.unlink()
        home.warehouse.write_bytes(b"")
        assert any("does not point at the newest" in problem for problem in problems(home))

    def test_a_translation_that_nobody_committed(self, home: Home) -> None:
        tamper(
            home,
            "INSERT INTO translations SELECT text_id, 'de', 'en', 'e', '1', 'x', NULL, '2020-01-01', 'r', text_id "
            "FROM documents LIMIT 1",
        )
        assert any("translations" in problem for problem in problems(home))

    @pytest.mark.parametrize(
        "sql",
        [
            "UPDATE documents SET is_distinct = NOT is_distinct WHERE rowid = 0",
            "UPDATE documents SET copy_count = copy_count + 1 WHERE rowid = 0",
        ],
    )
    def test_a_derived_table_that_is_not_what_it_should_be(self, home: Home, sql: str) -> None:
        tamper(home, sql)
        assert any("newsmill rebuild" in problem and "documents and files say" in problem for problem in problems(home))

    @pytest.mark.parametrize("table", FILLED)
    def test_a_deleted_row(self, home: Home, table: str) -> None:
        tamper(home, f"DELETE FROM {table} WHERE rowid = (SELECT max(rowid) FROM {table})")
        assert any(table in problem or "commit" in problem for problem in problems(home)), table

    @pytest.mark.parametrize("table", FILLED)
    def test_a_doubled_row(self, home: Home, table: str) -> None:
        tamper(home, f"INSERT INTO {table} SELECT * FROM {table} WHERE rowid = (SELECT max(rowid) FROM {table})")
        assert any(table in problem for problem in problems(home)), table

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (place("byte_count", "place.byte_count + 1", at=1), "not the concatenation of its segments"),
            (place("byte_count", "NULL", at=1), "not the concatenation of its segments"),
            (place("byte_count", "place.byte_count - 1", at=2), "not the concatenation of its segments"),
            (place("separator_count", "0", at=1), "not the concatenation of its segments"),
            (place("byte_start", "place.byte_start + 1", at=2), "not the concatenation of its segments"),
            (place("byte_start", "NULL", at=2), "not the concatenation of its segments"),
            (place("byte_start", "place.byte_start + 1"), "not the concatenation of its segments"),
            ("UPDATE documents SET segment_places = list_reverse(segment_places)", "not the concatenation"),
            ("UPDATE documents SET segment_places = segment_places[2:]", "not the concatenation"),
            ("UPDATE documents SET segment_places = segment_places[:-2] WHERE ordinal = 0", "segments has"),
            ("UPDATE documents SET segment_places = segment_places || segment_places[-1:]", "segments has"),
            ("UPDATE documents SET segment_places = []", "not the concatenation of its segments"),
            ("UPDATE documents SET segment_count = segment_count + 1", "not the concatenation of its segments"),
            ("UPDATE documents SET text = 'x' || text", "not the concatenation of its segments"),
            ("UPDATE documents SET text = translate(text, 'aeiou', 'uoiea')", "not that of their text_id"),
            ("UPDATE documents SET text_id = reverse(text_id)", "not that of their text_id"),
            ("UPDATE files SET is_current = true", "more than one current content"),
            ("UPDATE documents SET published_precision = NULL", "claim more than their precision"),
            ("UPDATE documents SET published_on = published_on + 1", "claim more than their precision"),
            ("UPDATE documents SET published_precision = 'year'", "claim more than their precision"),
            ("UPDATE documents SET batch_id = repeat('0', 32) WHERE ordinal = 0", "rows of batch"),
        ],
    )
    def test_a_broken_invariant(self, home: Home, change: str, words: str) -> None:
        tamper(home, change)
        assert any(words in problem for problem in problems(home))

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE documents SET language = 'xx'",
            place("paragraph_no", "place.paragraph_no + 1", at=1),
            place("kind", "'caption'", at=1),
            place("byte_start", "place.byte_start + 1", at=1),
            place("byte_count", "place.byte_count + 1", at=1),
            place("separator_count", "place.separator_count + 1", at=1),
            place("char_start", "place.char_start + 1", at=1),
            place("char_count", "place.char_count + 1", at=1),
            "UPDATE paragraphs SET char_start = char_start, credit = 'x'",
            "UPDATE rejects SET detail = 'x'",
            "UPDATE files SET is_current = false WHERE uri = '0001.txt'",
            "UPDATE loads SET committed_at = committed_at + INTERVAL 1 SECOND",
            "UPDATE runs SET versions = '{}'",
        ],
    )
    def test_any_changed_value_is_found_deep(self, home: Home, change: str) -> None:
        table = change.split()[1]
        tamper(home, change)
        assert any(f"{table} differs from the parts" in problem for problem in problems(home, deep=True))

    def test_two_rows_doubled_alike_are_found_deep(self, home: Home) -> None:
        """The hash of all rows is order-free, and two equal rows must not cancel out."""
        tamper(home, "UPDATE paragraphs SET credit = 'x' WHERE rowid < 2")
        assert problems(home, deep=True)

    @pytest.mark.parametrize("place", [0.1, 0.6])
    def test_an_altered_byte_is_found_or_harmless(self, home: Home, place: float) -> None:
        """DuckDB's checksums tell; newsmill says it in one line each, and never with a traceback."""
        path = snapshots.newest(home)
        assert path is not None
        data = bytearray(path.read_bytes())
        for position in range(int(place * len(data)), len(data), len(data) // 3):
            data[position] ^= 0x10
        path.chmod(0o644)
        path.write_bytes(data)
        found = problems(home, deep=True)
        assert all("newsmill rebuild" in problem for problem in found)

    def test_a_file_that_is_no_database(self, home: Home) -> None:
        path = snapshots.newest(home)
        assert path is not None
        path.chmod(0o644)
        path.write_bytes(b"no database")
        assert any(path.name in problem and "newsmill rebuild" in problem for problem in problems(home))

    def test_looking_leaves_nothing_behind(self, home: Home) -> None:
        before = sorted(path.relative_to(home.path) for path in home.path.rglob("*"))
        problems(home, deep=True)
        after = sorted(path.relative_to(home.path) for path in home.path.rglob("*"))
        # SQLite makes these as long as the ledger is open.
        assert [path for path in after if path not in before and not path.name.startswith("ledger.sqlite-")] == []


class TestHashes:
    @pytest.fixture
    def database(self, home: Home) -> Iterator[Path]:
        path = snapshots.newest(home)
        assert path is not None
        return path

    def test_they_do_not_depend_on_order(self, home: Home, database: Path) -> None:
        before = verify.table_hashes(database)
        tamper(
            home,
            *(
                statement
                for table in ("documents", "paragraphs")
                for statement in (
                    f"CREATE TABLE turned AS SELECT * FROM {table} ORDER BY rowid DESC",
                    f"DELETE FROM {table}",
                    f"INSERT INTO {table} SELECT * FROM turned",
                    "DROP TABLE turned",
                )
            ),
        )
        assert verify.table_hashes(database) == before

    @pytest.mark.parametrize("table", FILLED)
    def test_they_depend_on_every_column(self, home: Home, database: Path, table: str) -> None:
        before = verify.table_hashes(database)
        assert set(before) == set(TABLES)
        assert before[table][0] > 0
        # The last one that is never NULL.
        column = [field.name for field in TABLES[table] if not field.nullable][-1]
        kind = TABLES[table].field(column).type
        value = f"{column} || 'x'" if str(kind) == "string" and column != "batch_id" else f"reverse({column})"
        if str(kind).startswith(("timestamp", "date")):
            value = f"{column} + INTERVAL 1 DAY"
        elif str(kind) == "int64":
            value = f"{column} + 1"
        elif str(kind).startswith("list"):
            value = f"list_append({column}, {column}[1])"
        tamper(home, f"UPDATE {table} SET {column} = {value}")
        after = verify.table_hashes(database)
        assert {name for name in TABLES if before[name] != after[name]} == {table}
