"""The one place that reads the clock.

Belongs here: what time it is.  Does not belong here: anything that a part depends on; parts are pure functions
of their input and hold no time of their making.
"""

import time
from datetime import UTC, datetime


def now_us() -> int:
    """Microseconds since 1970-01-01 UTC, the ledger's unit of time."""
    return time.time_ns() // 1000


def iso(moment_us: int) -> str:
    """A ledger time as a person reads it, to the second.

    >>> iso(1_556_150_400_000_000)
    '2019-04-25 00:00:00'
    """
    return datetime.fromtimestamp(moment_us / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def moment(moment_us: int) -> str:
    """A ledger time as other programs read it, with its time zone.

    >>> moment(1_556_150_400_000_000)
    '2019-04-25T00:00:00+00:00'
    """
    return datetime.fromtimestamp(moment_us / 1_000_000, UTC).isoformat()
