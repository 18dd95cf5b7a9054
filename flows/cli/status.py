"""``newsmill status``.

Belongs here: what is in, what waits, what of ``newsmill up`` runs, how the last runs ended.  Does not belong here:
proofs (``verify``).
"""

from dataclasses import asdict
from typing import Any

from flows.cli.arguments import DEFAULT, Common, Format
from flows.cli.render import as_json, console, table, visible
from warehouse import ledger, queries, snapshots
from warehouse.clock import iso
from warehouse.durable import lock
from warehouse.errors import WarehouseBusy

_TOTALS = """
    SELECT (SELECT count(*) FROM documents) AS documents,
           (SELECT count(*) FROM segments) AS segments,
           (SELECT count(*) FROM rejects) AS rejects,
           (SELECT count(DISTINCT language) FROM documents) AS languages"""
_DEFERRED = "SELECT uri, reason FROM files WHERE status = 'deferred' ORDER BY uri LIMIT 20"


def status(*, format: Format = "table", common: Common = DEFAULT) -> int:  # noqa: A002 - the word that a person types
    """What is in the warehouse, what waits, and how the last runs ended.

    ```
    newsmill status
    newsmill status --format json
    ```
    """
    from flows import run, running

    settings = common.settings
    home = settings.layout
    with run.opened(settings) as book:
        paths = ledger.conservation(book)
        last, _ = ledger.last_commit(book)
        runs = ledger.recent_runs(book, 5)
    newest = snapshots.newest(home)
    totals = queries.rows(home, _TOTALS, is_ledger_elsewhere=True)[0] if newest else {}
    deferred = queries.rows(home, _DEFERRED, is_ledger_elsewhere=True) if newest else []
    published = snapshots.last_published(home)
    try:
        with lock(home.lock("run"), wait=False):
            is_running = False
    except WarehouseBusy:
        is_running = True
    here = running.current(home)
    answer: dict[str, Any] = {
        "home": str(home.path),
        "up": None if here is None else {"pid": here.pid, "address": here.address, "metrics_port": here.metrics_port,
                                         "is_ready": here.is_ready, "services": here.services},
        "paths": asdict(paths),
        "warehouse": totals,
        "snapshot": newest.name if newest else None,
        "last_commit": last,
        "unpublished_commits": last - (published[0] if published else 0),
        "deferred": deferred,
        "is_running": is_running,
        "runs": [
            {"run_id": r.run_id, "flow": r.flow, "by": r.orchestrator, "status": r.status, "started": iso(r.started_at),
             "counts": r.counts, "error": r.error}
            for r in runs
        ],
    }  # fmt: skip
    if format == "json":
        as_json(answer)
        return 0
    out = console()
    out.print(f"home {visible(answer['home'])}, {'an ingest is running' if is_running else 'no ingest is running'}")
    if here is not None:
        out.print(f"newsmill up, process {here.pid}: {here.address}, {running.told(here)}")
    out.print(table([{"paths": n, "": name} for name, n in asdict(paths).items() if n], ["paths", ""]))
    if totals:
        out.print(table([totals], list(totals)))
    out.print(
        f"snapshot {answer['snapshot']}, ledger at commit {last}"
        + (f", {answer['unpublished_commits']} not published yet" if answer["unpublished_commits"] else "")
    )
    for row in deferred:
        out.print(f"deferred: {row['uri']} ({row['reason']})")
    if runs:
        out.print(table(answer["runs"], ["started", "flow", "by", "status", "counts", "error"], title="last runs"))
    return 0
