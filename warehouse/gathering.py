"""Documents of several commits, held back until enough are there to be stored in the order of most questions.

Belongs here: holding rows back and handing them out in order.  Does not belong here: which rows those are
(``projection``), when they must stand in the database whatever their order (``apply``, ``draft``).

DuckDB unpacks texts by the vector of 2,048 rows.  Where files come in no order every batch has rows of every month and
language, and a question about one of them unpacks all texts; of ten batches that are in order together it unpacks
those of a few vectors (docs/decisions/0017).
"""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# What is put in order at once: two of DuckDB's row groups, or as many rows as weigh this much, since memory holds them.
ROWS = 32_768
BYTES = 40 << 20
# Rows that are handed out at once.
SLICE = 2_048
_ORDER = [("language", "ascending"), ("published_on", "ascending"), ("document_id", "ascending")]


class Gathered:
    """Rows of ``documents`` on their way into a database.

    ``insert`` is called with tables of at most 2,048 rows that are in order one after the other, each within itself as
    it comes; or with a batch that is alone.
    """

    def __init__(self, insert: Callable[[pa.Table], None]) -> None:
        self._insert = insert
        self._tables: list[pa.Table] = []
        self._rows, self._bytes = 0, 0

    def add(self, rows: pa.Table) -> None:
        """Hold rows back."""
        self._tables.append(rows)
        self._rows += rows.num_rows
        self._bytes += rows.nbytes

    @property
    def is_enough(self) -> bool:
        """Whether what is held is worth being put in order, or too much to hold."""
        return self._rows >= ROWS or self._bytes >= BYTES

    def release(self) -> None:
        """Hand out all that is held."""
        tables, self._tables = self._tables, []
        self._rows, self._bytes = 0, 0
        if len(tables) == 1:  # a part is in order
            self._insert(tables[0])
        elif tables:
            for rows in _in_order(tables):
                self._insert(rows)


def _in_order(tables: list[pa.Table]) -> Iterator[pa.Table]:
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
