"""What is said when the ledger does not answer: its disk or server has trouble, or its bytes are wrong.

Belongs here: which of the two it is, and the words.  Does not belong here: what stands beside the ledger
(``warehouse.presence``), opening it (``store``).
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from warehouse.errors import LedgerError, LedgerUnreachable
from warehouse.presence import is_whole

# What SQLite says of a disk that is full, dead or not ours to write to: nothing of what stands in the file.
_PASSING = {
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_READONLY,
}  # fmt: skip
# What it says of a file that has other bytes than it should, or fewer; the last three call themselves I/O errors.
_DAMAGE = {
    sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR_DATA,
    sqlite3.SQLITE_IOERR_SHORT_READ,
}  # fmt: skip
# The first byte of a code is what it is about, the rest says more.
KIND = 0xFF


def where(engine: sa.Engine) -> str:
    """The ledger's file, or its URL without the password."""
    is_file = engine.dialect.name == "sqlite"
    return engine.url.database or "" if is_file else engine.url.render_as_string(hide_password=True)


def _is(error: sa.exc.DBAPIError, codes: set[int]) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code in codes or code & KIND in codes


@contextlib.contextmanager
def answering(engine: sa.Engine) -> Iterator[None]:
    """Trouble of the disk or server under the ledger, and damage to it, as one line for a person.

    ``LedgerUnreachable`` is what may pass, ``LedgerError`` what does not; whatever else it is stays what it is.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        is_file = engine.dialect.name == "sqlite"
        is_damage = is_file and _is(error, _DAMAGE)
        if is_damage and not is_whole(Path(where(engine))):
            raise LedgerError(
                f"the ledger {where(engine)} is damaged ({error.orig}); put it back from a backup, else run "
                "`newsmill rebuild --ledger`"
            ) from error
        may_pass = (
            _is(error, _PASSING) if is_file else isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
        )
        if is_damage or may_pass:
            raise LedgerUnreachable(
                f"the ledger {where(engine)} could not be read or written ({error.orig}); what was committed is kept "
                "and no file was refused for it. Make room or mend what it lies on, then run the command again"
            ) from error
        raise
