"""The rows of a commit, wherever they are now: in its own parts, or among others' in a merged one.

Belongs here: finding a batch's rows in a part.  Does not belong here: which parts those are (``ledger``), reading
bytes (``parts``), or what becomes of the rows (``projection``).
"""

import itertools

import numpy as np
import pyarrow as pa

from warehouse import parts
from warehouse.layout import Home
from warehouse.records import Commit, PartReceipt


class ByBatch:
    """The rows of a part by batch, found once: a part that took over others' rows may hold thousands of batches."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        encoded = table["batch_id"].combine_chunks().dictionary_encode()
        numbers = np.asarray(encoded.indices)
        # Stable: the rows of a batch keep their order.
        self.order = np.argsort(numbers, kind="stable")
        bounds = np.searchsorted(numbers[self.order], np.arange(len(encoded.dictionary) + 1)).tolist()
        self.places = dict(zip(encoded.dictionary.to_pylist(), itertools.pairwise(bounds), strict=True))

    def rows(self, batch: str) -> pa.Table:
        """The rows of one batch; none where all of them were left out."""
        first, last = self.places.get(batch, (0, 0))
        return self.table.take(pa.array(self.order[first:last]))


class HeldRows:
    """The parts of commits as tables; a merged part is read once for the commits that follow each other."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.parts: tuple[PartReceipt, ...] = ()
        self.held: dict[str, ByBatch] = {}

    def of(self, commit: Commit) -> dict[str, pa.Table]:
        """By kind of part, the rows of the commit's batch."""
        if not commit.is_moved:
            # In one piece from the start: whoever needs it so later would hold both.
            return {part.kind: parts.read(self.home, part).combine_chunks() for part in commit.parts}
        if commit.parts != self.parts:
            # Let go of the last before reading the next: each may be as large as memory is meant to hold.
            self.parts, self.held = (), {}
            self.held = {part.kind: ByBatch(parts.read(self.home, part)) for part in commit.parts}
            self.parts = commit.parts
        assert commit.batch_id is not None
        return {kind: held.rows(commit.batch_id) for kind, held in self.held.items()}
