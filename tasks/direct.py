"""The stages of an ingest without Prefect.

Belongs here: the functions that ``flows.run`` calls, in this process and in order.  Does not belong here: when they
are called; the same names as Prefect tasks stand in ``tasks.tracked``.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING

from tasks.discover import DiscoverOptions, Search
from tasks.options import BatchOptions
from tasks.pool import Pool
from tasks.roots import Root
from warehouse import memory
from warehouse.layout import Home
from warehouse.ledger import Ledger
from warehouse.records import Batch, Receipt

if TYPE_CHECKING:
    from warehouse.draft import Draft
    from warehouse.loader import Published

ORCHESTRATOR = "direct"


@dataclass(frozen=True, slots=True)
class Failure:
    """A batch that raised: its files stay pending, the other batches go on."""

    batch: Batch
    error: Exception


def discover(
    book: Ledger,
    roots: Sequence[Root],
    options: DiscoverOptions,
    *,
    reread: bool = False,
    on_file: Callable[[int], None] | None = None,
) -> Search:
    """What may be new below the roots; it is hashed when the batches are cut."""
    return Search(book, roots, options, reread=reread, on_file=on_file)


def process(
    home: Home, batches: Iterable[Batch], options: BatchOptions, pool: Pool | None = None
) -> Iterator[Receipt | Failure]:
    """The receipts or the failure of each batch, in the order of the batches, as soon as they are there.

    With a pool its workers are kept busy; the batches are asked for as they are needed.
    """
    if pool is None:
        for batch in batches:
            yield from attempt(home, batch, options)
        return
    waiting: deque[SimpleQueue[Receipt | Failure | None]] = deque()
    with ThreadPoolExecutor(pool.workers, thread_name_prefix="batch") as threads:
        for batch in batches:
            waiting.append(SimpleQueue())
            threads.submit(_hand_over, waiting[-1], home, batch, options, pool)
            # One more than can be worked on, so that no worker waits for the next.
            while len(waiting) > pool.workers + 1:
                yield from _taken(waiting.popleft())
        while waiting:
            yield from _taken(waiting.popleft())


def attempt(home: Home, batch: Batch, options: BatchOptions, pool: Pool | None = None) -> Iterator[Receipt | Failure]:
    """The receipts of one batch, or how it failed."""
    try:
        if pool is None:
            # Imported where it is worked on: with workers this process needs none of it.
            from tasks.ingest_batch import ingest_batch

            yield from ingest_batch(home, batch, options)
        else:
            yield from pool.run(home, batch, options)
    except Exception as error:  # noqa: BLE001 - reported by the run, which fails at its end
        yield Failure(batch, error)


def _hand_over(
    results: SimpleQueue[Receipt | Failure | None], home: Home, batch: Batch, options: BatchOptions, pool: Pool
) -> None:
    try:
        for result in attempt(home, batch, options, pool):
            results.put(result)
    finally:
        results.put(None)


def _taken(results: SimpleQueue[Receipt | Failure | None]) -> Iterator[Receipt | Failure]:
    return iter(results.get, None)


def drafted(home: Home, book: Ledger) -> "AbstractContextManager[Draft]":
    """A draft of the next snapshot, for as long as it is held."""
    from warehouse import loader

    memory.give_back()
    return loader.drafted(home, book)


def publish(
    home: Home,
    book: Ledger,
    *,
    draft: "Draft | None" = None,
    on_commit: Callable[[int, int], None] | None = None,
) -> "Published":
    """Publish what is committed, with a draft that has been begun."""
    from warehouse import loader

    memory.give_back()
    if draft is not None:
        return loader.publish_draft(home, book, draft, on_commit=on_commit)
    return loader.publish(home, book, on_commit=on_commit)
