"""What memory this process has, and how it gives back what it no longer uses.

Belongs here: settings of allocators, asking the system.  Does not belong here: limits of what may be used (``draft``,
``queries``, ``tasks.pool``).
"""

import contextlib
import ctypes
import gc
import os
import sys
from pathlib import Path

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 1 << 20
# New containers until the youngest are looked at, and how many such looks until the older ones are.
_LOOKS = (20_000, 10, 10)
# Of Linux' mman.h; the module mmap does not name it.
_MADV_PAGEOUT = 21
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def give_back() -> None:
    """Return large blocks to the system as soon as they are freed, in this process and what it forks.

    Columns of a batch are freed when it is written; left to themselves, Arrow's own allocator and a malloc that learns
    to keep ever larger blocks held 107 MB more through a publish of 20,000 documents (374 against 267), for 3 % of CPU.
    Arrow takes up what it finds when it is imported; where it was before, only what Python asks of it goes back.
    """
    # What Arrow makes for itself, as while it writes Parquet, comes from the kind that it finds when it is imported.
    os.putenv("ARROW_DEFAULT_MEMORY_POOL", "system")
    if (arrow := sys.modules.get("pyarrow")) is not None:
        arrow.set_memory_pool(arrow.system_memory_pool())
    # Another libc has no such call, and needs none.
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)


def trim() -> None:
    """Return what lies free between blocks that are in use, before much is asked for: 17 MB of a run that loads."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def look_seldom() -> None:
    """Look for cycles among objects less often than Python would: what a batch makes has none and lives until its end.

    At every 700 new containers the collector went over all of a batch again and again: 5 % of a worker's CPU, and a
    fifth of what it takes to commit.
    """
    gc.set_threshold(*_LOOKS)


def set_aside_libraries() -> None:
    """Let go of what was mapped of shared libraries: what is used again comes back from the disk or its cache.

    The compiler that links the language kernel takes 65 MB and is not needed once it is warm.  What another process
    has mapped, too, stays.  Linux only.
    """
    with contextlib.suppress(OSError, AttributeError):
        madvise = ctypes.CDLL(None).madvise
        madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            span, *_, name = line.split(maxsplit=5)
            if ".so" in name:
                first, last = (int(bound, 16) for bound in span.split("-"))
                # Unlike MADV_DONTNEED it keeps what differs from the file.
                madvise(first, last - first, _MADV_PAGEOUT)


def private_bytes() -> int | None:
    """What counts against a limit on this process's data; None where the system does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return None


def of_setting(size: str) -> int:
    """How many bytes a size is that DuckDB names, as ``18.8 GiB``."""
    number, unit = size.split()
    return int(float(number) * 1024 ** _UNITS.index(unit))
