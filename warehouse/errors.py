"""Every exception that newsmill raises on purpose, the tree drawn once.

    NewsmillError            one line for a person: what, where, what to do next
    ├── TransientError       the same call may succeed later: try again
    │   ├── Deferred         a raw file that cannot be read now
    │   ├── WarehouseBusy    a lock that somebody else holds
    │   └── LedgerUnreachable    the ledger's disk or server that takes and gives nothing now
    ├── PermanentError       trying again changes nothing
    │   ├── ConfigError      a setting or an argument
    │   ├── LedgerError      the ledger is absent, older or newer than what stands beside it
    │   ├── DamagedError     bytes on disk are not those that were written
    │   └── QueryError       SQL that the database refuses
    └── Refusal              content that is refused: becomes a reject row, never a traceback

Belongs here: exception classes.  Does not belong here: how they are shown (``flows.cli.main``).
"""

from warehouse.vocabulary import DeferReason, Reason, Stage


class NewsmillError(Exception):
    """The root; its text is one line for a person."""


class TransientError(NewsmillError):
    """The same call may succeed later."""


class PermanentError(NewsmillError):
    """Trying again changes nothing."""


class WarehouseBusy(TransientError):
    """A lock of the home is held by somebody else."""


class LedgerUnreachable(TransientError):
    """The ledger's disk or server has trouble; what it holds is not in doubt."""


class Deferred(TransientError):
    """A raw file that cannot be read now; it stays pending and is tried again at the next run."""

    def __init__(self, reason: DeferReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class ConfigError(PermanentError):
    """A setting or an argument that cannot be used."""


class LedgerError(PermanentError):
    """The ledger is absent, ends too early, or is of a newer newsmill."""


class DamagedError(PermanentError):
    """Bytes on disk are not those that were written."""


class QueryError(PermanentError):
    """SQL that the database refuses, with the database's own words."""


class Refusal(NewsmillError):
    """Content that is refused; ``tasks.document`` turns it into a reject."""

    def __init__(self, stage: Stage, reason: Reason, detail: str) -> None:
        super().__init__(stage, reason, detail)
        self.stage = stage
        self.reason = reason
        self.detail = detail
