"""The ledger: the transactional record of files, commits, parts and runs.

Belongs here: SQLAlchemy and Alembic, and nothing else in the project imports them.  Does not belong here: Parquet
(``parts``), DuckDB (``loader``), or deciding what to read (``tasks``).

A commit is the acknowledgement: what it names exists for readers, anything else on disk does not.
"""

from warehouse.ledger.account import (
    Conservation,
    batch_counts,
    conservation,
    replaced_documents,
    row_counts,
    unfinished_contents,
)
from warehouse.ledger.commits import GONE, append
from warehouse.ledger.compactions import Holder, Naming, compact, holders, live_spans, namings
from warehouse.ledger.deferrals import Deferral, deferrals, has_put_off
from warehouse.ledger.published import note_snapshot, snapshot_sums
from warehouse.ledger.queries import (
    Known,
    LoadRows,
    Place,
    Remembered,
    commits_above,
    contents,
    file_ids_like,
    finished_contents,
    held_contents,
    known_files,
    known_roots,
    last_commit,
    load_rows,
    places,
    remembered,
    sighted,
    stale_contents,
)
from warehouse.ledger.rebuilt import Account, Commitment, trouble, write
from warehouse.ledger.runs import (
    REBUILD,
    RunRow,
    explains,
    finish_run,
    mark_crashed,
    recent_runs,
    runs_up_to,
    start_run,
)
from warehouse.ledger.stamps import mark_pending, restamp, stamped_contents
from warehouse.ledger.store import Ledger, check_beside, new_ledger, nothing_yet, open_ledger
from warehouse.ledger.tombstones import (
    Tombstone,
    commits_with,
    contents_of,
    forget,
    lift,
    mark_erased,
    marks,
    record_counts,
    refused,
    tombstones,
    unerased,
)
from warehouse.ledger.tombstones import detail as forgotten_detail
from warehouse.ledger.verification import chain_problems, storage_problems

__all__ = [
    "GONE",
    "REBUILD",
    "Account",
    "Commitment",
    "Conservation",
    "Deferral",
    "Holder",
    "Known",
    "Ledger",
    "LoadRows",
    "Naming",
    "Place",
    "Remembered",
    "RunRow",
    "Tombstone",
    "append",
    "batch_counts",
    "chain_problems",
    "check_beside",
    "commits_above",
    "commits_with",
    "compact",
    "conservation",
    "contents",
    "contents_of",
    "deferrals",
    "explains",
    "file_ids_like",
    "finish_run",
    "finished_contents",
    "forget",
    "forgotten_detail",
    "has_put_off",
    "held_contents",
    "holders",
    "known_files",
    "known_roots",
    "last_commit",
    "lift",
    "live_spans",
    "load_rows",
    "mark_crashed",
    "mark_erased",
    "mark_pending",
    "marks",
    "namings",
    "new_ledger",
    "note_snapshot",
    "nothing_yet",
    "open_ledger",
    "places",
    "recent_runs",
    "record_counts",
    "refused",
    "remembered",
    "replaced_documents",
    "restamp",
    "row_counts",
    "runs_up_to",
    "sighted",
    "snapshot_sums",
    "stale_contents",
    "stamped_contents",
    "start_run",
    "storage_problems",
    "tombstones",
    "trouble",
    "unerased",
    "unfinished_contents",
    "write",
]
