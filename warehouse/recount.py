"""From what stands besides a lost ledger to the commits that it must have had: pure, nothing is read or written.

Belongs here: numbers of commits, what stands in each, what each path is.  Does not belong here: which batches count
(``survivors``), reading what stands there (``remains``), writing the account (``ledger``), files (``rebuild``).

Commits that the snapshot knows keep number, time and run.  What only parts know is appended as commits of the rebuild.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from warehouse.ledger import Account, Commitment
from warehouse.records import PartReceipt, short_hash
from warehouse.remains import HeldSpan, Lake, Pair, Told
from warehouse.survivors import KEY, accepted, alive, chosen, whole
from warehouse.vocabulary import CommitKind, FileStatus, Reason, Stage

LATER = 1 << 62


@dataclass(frozen=True, slots=True)
class By:
    """Whose commits the appended ones are."""

    run_id: str
    committed_at: int
    pipeline_version: str
    settings_fingerprint: str


@dataclass(slots=True)
class Recounted:
    """The account, and in numbers what it is made of; ``unnamed`` are the parts that no commit of it names."""

    account: Account
    known_batches: int = 0
    added_batches: int = 0
    unread_again: int = 0
    unnamed: list[str] = field(default_factory=list)
    forgotten: int = 0


class _Writer:
    """The commits while they are put together."""

    def __init__(self, told: Told, lake: Lake, stones: Sequence[Mapping[str, Any]], by: By) -> None:
        self.told, self.lake, self.by = told, lake, by
        runs = {run["run_id"]: run for run in told.runs}
        self.commits = [
            Commitment(
                commit_no=load["commit_no"], kind=CommitKind(load["kind"]), run_id=load["run_id"],
                committed_at=load["committed_at"], batch_id=load["batch_id"],
                pipeline_version=runs[load["run_id"]]["pipeline_version"],
                settings_fingerprint=runs[load["run_id"]]["settings_fingerprint"],
            )
            for load in told.loads
        ]  # fmt: skip
        self.known = {commit.batch_id: commit.commit_no for commit in self.commits if commit.batch_id is not None}
        self.stones = self._numbered([dict(stone) for stone in stones])
        last_at = max((commit.committed_at for commit in self.commits), default=0)
        added = accepted(lake.pairs, self.known, self.stones, last_at)
        # Where they stand follows from their order; the numbers are given as they are appended.
        self.order = {**self.known, **{batch: LATER // 2 + place for place, batch in enumerate(added)}}
        self.added = added
        self.pairs = chosen(lake.pairs, self.order, self.stones)
        self.holders: dict[str, int] = {}

    def _append(self, kind: CommitKind, batch_id: str | None = None) -> Commitment:
        by = self.by
        commit = Commitment(
            commit_no=len(self.commits) + 1, kind=kind, run_id=by.run_id, committed_at=by.committed_at,
            batch_id=batch_id, pipeline_version=by.pipeline_version, settings_fingerprint=by.settings_fingerprint,
        )  # fmt: skip
        self.commits.append(commit)
        return commit

    def _numbered(self, stones: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Tombstones and lifts under numbers that are theirs: those above the snapshot are committed anew.

        What was let in again comes before the batches that are appended, what was not comes behind all.
        """
        ours = {commit.commit_no for commit in self.commits if commit.kind is CommitKind.TOMBSTONES}
        early = [s for s in stones if s["commit_no"] not in ours and s["lifted_by"] is not None]
        if early:
            number = self._append(CommitKind.TOMBSTONES).commit_no
            for stone in early:
                stone["commit_no"] = number
        lifts = [s for s in stones if s["lifted_by"] is not None and (s["lifted_by"] not in ours or s in early)]
        if lifts:
            number = self._append(CommitKind.TOMBSTONES).commit_no
            for stone in lifts:
                stone["lifted_by"] = number
        for stone in stones:
            if stone["commit_no"] not in ours and stone["lifted_by"] is None:
                stone["commit_no"] = LATER
        return stones

    def number(self) -> dict[KEY, int | None]:
        """Give every batch, compaction and tombstone its number; for each span, which commit retired it."""
        life = self._life()
        waiting = self._slotted(life)
        for batch in self.added:
            due = [pair for pair in waiting if any(life[held.key] == self.order[batch] for held in pair.spans)]
            self._place(due, waiting)
            self.order[batch] = self._append(CommitKind.BATCH, batch).commit_no
            life = self._life()
        self._place(list(waiting), waiting)
        if any(stone["commit_no"] == LATER for stone in self.stones):
            number = self._append(CommitKind.TOMBSTONES).commit_no
            for stone in self.stones:
                stone["commit_no"] = number if stone["commit_no"] == LATER else stone["commit_no"]
        return self._life()

    def _life(self) -> dict[KEY, int | None]:
        spans = ((self.order[held.batch_id], held) for pair in self.pairs for held in pair.spans)
        return alive(spans, self.stones)

    def _place(self, pairs: Iterable[Pair], waiting: list[Pair]) -> None:
        for pair in pairs:
            self.holders[pair.name] = self._append(CommitKind.COMPACTION).commit_no
            waiting.remove(pair)

    def _slotted(self, life: Mapping[KEY, int | None]) -> list[Pair]:
        """Give merged pairs the numbers of compactions; returns those that must be appended.

        A compaction came after all that it holds, and before whatever retired some of that.
        """
        merged = [pair for pair in self.pairs if pair.is_merged]
        bounds = {
            pair.name: (
                max(self.order[batch] for batch in pair.batches),
                min((by for held in pair.spans if (by := life[held.key]) is not None), default=LATER),
            )
            for pair in merged
        }
        free = sorted(merged, key=lambda pair: bounds[pair.name][1])
        for commit in [commit for commit in self.commits if commit.kind is CommitKind.COMPACTION]:
            fits = [pair for pair in free if bounds[pair.name][0] < commit.commit_no < bounds[pair.name][1]]
            for pair in fits[:1]:
                self.holders[pair.name] = commit.commit_no
                free.remove(pair)
        # What had to come before a commit that is known, and found no place there, cannot be told.
        lost = [pair for pair in free if bounds[pair.name][1] <= len(self.commits)]
        self.pairs = [pair for pair in self.pairs if pair not in lost]
        return [pair for pair in free if pair not in lost]

    def fill(self, life: Mapping[KEY, int | None]) -> None:
        """Parts and spans into the commits."""
        loose = {pair.name: pair.parts for pair in self.lake.pairs if not pair.is_merged}
        for pair in self.pairs:
            if pair.is_merged:
                self.commits[self.holders[pair.name] - 1].parts = pair.parts
            for held in pair.spans:
                commit = self.commits[self.order[held.batch_id] - 1]
                commit.pipeline_version = held.pipeline_version
                commit.spans.append((held.span, life[held.key]))
            for batch in pair.batches:
                commit = self.commits[self.order[batch] - 1]
                commit.parts = loose.get(batch) or _replaced(batch, commit)
                commit.replaced_by = self.holders.get(pair.name)

    def strand(self, stranded: Sequence[HeldSpan]) -> None:
        """Retire what stands behind a hole: the file is read again from there."""
        if not stranded:
            return
        number = self._append(CommitKind.SIGHTINGS).commit_no
        gone = {held.key for held in stranded}
        for commit in self.commits:
            commit.spans = [
                (span, number if (commit.batch_id, span.file_id, span.first_ordinal) in gone else by)
                for span, by in commit.spans
            ]


def _replaced(batch: str, commit: Commitment) -> tuple[PartReceipt, ...]:
    """Parts that a compaction replaced and the cleaner removed: what they were called is not known any more."""
    counts = {"documents": sum(span.document_count for span, _ in commit.spans), "files": len(commit.spans)}
    return tuple(
        PartReceipt(kind=kind, name=f"{batch}-{'0' * 16}.parquet", sha256="0" * 64, size_bytes=0, row_count=count)
        for kind, count in counts.items()
    )


def recount(
    told: Told,
    lake: Lake,
    stones: Sequence[Mapping[str, Any]],
    by: By,
    roots_of: Callable[[HeldSpan], Sequence[str]],
) -> Recounted:
    """The account of a ledger out of snapshot, lake and tombstones; ``roots_of`` says where a file of a part lies."""
    writer = _Writer(told, lake, stones, by)
    life = writer.number()
    writer.fill(life)
    live = [held for pair in writer.pairs for held in pair.spans if life[held.key] is None]
    finished, stranded = whole(live)
    writer.strand(stranded)
    sightings = _told_sightings(told, writer, finished)
    _added_sightings(told, writer, finished, live, roots_of)
    named = {part.name for pair in writer.pairs for part in pair.parts}
    return Recounted(
        account=Account(writer.commits, told.runs, writer.stones, _paths(writer.commits)),
        known_batches=len({batch for pair in writer.pairs for batch in pair.batches} & writer.known.keys()),
        added_batches=len(writer.added),
        unread_again=len(told.files) - sightings,
        unnamed=sorted(part.name for pair in lake.pairs for part in pair.parts if part.name not in named),
        forgotten=len({stone["file_id"] for stone in writer.stones if stone["lifted_by"] is None}),
    )


def _told_sightings(told: Told, writer: _Writer, finished: set[str]) -> int:
    """Sightings that the snapshot knows, of contents that are there; returns how many."""
    numbers = {(commit.run_id, commit.committed_at): commit for commit in reversed(writer.commits)}
    seen: set[tuple[str, str]] = set()
    count = 0
    for row in told.files:
        if row["file_id"] is not None and row["file_id"] not in finished:
            continue
        count += 1
        reject = told.rejects.get(short_hash(f"{row['root']}\n{row['uri']}"), {}) if row["file_id"] is None else {}
        is_deferred = row["status"] == FileStatus.DEFERRED
        numbers[row["run_id"], row["seen_at"]].sightings.append(
            {
                "sighting_no": row["sighting_no"], "location": row["root"], "uri": row["uri"], "source": row["source"],
                "file_id": row["file_id"], "status": row["status"], "reason": row["reason"],
                "stage": Stage.READ.value if is_deferred else reject.get("stage"), "detail": reject.get("detail"),
                "size_bytes": row["size_bytes"], "modified_ns": row["modified_at"] * 1000,
                "is_revisit": (row["root"], row["uri"]) in seen,
            }
        )  # fmt: skip
        seen.add((row["root"], row["uri"]))
    return count


def _added_sightings(
    told: Told,
    writer: _Writer,
    finished: set[str],
    live: Sequence[HeldSpan],
    roots_of: Callable[[HeldSpan], Sequence[str]],
) -> None:
    """Of a content that no snapshot has seen anywhere, the place that its part names."""
    sighted = {row["file_id"] for row in told.files}
    seen = {(row["root"], row["uri"]) for row in told.files}
    number = max((row["sighting_no"] for row in told.files), default=0)
    with_documents = {held.span.file_id for held in live if held.span.document_count}
    for held in sorted(live, key=lambda held: (writer.order[held.batch_id], held.source, held.uri)):
        span = held.span
        if not span.is_last or span.file_id not in finished or span.file_id in sighted:
            continue
        sighted.add(span.file_id)
        status = FileStatus.INGESTED if span.file_id in with_documents else FileStatus.REJECTED
        for root in roots_of(held):
            number += 1
            writer.commits[writer.order[held.batch_id] - 1].sightings.append(
                {
                    "sighting_no": number, "location": root, "uri": held.uri, "source": held.source,
                    "file_id": span.file_id, "status": status.value, "reason": None, "stage": None, "detail": None,
                    "size_bytes": held.size_bytes, "modified_ns": 0, "is_revisit": (root, held.uri) in seen,
                }
            )  # fmt: skip
            seen.add((root, held.uri))
            status = FileStatus.DUPLICATE


def _paths(commits: Sequence[Commitment]) -> dict[tuple[str, str], tuple[str, str, str | None, int]]:
    """The state of every path, by its newest sighting."""
    found: dict[tuple[str, str], tuple[str, str, str | None, int]] = {}
    for row in sorted((row for commit in commits for row in commit.sightings), key=lambda row: int(row["sighting_no"])):
        state = "deferred" if row["status"] == FileStatus.DEFERRED else "settled"
        found[row["location"], row["uri"]] = (row["source"], state, row["file_id"], row["modified_ns"])
    return found


def forgotten_paths(told: Told) -> list[str]:
    """The uris that the snapshot says were refused because their bytes were forgotten."""
    return sorted({row["uri"] for row in told.files if row["reason"] == Reason.FORGOTTEN})
