"""Fuzzes decoding: any bytes, with and without a hint, become text or a Refusal.

    python tests/fuzz/fuzz_decode.py CORPUS [SEEDS …] [-max_total_time=60]

Belongs here: this target.  Does not belong here: the properties (``properties.py``).
"""

import sys

import atheris

with atheris.instrument_imports(include=["tasks", "ftfy"]):
    import properties

HINTS = ("utf-8", "cp1252", "utf-16", "gb18030", "utf-7", "unicode_escape", "idna", "hex", "x\0", "", "big5", "cp037")


def one(data: bytes) -> None:
    """One input."""
    properties.decoded(data, None)
    # The length chooses the hint, so that a seed needs no byte of its own for it.
    properties.decoded(data, HINTS[len(data) % len(HINTS)])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
