"""How this process gives back the memory that it no longer uses.

Belongs here: settings of allocators.  Does not belong here: limits of what may be used (``loader``, ``tasks.pool``).
"""

import contextlib
import ctypes

import pyarrow as pa

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 1 << 20


def give_back() -> None:
    """Return large blocks to the system as soon as they are freed, in this process and what it forks.

    Columns of a batch are freed when it is written; left to themselves, Arrow's own allocator and a malloc that learns
    to keep ever larger blocks held 107 MB more through a publish of 20,000 documents (374 against 267), for 3 % of CPU.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    # Another libc has no such call, and needs none.
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)
