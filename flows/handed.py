"""What a caller in the same process hands to a flow besides its parameters, and gets back.

Belongs here: that object, and the variable in which a flow finds it.  Does not belong here: parameters, which Prefect
stores and shows.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass

from flows.summary import Outcome, Progress
from tasks.roots import Root
from tasks.template import Template


@dataclass(slots=True)
class Handed:
    """Where the run reports to, where it looks, and what its workers are forked from.

    ``outcome`` is there once the run's data work has ended well; ``flow_run_id`` is what the server knows the run by.
    Roots hold names from outside, which need not be text and are none of Prefect's business.
    """

    progress: Progress | None = None
    roots: Sequence[Root] | None = None
    template: Template | None = None
    outcome: Outcome | None = None
    flow_run_id: str | None = None


HANDED: ContextVar[Handed | None] = ContextVar("HANDED", default=None)
