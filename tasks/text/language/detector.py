"""Which engine answers, and what an answer depends on: the state of this package in a process.

Belongs here: the cache folder, loading the replay once, choosing between it and langdetect, the fingerprint.  Does
not belong here: rules (``decision``) and arithmetic (``kernel``).
"""

import os
import sys
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.text.language import decision, labels, script

if TYPE_CHECKING:
    from tasks.text.language.replay import Replay

RULES = 1
"""Raised whenever a change to the rules can change an answer."""

FEW_CHARACTERS = 500_000
"""A process that sees fewer never builds tables: langdetect itself takes some 3 s per million characters, a build 5 s.
Tables that another process has built are loaded at once, faster than langdetect loads its profiles."""


_SOURCES = (
    *("native.py", "language/kernel.py", "language/tables.py", "language/second_opinion.py"),
    *("scan/kernel.py", "scan/marks.py", "scan/bits.py"),
    *("sentences/kernel.py", "sentences/kinds.py", "sentences/places.py", "sentences/signs.py", "sentences/glue.py"),
    *("characters.py", "mojibake.py", "words.py"),
)
"""What tables and compiled code are made from, beside the versions of libraries."""


def _default_cache() -> Path | None:
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises where there is none
    return home / ".cache" / "newsmill" if home.is_dir() and os.access(home, os.W_OK) else None


@dataclass
class _State:
    cache: Path | None = field(default_factory=_default_cache)
    replay: "Replay | None" = None
    seen: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


_state = _State()


def configure(cache: Path | None) -> None:
    """Keeps tables and compiled code in ``cache`` from now on; None keeps them in memory only."""
    with _state.lock:
        _state.cache = cache


@cache
def fingerprint() -> str:
    """All that can change an answer; parts made under different fingerprints may differ."""
    from importlib import metadata

    return ";".join(
        f"{name}={value}"
        for name, value in {
            "rules": RULES,
            "langdetect": labels.langdetect_version(),
            "profiles": labels.profiles_digest()[:16],
            "order": "sorted",
            "seed": labels.SEED,
            "pycld2": metadata.version("pycld2"),
            "py3langid": metadata.version("py3langid"),
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "unicode": unicodedata.unidata_version,
        }.items()
    )


@cache
def _cache_key() -> str:
    """What tables and compiled code depend on beyond the answers themselves."""
    import platform
    from importlib import metadata

    sources = [(Path(__file__).parents[1] / name).read_bytes() for name in _SOURCES]
    versions = [metadata.version(name) for name in ("numba", "llvmlite", "numpy", "ftfy", "regex")]
    library = " ".join(platform.libc_ver())  # its sine and logarithm are in the tables
    return repr((fingerprint(), versions, platform.machine(), sys.platform, library, sources))


def preload() -> None:
    """Loads the replay now, for instance before a process forks; builds its tables if nobody has."""
    if _state.replay is None:
        from tasks.text import scan, segments
        from tasks.text.language import cache, second_opinion
        from tasks.text.language.replay import Replay
        from tasks.text.scan.scanner import Scanner
        from tasks.text.sentences.cutter import Cutter

        with _state.lock:
            if _state.replay is None:
                parts = cache.load(_state.cache, _cache_key())
                scan.use(Scanner(parts.scan, parts.arrays["marks"]))
                segments.use(Cutter(parts.sentences, parts.arrays["kinds"]))
                second_opinion.use(parts.arrays)
                _state.replay = Replay(parts)
                labels.forget()


def detector_labels(texts: Sequence[str]) -> list[labels.Label]:
    """The label of langdetect for each text, by whichever engine is faster now; the answers are the same."""
    if _state.replay is None:
        from tasks.text.language import cache

        _state.seen += sum(map(len, texts))  # over all calls: many small ones are not few
        if _state.seen < FEW_CHARACTERS and not cache.is_built(_state.cache, _cache_key()):
            return labels.labels_of(texts)
        preload()
    assert _state.replay is not None
    return _state.replay.labels(texts)


def detect_many(texts: Sequence[str]) -> list[decision.Detection]:
    """One detection a text, in order."""
    from tasks.text.language import second_opinion

    # Source by source over all texts: each works faster while its code and tables are in the processor's caches.
    starts = [second_opinion.evidence(text) for text in texts]
    read = [script.read(start, decision.FEWEST_LETTERS) for start in starts]
    seconds = [second_opinion.second(start) for start in starts]
    thirds = [partial(second_opinion.third, start) for start in starts]
    rows = zip(texts, detector_labels(texts), read, seconds, thirds, strict=True)
    return [
        decision.decide(decision.Evidence(text, label, *letters, second, third))
        for text, label, letters, second, third in rows
    ]
