"""Fuzzes every reader and container: whatever the bytes are, they end as numbered records, and nothing is raised.

    python tests/fuzz/fuzz_readers.py CORPUS [SEEDS …] [-max_total_time=60]

Belongs here: this target.  Does not belong here: what becomes of a record (``fuzz_document.py``).
"""

import io
import json
import sys

import atheris

with atheris.instrument_imports(include=["tasks"]):
    from tasks.readers import READERS, ReadOptions, container_endings, endings
    from tasks.readers.opening import opened
    from warehouse.records import RawDocument

NAMES = ("page", *(f"a{ending}" for ending in (*endings(), *container_endings())))
FORCED = (*(None,) * 5, *READERS)
OPTIONS = ReadOptions(max_record_bytes=1_000, max_page_bytes=3_000, max_members=20)


def one(data: bytes) -> None:
    """One input; its first two bytes choose the name and whether a reader is forced."""
    name, forced, content = NAMES[data[0] % len(NAMES)], FORCED[data[1] % len(FORCED)], data[2:]
    records = list(opened(io.BytesIO(content), name, OPTIONS, forced).records)
    assert records
    assert records[0].ordinal is None or [record.ordinal for record in records] == list(range(len(records)))
    for record in records:
        if isinstance(record, RawDocument):
            json.dumps(record.metadata, ensure_ascii=False, allow_nan=False).encode()
        else:
            assert record.detail


if __name__ == "__main__":
    atheris.Setup(sys.argv, lambda data: one(data) if len(data) >= 2 else None)
    atheris.Fuzz()
