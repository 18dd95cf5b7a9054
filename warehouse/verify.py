"""Prove what the warehouse promises, or say in one line each what does not hold.

Belongs here: checks across ledger, parts and snapshot.  Does not belong here: mending anything.

What is proven: the chain of commits is whole; every path is in exactly one state; records read = documents +
rejects; every named part is on disk as it was written; no part holds what the ledger must have lost; the snapshot holds
every commit and as many rows as the parts; nothing on disk has rows of a content that was forgotten.  ``deep`` also
builds the whole projection anew from the parts and compares every row, proves every byte of every snapshot that is
kept, reads every full-text index, and lets SQLite look through the ledger's file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from warehouse import ddl, forget, ledger, loader, mirror, parts, search, snapshots, standing
from warehouse.durable import lock, temporary_file
from warehouse.errors import DamagedError
from warehouse.layout import Home
from warehouse.listing import lake_files
from warehouse.records import Commit
from warehouse.schema import TABLES
from warehouse.strays import strays

PER_BATCH = {
    "documents": "SELECT batch_id, count(*) FROM documents GROUP BY batch_id",
    "paragraphs": "SELECT batch_id, count(*) FROM paragraphs JOIN documents USING (document_id) GROUP BY batch_id",
    "segments": "SELECT batch_id, CAST(sum(len(segment_places)) AS BIGINT) FROM documents GROUP BY batch_id",
}
UNIQUE = {
    "documents": "document_id",
    "paragraphs": "document_id, paragraph_no",
    "rejects": "reject_id",
    "files": "root, uri, file_id",
    "loads": "commit_no",
    "runs": "run_id",
    "translations": "text_id, source_language, target_language, engine, engine_version",
}
# Each returns what does not hold: the number of rows, with the words in front of it.
INVARIANTS = {
    "documents whose text is not the concatenation of its segments": """
        SELECT count(*) FROM documents WHERE segment_count <> len(segment_places) OR strlen(text) <> coalesce(
            list_sum(list_transform(segment_places, lambda place: place.byte_count + place.separator_count)), 0
        ) OR len(list_filter(
            range(1, segment_count),
            lambda n: segment_places[n].byte_start + segment_places[n].byte_count + segment_places[n].separator_count
                IS DISTINCT FROM segment_places[n + 1].byte_start
        )) > 0 OR segment_places[1].byte_start <> 0""",
    "documents whose text is not that of their text_id": """
        SELECT count(*) FROM documents WHERE text_id <> left(sha256(text), 32)""",
    "uris with more than one current content": """
        SELECT count(*) FROM (
            SELECT root, uri FROM files WHERE is_current GROUP BY ALL HAVING count(*) > 1)""",
    "documents of a content that no file row has": """
        SELECT count(*) FROM documents WHERE file_id NOT IN (SELECT file_id FROM files WHERE file_id IS NOT NULL)
        AND ordinal = 0 AND file_id NOT IN (SELECT unnest($pending::VARCHAR[]))""",
    "translations that no commit brought": "SELECT count(*) FROM translations ANTI JOIN loads USING (batch_id)",
    "commits whose run has no row": "SELECT count(*) FROM loads ANTI JOIN runs USING (run_id)",
    "dates that claim more than their precision": """
        SELECT count(*) FROM documents WHERE (published_on IS NULL) <> (published_precision IS NULL)
        OR (published_precision = 'month' AND day(published_on) <> 1)
        OR (published_precision = 'year' AND dayofyear(published_on) <> 1)""",
}


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked, in numbers, and what does not hold, one line each."""

    checked: dict[str, int]
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether everything that was checked holds."""
        return not self.problems


def verify(
    home: Home, book: ledger.Ledger, *, deep: bool = False, on_part: Callable[[int, int], None] | None = None
) -> Report:
    """Check everything; the caller holds the run lock, so that nothing moves meanwhile."""
    commits = ledger.commits_above(book, 0)
    problems = [*ledger.chain_problems(book), *(ledger.storage_problems(book) if deep else ())]
    if not mirror.is_current(home, ledger.marks(book)):
        problems.append(f"ledger: {home.tombstones.name} is not what the tombstones are; run `newsmill forget`")
    balance = ledger.conservation(book)
    if not balance.holds:
        problems.append(
            f"ledger: {balance.discovered} paths were discovered, but the states add up otherwise: {balance}"
        )
    # Each once: a compaction holds the rows of many commits, and the same batch committed twice gives the same file.
    named = list({(part.kind, part.name): part for commit in commits for part in commit.parts}.values())
    damaged = 0
    for done, part in enumerate(named, start=1):
        if trouble := parts.problem(home, part):
            damaged += 1
            problems.append(f"part {part.kind}/{part.name} {trouble}")
        if on_part is not None:
            on_part(done, len(named))
    problems.extend(_stray_problems(home, book))
    newest = snapshots.newest(home)
    if newest is not None:
        try:
            problems.extend(forget.traces(home, book))
            problems.extend(_snapshot_problems(home, book, newest, commits))
            if deep:
                problems.extend(
                    f"search: {path.name} cannot be read to its end; run `newsmill index`"
                    for path in search.damaged(home)
                )
            if deep:
                # A publish removes old ones.
                with lock(home.lock("loader")):
                    problems.extend(_altered_snapshots(home, book, snapshots.newest(home) or newest))
            if deep and not damaged and _is_of_this_version(newest):
                # Under the loader lock: a publish sweeps what it takes for the remains of a killed build.
                with lock(home.lock("loader")):
                    problems.extend(_rebuilt_differs(home, book, newest))
        except DamagedError as error:
            problems.append(str(error))
    elif commits:
        problems.append("snapshot: none is published, though the ledger has commits; run `newsmill publish`")
    checked = {
        "commits": len(commits),
        "parts": len(named),
        "paths": balance.discovered,
        "pending": balance.pending,
        "deferred": balance.deferred,
    }
    return Report(checked, problems)


def _stray_problems(home: Home, book: ledger.Ledger) -> Iterator[str]:
    for stray in strays(home, book, lake_files(home), ledger.namings(book)):
        if stray.is_unexplained:
            names = " and ".join(f"{kind}/{name}" for kind, name in sorted(stray.files))
            yield (
                f"ledger: it knows nothing of {len(stray.contents)} contents that {names} hold; put the newest ledger "
                "back from a backup, ingest their raw files again, else run `newsmill rebuild --ledger`"
            )


def _is_of_this_version(path: Path) -> bool:
    return snapshots.about(path).tables_fingerprint == ddl.fingerprint(ddl.table_statements())


def _snapshot_problems(home: Home, book: ledger.Ledger, path: Path, commits: list[Commit]) -> Iterator[str]:
    if not home.warehouse.is_symlink() or home.warehouse.resolve() != path.resolve():
        yield f"snapshot: {home.warehouse} does not point at the newest snapshot {path.name}; run `newsmill publish`"
    if not _is_of_this_version(path):
        yield f"snapshot: {path.name} was published by another version of newsmill; run `newsmill publish`"
        return
    with snapshots.opened(path) as database:
        about = snapshots.about_open(database, path)
        held = dict(database.execute("SELECT commit_no, commit_hash FROM loads").fetchall())
        for commit in commits:
            if held.get(commit.commit_no) != commit.commit_hash:
                yield f"snapshot: {path.name} lacks commit {commit.commit_no}; run `newsmill publish`"
        for number in sorted(held.keys() - {commit.commit_no for commit in commits}):
            yield f"snapshot: {path.name} holds commit {number}, which the ledger does not have"
        if commits and about.commit_no != commits[-1].commit_no:
            return  # the counts below are those of the last commit
        yield from _count_problems(book, database)
        yield from _invariant_problems(book, database)
        yield from _derived_problems(database)


def _altered_snapshots(home: Home, book: ledger.Ledger, newest: Path) -> Iterator[str]:
    """Every snapshot whose bytes are not those that were published; nothing is known of those of an older newsmill."""
    known = ledger.snapshot_sums(book)
    for path in snapshots.altered(home, known):
        yield f"snapshot: {path.name} was altered: its sha256 is not the ledger's; run `newsmill rebuild`"
    # It is noted before it gets its name: no kill leaves the one without the other.
    if known and newest.name not in known:
        yield f"ledger: it does not know the snapshot {newest.name}, so that nothing proves it; run `newsmill rebuild`"


def _count_problems(book: ledger.Ledger, database: duckdb.DuckDBPyConnection) -> Iterator[str]:
    for table, wanted_rows in ledger.row_counts(book).items():
        (rows,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[misc]  # noqa: S608
        if rows != wanted_rows:
            yield f"snapshot: {table} has {rows} rows, the ledger says {wanted_rows}"
    expected = ledger.batch_counts(book)
    for table, query in PER_BATCH.items():
        found = dict(database.execute(query).fetchall())
        wanted = {batch: counts[table] for batch, counts in expected.items() if counts[table]}
        for batch in sorted(found.keys() | wanted.keys()):
            if found.get(batch, 0) != wanted.get(batch, 0):
                yield (
                    f"snapshot: {table} has {found.get(batch, 0)} rows of batch {batch}, "
                    f"the parts have {wanted.get(batch, 0)}"
                )


def _derived_problems(database: duckdb.DuckDBPyConnection) -> Iterator[str]:
    if count := standing.wrong_count(database):
        yield (
            f"snapshot: copy_count or is_distinct of {count} documents is not what documents and files say; "
            "run `newsmill rebuild`"
        )


def _invariant_problems(book: ledger.Ledger, database: duckdb.DuckDBPyConnection) -> Iterator[str]:
    for table, key in UNIQUE.items():
        (double,) = database.execute(  # type: ignore[misc]  # a count always has its row
            f"SELECT count(*) FROM (SELECT {key} FROM {table} GROUP BY ALL HAVING count(*) > 1)"  # noqa: S608
        ).fetchone()
        if double:
            yield f"snapshot: {table} has {double} keys ({key}) more than once"
    pending = {"pending": ledger.unfinished_contents(book)}
    for words, query in INVARIANTS.items():
        (count,) = database.execute(  # type: ignore[misc]  # a count always has its row
            query, pending if "$pending" in query else None
        ).fetchone()
        if count:
            yield f"snapshot: {count} {words}"


def table_hashes(path: Path) -> dict[str, tuple[int, int]]:
    """Rows and an order-free hash over every column of each public table of a snapshot."""
    hashes = {}
    with snapshots.opened(path) as database:
        for table in TABLES:
            row = database.execute(
                f"SELECT count(*), coalesce(bit_xor(hash({table})), 0) FROM {table}"  # noqa: S608 - a name of ours
            ).fetchone()
            assert row is not None
            hashes[table] = (row[0], row[1])
    return hashes


def _rebuilt_differs(home: Home, book: ledger.Ledger, path: Path) -> Iterator[str]:
    with temporary_file(home.versions) as target:
        loader.build(home, book, target)
        rebuilt = table_hashes(target)
    for table, found in table_hashes(path).items():
        if found != rebuilt[table]:
            yield (
                f"snapshot: {table} differs from the parts ({found[0]} rows, rebuilt {rebuilt[table][0]}); "
                "run `newsmill rebuild`"
            )
