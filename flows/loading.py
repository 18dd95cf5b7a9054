"""Loading beside the work: what is committed goes into a draft of the next snapshot while batches are worked on.

Belongs here: the thread, and what it does when.  Does not belong here: the draft (``warehouse.draft``), publishing
(``warehouse.loader``), commits and the moments that are due (``flows.execution``).
"""

import contextvars
import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

from warehouse import memory
from warehouse.errors import WarehouseBusy

if TYPE_CHECKING:
    from warehouse.draft import Draft

logger = logging.getLogger(__name__)


class _IsOverError(Exception):
    """Breaks off loading between two commits."""


class Loading:
    """A thread that loads and publishes, from the first commit on.

    ``begin`` opens a draft or raises ``WarehouseBusy``; ``publish`` publishes one when ``is_due`` says so.  Where the
    thread meets trouble it ends: the run goes on, and whoever publishes at its end meets the trouble again, or not.
    """

    def __init__(
        self,
        begin: "Callable[[], AbstractContextManager[Draft]]",
        publish: "Callable[[Draft], object]",
        is_due: Callable[[], bool],
    ) -> None:
        self._begin, self._publish, self._is_due = begin, publish, is_due
        self._news = threading.Event()
        self._is_over = False
        self._held = ExitStack()
        self._draft: Draft | None = None
        self._thread: threading.Thread | None = None

    def committed(self) -> None:
        """There is something to load."""
        if self._thread is None:
            # Prefect knows by its context which run a task belongs to.
            context = contextvars.copy_context()
            self._thread = threading.Thread(target=context.run, args=(self._work,), name="loading")
            self._thread.start()
        self._news.set()

    def end(self) -> "Draft | None":
        """Stop, and hand over the draft as far as it is, if there is one; it lives until ``close``."""
        self._is_over = True
        self._news.set()
        if self._thread is not None:
            self._thread.join()
        return self._draft

    def close(self) -> None:
        """Stop, and let go of a draft that nobody published."""
        self.end()
        self._let_go()

    def _let_go(self) -> None:
        self._draft = None
        self._held.close()

    def _work(self) -> None:
        try:
            while not self._is_over:
                self._news.clear()
                self._load()
                self._news.wait()
        except _IsOverError:
            return
        except Exception as error:  # noqa: BLE001 - not swallowed: the end of the run publishes, and meets it
            logger.warning("what is committed is published at the end of the run only, since now: %s", error)
            self._let_go()

    def _load(self) -> None:
        if self._draft is None:
            try:
                self._draft = self._held.enter_context(self._begin())
            except WarehouseBusy:
                return  # whoever publishes now also takes what is committed; the next commit asks again
            # What it takes to import and to begin is not used again: 45 MB of a run.
            memory.set_aside_libraries()
        self._draft.take(self._look)
        if self._is_due():
            self._publish(self._draft)
            # Until the next commit, so that others who want to publish, or to look undisturbed, get their turn.
            self._let_go()

    def _look(self, _done: int, _of: int) -> None:
        if self._is_over:
            raise _IsOverError
