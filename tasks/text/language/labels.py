"""langdetect itself, seeded and loaded in a fixed order: the authority on ``detector_label``.

Belongs here: the versions, the profile order, the seed, and asking langdetect about single texts.  Does not
belong here: the fast replay of its answers (``replay``) or anything that improves on them (``decision``).
"""

import functools
import hashlib
import threading
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

SEED = 0
SUPPORTED = "1.0.9"

Label: TypeAlias = tuple[str | None, float | None]
"""langdetect's language and its probability; (None, None) where it finds no features."""

_lock = threading.Lock()
_factory: Any = None


def langdetect_version() -> str:
    """The installed langdetect, whose answers are promised."""
    from importlib import metadata

    return metadata.version("langdetect")


def profile_files() -> list[Path]:
    """The profiles of langdetect in the order in which they are loaded.

    langdetect takes the order of ``os.listdir``, which differs between machines and decides the last digits of
    every probability; sorted names are the same everywhere.
    """
    spec = find_spec("langdetect")
    if spec is None or spec.origin is None:
        raise RuntimeError("langdetect is not installed; install newsmill with its dependencies")
    folder = Path(spec.origin).parent / "profiles"
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


@functools.cache
def profiles_digest() -> str:
    """sha256 over names and contents of the profiles, in order: equal digests give equal tables."""
    digest = hashlib.sha256()
    for path in profile_files():
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def factory() -> Any:
    """A complete langdetect factory of our own, built once; langdetect's global one is never touched.

    langdetect publishes its own factory before the profiles are in it, so threads that race its first use get
    wrong labels without an error.
    """
    global _factory  # noqa: PLW0603
    found = _factory
    if found is None:
        with _lock:
            found = _factory = _factory or _load()
    return found


def forget() -> None:
    """Lets go of the profiles, 100 MB that every full garbage collection walks through."""
    global _factory  # noqa: PLW0603
    with _lock:
        _factory = None


def _load() -> Any:
    from langdetect.detector_factory import DetectorFactory

    made = DetectorFactory()
    made.load_json_profile([path.read_text(encoding="utf-8") for path in profile_files()])
    made.set_seed(SEED)  # on this instance only
    return made


def label_of(text: str) -> Label:
    """What seeded langdetect says of one text."""
    from langdetect.detector import Detector
    from langdetect.lang_detect_exception import ErrorCode, LangDetectException

    detector = factory().create()
    detector.append(text)
    try:
        found = detector.get_probabilities()
    except LangDetectException as error:
        if error.get_code() == ErrorCode.CantDetectError:
            return None, None
        raise
    if not found:  # every language at or below 0.1
        return str(Detector.UNKNOWN_LANG), None
    return str(found[0].lang), float(found[0].prob)


def labels_of(texts: Iterable[str]) -> list[Label]:
    """What seeded langdetect says of each text, one after the other."""
    return [label_of(text) for text in texts]
