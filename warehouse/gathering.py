"""Rows of several commits, held back until there are enough: documents are then stored in the order of most questions.

Belongs here: holding rows back and handing them out in order.  Does not belong here: which rows those are
(``projection``), when they must stand in the database whatever their order (``apply``, ``draft``).

DuckDB unpacks texts by the vector of 2,048 rows.  Where files come in no order every batch has rows of every month and
language, and a question about one of them unpacks all texts; of ten batches that are in order together it unpacks
those of a few vectors (docs/decisions/0017).
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# What a table takes besides its values: of a commit with one document six tables of 4 KB took 97 KB.
TABLE_BYTES = 16 << 10
# Rows of one of DuckDB's vectors.
VECTOR = 2_048
# Rows that are handed out at once.
SLICE = VECTOR
_ORDER = [("language", "ascending"), ("published_on", "ascending"), ("document_id", "ascending")]


@dataclass(frozen=True, slots=True)
class Enough:
    """How many documents, or bytes of rows, are worth being put in order, or too much to hold.

    ``is_alone`` where nobody else needs the machine's memory and cores.
    """

    documents: int
    nbytes: int
    is_alone: bool = False


# Two of DuckDB's row groups, or as many as weigh this much, since memory holds them beside workers that hold theirs.
BESIDE_WORK = Enough(32_768, 40 << 20)
# Where nobody works beside: half a million short articles, or 70,000 of 3 KB.
ALONE = Enough(524_288, 256 << 20, is_alone=True)


class _Vector:
    """How many bytes the last documents have that may come to lie in one vector."""

    def __init__(self) -> None:
        self._sizes: deque[tuple[int, int]] = deque()
        self._rows = self.nbytes = 0

    def add(self, rows: int, nbytes: int) -> None:
        """These follow."""
        self._sizes.append((rows, nbytes))
        self._rows, self.nbytes = self._rows + rows, self.nbytes + nbytes
        while self._rows - self._sizes[0][0] >= VECTOR:
            rows, nbytes = self._sizes.popleft()
            self._rows, self.nbytes = self._rows - rows, self.nbytes - nbytes


class Gathered:
    """Rows on their way into a database, by table.

    They come out with the name of their table: documents at most 2,048 at once, which are in order one after the other,
    each within itself as it comes, or a batch that is alone; the rows of another table as they came.  ``on_vector`` is
    told before how many bytes may lie in one vector with them.
    """

    def __init__(self, enough: Enough = BESIDE_WORK, on_vector: Callable[[int], None] | None = None) -> None:
        self._enough, self._on_vector, self._vector = enough, on_vector, _Vector()
        self._tables: dict[str, list[pa.Table]] = {}
        self._documents, self._bytes = 0, 0

    def add(self, table: str, rows: pa.Table) -> None:
        """Hold rows of a table back."""
        self._tables.setdefault(table, []).append(rows)
        self._documents += rows.num_rows if table == "documents" else 0
        self._bytes += rows.nbytes + TABLE_BYTES

    @property
    def is_enough(self) -> bool:
        """Whether what is held is worth being put in order, or too much to hold."""
        return self._documents >= self._enough.documents or self._bytes >= self._enough.nbytes

    def released(self) -> Iterator[tuple[str, pa.Table]]:
        """All that is held, which from now on is the caller's."""
        held, self._tables = self._tables, {}
        self._documents, self._bytes = 0, 0
        documents = held.pop("documents", [])
        for table in list(held):
            yield table, pa.concat_tables(held.pop(table))
        # A part is in order.
        for rows in documents if len(documents) == 1 else _in_order(documents):
            self._vector.add(rows.num_rows, rows.nbytes)
            if self._on_vector is not None:
                self._on_vector(self._vector.nbytes)
            yield "documents", rows


def _in_order(tables: list[pa.Table]) -> Iterator[pa.Table]:
    if not tables:
        return
    # A vector is unpacked whole: the order within it gains nothing, and takes one more copy of all rows.
    keys = pa.concat_tables([table.select([name for name, _ in _ORDER]) for table in tables])
    order = np.asarray(pc.sort_indices(keys, sort_keys=_ORDER)).astype(np.int64)
    firsts = np.cumsum([0, *(table.num_rows for table in tables)])
    for start in range(0, len(order), SLICE):
        rows = np.sort(order[start : start + SLICE])
        bounds = np.searchsorted(rows, firsts)
        yield pa.concat_tables(
            [
                table.take(pa.array(rows[begin:end] - first))
                for table, first, (begin, end) in zip(tables, firsts[:-1], itertools.pairwise(bounds), strict=True)
                if begin < end
            ]
        )
