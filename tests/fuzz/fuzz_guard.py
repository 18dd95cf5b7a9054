"""Fuzzes the guard of ``newsmill sql``: whatever is let in reads the tables and nothing else, and writes nothing.

    python tests/fuzz/fuzz_guard.py CORPUS [SEEDS …] [-max_total_time=60]

Belongs here: this target.  Does not belong here: the property (``guarded.py``).
"""

import itertools
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["warehouse.queries"]):
    import guarded

CALLS = itertools.count()

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        home = guarded.Guarded(Path(folder))

        def one(data: bytes) -> None:
            """One input; what stands on disk is looked at now and then, since that takes longer."""
            home.ask(data[:40])
            if next(CALLS) % 200 == 0:
                home.check()

        atheris.Setup(sys.argv, one)
        atheris.Fuzz()
