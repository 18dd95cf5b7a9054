"""The ledger: the transactional record of files, commits, parts and runs.

Belongs here: SQLAlchemy and Alembic, and nothing else in the project imports them.  Does not belong here: Parquet
(``parts``), DuckDB (``loader``), or deciding what to read (``tasks``).

A commit is the acknowledgement: what it names exists for readers, anything else on disk does not.
"""

from warehouse.ledger.account import Conservation, batch_counts, conservation, row_counts, unfinished_contents
from warehouse.ledger.commits import GONE, append
from warehouse.ledger.compactions import Holder, Naming, compact, holders, live_spans, namings
from warehouse.ledger.published import note_snapshot, snapshot_sums
from warehouse.ledger.queries import (
    Known,
    LoadRows,
    Place,
    commits_above,
    contents,
    file_ids_like,
    finished_contents,
    known_files,
    known_roots,
    last_commit,
    load_rows,
    next_ordinals,
    places,
    stale_contents,
)
from warehouse.ledger.runs import RunRow, finish_run, mark_crashed, recent_runs, runs_up_to, start_run
from warehouse.ledger.stamps import mark_pending, restamp
from warehouse.ledger.store import Ledger, check_beside, nothing_yet, open_ledger
from warehouse.ledger.verification import chain_problems

__all__ = [
    "GONE",
    "Conservation",
    "Holder",
    "Known",
    "Ledger",
    "LoadRows",
    "Naming",
    "Place",
    "RunRow",
    "append",
    "batch_counts",
    "chain_problems",
    "check_beside",
    "commits_above",
    "compact",
    "conservation",
    "contents",
    "file_ids_like",
    "finish_run",
    "finished_contents",
    "holders",
    "known_files",
    "known_roots",
    "last_commit",
    "live_spans",
    "load_rows",
    "mark_crashed",
    "mark_pending",
    "namings",
    "next_ordinals",
    "note_snapshot",
    "nothing_yet",
    "open_ledger",
    "places",
    "recent_runs",
    "restamp",
    "row_counts",
    "runs_up_to",
    "snapshot_sums",
    "stale_contents",
    "start_run",
    "unfinished_contents",
]
