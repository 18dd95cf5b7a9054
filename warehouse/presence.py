"""Is the ledger there, and as new as what was published?  Answered without loading the ledger.

Belongs here: the refusal to go on beside a lost or outdated ledger, and its words.  Does not belong here: opening the
ledger for work (``warehouse.ledger``), whose libraries would triple the start of ``newsmill sql``.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from warehouse.errors import LedgerError
from warehouse.layout import Home


def exists(home: Home) -> bool:
    """Whether there is a SQLite ledger; an empty file is none."""
    return home.ledger.is_file() and home.ledger.stat().st_size > 0


def is_whole(path: Path) -> bool:
    """Whether SQLite, asked anew, finds no fault in a ledger: a read that failed it calls damage, and that passes."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=10)) as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            return bool(found == "ok")
    except sqlite3.Error:
        return False


def absent(home: Home) -> LedgerError:
    """The ledger is gone, or was never filled, but data stand beside it."""
    return LedgerError(
        f"the ledger {home.ledger} is absent or empty but parts or snapshots stand beside it; nothing was changed. "
        f"Put the ledger back from a backup, else run `newsmill rebuild --ledger`; to begin anew move {home.lake} and "
        f"{home.versions} away and ingest"
    )


def outdated(home: Home, last: int, published: int) -> LedgerError:
    """The ledger does not have what the newest snapshot holds."""
    what = (
        f"ends at commit {last}, but the newest snapshot holds commit {published}"
        if last < published
        else f"holds another commit {published} than the newest snapshot"
    )
    return LedgerError(
        f"the ledger of {home.path} {what}: it is older than the data or was changed; nothing was done. "
        "Put the newest ledger back from a backup, else run `newsmill rebuild --ledger`; `newsmill verify` says more"
    )


def behind(home: Home, contents: int) -> LedgerError:
    """Parts hold so many contents of which the ledger knows nothing, and no run that it knows can have left them."""
    return LedgerError(
        f"the ledger of {home.path} knows nothing of {contents} contents that whole parts in {home.lake} hold: it is "
        "older than they are, or they are another home's; nothing was removed. Put the newest ledger back from a "
        "backup, ingest their raw files again, else run `newsmill rebuild --ledger`; `newsmill verify` names the parts"
    )


def check(home: Home, published: tuple[int, str] | None) -> None:
    """Raise ``LedgerError`` where a SQLite ledger is absent beside data, or lacks the last published commit.

    ``published`` is that commit's number and hash.  A ledger that this user may not read cannot be looked at, and
    reading what is published stays possible then.
    """
    if not exists(home):
        if home.has_data():
            raise absent(home)
        return
    if published is None or published[0] == 0:
        return
    try:
        # Not read-only: such a connection would leave the write-ahead log's files behind.
        with sqlite3.connect(f"{home.ledger.absolute().as_uri()}?mode=rw", uri=True, timeout=10) as connection:
            query = "SELECT (SELECT max(commit_no) FROM commits), (SELECT commit_hash FROM commits WHERE commit_no = ?)"
            last, found = connection.execute(query, [published[0]]).fetchone()
        connection.close()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            raise absent(home) from error
        return
    except sqlite3.DatabaseError as error:
        if is_whole(home.ledger):
            return
        raise LedgerError(
            f"the ledger {home.ledger} is damaged ({error}); put it back from a backup, else run "
            "`newsmill rebuild --ledger`"
        ) from error
    if found != published[1]:
        raise outdated(home, last or 0, published[0])
