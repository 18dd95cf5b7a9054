"""Compared: whatever blocks and pages there are, what differs and what is gone is what a plain look at both says."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from tasks.compared import Comparison, Differing
from warehouse.ledger import Remembered
from warehouse.raw_files import Block, Row, fitting

NAMES = [f"{folder}{name}.txt" for folder in ("", "a/", "a/b/", "b/") for name in "abcd"]
# Size, and what else a stamp has: equal or not is all that counts.
STAMPS = st.sampled_from([(1, 2, 3, 4), (1, 2, 3, 5), (1, 1 << 64, 3, 4)])
WALKED = st.dictionaries(st.sampled_from(NAMES), STAMPS)
KNOWN = st.dictionaries(st.sampled_from(NAMES), st.tuples(STAMPS, st.booleans()))


def blocks(walked: dict[str, tuple[int, int, int, int]], size: int) -> Iterator[Block]:
    rows: list[Row] = [(uri, *stamp) for uri, stamp in sorted(walked.items())]
    for start in range(0, len(rows), size):
        yield Block(rows[start : start + size], {})


def pages(known: dict[str, tuple[tuple[int, int, int, int], bool]], size: int) -> Iterator[list[Remembered]]:
    rows: list[Remembered] = []
    for uri, (stamp, waits) in sorted(known.items()):
        *held, inode = fitting(*stamp)
        rows.append((uri, held[0], held[1], held[2], None if waits else inode))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


@given(WALKED, KNOWN, st.integers(1, 5), st.integers(1, 5))
def test_it_says_what_differs_whatever_comes_at_once(
    walked: dict[str, tuple[int, int, int, int]],
    known: dict[str, tuple[tuple[int, int, int, int], bool]],
    entries: int,
    rows: int,
) -> None:
    comparison = Comparison(blocks(walked, entries), pages(known, rows))
    found: list[Differing] = list(comparison)
    assert [row for one in found for row in one.block.rows] == [(uri, *walked[uri]) for uri in sorted(walked)]
    differs = [uri for uri in sorted(walked) if known.get(uri) != (walked[uri], False)]
    assert [row[0] for one in found for row in one.rows] == differs
    assert [uri for one in found for uri in one.known] == [uri for uri in differs if uri in known]
    for one in found:
        assert one.is_awaited == any(known[uri][1] for uri in one.known)
    assert comparison.gone == sorted(uri for uri, (_, waits) in known.items() if waits and uri not in walked)


def test_what_lies_in_a_folder_that_is_closed_is_not_gone() -> None:
    closed = Block([("a/", 0, 0, 0, 0)], {"a/": PermissionError()})
    waiting: list[Remembered] = [(uri, 1, 2, 3, None) for uri in ("a.txt", "a/b.txt", "a/c/d.txt", "a0.txt")]
    comparison = Comparison([closed], iter([waiting]))
    assert [one.rows for one in comparison] == [closed.rows]
    assert comparison.gone == ["a.txt", "a0.txt"]


def test_below_a_root_that_is_closed_nothing_is_gone() -> None:
    comparison = Comparison([Block([("/", 0, 0, 0, 0)], {"/": PermissionError()})], iter([[("a.txt", 1, 2, 3, None)]]))
    assert [len(one.rows) for one in comparison] == [1]
    assert comparison.gone == []
