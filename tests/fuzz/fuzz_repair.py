"""Fuzzes repairs, paragraphs and segments: total, stable, and the text byte for byte.

    python tests/fuzz/fuzz_repair.py CORPUS [SEEDS …] [-max_total_time=60]

Belongs here: this target.  Does not belong here: the properties (``properties.py``).
"""

import sys

import atheris

with atheris.instrument_imports(include=["tasks", "ftfy"]):
    import properties

LANGUAGES = ("de", "en", "fr", "es", "it", "ru", "zh", "ar", "ja", "und", "", "xx", "../../etc")


def text_of(data: bytes) -> str:
    """Any string at all: halves of surrogate pairs come from their own bytes and from bytes that are no UTF-8."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape")


def one(data: bytes) -> None:
    """One input."""
    properties.covered(properties.repaired(text_of(data)), LANGUAGES[len(data) % len(LANGUAGES)])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
