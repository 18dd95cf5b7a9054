"""`newsmill sql` alone: a prompt on a real terminal, driven as a person would."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Terminal:
    """A person before `newsmill sql`: types, and reads until something shows."""

    def __init__(self, mill: Any, home: Path) -> None:
        # Not pty.fork: a fork of a process with threads may wait for ever before its exec.
        # This end stays open: a terminal that nobody has open yet counts as gone.
        self.screen, self.theirs = pty.openpty()
        settings = {**os.environ, "HOME": str(home), "TERM": "dumb", "COLUMNS": "120", "TTY": os.ttyname(self.theirs)}
        # The first terminal that a new session opens becomes the one that Ctrl-C comes from.
        shell = ["/bin/sh", "-c", 'exec "$@" <"$TTY" >"$TTY" 2>&1', "sh"]
        self.process = subprocess.Popen([*shell, *mill.command("sql")], env=settings, start_new_session=True)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def read_until(self, pattern: str, seconds: float = 60) -> str:
        """What shows up to a pattern, without what was shown before."""
        until = time.monotonic() + seconds
        while not re.search(pattern, self.seen):
            assert time.monotonic() < until, f"waited for {pattern!r}, saw {self.seen!r}"
            if select.select([self.screen], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.screen, 65536).decode(errors="replace")
                except OSError:  # how a terminal says that the other side has gone
                    assert re.search(pattern, self.seen), self.seen
        shown, self.seen = self.seen, ""
        return shown

    def wait_for_keys(self, seconds: float = 60) -> None:
        """Until the process sleeps: Python can miss a Ctrl-C between showing its prompt and waiting for a key."""
        stat = Path(f"/proc/{self.process.pid}/stat")
        if not stat.exists():
            time.sleep(1)
            return
        until = time.monotonic() + seconds
        while stat.read_text().rpartition(")")[2].split()[0] != "S":
            assert time.monotonic() < until, "it never came to wait"
            time.sleep(0.05)

    def wait(self) -> int:
        """Exit code of the command."""
        return self.process.wait(60)


@pytest.fixture(scope="module")
def milled(new_mill: Any) -> Any:
    mill = new_mill("prompted")
    mill.fill(3)
    mill.ingest()
    return mill


@pytest.fixture
def terminal(milled: Any, tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(milled, tmp_path)
    yield made
    made.process.kill()
    made.process.wait()
    os.close(made.screen)
    os.close(made.theirs)


def test_a_conversation(terminal: Terminal, milled: Any, tmp_path: Path) -> None:
    terminal.read_until("newsmill> ")
    terminal.type("SELECT count(*) AS how_many\n")
    terminal.read_until(r"\.\.\.> ")
    terminal.type("FROM documents;\n")
    assert re.search(r"how_many[^0-9]+3\b", terminal.read_until(r"1 row[\s\S]*newsmill> "))
    terminal.type("SELEC 1;\n")
    assert "syntax error" in terminal.read_until(r"error[\s\S]*newsmill> ")
    terminal.type("COPY documents TO '/tmp/newsmill-prompt-copy';\n")
    terminal.read_until(r"only one statement that reads[\s\S]*newsmill> ")
    terminal.type(".columns paragraphs\n")
    assert "credit" in terminal.read_until(r"rows[\s\S]*newsmill> ")
    terminal.type(".tables\n")
    assert "keyness" in terminal.read_until(r"rows[\s\S]*newsmill> ")
    terminal.type(".format csv\nSELECT 42 AS n, 'a' AS t;\n")
    assert "42,a" in terminal.read_until(r"42,a[\s\S]*newsmill> ")
    terminal.type(".nonsense\n")
    terminal.read_until(r"Ctrl-D[\s\S]*newsmill> ")
    milled.fill(1, first=77)
    milled.ingest()
    terminal.type("SELECT count(*) AS now FROM documents;\n")
    assert re.search(r"now\s+4\b", terminal.read_until(r"now\s+\d+[\s\S]*newsmill> ")), "the newest snapshot is asked"
    terminal.type("\x04")
    assert terminal.wait() == 0
    assert not Path("/tmp/newsmill-prompt-copy").exists()
    history = tmp_path / ".newsmill_history"
    assert "FROM documents;" in history.read_text()
    assert history.stat().st_mode & 0o777 == 0o600


def test_tab_completes_names_of_the_warehouse(terminal: Terminal) -> None:
    pytest.importorskip("readline")
    terminal.read_until("newsmill> ")
    terminal.type("FROM v_segments_to_t\t LIMIT 0;\n")
    terminal.read_until(r"0 rows[\s\S]*newsmill> ")
    terminal.type(".quit\n")
    assert terminal.wait() == 0


def test_control_c_gives_up_a_statement_and_not_the_prompt(terminal: Terminal) -> None:
    terminal.read_until("newsmill> ")
    terminal.type("SELECT begun\n")
    terminal.read_until(r"\.\.\.> ")
    terminal.wait_for_keys()
    terminal.type("\x03")
    terminal.read_until("newsmill> ")
    terminal.type("SELECT count(*) FROM range(1000000000000);\n")
    time.sleep(1)
    terminal.type("\x03")
    terminal.read_until(r"(?i)(stopped|interrupt)[\s\S]*newsmill> ")
    terminal.type("SELECT 'still ' || 'here' AS t;\n")
    terminal.read_until(r"still here[\s\S]*newsmill> ")
