"""An analyst who never pauses: opens the warehouse anew, asks, checks, and again, until its standard input ends.

impatient.py WAREHOUSE [PAUSE]   seconds between two looks, 0 where none are given

Then writes one JSON object: how many looks, errors and torn answers, whether a count ever fell, and the median time
of a look in milliseconds, in wall time and in this process's own CPU time.
"""

import json
import select
import statistics
import sys
import time

import duckdb
from reader import look

LEAST = 5


def main() -> None:
    """Look again and again."""
    path, pause = sys.argv[1], float(sys.argv[2]) if sys.argv[2:] else 0.0
    errors: list[str] = []
    torn: list[str] = []
    fell: list[list[int]] = []
    wall: list[float] = []
    cpu: list[float] = []
    last = [0, 0, 0]
    print("ready", flush=True)
    # On a busy machine a second may pass without a look.
    while len(wall) + len(errors) + len(torn) < LEAST or not select.select([sys.stdin], [], [], pause)[0]:
        began, busy = time.perf_counter(), time.process_time()
        try:
            with duckdb.connect(path, read_only=True) as connection:
                now = look(connection)
        except AssertionError as error:
            torn.append(str(error))
            continue
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            errors.append(f"{type(error).__name__}: {error}")
            continue
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - busy)
        if any(new < old for new, old in zip(now, last, strict=True)):
            fell.append([*last, *now])
        last = now
    found = {
        "looks": len(wall), "errors": errors[:3], "torn": torn[:3], "fell": fell[:3], "last": last,
        "wall_ms": 1000 * statistics.median(wall), "cpu_ms": 1000 * statistics.median(cpu),
    }  # fmt: skip
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
