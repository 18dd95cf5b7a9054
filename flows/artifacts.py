"""What a flow run leaves for the eyes of an operator: its name, a summary, tables.

Belongs here: composing them, what of the snapshot they show, and the same without it.  Does not belong here: when they
are sent (``flows.report``) and taken back (``flows.retention``), events (``flows.events``).

Prefect's user interface renders Markdown in summaries and in every cell of a table, so all that was written outside
is escaped.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flows.escape import markdown
from flows.settings import Settings
from flows.summary import PATHS, Outcome, headline, remarks
from warehouse import queries

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

# One query: opening a snapshot costs more than what is asked.
_SEEN = """
    WITH refused AS (
        SELECT count(*) AS rejects, stage, reason,
            CASE WHEN $most > 0 THEN min(uri) END AS example,
            CASE WHEN $most > 0 THEN arg_min(detail, uri) END AS detail
        FROM rejects WHERE run_id = $run GROUP BY stage, reason
    ), titled AS (
        SELECT title, language, published_on FROM documents
        WHERE title IS NOT NULL AND batch_id IN (SELECT batch_id FROM loads WHERE run_id = $run)
        ORDER BY document_id LIMIT $most
    )
    SELECT
        (SELECT list(refused ORDER BY rejects DESC, stage, reason) FROM refused) AS rejects,
        (SELECT list(titled) FROM titled) AS titles,
        {
            'files': (SELECT count(*) FROM files),
            'documents': (SELECT count(*) FROM documents),
            'paragraphs': (SELECT coalesce(sum(paragraph_count), 0)::BIGINT FROM documents),
            'segments': (SELECT coalesce(sum(segment_count), 0)::BIGINT FROM documents),
            'rejects': (SELECT count(*) FROM rejects)
        } AS tables
"""
# The keys of the two that show texts from outside.
SHOWING = SUMMARY, REJECTS = ("newsmill-summary", "newsmill-rejects")
_NEW = "Among the new documents:"
_MADE = ("documents", "segments", "record_rejects")
_WORDS = {
    **PATHS,
    "documents": "documents",
    "segments": "segments",
    "record_rejects": "rejects, of whole files and of records",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the snapshot says of a run, and how many rows its tables have now."""

    rejects: Sequence[Mapping[str, Any]] = ()
    titles: Sequence[Mapping[str, Any]] = ()
    tables: Mapping[str, int] | None = None


def look(settings: Settings, outcome: Outcome) -> Seen:
    """Ask the snapshot that the run has published; nothing where it has published none."""
    if outcome.published is None:
        return Seen()

    (found,) = queries.rows(
        settings.layout,
        _SEEN,
        {"run": outcome.run_id, "most": settings.shown_examples},
        is_ledger_elsewhere=settings.ledger_url is not None,
    )
    return Seen(rejects=found["rejects"] or (), titles=found["titles"] or (), tables=found["tables"])


def run_name(outcome: Outcome) -> str:
    """The counts that matter, as the name of a flow run.

    >>> run_name(Outcome("r", counts={"ingested": 3, "documents": 40, "rejected": 1, "unchanged": 9}))
    '3 ingested, 1 rejected, 40 documents'
    >>> run_name(Outcome("r", counts={"unchanged": 9})), run_name(Outcome("r"))
    ('nothing new, 9 unchanged', 'no files')
    """
    counts = outcome.counts
    shown = [name for name in (*PATHS, "documents") if counts.get(name) and name not in ("unchanged", "ignored")]
    if shown:
        return ", ".join(f"{counts[name]} {name}" for name in shown)
    return f"nothing new, {counts['unchanged']} unchanged" if counts.get("unchanged") else "no files"


def counts_table(outcome: Outcome) -> list[dict[str, Any]]:
    """A row a count, in the order in which a person asks."""
    counts = outcome.counts
    return [{"count": counts[name], "what": _WORDS[name]} for name in (*PATHS, *_MADE) if counts.get(name)]


def rejects_table(seen: Seen) -> list[dict[str, Any]]:
    """A row a stage and reason, with one example."""
    return [
        {
            "rejects": row["rejects"],
            "stage": row["stage"],
            "reason": markdown(row["reason"]),
            "for example": markdown(row["example"] or ""),
            "detail": markdown(row["detail"] or ""),
        }
        for row in seen.rejects
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["", *("| " + " | ".join(map(str, line)) + " |" for line in lines)]


def summary(outcome: Outcome, seen: Seen) -> str:
    """A page in Markdown: what happened, what failed, what is in the warehouse now."""
    lines = [f"**{markdown(headline(outcome), 1000)}**", ""]
    lines += [f"- failed: {markdown(failure, 1000)}" for failure in outcome.failures]
    lines += [f"- {sentence}" for sentence in remarks(outcome)]
    lines += _table(["count", "what"], [[row["count"], row["what"]] for row in counts_table(outcome)])
    if seen.titles:
        lines += ["", _NEW]
        rows = [[markdown(row["title"]), row["language"], row["published_on"] or ""] for row in seen.titles]
        lines += _table(["title", "language", "published"], rows)
    if seen.tables:
        lines += ["", "In the warehouse now:"]
        lines += _table(["table", "rows"], [[name, f"{rows:,}"] for name, rows in seen.tables.items()])
    lines += _table(["stage", "seconds"], [[name, f"{took:.2f}"] for name, took in outcome.timings.items()])
    return "\n".join(lines) + "\n"


def without_examples(key: str, data: str) -> str:
    """A summary or a table of rejects without the texts that were written outside: no titles, no names, no details."""
    if key == REJECTS:
        rows = [{**row, "for example": "", "detail": ""} for row in json.loads(data)]
        return json.dumps(rows, ensure_ascii=False)
    lines = data.split("\n")
    # What is shown of a text is one line and has no blank line in it, so that nothing inside can look like the end.
    while key == SUMMARY and _NEW in lines:
        begin = lines.index(_NEW)
        end = next((at for at in range(begin + 2, len(lines)) if not lines[at].startswith("|")), len(lines))
        del lines[begin - 1 : end]
    return "\n".join(lines)


def rewrite(client: "SyncPrefectClient", artifact_id: UUID, data: str) -> None:
    """Change what an artifact holds, without the event that Prefect's own method sends with it."""
    path = {"id": artifact_id}
    client.request("PATCH", "/artifacts/{id}", path_params=path, json={"data": data}).raise_for_status()


def page(title: str, rows: Mapping[str, object]) -> str:
    """A page in Markdown of one sentence and a few facts, none of them from outside."""
    return "\n".join([f"**{title}**", *_table(["what", ""], list(rows.items()))]) + "\n"
