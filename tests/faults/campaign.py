"""Campaigns of crashes and errors: the tests' side of ``crasher.py``, and the choice of the moments.

Belongs here: starting a fork server, its orders, calls and how they are grouped.  Does not belong here: what happens in
the server (``crasher.py``), what must hold (the tests).
"""

import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

HERE = Path(__file__).parent
# Only against waiting for ever.
LONGEST_SECONDS = 180


@dataclass(frozen=True)
class Call:
    """One call that changed the home: its number, what it was, and the name below the home."""

    number: int
    kind: str
    path: str
    # What it was, its place in the home and the innermost lines that made it; empty where nothing watched.
    site: tuple[str, ...] = field(default=(), compare=False)

    @property
    def step(self) -> tuple[str, str]:
        """Calls of one step follow each other: a part is written in a hundred pieces, and that is one step."""
        return self.kind, self.path


class Crasher:
    """The fork server, and a place in memory for homes."""

    def __init__(self, folder: Path, raw: Path, shim: Path | None) -> None:
        self.folder, self.raw, self.number = folder, raw, 0
        self.shim = shim
        more = {"LD_PRELOAD": str(shim), "CRASH_SHIM": str(shim)} if shim else {}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("NEWSMILL_", "CRASH_"))}
        self.process = subprocess.Popen(
            [sys.executable, HERE / "crasher.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**kept, **more},
            cwd=folder,
            start_new_session=True,
        )

    def order(self, **words: Any) -> dict[str, Any]:
        """Send one order and wait for the answer."""
        self.send(words)
        stream = cast("IO[bytes]", self.process.stdout)
        assert select.select([stream], [], [], LONGEST_SECONDS)[0], f"nothing came of {words}"
        line = stream.readline()
        assert line, "the fork server has died"
        return dict(json.loads(line))

    def send(self, words: dict[str, Any]) -> None:
        """Send one order."""
        stream = cast("IO[bytes]", self.process.stdin)
        stream.write(json.dumps(words).encode() + b"\n")
        stream.flush()

    def home(self, copy_of: Path | None = None) -> Path:
        """A place for one more home, empty or a copy."""
        self.number += 1
        (self.folder / str(self.number)).mkdir()
        place = self.folder / str(self.number) / "home"
        if copy_of is not None:
            shutil.copytree(copy_of, place, symlinks=True)
        return place

    def traced(
        self, mutant: str | None = None, *, copy_of: Path | None = None, work: str = "ingest", **more: Any
    ) -> tuple[Path, list[Call]]:
        """An ingest, or other work on a home's copy, that nobody kills, and its calls."""
        home = self.home(copy_of)
        trace = home.with_name("trace")
        answer = self.work(home, 0, mutant=mutant, trace=str(trace), work=work, **more)
        assert (answer["status"], answer["code"]) == (0, 0), (answer, self.log(home))
        watched = trace.with_name("sites").read_text().splitlines() if self.shim else ()
        sites = {number: tuple(site) for number, *site in (line.split("\t") for line in watched)}
        lines = (line.split("\t", 2) for line in trace.read_text().splitlines())
        return home, [Call(int(number), kind, path, sites.get(number, ())) for number, kind, path in lines]

    def work(self, home: Path, at: int, *, action: str = "before", **more: Any) -> dict[str, Any]:
        """An ingest, or other work, that is killed at a call or finds an error there; if it ends, how many it made."""
        words = {"home": str(home), "raw": str(self.raw), "at": at, "action": action, **more}
        return self.order(do="work", acks=str(home.with_name("acks")), log=str(home.with_name("log")), **words)

    def recover(self, home: Path, work: str = "ingest", **more: Any) -> dict[str, Any]:
        """Look at what was left, ingest cleanly, verify, and read; after a compaction compact cleanly before."""
        acks, log = str(home.with_name("acks")), str(home.with_name("log"))
        words = {"home": str(home), "raw": str(self.raw), "acks": acks, "log": log, "work": work, **more}
        return self.order(do="recover", **words)

    def log(self, home: Path) -> str:
        """What the children of a home have printed."""
        path = home.with_name("log")
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def stop(self) -> None:
        """End the server and forget the homes."""
        cast("IO[bytes]", self.process.stdin).close()
        try:
            self.process.wait(20)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            cast("IO[bytes]", self.process.stdout).close()


def steps(calls: Sequence[Call]) -> list[list[Call]]:
    """The calls grouped into steps."""
    return [list(group) for _, group in itertools.groupby(calls, key=lambda call: call.step)]


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """So many items, evenly and each once, the first and the last among them."""
    assert 1 < count <= len(items), f"{count} of {len(items)}"
    return [items[round(number * (len(items) - 1) / (count - 1))] for number in range(count)]
