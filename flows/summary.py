"""What a run did, and how it is told to a person.

Belongs here: counts, the sentences about them, and the next command to try.  Does not belong here: doing anything
(``flows.run``), colours and tables (``flows.cli.render``).
"""

from dataclasses import dataclass, field

from warehouse.errors import TransientError
from warehouse.records import Receipt
from warehouse.vocabulary import DeferReason

# In the order in which a person asks.
PATHS = {
    "ingested": "became documents",
    "duplicate": "duplicates of known content",
    "rejected": "rejected, with a reason",
    "deferred": "deferred, tried again at the next run",
    "pending": "pending, their batch failed",
    "unchanged": "unchanged",
    "ignored": "ignored: hidden or still being written",
    "gone": "gone before they could be read",
    "would_read": "would be read",
}


# What of deferred files a person has to look after.
HINDRANCES = {
    DeferReason.STALLED: "put off because a worker stood still: look whether a disk or the machine hangs.",
    DeferReason.KILLED: "put off because a worker was killed: look for the end of memory in the system's log.",
}


class Progress:
    """Where a run reports to; this one is silent."""

    def waiting(self) -> None:
        """Another run holds the home."""

    def step(self, name: str, done: int, total: int | None) -> None:
        """``done`` of ``total`` files or commits of a step are dealt with; None while the total is unknown."""

    def committed(self, receipt: Receipt, commit_no: int) -> None:
        """A batch, or a cut of one, is in the ledger; ``commit_no`` is 0 where it was there already."""

    def published(self, commit_no: int) -> None:
        """Every commit up to this one can be queried."""


@dataclass(slots=True)
class Outcome:
    """What a run did: paths and documents by outcome, seconds a stage, what went wrong."""

    run_id: str
    is_dry: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    published: str | None = None

    def count(self, name: str, more: int = 1) -> None:
        """Add to one count; a count of nothing is not kept."""
        if more:
            self.counts[name] = self.counts.get(name, 0) + more

    @property
    def is_news(self) -> bool:
        """Whether anything was committed."""
        return self.published is not None


class RunFailed(TransientError):
    """A run that ended with failed batches; what it did do is in ``outcome``."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(headline(outcome))
        self.outcome = outcome

    @classmethod
    def check(cls, outcome: Outcome) -> Outcome:
        """The outcome, unless batches failed: an orchestrator takes only an exception for a failure."""
        if outcome.failures:
            raise cls(outcome)
        return outcome


def headline(outcome: Outcome) -> str:
    """The one sentence that says what happened.

    >>> headline(Outcome("r", counts={"unchanged": 3}))
    'Nothing new: 3 files are unchanged.'
    >>> headline(Outcome("r", counts={"ingested": 2, "documents": 2, "segments": 55}, published="x"))
    '2 files became 2 documents with 55 segments.'
    """
    counts = outcome.counts
    if outcome.is_dry:
        return f"Dry run: {_files(counts.get('would_read', 0))} would be read; nothing was written."
    if outcome.failures:
        return f"Failed in part: {outcome.failures[0]}"
    if not any(counts.get(name) for name in ("ingested", "documents")):
        settled = {name: counts[name] for name in ("duplicate", "rejected", "deferred") if counts.get(name)}
        if outcome.is_news and settled:
            return "No new documents: " + ", ".join(f"{n} {name}" for name, n in settled.items()) + "."
        unchanged = counts.get("unchanged", 0)
        if unchanged:
            return f"Nothing new: {_files(unchanged)} {'is' if unchanged == 1 else 'are'} unchanged."
        return "Nothing to do: no files were found." if not settled else "Nothing new."
    documents, segments = counts.get("documents", 0), counts.get("segments", 0)
    return (
        f"{_files(counts.get('ingested', 0))} became {documents} document{'s' * (documents != 1)} "
        f"with {segments} segment{'s' * (segments != 1)}."
    )


def remarks(outcome: Outcome) -> list[str]:
    """What the counts of files do not tell, a sentence each.

    >>> remarks(Outcome("r", counts={"ingested": 1, "documents": 3, "record_rejects": 2, "replaced": 7}))
    ['2 records were refused, each with a reason.', '7 documents of before were replaced or went.']
    >>> remarks(Outcome("r", counts={"deferred": 1}, reasons={"stalled": 1}))
    ['1 file was put off because a worker stood still: look whether a disk or the machine hangs.']
    """
    counts = outcome.counts
    refused = counts.get("record_rejects", 0)
    told = [f"{refused} record{'s were' if refused != 1 else ' was'} refused, each with a reason."] if refused else []
    if replaced := counts.get("replaced", 0):
        verb = "were" if replaced != 1 else "was"
        told.append(f"{replaced} document{'s' * (replaced != 1)} of before {verb} replaced or went.")
    for reason, words in HINDRANCES.items():
        if files := outcome.reasons.get(reason, 0):
            told.append(f"{_files(files)} {'were' if files != 1 else 'was'} {words}")
    return told


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"


# In the order of the work; the first five are those of batches, whose seconds add up over all workers.
STAGES = {
    "read": "reading and unpacking",
    "normalise": "decoding and repairing",
    "detect": "detecting languages",
    "segment": "paragraphs and segments",
    "write": "writing parts",
    "discover": "looking for what is new",
    "hash": "hashing what is new",
    "commit": "committing",
    "publish": "loading and publishing",
}
BATCH_STAGES = 5


def profile(outcome: Outcome) -> list[dict[str, object]]:
    """Where the time of a run went: a row a stage with its seconds, share, and microseconds a document.

    >>> made = Outcome("r", counts={"documents": 2}, timings={"detect": 0.003, "publish": 0.001})
    >>> for row in profile(made):
    ...     print(*row.values())
    detecting languages batches 0.003 75 % 1500
    loading and publishing the run 0.001 25 % 500
    """
    documents, every = outcome.counts.get("documents", 0), sum(outcome.timings.values()) or 1.0
    return [
        {
            "stage": words,
            "of": "batches" if number < BATCH_STAGES else "the run",
            "seconds": round(outcome.timings[stage], 3),
            "share": f"{100 * outcome.timings[stage] / every:.0f} %",
            "µs a document": round(1e6 * outcome.timings[stage] / documents) if documents else None,
        }
        for number, (stage, words) in enumerate(STAGES.items())
        if stage in outcome.timings
    ]


def next_command(outcome: Outcome) -> str:
    """What a person would want to do now."""
    if outcome.is_dry:
        return "newsmill ingest PATH"
    if outcome.failures:
        return "newsmill status"
    if (outcome.counts.get("rejected") or outcome.counts.get("record_rejects")) and outcome.is_news:
        return "newsmill rejects"
    if outcome.counts.get("deferred"):
        return "newsmill status"
    return 'newsmill sql "SELECT language, count(*) AS documents FROM documents GROUP BY ALL"'
