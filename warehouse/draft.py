"""A draft: the database that becomes the next snapshot, open for more commits until it is finished.

Belongs here: making or copying the file, applying commits to it, the order of its rows, what it says of itself.  Does
not belong here: what one commit does to the rows (``apply``), the shape of the tables (``schema``, ``ddl``), who may
make a draft and what becomes of it (``loader``).
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import duckdb
import pyarrow as pa

from warehouse import ddl, ledger, memory, snapshots
from warehouse.ahead import ahead
from warehouse.apply import ROW_GROUP_ROWS, Store, apply, insert
from warehouse.durable import copy_file, rename_durably, uninterrupted
from warehouse.errors import DamagedError, TransientError
from warehouse.gathering import BESIDE_WORK, VECTOR, Enough, Gathered
from warehouse.layout import Home
from warehouse.schema import TABLES, quoted
from warehouse.standing import Touched, settle

# What DuckDB may hold while it applies commits one by one and compares documents.  It holds 80 MB for a batch already,
# in the first blocks of all columns, and with no more than that puts some of them beside the file in the smallest run;
# with more than these a large warehouse would take more than a small one: to build 500,000 documents took 45 s of CPU
# and 408 MB with 256 MB, 49 s and 261 MB with these, 55 s and 242 MB with 64 MB.
MEMORY = 96_000_000

# What it may hold while it puts all documents in order: a sort of whole texts cannot do with less.  Also where a
# comparison finds the other too little.
ORDER_MEMORY = 1_000_000_000

# What of it may be texts of 4 KB and more.  To store a vector DuckDB holds all of those at once, in blocks that may be
# half empty; and to store the last row group anew those that it had.  66 MB of texts of 100 KB went well, 82 did not.
TEXT_MEMORY = 64_000_000

# From how many documents on their order is worth a copy: fewer are read whole in a few milliseconds.
ORDERED_FROM = 2 * ROW_GROUP_ROWS


# A commit that finds no room is told as a failed transaction.
OUT_OF_ROOM = (duckdb.OutOfMemoryException, duckdb.TransactionException)


class Draft:
    """A database at ``target``: a copy of the snapshot ``base``, empty without one; brought on commit by commit.

    Rows are held back until there are ``enough``.  ``last`` is the number and the hash of the newest commit in it,
    ``commits`` how many were applied, ``seconds`` how long all of it took so far.  For one thread at a time.
    ``TransientError`` where the disk or the memory do not do.
    """

    def __init__(
        self, home: Home, book: ledger.Ledger, target: Path, *, base: Path | None, enough: Enough = BESIDE_WORK
    ) -> None:
        started = time.monotonic()
        self.home, self.book, self.target, self.is_new = home, book, target, base is None
        self.commits, self.seconds = 0, 0.0
        self._touched = Touched(with_texts=not self.is_new)
        self._tables = ddl.table_statements()
        target.unlink()
        if base is not None:
            target.touch()
            copy_file(base, target)
            target.chmod(0o600)
        # What does not fit into memory goes beside the file, not into the folder that the command was given in.
        # One thread: several would each hold the texts they work on, beside the workers that hold theirs.
        self._database = duckdb.connect(config={"threads": 1, "temp_directory": f"{target}.tmp", **ddl.STORAGE})
        allow(self._database, MEMORY)
        self._memory, self._widest = MEMORY, 0
        self._enough, self._gathered = enough, Gathered(enough, self._make_room)
        self._store = Store(self._database)
        try:
            with self._at_work(started):
                self._known = self._opened()
        except BaseException:
            self.close()
            raise
        self.last = (self._known.commit_no, self._known.commit_hash)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; what was not finished is worth nothing."""
        self._database.close()

    @contextlib.contextmanager
    def _at_work(self, started: float) -> Iterator[None]:
        try:
            yield
        except (*OUT_OF_ROOM, duckdb.IOException, duckdb.FatalException) as error:
            raise TransientError(
                f"the snapshot could not be built ({str(error).splitlines()[0]}); what is committed is safe, "
                "run `newsmill publish` when that is mended"
            ) from error
        finally:
            self.seconds += time.monotonic() - started

    def _opened(self) -> snapshots.About:
        with uninterrupted():
            _attach(self._database, self.target)
            if self.is_new:
                _create(self._database, self._tables)
                self._database.execute("INSERT INTO about VALUES (?, '', 0, '')", [ddl.fingerprint(self._tables)])
            # Three bytes a character: an alphabet's has one, a Chinese one has three.
            ((self._widest,),) = self._database.execute(
                "SELECT coalesce(3 * max(chars), 0)::BIGINT"
                " FROM (SELECT sum(char_count) AS chars FROM documents GROUP BY rowid // ?)",
                [VECTOR],
            ).fetchall()
            self._make_room(0)
            return snapshots.about_open(self._database, self.target)

    def take(self, on_commit: Callable[[int, int], None] | None = None) -> None:
        """Apply every commit that the ledger has by now; ``on_commit(done, of)`` reports, and may end it by raising."""
        with self._at_work(time.monotonic()):
            pending = ledger.commits_above(self.book, self.last[0])
            with ahead(self.home, self.book, pending, is_alone=self._enough.is_alone) as incoming:
                for done, (commit, brought) in enumerate(zip(pending, incoming, strict=True), start=1):
                    with uninterrupted():
                        apply(self._database, brought, self._touched, self._gathered, self._store)
                        self.last = (commit.commit_no, commit.commit_hash)
                        self.commits += 1
                    if self._gathered.is_enough:
                        self._release()
                    if on_commit is not None:
                        on_commit(done, len(pending))

    def _make_room(self, vector_bytes: int) -> None:
        """Let DuckDB hold a vector of documents that are long, with one of those that are there."""
        needed = room(self._widest + vector_bytes)
        if needed > self._memory:
            self._memory = needed
            allow(self._database, needed)

    def _release(self) -> None:
        """Insert what was held back; a signal is heard between two pieces, and the draft is lost to it."""
        memory.trim()
        try:
            for table, rows in self._gathered.released():
                with uninterrupted():
                    self._store(table, rows)
        except BaseException:
            self.close()
            raise

    def finish(self, *, is_ordered: bool = False) -> None:
        """Make it a whole database and close it; with ``is_ordered`` all documents are put in order.

        Raises ``DamagedError`` where the file would need its log.
        """
        views = ddl.view_statements()
        is_ordered &= sum(counts["documents"] for counts in ledger.batch_counts(self.book).values()) >= ORDERED_FROM
        ordered = self.target.with_name(f"{self.target.name}.ordered")
        try:
            with self._at_work(time.monotonic()):
                self._release()
                with uninterrupted():
                    self._settle()
                    if is_ordered:
                        put_in_order(self._database, self.target, ordered, self._tables, self._memory)
                    is_same = self._known.views_fingerprint == ddl.fingerprint(views) and not is_ordered
                    _finish(self._database, self.book, self.last, () if is_same else views, views)
                    self.close()
            if is_ordered:
                _check_whole(ordered)
                rename_durably(ordered, self.target)
            _check_whole(self.target)
        finally:
            ordered.unlink(missing_ok=True)

    def _settle(self) -> None:
        try:
            settle(self._database, self._touched, is_new=self.is_new)
        except OUT_OF_ROOM:
            # Not everything that compares can go on with less than it wants: better more than never.
            allow(self._database, max(ORDER_MEMORY, self._memory))
            settle(self._database, self._touched, is_new=self.is_new)
            allow(self._database, self._memory)


def room(vector_bytes: int) -> int:
    """How many bytes DuckDB may hold where so many lie in one vector."""
    return MEMORY + max(0, 2 * vector_bytes - TEXT_MEMORY)


def allow(database: duckdb.DuckDBPyConnection, nbytes: int) -> None:
    """Let DuckDB hold so many bytes, but never more than left to itself it would: four fifths of the machine or cgroup.

    Where that does not do, a commit finds no room and says so; with more the system would kill the process.
    """
    database.execute("RESET memory_limit")
    ((most,),) = database.execute("SELECT current_setting('memory_limit')").fetchall()
    database.execute(f"SET memory_limit = '{min(nbytes, memory.of_setting(most))}B'")


def _check_whole(target: Path) -> None:
    log = target.with_name(target.name + ".wal")
    if log.exists():
        log.unlink()
        raise DamagedError(f"{target} was not checkpointed; nothing was published, run `newsmill publish` again")


def _attach(database: duckdb.DuckDBPyConnection, target: Path) -> None:
    # Nobody opens the file before it is checkpointed, closed and renamed: a log of it would be written for nothing.
    # Small row groups, because the last one is written anew by every checkpoint, and threads share work by them.
    database.execute(
        f"ATTACH {quoted(str(target))} AS warehouse"
        f" (STORAGE_VERSION 'v1.5.0', RECOVERY_MODE no_wal_writes, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
    )
    database.execute("USE warehouse")


def _create(database: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> None:
    database.execute("BEGIN")  # one for all: each alone would be flushed alone
    for statement in tables:
        database.execute(statement)
    database.execute("COMMIT")


def put_in_order(
    database: duckdb.DuckDBPyConnection, source: Path, target: Path, tables: Sequence[str], held: int
) -> None:
    """Copy the tables into a new file, where documents stand in the order of most questions, and use that one.

    Commits come in the order of time, each in an order of its own; then a question about one month or language must
    unpack nearly every text.  Texts that are too large for the memory of a sort stay in the order of time.
    """
    database.execute("CHECKPOINT")
    database.execute("USE memory")
    database.execute("DETACH warehouse")
    database.execute(f"ATTACH {quoted(str(source))} AS unordered (READ_ONLY)")
    _attach(database, target)
    _create(database, tables)
    lengths = database.execute("SELECT char_count FROM unordered.documents ORDER BY char_count DESC LIMIT ?", [VECTOR])
    longest = 3 * sum(length for (length,) in lengths.fetchall())
    allow(database, max(ORDER_MEMORY, room(longest)))
    try:
        for table in ("about", *TABLES):
            order = "ORDER BY language, published_on, document_id" if table == "documents" else ""
            database.execute(f"INSERT INTO {table} BY NAME SELECT * FROM unordered.{table} {order}")  # noqa: S608
    except OUT_OF_ROOM:
        database.execute("RESET memory_limit; USE memory")
        database.execute("DETACH warehouse")
        copy_file(source, target)
        _attach(database, target)
    database.execute("DETACH unordered")
    allow(database, held)


def _write_runs(database: duckdb.DuckDBPyConnection, book: ledger.Ledger, commit_no: int) -> None:
    rows = [
        {
            "run_id": run.run_id,
            "flow": run.flow,
            "orchestrator": run.orchestrator,
            "status": run.status,
            "started_at": run.started_at,
            "finished_at": run.finished_at,
            "counts": json.dumps(run.counts, sort_keys=True),
            "timings": json.dumps(run.timings, sort_keys=True),
            "versions": json.dumps(run.versions, sort_keys=True),
            "pipeline_version": run.pipeline_version,
            "settings_fingerprint": run.settings_fingerprint,
        }
        for run in ledger.runs_up_to(book, commit_no)
    ]
    database.execute("DELETE FROM runs")
    insert(database, "runs", pa.Table.from_pylist(rows, schema=TABLES["runs"]))


def _finish(
    database: duckdb.DuckDBPyConnection,
    book: ledger.Ledger,
    last: tuple[int, str],
    new_views: Sequence[str],
    views: list[str],
) -> None:
    """What follows the last commit: runs, views where they are new, what the file says of itself."""
    database.execute("BEGIN")
    _write_runs(database, book, last[0])
    for statement in new_views:
        database.execute(statement)
    database.execute(
        "UPDATE about SET commit_no = ?, commit_hash = ?, views_fingerprint = ?", [*last, ddl.fingerprint(views)]
    )
    database.execute("COMMIT")
    database.execute("CHECKPOINT")
