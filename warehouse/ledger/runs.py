"""Runs: one row for each execution of a flow.

Belongs here: begin, end, saying of a run that died that it did, and asking.  Does not belong here: what it committed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from warehouse.clock import now_us
from warehouse.ledger.store import Ledger
from warehouse.ledger.tables import COMMITS, RUNS
from warehouse.vocabulary import RunStatus

# The flow that makes a ledger anew.
REBUILD = "rebuild"
# Microseconds by which the times of a file system may be behind the clock.
_TICK = 10_000


def start_run(
    ledger: Ledger,
    *,
    run_id: str,
    flow: str,
    orchestrator: str,
    pipeline_version: str,
    settings_fingerprint: str,
    versions: Mapping[str, str],
) -> None:
    """Record that a run begins."""
    with ledger.writing() as connection:
        connection.execute(
            RUNS.insert().values(
                run_id=run_id,
                flow=flow,
                orchestrator=orchestrator,
                status=RunStatus.RUNNING,
                started_at=now_us(),
                pipeline_version=pipeline_version,
                settings_fingerprint=settings_fingerprint,
                versions=json.dumps(versions, sort_keys=True),
                counts="{}",
                timings="{}",
            )
        )


def finish_run(
    ledger: Ledger,
    run_id: str,
    status: RunStatus,
    *,
    counts: Mapping[str, int],
    timings: Mapping[str, float],
    error: str | None = None,
) -> None:
    """Record how a run ended; ``timings`` in seconds."""
    with ledger.writing() as connection:
        connection.execute(
            RUNS.update()
            .where(RUNS.c.run_id == run_id)
            .values(
                status=status,
                finished_at=now_us(),
                counts=json.dumps(counts, sort_keys=True),
                timings=json.dumps({name: round(seconds, 3) for name, seconds in timings.items()}, sort_keys=True),
                error=error,
            )
        )


def mark_crashed(ledger: Ledger) -> int:
    """Say of every run that still claims to be running that it died; only whoever holds the run lock knows that."""
    with ledger.writing() as connection:
        found = connection.execute(
            sa.update(RUNS)
            .where(RUNS.c.status == RunStatus.RUNNING)
            .values(status=RunStatus.CRASHED, error="the process ended without a word")
        )
    return found.rowcount


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as the ledger knows it."""

    run_id: str
    flow: str
    orchestrator: str
    status: str
    started_at: int
    finished_at: int | None
    counts: dict[str, int]
    timings: dict[str, float]
    versions: dict[str, str]
    pipeline_version: str
    settings_fingerprint: str
    error: str | None


def _run_row(row: Any) -> RunRow:
    return RunRow(
        row.run_id, row.flow, row.orchestrator, row.status, row.started_at, row.finished_at, json.loads(row.counts),
        json.loads(row.timings), json.loads(row.versions), row.pipeline_version, row.settings_fingerprint, row.error,
    )  # fmt: skip


def recent_runs(ledger: Ledger, limit: int) -> list[RunRow]:
    """The newest runs first."""
    query = sa.select(RUNS).order_by(RUNS.c.started_at.desc(), RUNS.c.run_id).limit(limit)
    with ledger.reading() as connection:
        return [_run_row(row) for row in connection.execute(query)]


def runs_up_to(ledger: Ledger, commit_no: int) -> list[RunRow]:
    """Every run that made one of the commits up to a number."""
    made = sa.select(COMMITS.c.run_id).where(COMMITS.c.commit_no <= commit_no)
    with ledger.reading() as connection:
        query = sa.select(RUNS).where(RUNS.c.run_id.in_(made)).order_by(RUNS.c.started_at, RUNS.c.run_id)
        return [_run_row(row) for row in connection.execute(query)]


def explains(ledger: Ledger, moment: int) -> bool:
    """Whether parts that were written at a moment (microseconds) and that no commit names need no other explanation.

    A run that died or failed may have left them; whoever made the ledger anew later has looked at them.
    """
    rebuilt = sa.select(sa.exists().where(RUNS.c.flow == REBUILD, RUNS.c.started_at > moment))
    with ledger.reading() as connection:
        if connection.scalar(rebuilt):
            return True
        for until in (moment, moment + _TICK):
            before = sa.select(RUNS.c.status, RUNS.c.finished_at).where(RUNS.c.started_at <= until)
            run = connection.execute(before.order_by(RUNS.c.started_at.desc(), RUNS.c.run_id).limit(1)).first()
            if run and run.status != RunStatus.COMPLETED and (run.finished_at is None or run.finished_at >= moment):
                return True
    return False
