"""One bit that is another, or a file that ends early: ``verify --deep`` names it, for every kind of file in the home.

Damage is found if the command ends with 1 and says something.  In the ledger a byte may be one that nobody reads
(SQLite leaves room in its pages), or stand in the stamps and runs, whose loss costs a second look at a file:
there a flip counts as harmless only where every other table still says the same.
"""

import contextlib
import hashlib
import random
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from warehouse import search

SHARES = 4
# A stamp that is wrong costs a second read, a run's own words are told to people only.
TOLD_ONLY = ("stamps", "runs")


@pytest.fixture(scope="module")
def whole(new_mill: Callable[..., Any], write_news: Callable[[int], str]) -> Any:
    """A home of several snapshots, commits of every kind, one content forgotten and one let in again: nothing wrong."""
    mill = new_mill("flips")

    def done(*words: str) -> None:
        answer = mill.cli(*words)
        assert answer.code == 0, (words, answer.err)

    mill.fill(6)
    mill.ingest(batch_files=2)
    for name in ("0004.txt", "0005.txt"):
        done("forget", "--uri", name)
    done("forget", "--lift", hashlib.sha256(write_news(5).encode()).hexdigest())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.version.pipeline_version", lambda: "2-faked")
        done("replay", "--stale", "--direct")
    done("compact", "--set", "compact_grace_seconds=0")
    mill.put("copy.txt", write_news(1))
    mill.put("empty.txt", b"")
    mill.ingest()
    mill.put("0002.txt", write_news(99))
    mill.ingest()
    search.build(mill.settings().layout)
    assert mill.problems(deep=True) == []
    return mill


def test_the_home_that_is_damaged_has_every_kind_of_row(whole: Any) -> None:
    """A column that is null everywhere has no byte that a flip could meet."""
    ledger = f"file:{whole.home / 'ledger.sqlite'}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(ledger, uri=True)) as connection:
        for table, column in (
            ("parts", "replaced_by"), ("spans", "retired_by"), ("tombstones", "lifted_by"), ("tombstones", "erased_at"),
            ("sightings", "reason"), ("snapshots", "sha256"),
        ):  # fmt: skip
            query = f"SELECT count(*) FROM {table} WHERE {column} IS NOT NULL"
            assert connection.execute(query).fetchone()[0], f"{table}.{column}"
        query = "SELECT count(*) FROM tombstones WHERE lifted_by IS NULL"
        assert connection.execute(query).fetchone()[0], "one stays forgotten"
    found = {path for path in whole.home.rglob("*") if path.is_file() and not path.is_symlink()}
    # Nobody reads a lock, and the ledger's log has a campaign of its own.
    found = {path for path in found if path.parent.name != "locks" and not path.name.startswith("ledger.sqlite-")}
    assert found == {path for kind in kinds(whole.home) for path in kind}, "every file can be damaged"


def said(ledger: Path) -> dict[str, list[Any]] | None:
    """What the ledger says in the tables that count; None where SQLite refuses to read it."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{ledger}?mode=ro&immutable=1", uri=True)) as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {
                name: sorted(map(repr, connection.execute(f"SELECT * FROM {name}")))
                for name in names
                if name not in TOLD_ONLY
            }
    except sqlite3.Error:
        return None


def indexed(path: Path) -> list[Any]:
    """All that stands in a full-text index."""
    with duckdb.connect() as database:
        database.execute(f"ATTACH '{path}' AS looked (READ_ONLY); USE looked")
        names = database.execute("SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL").fetchall()
        return [
            database.execute(f'SELECT * FROM "{schema}"."{name}" ORDER BY ALL').fetchall() for schema, name in names
        ]


def kinds(home: Path) -> list[list[Path]]:
    """The files of the home, by what they are."""
    return [
        sorted((home / "lake" / "documents").glob("*.parquet")),
        sorted((home / "lake" / "files").glob("*.parquet")),
        sorted((home / "versions").glob("*.duckdb")),
        [home / "ledger.sqlite"],
        sorted((home / "search").glob("*.duckdb")),
        [home / "ledger.tombstones"],
    ]


def damage(home: Path, random: random.Random) -> tuple[Path, str]:
    """Flip a bit of one file or cut it short; which file, and what was done to it."""
    path = random.choice(random.choice(kinds(home)))
    path.chmod(0o644)
    size = path.stat().st_size
    with path.open("r+b") as stream:
        if random.random() < 0.3:
            length = random.randrange(size)
            stream.truncate(length)
            return path, f"cut to {length} of {size}"
        at, bit = random.randrange(size), random.randrange(8)
        stream.seek(at)
        (byte,) = stream.read(1)
        stream.seek(at)
        stream.write(bytes([byte ^ (1 << bit)]))
        return path, f"bit {bit} of byte {at}"


def is_found(mill: Any, home: Path) -> bool:
    """Whether the command fails and says why."""
    answer = type(mill)(home=home, raw=mill.raw).cli("verify", "--deep")
    assert "Traceback" not in answer.err
    return bool(answer.code == 1 and (answer.out + answer.err).strip())


def campaign(mill: Any, tmp_path: Path, seeds: range, record: Callable[[str, object], None]) -> None:
    """A copy of the home and one damage for each seed."""
    missed, outcomes = [], Counter[str]()
    for seed in seeds:
        home = tmp_path / "home"
        shutil.copytree(mill.home, home, symlinks=True)
        path, what = damage(home, random.Random(seed))
        if is_found(mill, home):
            outcomes["found"] += 1
        elif (path.name == "ledger.sqlite" and said(path) == said(mill.home / "ledger.sqlite")) or (
            path.parent.name == "search" and indexed(path) == indexed(mill.home / "search" / path.name)
        ):
            outcomes["says the same"] += 1
        else:
            missed.append(f"seed {seed}: {path.relative_to(home)}, {what}")
            print(f"missed: {missed[-1]}", flush=True)
        shutil.rmtree(home)
        if sum(outcomes.values()) % 100 == 0:
            print(f"{dict(outcomes)} of {len(seeds)}", flush=True)
    record("flips", dict(outcomes))
    print(dict(outcomes))
    assert missed == []


@pytest.mark.faults
@pytest.mark.parametrize("share", range(SHARES))
def test_200_flips_and_cuts(
    whole: Any, tmp_path: Path, share: int, record_property: Callable[[str, object], None]
) -> None:
    campaign(whole, tmp_path, range(share * 50, share * 50 + 50), record_property)


@pytest.mark.long
def test_5000_flips_and_cuts(whole: Any, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    campaign(whole, tmp_path, range(1_000, 6_000), record_property)


def test_a_few_flips_and_cuts(whole: Any, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    campaign(whole, tmp_path, range(900, 908), record_property)


def test_every_place_of_a_content_in_the_ledger(whole: Any, tmp_path: Path) -> None:
    """A row and its indexes hold it both, and a query reads either."""
    data = (whole.home / "ledger.sqlite").read_bytes()
    with contextlib.closing(sqlite3.connect(f"file:{whole.home / 'ledger.sqlite'}?mode=ro", uri=True)) as connection:
        ((file_id,),) = connection.execute("SELECT file_id FROM spans ORDER BY file_id LIMIT 1")
    places = [match.start() for match in re.finditer(file_id.encode(), data)]
    assert len(places) > 2
    for place in places:
        home = tmp_path / str(place)
        shutil.copytree(whole.home, home, symlinks=True)
        path = home / "ledger.sqlite"
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert is_found(whole, home) or said(path) == said(whole.home / "ledger.sqlite"), place


def test_a_build_that_forgets_checksums_is_noticed(
    whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """The canary: without the sums of parts and snapshots some of the same damage goes through."""
    monkeypatch.setattr("warehouse.parts.problem", lambda _home, _part: None)
    monkeypatch.setattr("warehouse.ledger.snapshot_sums", lambda _book: {})
    with pytest.raises(AssertionError, match="seed"):
        campaign(whole, tmp_path, range(900, 930), record_property)


def damaged_copy(mill: Any, tmp_path: Path, name: str) -> Any:
    """A copy of the home in which the middle byte of one file is another."""
    shutil.copytree(mill.home, tmp_path / "home", symlinks=True)
    (path,) = list((tmp_path / "home").glob(name))[-1:]
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return type(mill)(home=tmp_path / "home", raw=mill.raw)


@pytest.mark.parametrize("place", [0, -1], ids=["an older snapshot", "the newest snapshot"])
def test_a_damaged_snapshot_is_repaired(whole: Any, tmp_path: Path, place: int) -> None:
    snapshots = sorted((whole.home / "versions").glob("*.duckdb"))
    assert len(snapshots) > 1
    mill = damaged_copy(whole, tmp_path, f"versions/{snapshots[place].name}")
    assert mill.cli("verify", "--deep").code == 1
    answer = mill.cli("verify", "--deep", "--repair", "--format", "json")
    assert answer.code == 0, answer
    assert answer.json()["repaired"]
    assert mill.hashes() == whole.hashes()
    assert mill.problems(deep=True) == []


def test_a_damaged_part_is_no_matter_for_a_repair(whole: Any, tmp_path: Path) -> None:
    """The truth is never touched: the finding stays, and so does all that stands there."""
    mill = damaged_copy(whole, tmp_path, "lake/documents/*.parquet")
    before = mill.tree("ledger.sqlite-wal")
    answer = mill.cli("verify", "--deep", "--repair")
    assert answer.code == 1
    assert "was altered" in answer.out
    assert mill.tree("ledger.sqlite-wal") == before


@pytest.fixture(scope="module")
def logged(whole: Any, new_mill: Callable[..., Any], write_news: Callable[[int], str]) -> Any:
    """The home with the last commits in the ledger's log only, as a kill leaves it, and what they come to."""
    mill = new_mill("logged")
    shutil.copytree(whole.home, mill.home, symlinks=True)
    with contextlib.closing(sqlite3.connect(mill.home / "ledger.sqlite")) as held:
        held.execute("BEGIN")
        held.execute("SELECT count(*) FROM commits").fetchone()  # whoever reads keeps the log from being emptied
        for number in range(3):
            mill.put(f"logged{number}.txt", write_news(200 + number))
            mill.ingest()
        copied = type(mill)(home=mill.home.with_name("killed"), raw=mill.raw)
        shutil.copytree(mill.home, copied.home, symlinks=True, ignore=shutil.ignore_patterns("*-shm"))
    assert (copied.home / "ledger.sqlite-wal").stat().st_size > 10_000
    return copied


def logs(mill: Any, tmp_path: Path, seeds: range, record: Callable[[str, object], None]) -> None:
    """A damaged log is noticed where commits that were published are lost; else nothing is, or is read again."""
    whole = tmp_path / "whole"
    shutil.copytree(mill.home, whole, symlinks=True)
    recovered = type(mill)(home=whole, raw=mill.raw)
    assert recovered.problems() == []  # opened and closed: the log is in the file now, and never in that of ``mill``
    documents = recovered.one("SELECT count(*) FROM documents")
    outcomes, missed = Counter[str](), []
    for seed in seeds:
        home, dice = tmp_path / "home", random.Random(seed)
        shutil.copytree(mill.home, home, symlinks=True)
        log = home / "ledger.sqlite-wal"
        content = bytearray(log.read_bytes())
        if dice.random() < 0.3:
            content = content[: dice.randrange(len(content))]
        else:
            content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        log.write_bytes(content)
        if is_found(mill, home):
            outcomes["found"] += 1
            if outcomes["found"] > 3:
                shutil.rmtree(home)
                continue
            rebuilt = type(mill)(home=home, raw=mill.raw)
            answer = rebuilt.cli("rebuild", "--ledger")
            if answer.code:
                # What is lost is a snapshot's checksum only, which its commits can do without.
                assert "is whole and stays" in answer.err
                assert rebuilt.cli("rebuild").code == 0
                assert rebuilt.problems(deep=True) == []
            assert rebuilt.one("SELECT count(*) FROM documents") == documents
        elif said(home / "ledger.sqlite") == said(whole / "ledger.sqlite"):
            outcomes["says the same"] += 1
        else:
            missed.append(seed)
        shutil.rmtree(home)
    record("flips", dict(outcomes))
    print(dict(outcomes))
    assert missed == []


@pytest.mark.faults
def test_10_flips_and_cuts_of_the_ledgers_log(
    logged: Any, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    logs(logged, tmp_path, range(10), record_property)


@pytest.mark.long
def test_500_flips_and_cuts_of_the_ledgers_log(
    logged: Any, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    logs(logged, tmp_path, range(1_000, 1_500), record_property)


@pytest.mark.faults
def test_a_ledger_that_is_not_held_beside_its_snapshots_is_noticed(
    logged: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """The canary of the log: what it lost is a commit less, and only the snapshots know of it."""
    for name in ("_snapshot_problems", "_altered_snapshots", "_rebuilt_differs"):
        monkeypatch.setattr(f"warehouse.verify.{name}", lambda *_arguments: iter(()))
    with pytest.raises(AssertionError, match=r"assert \[\d"):
        logs(logged, tmp_path, range(10), record_property)
