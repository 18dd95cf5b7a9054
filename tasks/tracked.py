"""The stages of an ingest as Prefect tasks: the only module below flows that imports Prefect.

Belongs here: the names of ``tasks.direct`` with tracking, retries and concurrency around them.  Does not belong
here: work of its own.

Prefect sees batch numbers and counts.  Names, paths and texts travel sealed, in this process only: a name from
outside need not be text, and Prefect's API is no place for data.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture

from tasks import direct
from tasks.direct import Failure
from tasks.discover import DiscoverOptions, Root, Search
from tasks.ingest_batch import BatchOptions, ingest_batch
from tasks.pool import Pool
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

    def __repr__(self) -> str:
        return "Sealed()"


def _may_pass(_task: Any, _run: TaskRun, state: State[Any]) -> bool:
    error = state.result(raise_on_failure=False)
    return isinstance(error, TransientError)


_OPTIONS: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}


@task(name="discover", **_OPTIONS)
def _discover(sealed: Sealed) -> Sealed:
    return Sealed(sealed.value())


@task(
    name="ingest-batch",
    task_run_name="batch-{number}-{files}-files",
    retries=2,
    retry_delay_seconds=2,
    retry_condition_fn=_may_pass,
    **_OPTIONS,
)
def _ingest_batch(number: int, files: int, sealed: Sealed) -> Sealed:  # noqa: ARG001 - they name the task run
    home, batch, options, pool = sealed.value
    return Sealed([ingest_batch(home, batch, options)] if pool is None else list(pool.run(home, batch, options)))


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
    """``direct.process`` with one task a batch, on whatever task runner the flow has."""
    waiting: deque[tuple[Batch, PrefectFuture[Sealed]]] = deque()
    # Prefect takes its time between two tasks: more wait than can be worked on.
    ahead = 2 * pool.workers if pool is not None else 1
    for batch in batches:
        sealed = Sealed((home, batch, options, pool))
        waiting.append((batch, _ingest_batch.submit(batch.number, len(batch.files), sealed)))
        while len(waiting) > ahead:
            yield from _taken(*waiting.popleft())
    while waiting:
        yield from _taken(*waiting.popleft())


def _taken(batch: Batch, future: "PrefectFuture[Sealed]") -> Iterator[Receipt | Failure]:
    result = future.result(raise_on_failure=False)
    if isinstance(result, Sealed):
        yield from result.value
    else:
        yield Failure(batch, result)


def publish(
    home: Home, book: Ledger, *, rebuild: bool = False, on_commit: Callable[[int, int], None] | None = None
) -> Published:
    """``direct.publish`` as a task."""
    published: Published = _publish(
        Sealed(lambda: direct.publish(home, book, rebuild=rebuild, on_commit=on_commit))
    ).value
    return published
