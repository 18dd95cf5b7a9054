"""No secret stands in anything that newsmill writes or prints: the passwords of the ledger's database and of Prefect.

That of ``newsmill up`` is looked for in tests/faults/test_up.py.
"""

import json
import sqlite3
import subprocess
import sys
from typing import Any

SECRET = "planted-canary-7f3a91"
# An ingest whose temporary server has that password; what the server answers to others is asked while it runs.
ASKING = f"""
import json, sys
import httpx
from flows import password
from flows.cli import main, orchestrator

def ask(_):
    from prefect.server.api.server import SubprocessASGIServer
    url = SubprocessASGIServer().api_url
    known = ("newsmill", "{SECRET}")
    elsewhere = {{"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}}
    answers = [
        httpx.get(url + "/admin/settings"),
        httpx.get(url + "/admin/settings", auth=("newsmill", "guess")),
        httpx.get(url + "/admin/settings", auth=known),
        httpx.post(url + "/flows/filter", json={{}}, auth=known),
        httpx.options(url + "/flows/filter", headers=elsewhere),
    ]
    print(json.dumps([answer.status_code for answer in answers]))

password.new = lambda: "newsmill:{SECRET}"
orchestrator.tell_at_last = ask
main.main()
"""


def test_a_planted_password_is_told_nowhere(mill: Any) -> None:
    """The address refuses: the worst case, since the error knows the URL."""
    mill.fill(1)
    url = f"postgresql+psycopg://someone:{SECRET}@127.0.0.1:1/nowhere"
    told = []
    for words in (
        ["ingest", "--direct", mill.raw], ["status"], ["verify"], ["settings"],
        ["settings", "--format", "json"], ["sql", "SELECT 1"],
    ):  # fmt: skip
        answer = mill.newsmill(*words, env={"NEWSMILL_LEDGER_URL": url})
        told.append(answer.out + answer.err)
        if words[0] != "settings":
            assert answer.code != 0, words
    assert any("postgresql" in text for text in told), "something is said of the kind of database"
    assert [text for text in told if SECRET in text] == []
    written = [path for path in mill.home.rglob("*") if path.is_file()]
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []


def test_prefect_is_told_no_secret(mill: Any) -> None:
    """Neither its database, with parameters, logs and artifacts of the runs, nor what was printed holds one.

    A temporary server is started since the one that is named does not answer; it asks for the password, too.
    """
    mill.fill(3)
    mill.put("empty.txt", b"")
    (mill.home / "prefect").mkdir(parents=True)
    planted = {
        "PREFECT_API_AUTH_STRING": f"admin:{SECRET}",
        "PREFECT_SERVER_API_AUTH_STRING": f"admin:{SECRET}",
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_API_URL": f"http://someone:{SECRET}@127.0.0.1:1/api",
        "PREFECT_HOME": str(mill.home / "prefect"),
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "DEBUG",
    }
    answer = mill.newsmill("ingest", mill.raw, env={**mill.prefect_environment(), **planted}, seconds=300)
    assert answer.code == 0, answer.err
    assert "the Prefect server at http://127.0.0.1:1/api does not answer" in answer.err
    assert SECRET not in answer.out + answer.err
    database = mill.home / "prefect" / "prefect.db"
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM flow_run WHERE state_type = 'COMPLETED'").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM log").fetchone() > (0,)
    connection.close()
    written = [path for path in mill.home.parent.rglob("*") if path.is_file()]
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []


def test_a_temporary_server_hears_nobody_else_and_its_password_is_told_nowhere(mill: Any) -> None:
    """What it has of the run says that Prefect's client, log and events were let in."""
    mill.fill(3)
    mill.put("empty.txt", b"")
    loud = {"PREFECT_LOGGING_LEVEL": "DEBUG", "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "DEBUG"}
    done = subprocess.run(
        [sys.executable, "-c", ASKING, "ingest", "--home", mill.home, mill.raw],
        env={**mill.prefect_environment(), **loud}, cwd=mill.raw.parent, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (seen,) = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert json.loads(seen) == [401, 401, 200, 403, 400], "no password, another, the right one, no token, another page"
    assert SECRET not in done.stdout + done.stderr
    with sqlite3.connect(mill.home / "prefect" / "prefect.db") as connection:
        assert connection.execute("SELECT state_type FROM flow_run").fetchall() == [("COMPLETED",)]
        for table in ("log", "artifact", "events"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() > (0,), table
    connection.close()
    written = [path for path in mill.home.parent.rglob("*") if path.is_file()]
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []
