"""Fuzzes every reader and container: whatever the bytes are, they end as numbered records, and nothing is raised.

    python tests/fuzz/fuzz_readers.py CORPUS [SEEDS …] [-max_total_time=60]

Belongs here: this target.  Does not belong here: the properties (``properties.py``), what becomes of a record
(``fuzz_document.py``).
"""

import sys

import atheris

with atheris.instrument_imports(include=["tasks"]):
    import properties

    from tasks.readers import READERS, ReadOptions, container_endings, endings

NAMES = ("page", *(f"a{ending}" for ending in (*endings(), *container_endings())))
FORCED = (*(None,) * 5, *READERS)
OPTIONS = ReadOptions(max_record_bytes=1_000, max_page_bytes=3_000, max_members=20)


def one(data: bytes) -> None:
    """One input; its first two bytes choose the name and whether a reader is forced."""
    properties.records(data[2:], NAMES[data[0] % len(NAMES)], OPTIONS, FORCED[data[1] % len(FORCED)])


if __name__ == "__main__":
    atheris.Setup(sys.argv, lambda data: one(data) if len(data) >= 2 else None)
    atheris.Fuzz()
