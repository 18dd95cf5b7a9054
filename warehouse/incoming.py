"""What a commit brings, as Arrow tables: its rows, and what it changes of those before.

Belongs here: asking the ledger and the parts for it.  Does not belong here: from a part to rows (``projection``), the
database that they come into (``apply``), who asks when (``ahead``).
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from warehouse import ledger
from warehouse.held import HeldRows
from warehouse.projection import (
    LIVE,
    columns,
    content_table,
    document_tables,
    reject_table,
    sighting_rejects,
    sighting_table,
)
from warehouse.records import Commit
from warehouse.schema import TABLES

# Rows by the name of their table, and beside them under names of their own:
#   retired    spans of older commits that this one replaced
#   forgotten  contents that it forgot
#   revisits   paths that were seen before, with the sighting that says what is current there
#   contents   what contents that were read again are now
#   touched    contents that may be current now, or no more
#   texts      those of the documents: kept for long, and a column of theirs would keep all of them
# A table without rows is left out.
Incoming = dict[str, pa.Table]

_SPANS = pa.schema([("file_id", pa.string()), ("first_ordinal", pa.int64()), ("last_ordinal", pa.int64())])
_REVISITS = pa.schema(
    [("root", pa.string()), ("uri", pa.string()), ("file_id", pa.string()), ("newest_no", pa.int64())]
)
CHANGES = frozenset({"retired", "forgotten", "revisits", "contents"})


def _touched(live: Sequence[Any], sightings: Sequence[Any]) -> set[str]:
    """Every content whose documents and sighting did not come together, and whole."""
    seen = set(columns(sightings)["file_id"]) - {None} if sightings else set()
    whole = {span.file_id for span in live if not span.first_ordinal and span.is_last}
    if len(whole) == len(live):
        return seen ^ whole
    return (seen ^ whole) | {span.file_id for span in live if span.file_id not in whole}


def _ids(file_ids: Sequence[str]) -> pa.Table:
    return pa.table({"file_id": pa.array(file_ids, pa.string())})


def _load(commit: Commit, rows: ledger.LoadRows) -> pa.Table:
    of = columns(rows.spans) if rows.spans else {}
    counts = {
        name: sum(of.get(name, ())) for name in ("document_count", "paragraph_count", "segment_count", "reject_count")
    }
    row = {
        "commit_no": commit.commit_no,
        "commit_hash": commit.commit_hash,
        "kind": commit.kind,
        "batch_id": commit.batch_id,
        "run_id": commit.run_id,
        "committed_at": commit.committed_at,
        "file_count": len(rows.sightings),
        **counts,
    }
    return pa.Table.from_pylist([row], schema=TABLES["loads"])


def incoming(book: ledger.Ledger, held: HeldRows, commit: Commit) -> Incoming:
    """What a commit brings, as the ledger has it now: only spans that nothing replaced since have rows.

    Raises ``DamagedError`` where a part is not as it was written.
    """
    rows = ledger.load_rows(book, commit.commit_no)
    sightings = [row for row in rows.sightings if not row.is_void]
    live = [span for span in rows.spans if span.retired_by is None]
    found: Incoming = {"loads": _load(commit, rows)}
    rejects = [sighting_rejects(commit, sightings)]
    if live:
        counting: LIVE = None
        if len(live) < len(rows.spans):
            counting = {(span.file_id, span.first_ordinal): span.last_ordinal for span in live}
        part = held.of(commit)
        found |= document_tables(part["documents"], part["files"], counting)
        if "documents" in found:
            found["texts"] = found["documents"].select(["text_id"])
        rejects.append(reject_table(commit, part["files"], counting))
    found["rejects"] = pa.concat_tables(rejects)
    found["files"] = sighting_table(commit, [s for s in sightings if s.status != ledger.GONE])
    found["retired"] = pa.Table.from_pylist(
        [{name: getattr(span, name) for name in _SPANS.names} for span in rows.retired], schema=_SPANS
    )
    found["forgotten"] = _ids(rows.forgotten)
    found["revisits"] = pa.Table.from_pylist(
        [
            {"root": row.location, "uri": row.uri, "file_id": row.file_id, "newest_no": row.newest_no}
            for row in sightings
            if row.is_revisit
        ],
        schema=_REVISITS,
    )
    if rows.retired:
        changed = {span.file_id for span in (*rows.spans, *rows.retired)}
        found["contents"] = content_table(ledger.contents(book, changed))
    found["touched"] = _ids(sorted(_touched(live, sightings)))
    return {name: table for name, table in found.items() if table.num_rows}
