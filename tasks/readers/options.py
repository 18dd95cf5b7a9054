"""Options that readers obey.

Belongs here: what a person can set about reading, frozen.  Does not belong here: where a setting comes from.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How bytes are read.

    ``encoding`` is a hint that wins over detection: a source that is known to be wrong about itself is common, and
    None, the default, trusts the bytes.
    """

    encoding: str | None = None
