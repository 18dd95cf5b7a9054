"""What the file system says was touched below a folder, as a hint where to look.

Belongs here: listening, and owning up to what was not heard.  Does not belong here: what is done about it
(``flows.watch``), which looks at everything now and then, because file systems elsewhere on a network say nothing.
"""

import logging
import os
import threading
from types import TracebackType
from typing import Self

from watchfiles import watch

# Changes so close together come as one, and at the latest after the second: milliseconds.
_STEP, _LONGEST = 30, 300
_AGAIN_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Touched:
    """Listens to a folder and everything below it, in a thread of its own.

    Names are relative to the folder.  Whatever stops the listening (a name that is no text, too many folders, the
    folder itself removed) is a blank: then ``taken`` says None once, and listening begins anew.
    """

    def __init__(self, folder: bytes) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._names: set[bytes] | None = None
        self._some = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="touched", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(5)

    def wait(self, seconds: float) -> None:
        """Wait until something was touched, at most so many seconds."""
        self._some.wait(seconds)

    def taken(self) -> set[bytes] | None:
        """What was touched since the last time; None where something may have been missed."""
        with self._lock:
            self._some.clear()
            names, self._names = self._names, set()
        return names

    def _blank(self) -> None:
        with self._lock:
            self._names = None
        self._some.set()

    def _listen(self) -> None:
        said = ""
        while not self._over.is_set():
            try:
                self._hear()
            except (OSError, RuntimeError) as error:
                if str(error) != said:
                    said = str(error)
                    logger.info("not told of changes for a moment, looking instead: %s", said)
            self._blank()
            self._over.wait(_AGAIN_SECONDS)

    def _hear(self) -> None:
        real = os.path.realpath(self._folder)
        begun = os.stat(real).st_ino
        prefix = os.fsdecode(real.rstrip(b"/") + b"/")
        is_first = True
        for changes in watch(
            os.fsdecode(real), watch_filter=None, step=_STEP, debounce=_LONGEST, rust_timeout=1000,
            yield_on_timeout=True, stop_event=self._over, raise_interrupt=False,
        ):  # fmt: skip
            if is_first:
                # Only now it is sure that somebody listens; what came before may not have been heard.
                self._blank()
                is_first = False
            names = {os.fsencode(path.removeprefix(prefix)) for _, path in changes if path.startswith(prefix)}
            with self._lock:
                if self._names is not None:
                    self._names |= names
            if names:
                self._some.set()
            try:
                is_same = os.stat(self._folder).st_ino == begun
            except FileNotFoundError:
                is_same = False
            if not is_same:
                return
