"""The process that workers are forked from, as others see it: beginning it, and ending it.

Belongs here: starting and stopping that one process, and the socket to it.  Does not belong here: what runs in it
(``tasks.worker``), what is said on the socket (``tasks.pool``), who needs workers (``flows``).

It imports and warms up for as long as a command takes until its first batch: whoever knows early that there will be
batches begins it early.
"""

import socket
import subprocess
import sys
from pathlib import Path


class Template:
    """A process that warms up and is then forked; it ends, with all its forks, when ``control`` is closed.

    ``memory_bytes`` is what each fork may take of its own, 0 for no limit; ``cache`` where compiled code is kept.
    """

    def __init__(self, memory_bytes: int, cache: Path | None) -> None:
        self.control, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", "tasks.worker", str(theirs.fileno()), str(memory_bytes)]
        if cache is not None:
            command.append(str(cache))
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()

    def close(self) -> None:
        """Wait until it has ended its forks and itself."""
        self.control.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.discard()

    def discard(self) -> None:
        """End it, wherever it is in its work: for one without forks, or that does not go."""
        self.control.close()
        self._process.kill()
        self._process.wait()
