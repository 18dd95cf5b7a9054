"""What the rows of this newsmill are called: the pipeline version.

Belongs here: our own number and all that can change a byte of a part besides it.  Does not belong here: the version
of the package, which changes without changing a row.
"""

import functools
import hashlib
import importlib.metadata
import json
import sys
import unicodedata

from tasks.text import language

# Raised by whoever changes what a row can hold; the golden tests insist.
NUMBER = 3
LIBRARIES = (
    "PyYAML", "chardet", "ftfy", "htmldate", "jusText", "lxml", "markdown-it-py", "pyarrow", "regex", "sentencex",
    "trafilatura",
)  # fmt: skip


@functools.cache
def pipeline_version() -> str:
    """Our number, a hyphen, and 12 hex digits over all else that can change a byte."""
    makers = {name: importlib.metadata.version(name) for name in LIBRARIES}
    makers |= {
        "unicode": unicodedata.unidata_version,
        "python": ".".join(map(str, sys.version_info[:2])),
        "language": language.fingerprint(),
    }
    return f"{NUMBER}-{hashlib.sha256(json.dumps(makers, sort_keys=True).encode()).hexdigest()[:12]}"


@functools.cache
def versions() -> dict[str, str]:
    """What a run stands on, for its record."""
    names = ("newsmill", "duckdb", "prefect", *LIBRARIES)
    return {name: importlib.metadata.version(name) for name in names} | {"python": sys.version.split()[0]}
