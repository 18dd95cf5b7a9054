"""Turns: so many may work at once, and who waits is served in order.

Belongs here: waiting for one's turn, between threads.  Does not belong here: what is done in it (``tasks.pool``).
"""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator


class Turns:
    """So many may work at once; who waits gets a turn in order, and before all others where it is ``is_urgent``."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def taken(self, *, is_urgent: bool) -> Iterator[None]:
        """One turn, for as long as the block takes."""
        turn = threading.Event()
        with self._lock:
            if self._free:
                self._free -= 1
                turn.set()
            elif is_urgent:
                self._waiting.appendleft(turn)
            else:
                self._waiting.append(turn)
        turn.wait()
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().set()
                else:
                    self._free += 1
