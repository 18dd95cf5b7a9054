"""The stages of an ingest without Prefect.

Belongs here: the functions that ``flows.run`` calls, in this process and in order.  Does not belong here: when they
are called; the same names as Prefect tasks stand in ``tasks.tracked``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tasks import discover as discovery
from tasks.discover import DiscoverOptions, Discovery, Root
from tasks.ingest_batch import BatchOptions, ingest_batch
from warehouse import loader
from warehouse.layout import Home
from warehouse.ledger import Ledger
from warehouse.loader import Published
from warehouse.records import Batch, Receipt

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
    on_hash: Callable[[int, int], None] | None = None,
) -> Discovery:
    """What is new below the roots."""
    return discovery.discover(book, roots, options, reread=reread, on_file=on_file, on_hash=on_hash)


def process(home: Home, batches: Iterable[Batch], options: BatchOptions) -> Iterator[Receipt | Failure]:
    """One receipt or failure a batch, or receipts a cut, in the order of the batches, as soon as each is there."""
    for batch in batches:
        try:
            yield from ingest_batch(home, batch, options)
        except Exception as error:  # noqa: BLE001 - reported by the run, which fails at its end
            yield Failure(batch, error)


def publish(
    home: Home, book: Ledger, *, rebuild: bool = False, on_commit: Callable[[int, int], None] | None = None
) -> Published:
    """Publish what is committed."""
    return loader.publish(home, book, rebuild=rebuild, on_commit=on_commit)
