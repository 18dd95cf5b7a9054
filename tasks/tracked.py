"""The stages of an ingest as Prefect tasks: the only module below flows that imports Prefect.

Belongs here: the names of ``tasks.direct`` with tracking, retries and concurrency around them.  Does not belong
here: work of its own.

Prefect sees batch numbers and counts.  Names, paths and texts travel sealed, in this process only: a name from
outside need not be text, and Prefect's API is no place for data.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture

from tasks import direct, plan
from tasks.direct import Failure
from tasks.discover import DiscoverOptions, Search
from tasks.options import BatchOptions
from tasks.pool import Pool
from tasks.roots import Root
from warehouse.draft import Draft
from warehouse.errors import TransientError
from warehouse.layout import Home
from warehouse.ledger import Ledger
from warehouse.loader import Published
from warehouse.records import Batch, Receipt

ORCHESTRATOR = "prefect"


class Sealed:
    """A value that Prefect hands on as it is, instead of looking into it for futures and parameters."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def take(self) -> Any:
        """The value, for whoever waited for it; Prefect holds on to this object until cycles are looked for."""
        value, self.value = self.value, None
        return value

    def __repr__(self) -> str:
        return "Sealed()"


def _may_pass(_task: Any, _run: TaskRun, state: State[Any]) -> bool:
    error = state.result(raise_on_failure=False)
    return isinstance(error, TransientError)


_OPTIONS: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}


@task(name="discover", **_OPTIONS)
def _discover(sealed: Sealed) -> Sealed:
    return Sealed(sealed.value())


class Cutting:
    """A batch that is worked off receipt by receipt; behind an error the next try begins at what is left."""

    def __init__(self, home: Home, batch: Batch, options: BatchOptions, pool: Pool | None) -> None:
        self.home, self.left, self.options, self.pool = home, batch, options, pool
        self.receipts: Iterator[Receipt] | None = None
        self.is_done = False

    def _work(self) -> Callable[[Home, Batch, BatchOptions], Iterator[Receipt]]:
        if self.pool is not None:
            return self.pool.run
        # Imported where it is worked on: with workers this process needs none of it.
        from tasks.ingest_batch import ingest_batch

        return ingest_batch

    def next(self) -> Receipt | None:
        """The next receipt; None where there is no more."""
        if self.receipts is None:
            self.receipts = self._work()(self.home, self.left, self.options)
        try:
            receipt = next(self.receipts, None)
        except Exception:
            self.receipts = None
            raise
        if receipt is not None:
            self.left = plan.remaining(self.left, receipt)
            if receipt.is_last and not self.left.files:
                # Let it come to its end, so that its worker is free.
                next(self.receipts, None)
                self.is_done = True
        return receipt


@task(
    name="ingest-batch",
    task_run_name="batch-{number}-{files}-files",
    retries=2,
    retry_delay_seconds=2,
    retry_condition_fn=_may_pass,
    **_OPTIONS,
)
def _ingest_batch(number: int, files: int, sealed: Sealed) -> Sealed:  # noqa: ARG001 - they name the task run
    return Sealed(sealed.value.next())


@task(name="publish", **_OPTIONS)
def _publish(sealed: Sealed) -> Sealed:
    return Sealed(sealed.value())


def discover(
    book: Ledger,
    roots: Sequence[Root],
    options: DiscoverOptions,
    *,
    reread: bool = False,
    on_file: Callable[[int], None] | None = None,
) -> Search:
    """``direct.discover`` as a task."""
    found: Search = _discover(
        Sealed(lambda: direct.discover(book, roots, options, reread=reread, on_file=on_file))
    ).value
    return found


def process(
    home: Home, batches: Iterable[Batch], options: BatchOptions, pool: Pool | None = None
) -> Iterator[Receipt | Failure]:
    """``direct.process`` with one task a batch, or a cut, on whatever task runner the flow has."""
    waiting: deque[tuple[Batch, Cutting, PrefectFuture[Sealed]]] = deque()
    # Prefect takes its time between two tasks: more wait than can be worked on.
    ahead = 2 * pool.workers if pool is not None else 1
    for batch in batches:
        cutting = Cutting(home, batch, options, pool)
        waiting.append((batch, cutting, _submit(cutting)))
        while len(waiting) > ahead:
            yield from _taken(*waiting.popleft())
    while waiting:
        yield from _taken(*waiting.popleft())


def _submit(cutting: Cutting) -> "PrefectFuture[Sealed]":
    return _ingest_batch.submit(cutting.left.number, len(cutting.left.files), Sealed(cutting))


def _taken(batch: Batch, cutting: Cutting, future: "PrefectFuture[Sealed]") -> Iterator[Receipt | Failure]:
    while True:
        result = future.result(raise_on_failure=False)
        if not isinstance(result, Sealed):
            yield Failure(batch, result)
            return
        receipt = result.take()
        if receipt is None:
            return
        yield receipt
        if cutting.is_done:
            return
        future = _submit(cutting)


def drafted(home: Home, book: Ledger) -> AbstractContextManager[Draft]:
    """``direct.drafted``: Prefect is told when it is published."""
    return direct.drafted(home, book)


def publish(
    home: Home,
    book: Ledger,
    *,
    draft: Draft | None = None,
    on_commit: Callable[[int, int], None] | None = None,
) -> Published:
    """``direct.publish`` as a task."""
    published: Published = _publish(Sealed(lambda: direct.publish(home, book, draft=draft, on_commit=on_commit))).value
    return published
