"""The language of texts: langdetect's label, equal to the last bit, and newsmill's own decision.

Belongs here: the interface.  Does not belong here: rules (``decision``) and engines; nothing heavy is imported
before the first detection.
"""

from collections.abc import Sequence

from tasks.text.language.decision import Detection
from tasks.text.language.detector import configure, fingerprint, preload
from tasks.text.language.mixed import Blocks, label_blocks

__all__ = ["Blocks", "Detection", "configure", "detect_many", "fingerprint", "label_blocks", "preload"]


def detect_many(texts: Sequence[str]) -> list[Detection]:
    """One detection a text, in order; never an exception for any string."""
    from tasks.text.language import detector

    return detector.detect_many(texts)
