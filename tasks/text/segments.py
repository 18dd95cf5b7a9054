"""Sentence-like segments of paragraphs, the units of translation.

Belongs here: from ends of sentences to rows.  Does not belong here: where sentences end (``sentences``), nor any
change of the text: segments and what lies between them are the text, byte for byte.
"""

from collections.abc import Sequence
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from tasks.text.rules import Rules, load
from tasks.text.sentences import boundaries, glue
from tasks.text.sentences.boundaries import BETWEEN, Cut
from tasks.text.sentences.places import CUT, TIGHT
from tasks.text.sentences.words import number as language_number
from warehouse.records import ParagraphRow, SegmentRow, Segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.text.sentences.cutter import Cutter

Looks: TypeAlias = "Sequence[NDArray[np.int64] | None]"
# Characters of a call: what is packed stays in the processor's cache.
_BATCH = 100_000
_NOWHERE: frozenset[int] = frozenset()
_cutter: "Cutter | None" = None


class Cuttable(NamedTuple):
    """A text with its paragraphs; ``may_be_glued`` is false where no full stop stands before a letter."""

    text: str
    paragraphs: Sequence[ParagraphRow]
    language: str
    may_be_glued: bool = True


def use(cutter: "Cutter | None") -> None:
    """Cut with compiled code from now on; with None, without."""
    global _cutter  # noqa: PLW0603
    _cutter = cutter


def segment(text: str, paragraphs: Sequence[ParagraphRow], language: str, *, may_be_glued: bool = True) -> Segments:
    """The segments of all paragraphs in order; every paragraph has at least one, blanks around one belong to none.

    >>> from tasks.text.paragraphs import split
    >>> text = "Am 24. April kam Dr. Maier an.Er ging wieder."
    >>> [text[s.start : s.end] for s in segment(text, split(text, "de"), "de")]
    ['Am 24. April kam Dr. Maier an.', 'Er ging wieder.']
    """
    return segment_many([Cuttable(text, paragraphs, language, may_be_glued)])[0]


def segment_many(items: Sequence[Cuttable]) -> list[Segments]:
    """``segment`` of each text, in order."""
    cutter = _cutter
    if cutter is None:
        return [Segments(np.array(_plainly(item), np.int32).reshape(-1, 3)) for item in items]
    found: list[Segments] = []
    start = size = 0
    for end, item in enumerate(items, start=1):
        size += len(item.text)
        if size >= _BATCH or end == len(items):
            found += _together(cutter, items[start:end])
            start, size = end, 0
    return found


def _plainly(item: Cuttable) -> list[SegmentRow]:
    rules = load(item.language)
    rows: list[SegmentRow] = []
    for number, paragraph in enumerate(item.paragraphs):
        block = item.text[paragraph.start : paragraph.end]
        glued = glue.glued(block, rules) if item.may_be_glued else _NOWHERE
        rows += _rows(number, paragraph, block, _cuts(block, item.language, glued, rules))
    return rows


def _rows(number: int, paragraph: ParagraphRow, block: str, cuts: list[Cut]) -> list[SegmentRow]:
    """The segments of a block between its cuts, which come in order."""
    first = paragraph.start
    start, end = paragraph.end - len(block.lstrip(BETWEEN)), first + len(block.rstrip(BETWEEN))
    starts = [start, *(first + start for _, start in cuts)]
    ends = [*(first + end for end, _ in cuts), end]
    full = [SegmentRow(number, start, end) for start, end in zip(starts, ends, strict=True) if start < end]
    return full or [SegmentRow(number, first, paragraph.end)]


def _cuts(block: str, language: str, glued: frozenset[int], rules: Rules, looks: Looks = ()) -> list[Cut]:
    """All cuts of a block; ``looks`` has for each of its windows the places, counted from where the block begins."""
    found = {(at, at) for at in glued}
    for (start, end, is_stop), places in zip_longest(boundaries.windows(block), looks):
        begin, is_open = start, places is None
        for what, cut, behind in [] if places is None else places[:, :3].tolist():
            if what == CUT:
                # From the last sure cut to the next it is the library's to say.
                if is_open:
                    found.update(boundaries.cuts(block, begin, behind, language, glued, rules))
                found.add((cut, behind))
                begin, is_open = behind, False
            elif what != TIGHT:
                is_open = True
        if is_open:
            found.update(boundaries.cuts(block, begin, end, language, glued, rules))
        if is_stop and not boundaries.goes_on(block, end, glued, rules):
            found.add(boundaries.gap(block, end))
    return sorted(found)


def _together(cutter: "Cutter", items: Sequence[Cuttable]) -> list[Segments]:
    """The segments of texts that are looked at in one call."""
    many = [len(item.paragraphs) for item in items]
    first = np.cumsum([0, *many])
    base = np.cumsum([0, *(len(item.text) for item in items)])
    bases = np.repeat(base[:-1], many)
    spans = np.array([paragraph[2:4] for item in items for paragraph in item.paragraphs], np.int64).reshape(-1, 2)
    spans += bases[:, None]
    languages = np.repeat([language_number(item.language) for item in items], many)
    # A longer block is looked at in windows of its own.
    languages[spans[:, 1] - spans[:, 0] > boundaries.WINDOW] = -1
    places = cutter.places("".join([item.text for item in items]), np.column_stack([spans, spans[:, 0], languages]))
    owners = np.repeat(np.arange(len(spans)), places.counts)
    # What takes more than the places: the library's own, any that is no sure cut, blanks at an edge.
    is_open = places.is_foreign | places.is_blank(spans[:, 0]) | places.is_blank(spans[:, 1] - 1)
    is_open[owners[places.rows[:, 0] != CUT]] = True
    found = {}
    for block in np.flatnonzero(is_open).tolist():
        document = int(np.searchsorted(first, block, side="right")) - 1
        found[block] = _alone(
            cutter, items[document], block - int(first[document]), places.of(block), int(spans[block, 0])
        )
    sure = places.rows[~is_open[owners]]
    sizes = np.bincount(owners, minlength=len(spans)) + 1
    sizes[is_open] = [len(rows) for rows in found.values()]
    ends = np.cumsum([0, *sizes])
    made = np.empty((ends[-1], 3), np.int32)
    made[:, 0] = np.repeat(np.arange(len(spans)) - np.repeat(first[:-1], many), sizes)
    is_first, is_last = np.zeros((2, len(made)), bool)
    is_first[ends[:-1]] = is_last[ends[1:] - 1] = True
    made[is_first, 1], made[is_last, 2] = spans[:, 0], spans[:, 1]
    is_sure = np.repeat(~is_open, sizes)
    made[~is_first & is_sure, 1], made[~is_last & is_sure, 2] = sure[:, 2], sure[:, 1]
    made[:, 1:] -= np.repeat(bases, sizes).astype(np.int32)[:, None]
    for block, rows in found.items():
        made[ends[block] : ends[block + 1]] = rows
    return [Segments(made[low:high]) for low, high in pairwise(ends[first].tolist())]


def _alone(
    cutter: "Cutter", item: Cuttable, number: int, places: "NDArray[np.int64] | None", start: int
) -> list[SegmentRow]:
    """The segments of a block that takes more than its places, which count from ``start`` before it."""
    paragraph = item.paragraphs[number]
    block, rules = item.text[paragraph.start : paragraph.end], load(item.language)
    glued = glue.glued(block, rules) if item.may_be_glued else _NOWHERE
    looks: Looks = [None if places is None else places[:, :3] - (0, start, start)]
    if len(block) > boundaries.WINDOW:
        language = language_number(item.language)
        windows = np.array([(low, high, 0, language) for low, high, _ in boundaries.windows(block)], np.int64)
        found = cutter.places(block, windows)
        looks = [found.of(window) for window in range(len(windows))]
    return _rows(number, paragraph, block, _cuts(block, item.language, glued, rules, looks))
