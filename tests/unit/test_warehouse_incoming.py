"""Which contents a commit makes current or not: those whose documents and sighting did not come together, and whole."""

from typing import NamedTuple

import pytest

from warehouse.incoming import _touched


class Span(NamedTuple):
    file_id: str
    first_ordinal: int = 0
    is_last: bool = True


class Seen(NamedTuple):
    uri: str
    file_id: str | None


@pytest.mark.parametrize(
    ("live", "sightings", "touched"),
    [
        ([Span("a"), Span("b")], [Seen("1", "a"), Seen("2", "b")], set()),
        # A copy, which may be all that is left of what it is a copy of.
        ([], [Seen("1", "a")], {"a"}),
        ([Span("a")], [Seen("1", "a"), Seen("2", "b"), Seen("3", None)], {"b"}),
        # Read again, and seen in a commit before.
        ([Span("a")], [], {"a"}),
        # A cut file comes in pieces, and is seen with the last.
        ([Span("a", 0, is_last=False)], [], {"a"}),
        ([Span("a", 7)], [Seen("1", "a")], {"a"}),
        ([Span("a"), Span("b", 0, is_last=False)], [Seen("1", "a")], {"b"}),
        ([], [], set()),
    ],
)
def test_what_did_not_come_together_is_looked_at_again(
    live: list[Span], sightings: list[Seen], touched: set[str]
) -> None:
    assert _touched(live, sightings) == touched
