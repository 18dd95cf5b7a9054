"""Workers that are needed for sure: what they are forked from begins before all that a run imports.

Belongs here: the quick look that says so.  Does not belong here: what is new (``tasks.discover``), the process
(``tasks.template``), whose pool it becomes (``flows.execution``).

A run imports and opens for half a second, under Prefect for some seconds, before it knows what is new; the template
warms up in about as long.  Where all of many files turn out to be known it was begun in vain, beside this process.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from flows.settings import Settings
from tasks.roots import roots_of
from tasks.template import Template
from warehouse import walking


def _is_much(settings: Settings, paths: Sequence[bytes]) -> bool:
    """Whether there is more than one batch below the paths; all of it may be known."""
    home, files, size_bytes = settings.layout, 0, 0
    if not paths and not home.inbox.is_dir():
        return False
    for path in paths or [os.fsencode(home.inbox)]:
        for root in roots_of(path, home, (), None):
            for block in walking.blocks(root.path, root.below, skip=root.skip):
                files += len(block.rows)
                size_bytes += sum(row[1] for row in block.rows)
                if files > 1 and (files > settings.batch_files or size_bytes > settings.batch_bytes):
                    return True
    return False


@contextmanager
def template(settings: Settings, paths: Sequence[bytes]) -> Iterator[Template | None]:
    """What workers of an ingest of these paths, the inbox where there are none, can be forked from; None for a few."""
    if not settings.workers or not _is_much(settings, paths):
        yield None
        return
    begun = settings.pool_options().template()
    try:
        yield begun
    finally:
        begun.discard()
