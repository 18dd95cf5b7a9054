"""The password of the Prefect server of ``newsmill up``; who has it can do what newsmill can.

Belongs here: making it once, the file in the home that keeps it, and giving it to what speaks with that server.  Does
not belong here: asking the server (``flows.server``), the password of a server that somebody else started.
"""

import secrets
import shlex

from flows import running
from flows.settings import give, given
from warehouse.durable import discard_left, make_folder, rename_durably, temporary_file
from warehouse.layout import Home

# What a server asks for, and what its clients say, in Prefect's words.
SERVER, CLIENT = "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"


def new() -> str:
    """One that nobody guesses, as ``user:password``: 192 bits.

    >>> new().partition(":")[0], len(new()), new() == new()
    ('newsmill', 41, False)
    """
    return f"newsmill:{secrets.token_urlsafe(24)}"


def prefect_password() -> str | None:
    """What is said to the server that Prefect is to ask; never what a server of this machine wants of others."""
    return given(CLIENT)


def kept(home: Home) -> str | None:
    """What the home keeps; None where no ``up`` has made one yet."""
    try:
        return home.password.read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None


def settle(home: Home) -> str:
    """What the server of an ``up`` asks for: what a person has set, else that of the home, made where it has none.

    This process says it, too.  Only for the one ``up`` of a home: two would make one each.
    """
    password = given(SERVER) or kept(home)
    # Logs and parameters of runs are nobody else's business; the folder of an earlier version was open.
    make_folder(home.prefect)
    home.prefect.chmod(0o700)
    discard_left(home.password)
    if password is None:
        password = new()
        with temporary_file(home.prefect, home.password) as temporary:
            temporary.write_text(f"{password}\n", encoding="ascii")
            rename_durably(temporary, home.password)
    give(SERVER, password)
    give(CLIENT, password)
    return password


def find(home: Home, api_url: str | None = None) -> None:
    """Let this process speak with the ``up`` of a home, if that is whom it asks; nobody else is told the password.

    ``api_url``: the server, else the one in the environment.  A password that a person has set stays.  To be called
    before Prefect is imported.
    """
    up = running.current(home)
    url = api_url or given("PREFECT_API_URL") or ""
    if up is None or url.rstrip("/") != up.api_url or given(CLIENT):
        return
    if (password := given(SERVER) or kept(home)) is not None:
        give(CLIENT, password)


def told(home: Home, api_url: str) -> str:
    """Where a person finds it, in one line, and how it is used; never the password."""
    if given(SERVER) not in (None, kept(home)):
        return f"the pages ask for the password that {SERVER} gave"
    file = shlex.quote(str(home.password.absolute()))
    return (
        f"the pages ask for the password in {file}; for the command prefect: "
        f'export PREFECT_API_URL={api_url} {CLIENT}="$(cat {file})"'
    )
