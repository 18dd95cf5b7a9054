"""What pycld2 and py3langid say of the beginning of a text, in newsmill's language codes.

Belongs here: calling the two, and what they may see.  Does not belong here: whom to believe (``decision``).
"""

import functools
import mmap
import threading
from typing import TYPE_CHECKING, Any

import pycld2
from langdetect.detector import Detector

from tasks.text.language.codes import Opinion, fold
from tasks.text.language.script import count_letters

if TYPE_CHECKING:
    from tasks.text.language.tables import Tables

# Beyond these many characters neither gets better, only slower.
PREFIX = 300
_lock = threading.Lock()
# What py3langid's identifier is made of, by its names there.
_MODEL = ("nb_ptc", "nb_pc", "nb_classes", "tk_nextmove", "tk_row", "tk_output")
_arrays: "Tables | None" = None


def evidence(text: str) -> str:
    """The beginning of a text without addresses, which are in no language."""
    start = text[:PREFIX]
    if "http" in start:
        start = Detector.URL_RE.sub(" ", start)
    if "@" in start:
        start = Detector.MAIL_RE.sub(" ", start)
    # A page that begins with a table of numbers or a list of links says what it is only later.
    if len(text) > PREFIX and count_letters(start, PREFIX // 8) < PREFIX // 8:
        longer = Detector.MAIL_RE.sub(" ", Detector.URL_RE.sub(" ", text[: 16 * PREFIX]))
        start = " ".join("".join(c if c.isalpha() else " " for c in longer).split())[:PREFIX]
    return start


def second(start: str) -> Opinion:
    """pycld2's opinion."""
    try:
        reliable, _, found = pycld2.detect(start, isPlainText=True, bestEffort=True)
    except (pycld2.error, UnicodeEncodeError):
        # It refuses control characters, lone surrogates and non-characters.
        printable = "".join(c if c.isprintable() else " " for c in start)
        reliable, _, found = pycld2.detect(printable, isPlainText=True, bestEffort=True)
    _, label, percent, _ = found[0]
    return _opinion(label, percent, reliable)


@functools.lru_cache(maxsize=4_096)
def _opinion(label: str, percent: int, reliable: bool) -> Opinion:
    return Opinion(fold(label), percent / 100, reliable, label)


def unpacked() -> "Tables":
    """py3langid's model as arrays that can be kept: to unpack it takes a third of a second."""
    import numpy as np
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_model_file(MODEL_FILE)
    return {f"third_{name}": np.asarray(getattr(model, name)) for name in _MODEL}


def use(arrays: "Tables") -> None:
    """Take py3langid's model from arrays; one that is loaded already stays."""
    global _arrays  # noqa: PLW0603
    _arrays = arrays


@functools.cache
def _identifier() -> Any:
    import numpy as np
    from py3langid.langid import LanguageIdentifier

    kept = _arrays or unpacked()
    weights, priors, labels, moves, rows, features = (kept[f"third_{name}"] for name in _MODEL)
    # An own one: the module's global instance may have been restricted by someone else in this process.
    return LanguageIdentifier(
        np.asarray(weights),
        np.asarray(priors),
        labels.tolist(),
        # It walks through these number by number, as fast where they lie as in a list; few of their pages are read.
        np.asarray(moves).data,
        np.asarray(features).data,
        norm_probs=True,
        tk_row=np.asarray(rows).data,
    )


def preload() -> None:
    """Load py3langid's model now, for instance before a process forks."""
    with _lock:
        _identifier()


def set_aside() -> None:
    """Let go of the pages of py3langid's model that were read: few texts ask it, but each touches some of 60 MB.

    Only where the model lies in files; what is asked again comes from the system's cache.
    """
    for array in [_arrays[f"third_{name}"] for name in _MODEL] if _arrays else ():
        pages = array.base
        if isinstance(pages, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            pages.madvise(mmap.MADV_DONTNEED)


def third(start: str) -> list[tuple[str, float]]:
    """py3langid's ranking, best first, with probabilities; loaded at the first question."""
    with _lock:
        identifier = _identifier()
    ranking: dict[str, float] = {}
    for label, probability in identifier.rank(start):
        folded = fold(str(label))
        if folded is not None:
            ranking[folded] = ranking.get(folded, 0.0) + float(probability)
    return sorted(ranking.items(), key=lambda item: -item[1])
