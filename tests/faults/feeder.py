"""A process that keeps ingesting: writes a few files, ingests them, and again.

feeder.py HOME RAW FIRST ROUNDS FILES   files are numbered from FIRST; every two of them are a batch.  Where its
standard input is a pipe, it ends with the round in which that ends.
"""

import os
import select
import stat
import sys
from pathlib import Path


def main() -> None:
    """Feed the home."""
    from flows import run
    from flows.settings import Settings
    from tasks import direct

    home, raw, first, rounds, files = Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])
    raw.mkdir(parents=True, exist_ok=True)
    settings = Settings(home=home, batch_files=2, publish_seconds=0)
    for turn in range(rounds):
        for number in range(files):
            name = first + turn * files + number
            text = f" date 2019-04 Meldung {name}: der Rat der Stadt tagte. Absatz {name * 7}.\n\nEin zweiter Absatz.\n"
            (raw / f"{name:05d}.txt").write_text(text, encoding="utf-8")
        run.ingest(settings, direct, [os.fsencode(raw)])
        if stat.S_ISFIFO(os.fstat(0).st_mode) and select.select([sys.stdin], [], [], 0)[0]:
            return


if __name__ == "__main__":
    main()
