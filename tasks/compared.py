"""Compared: what of a root is not as the ledger remembers it.

Belongs here: merging a walk with the ledger's rows, which come in the same order.  Does not belong here: walking
(``warehouse.raw_files``), what becomes of a path that differs (``tasks.discover``).

What is unchanged costs nothing here: a block of a walk is compared with as many rows of the ledger in one go, and only
where those differ is it looked at entry by entry.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from warehouse.ledger import Remembered
from warehouse.raw_files import Block, Row, fitting


class Differing(NamedTuple):
    """What of a block is not as it was: ``rows``, and the uris of those of which the ledger knows something.

    ``is_awaited`` says that one of them was waiting to be dealt with.
    """

    block: Block
    rows: list[Row]
    known: list[str]
    is_awaited: bool


class Comparison:
    """One walk against the ledger's rows; when it is over, ``gone`` are the uris that waited and were not met."""

    def __init__(self, blocks: Iterable[Block], pages: Iterator[list[Remembered]]) -> None:
        self._blocks, self._pages = blocks, pages
        self._ahead: list[Remembered] = []
        self._place = 0
        # The last folder that could not be looked into: what lies in it is not gone.
        self._closed: str | None = None
        self.gone: list[str] = []

    def __iter__(self) -> Iterator[Differing]:
        for block in self._blocks:
            end = self._filled(len(block.rows))
            if self._ahead[self._place : end] == block.rows:
                self._place = end
                yield Differing(block, [], [], is_awaited=False)
            elif self._place == len(self._ahead):
                yield Differing(block, block.rows, [], is_awaited=False)
            else:
                yield self._merged(block)
        while (remembered := self._next()) is not None:
            self._miss(remembered)

    def _filled(self, count: int) -> int:
        """Read ahead so many rows, if there are; where they would end."""
        while (end := self._place + count) > len(self._ahead) and (page := next(self._pages, None)) is not None:
            self._ahead, self._place = [*self._ahead[self._place :], *page], 0
        return end

    def _next(self) -> Remembered | None:
        return self._ahead[self._place] if self._filled(1) <= len(self._ahead) else None

    def _merged(self, block: Block) -> Differing:
        rows, known, is_awaited = list[Row](), list[str](), False
        for row in block.rows:
            uri = row[0]
            while (remembered := self._next()) is not None and remembered[0] < uri:
                self._miss(remembered)
            if uri[-1] == "/":
                self._closed = uri
            if remembered is None or remembered[0] != uri:
                rows.append(row)
                continue
            self._place += 1
            if remembered[1:] != row[1:] and remembered[1:] != fitting(*row[1:]):
                rows.append(row)
                known.append(uri)
                is_awaited = is_awaited or remembered[4] is None
        return Differing(block, rows, known, is_awaited)

    def _miss(self, remembered: Remembered) -> None:
        """Pass a path that was not met."""
        self._place += 1
        uri = remembered[0]
        is_hidden = self._closed is not None and (self._closed == "/" or uri.startswith(self._closed))
        if remembered[4] is None and not is_hidden:
            self.gone.append(uri)
