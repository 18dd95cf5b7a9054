"""langdetect as anybody would use it, seeded: the measure of labels and of speed.

Belongs here: asking langdetect itself, without newsmill's code.  Does not belong here: newsmill's labels.

The profiles are loaded in sorted order: langdetect takes the order of ``os.listdir``, which differs between machines
and decides the last digits of every probability.
"""

import functools
import gc
from collections.abc import Iterable
from pathlib import Path

import langdetect
from langdetect.detector_factory import DetectorFactory
from langdetect.lang_detect_exception import LangDetectException

Label = tuple[str | None, float | None]


@functools.cache
def factory() -> DetectorFactory:
    """A seeded factory with all profiles."""
    folder = Path(langdetect.__file__).parent / "profiles"
    made = DetectorFactory()
    made.load_json_profile([file.read_text("utf-8") for file in sorted(folder.iterdir()) if file.is_file()])
    made.set_seed(0)
    # Or each full collection while others are measured would walk through 100 MB of profiles.
    gc.collect()
    gc.freeze()
    return made


def label(text: str) -> Label:
    """Label and probability; neither where it finds no features, no probability where it says "unknown"."""
    detector = factory().create()
    detector.append(text)
    try:
        found = detector.get_probabilities()
    except LangDetectException as error:
        if str(error) == "No features in text.":
            return None, None
        raise
    return (found[0].lang, found[0].prob) if found else ("unknown", None)


def labels(texts: Iterable[str]) -> list[Label]:
    """One after the other."""
    return [label(text) for text in texts]
