"""Planted secrets stand in nothing that newsmill prints or writes, with a ledger that works and one that does not.

tests/flows/test_secrets.py looks at Prefect, too; this is where a PostgreSQL server is.
"""

import logging
import os
import re
import signal
import subprocess
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from warehouse.errors import NewsmillError

SECRET = "planted-canary-51c0de"
COMMANDS = [
    ["ingest", "--direct"], ["status"], ["status", "--format", "json"], ["settings"], ["settings", "--format", "json"],
    ["verify", "--deep"], ["rejects"], ["sql", "FROM runs"], ["publish"], ["compact", "--level", "1"], ["rebuild"],
    ["replay", "--direct", "--reason", "any"], ["forget", "--uri", "wire/0001.txt"], ["forget", "--list"],
    ["export", "documents.jsonl"], ["search", "Stadt"], ["inspect", "inbox.txt"],
]  # fmt: skip


def planted(url: str) -> str:
    return re.sub(r"//(\w+)@", rf"//\1:{SECRET}@", url)


def environment(url: str) -> dict[str, str]:
    return {
        "NEWSMILL_LEDGER_URL": planted(url),
        "PREFECT_API_AUTH_STRING": f"admin:{SECRET}",
        "PREFECT_SERVER_API_AUTH_STRING": f"admin:{SECRET}",
        "PREFECT_API_KEY": SECRET,
        "PREFECT_API_URL": f"http://someone:{SECRET}@127.0.0.1:1/api",
        "PREFECT_SERVER_DATABASE_PASSWORD": SECRET,
    }


def holding(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    return new_database()


def test_a_ledger_that_works_tells_no_password(
    mill: Any, url: str, write_news: Callable[..., str], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    for name, value in environment(url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(mill.raw.parent)
    caplog.set_level(logging.DEBUG)
    inbox = mill.home / "inbox" / "wire"
    inbox.mkdir(parents=True)
    for number in range(4):
        (inbox / f"{number:04d}.txt").write_text(write_news(number), encoding="utf-8")
    (inbox / "empty.txt").write_bytes(b"")
    (mill.raw.parent / "inbox.txt").write_text(write_news(9), encoding="utf-8")
    for words in COMMANDS:
        answer = mill.cli(*words)
        assert SECRET not in answer.out + answer.err, words
        if words[0] != "search":
            assert answer.code == 0, (words, answer.err)
    with sa.create_engine(url).connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM commits")), "it did work with that ledger"
    assert not (mill.home / "ledger.sqlite").exists()
    assert SECRET not in caplog.text
    assert holding(mill.home.parent) == []


def test_a_watcher_tells_no_password(mill: Any, url: str, started: Any, write_news: Callable[..., str]) -> None:
    """Nor does what others see of the process: its arguments."""
    said = mill.raw.parent / "said"
    with said.open("wb") as stream:
        process = started(
            mill.command("watch", "--settle", "0.1", "--sweep", "1"),
            stdout=stream, stderr=stream, env={**os.environ, **environment(url)}, cwd=mill.raw,
        )  # fmt: skip
        (mill.home / "inbox" / "wire").mkdir(parents=True)
        (mill.home / "inbox" / "wire" / "1.txt").write_text(write_news(1), encoding="utf-8")
        end = time.monotonic() + 90
        while not mill.settings().layout.warehouse.exists():
            assert time.monotonic() < end
            time.sleep(0.2)
        assert SECRET not in Path(f"/proc/{process.pid}/cmdline").read_text(encoding="utf-8")
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert b"watching" in said.read_bytes()
    assert holding(mill.home.parent) == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://someone@127.0.0.1:1/nowhere", "postgresql+nothing://someone@localhost/x",
        "postgresql+psycopg://someone@local host/x", "mysql://someone@localhost/x", "//someone@localhost",
        "postgresql+psycopg://someone@localhost:port/x", "postgresql+psycopg://someone@/x?host=/nowhere&what=1",
        # Who forgets to encode a slash makes a port of what stands before it.
        f"postgresql+psycopg://someone:{SECRET}/more@localhost/x",
        f"postgresql+psycopg://someone:{SECRET}?more@localhost/x",
    ],
)  # fmt: skip
def test_a_ledger_that_does_not_work_tells_no_password(
    mill: Any, url: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """With --debug, too, when all that led to the error is shown."""
    mill.fill(1)
    mill.ingest()
    monkeypatch.setenv("NEWSMILL_LEDGER_URL", planted(url))
    caplog.set_level(logging.DEBUG)
    answer = mill.cli("status")
    assert answer.code != 0
    assert answer.err.startswith("newsmill: ")
    with pytest.raises(NewsmillError) as raised:
        mill.cli("status", "--debug")
    whole = "".join(traceback.format_exception(raised.value))
    settings = mill.cli("settings")
    assert settings.code == 0
    assert SECRET not in answer.out + answer.err + whole + settings.out + settings.err + caplog.text


def test_the_canary_would_be_found(mill: Any, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"connecting with {SECRET}")
    assert holding(tmp_path) == [tmp_path / "log"]
    done = subprocess.run(["env"], env=environment("postgresql://a@b"), capture_output=True, text=True, check=True)
    assert done.stdout.count(SECRET) == 6
