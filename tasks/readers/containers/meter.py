"""How much came out of a container, against how much went in.

Belongs here: the two caps on unpacking.  Does not belong here: unpacking.
"""

from dataclasses import dataclass

from tasks.readers.options import ReadOptions
from warehouse.errors import Refusal
from warehouse.vocabulary import Reason, Stage

# A ratio of little says nothing: the first bytes of many texts are alike.
FREE = 10_000_000


@dataclass(slots=True)
class Meter:
    """Counts unpacked bytes; raises ``Refusal`` when they are too many."""

    options: ReadOptions
    packed: int = 0
    unpacked: int = 0

    def count(self, size: int) -> None:
        """So many bytes more came out."""
        self.unpacked += size
        most, ratio = self.options.max_unpacked_bytes, self.options.max_ratio
        if self.unpacked > most:
            raise Refusal(
                Stage.READ, Reason.UNPACKS_TOO_LARGE, f"unpacks to more than {most} bytes; max_unpacked_bytes is {most}"
            )
        if self.unpacked > FREE and self.unpacked > ratio * max(self.packed, 1):
            detail = f"{self.packed} bytes unpack to {self.unpacked} and more; max_ratio is {ratio}"
            raise Refusal(Stage.READ, Reason.RATIO, detail)
