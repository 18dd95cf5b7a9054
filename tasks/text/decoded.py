"""What decoding hands on.

Belongs here: the row that all decoders fill.  Does not belong here: the decoders (``encoding``,
``legacy``, ``western``).
"""

from dataclasses import dataclass

from warehouse.vocabulary import Flag


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Text, and what is known about the encoding that it came from."""

    text: str
    encoding: str
    confidence: float
    flags: tuple[Flag, ...]
