"""Strays: whole pairs of parts that no commit names and that hold contents which no commit holds.

Belongs here: finding them, and telling what a killed run left from what the ledger has lost.  Does not belong here:
what is done about them (``clean``, ``verify``), taking them in (``rebuild``).

A run writes into the ledger that it begins, then which files it will read, then its parts.  So a pair of whose contents
the ledger knows nothing was left by a run that came to no end, and whose files went or changed since; or the ledger is
older than the parts.  Where no such run can have written it, it is the latter.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from warehouse import ledger
from warehouse.layout import Home
from warehouse.ledger import Ledger, Naming
from warehouse.listing import LakeFile
from warehouse.remains import Pair, lake


@dataclass(frozen=True, slots=True)
class Stray:
    """One pair; ``contents`` are those that it alone holds, without those that were forgotten.

    ``is_unexplained`` says that no run that the ledger knows can have left it.
    """

    pair: Pair
    contents: frozenset[str]
    is_unexplained: bool

    @property
    def files(self) -> frozenset[tuple[str, str]]:
        """Kind and name of both parts."""
        return frozenset((part.kind, part.name) for part in self.pair.parts)


def strays(home: Home, book: Ledger, files: Iterable[LakeFile], named: Iterable[Naming]) -> list[Stray]:
    """The strays among these files, of which ``named`` are the ledger's; only what it does not name is read."""
    known = {(naming.part.kind, naming.part.name) for naming in named}
    pairs = lake(home, [file for file in files if (file.kind, file.name) not in known]).pairs
    every = {held.span.file_id for pair in pairs for held in pair.spans}
    if not every:
        return []
    alone = every - ledger.finished_contents(book, every) - ledger.refused(book, every)
    unknown = alone - ledger.stamped_contents(book, alone)
    found = []
    for pair in pairs:
        contents = frozenset(held.span.file_id for held in pair.spans) & alone
        if contents:
            is_unexplained = not contents.isdisjoint(unknown) and not ledger.explains(book, pair.modified_at)
            found.append(Stray(pair, contents, is_unexplained))
    return found
