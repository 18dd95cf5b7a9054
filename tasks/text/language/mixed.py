"""Documents in more than one language: which of their blocks are in another.

Belongs here: finding blocks worth a look of their own, and labelling them.  Does not belong here: what a block is
(``tasks.text.paragraphs``), how one text is decided (``decision``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.text.language.decision import Detection
from tasks.text.language.detector import detect_many

# Shorter blocks are names, credits and headings, whose language nobody could tell alone.
FEWEST_CHARACTERS = 60
# Of 1,000 documents with one block in another language a glance at 60, 80, 150 or 300 characters found between 901 and
# 903; 80 cost 7 µs a block, 150 cost 11.  What it finds is looked at in full.
GLANCE = 80
CONFIRMED = 0.8


@dataclass(frozen=True, slots=True)
class Blocks:
    """One document with its language and the character offsets of its blocks."""

    text: str
    language: str
    spans: Sequence[tuple[int, int]]

    def long_enough(self) -> list[int]:
        """The numbers of the blocks that can be labelled alone."""
        return [number for number, (start, end) in enumerate(self.spans) if end - start >= FEWEST_CHARACTERS]

    def block(self, number: int) -> str:
        """The text of one block."""
        start, end = self.spans[number]
        return self.text[start:end]


def _is_other(detection: Detection, language: str) -> bool:
    return detection.language not in (language, "und") and detection.language_confidence >= CONFIRMED


def label_blocks(documents: Sequence[Blocks]) -> list[dict[int, Detection]]:
    """For each document the detections of its blocks by number; empty where all of it is in one language.

    Only where a glance finds another language are blocks looked at in full, and only where that confirms it are all
    blocks of the document labelled.
    """
    from tasks.text.language.second_opinion import second, set_aside

    suspects: list[tuple[int, int]] = []
    for position, blocks in enumerate(documents):
        for number in blocks.long_enough() if len(blocks.spans) > 1 else ():
            start, end = blocks.spans[number]
            opinion = second(blocks.text[start : min(end, start + GLANCE)])
            if opinion.is_reliable and opinion.language not in (None, blocks.language):
                suspects.append((position, number))
    looked_at = detect_many([documents[position].block(number) for position, number in suspects]) if suspects else []
    mixed = {
        position
        for (position, _), detection in zip(suspects, looked_at, strict=True)
        if _is_other(detection, documents[position].language)
    }
    wanted = [(position, number) for position in sorted(mixed) for number in documents[position].long_enough()]
    found = detect_many([documents[position].block(number) for position, number in wanted]) if wanted else []
    labels: list[dict[int, Detection]] = [{} for _ in documents]
    for (position, number), detection in zip(wanted, found, strict=True):
        labels[position][number] = detection
    set_aside()
    return labels
