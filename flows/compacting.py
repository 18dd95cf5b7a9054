"""What keeps a home small: compaction and the removal of what no commit needs.

Belongs here: the order of plan, merge, publish and removal, under the run lock, and what it leaves in the ledger.
Does not belong here: the work (``warehouse.compact``, ``warehouse.clean``), showing it (``flows.cli``).
"""

import time
from dataclasses import dataclass

from flows import run
from flows.recorded import recorded
from flows.settings import Settings
from flows.summary import Progress
from tasks import version
from warehouse import clean, ledger, loader
from warehouse import compact as merging
from warehouse.clean import Verdict
from warehouse.clock import now_us
from warehouse.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Weight:
    """The parts that count: how many files, and their bytes."""

    parts: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did, or with ``is_dry`` would do; ``after`` is None where that is not known beforehand."""

    is_dry: bool
    replaced: int
    made: int
    before: Weight
    after: Weight | None
    verdict: Verdict
    published: str | None
    seconds: float


def _weigh(book: Ledger) -> Weight:
    found = {(part.kind, part.name): part.size_bytes for holder in ledger.holders(book) for part in holder.parts}
    return Weight(len(found), sum(found.values()))


def _options(settings: Settings) -> merging.CompactOptions:
    return merging.CompactOptions(level=settings.compact_level)


def _before(settings: Settings) -> int:
    return now_us() - int(settings.compact_grace_seconds * 1_000_000)


def _merge(settings: Settings, book: Ledger, progress: Progress) -> tuple[int, int]:
    """Merge until nothing is worth merging; how many commits gave their parts, and how many took them."""
    home, options = settings.layout, _options(settings)
    groups = merging.plan(merging.candidates(home, book), options)
    counts = {"replaced": 0, "made": 0}
    if not groups:
        return 0, 0
    with recorded(settings, book, "compact", counts) as run_id:
        while groups:
            due = counts["made"] + len(groups)
            for group in groups:
                progress.step("compact", counts["made"], due)
                counts["replaced"] += merging.merge(
                    home,
                    book,
                    run_id,
                    group,
                    options,
                    pipeline_version=version.pipeline_version(),
                    settings_fingerprint=settings.fingerprint(),
                )
                counts["made"] += 1
            progress.step("compact", counts["made"], due)
            # What came out smaller than it was may fit with its neighbour now.
            groups = merging.plan(merging.candidates(home, book), options)
    return counts["replaced"], counts["made"]


def compact(settings: Settings, *, progress: Progress | None = None) -> Compacted:
    """Merge what is worth it, publish, and remove what has waited long enough; waits while a run holds the home."""
    progress, started = progress or Progress(), time.monotonic()
    # A home that was never used is told of, not begun by taking its lock.
    ledger.open_ledger(settings.layout, settings.ledger_url).close()
    with run.exclusive(settings, progress, create=False) as book:
        before = _weigh(book)
        replaced, made = _merge(settings, book, progress)
        done = loader.publish(
            settings.layout, book, is_ordered=True, on_commit=lambda number, of: progress.step("publish", number, of)
        )
        verdict = clean.clean(settings.layout, book, _before(settings))
        return Compacted(
            is_dry=False,
            replaced=replaced,
            made=made,
            before=before,
            after=_weigh(book),
            verdict=verdict,
            published=str(done.path) if done.path else None,
            seconds=time.monotonic() - started,
        )


def dry_run(settings: Settings) -> Compacted:
    """What a compaction would do; nothing is written and nobody is waited for."""
    started = time.monotonic()
    with run.opened(settings) as book:
        groups = merging.plan(merging.candidates(settings.layout, book), _options(settings))
        return Compacted(
            is_dry=True,
            replaced=sum(len(group) for group in groups),
            made=len(groups),
            before=_weigh(book),
            after=None,
            verdict=clean.survey(settings.layout, book, _before(settings)),
            published=None,
            seconds=time.monotonic() - started,
        )
