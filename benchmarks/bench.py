"""How newsmill and its peers are run: on which files, into which folders, in which way.

Belongs here: what all topics of ``compare`` share.  Does not belong here: any topic.
"""

import contextlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import corpus, process, tracked
from benchmarks.process import Run

NEWSMILL = Path(sys.executable).with_name("newsmill")
PEERS = Path(__file__).with_name("peers")
SCRIPTS = {"naive": "naive.py", "datatrove": "trove.py", "dlt": "load.py", "dask": "bag.py"}
# What everything is run on once before it is measured.
FEW = 200


@dataclass(frozen=True, slots=True)
class Way:
    """How newsmill is run: what is added to its name in a row, to its arguments and to its environment."""

    name: str
    words: tuple[str, ...]
    environment: dict[str, str]


DIRECT = Way("", ("--direct",), {})


@dataclass(frozen=True, slots=True)
class Bench:
    """Where corpora and homes lie, where the peers' environments are, how often everything is run, and under what."""

    work: Path
    peers: Path
    rounds: int
    tracked: bool = False

    def files(self, count: int) -> Path:
        """The corpus of so many files, made where it is not there."""
        folder = self.work / f"corpus-{corpus.VERSION}-{count}"
        if not folder.exists():
            draft = folder.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            corpus.write(draft, count, seed=count)
            draft.rename(folder)
        return folder

    def fresh(self, name: str) -> Path:
        """A place that does not exist yet."""
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def ingest(self, count: int, way: Way, home: str = "home", *, memory: bool = False) -> Run:
        """One ingest of a corpus into a new home."""
        return process.run(
            [NEWSMILL, "ingest", "--home", self.fresh(home), self.files(count), "--format", "json", *way.words],
            way.environment,
            memory=memory,
        )

    def python(self, peer: str) -> Path:
        """The Python of a peer's environment."""
        return self.peers / peer / "bin" / "python"

    def peer(self, name: str, count: int) -> Run:
        """One run of a peer into a new folder; it must say how many documents it has."""
        done = process.run(
            [self.python(name), PEERS / SCRIPTS[name], self.files(count), self.fresh(f"peer-{name}")],
            {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"},
        )
        assert done.out.split()[-1] == str(count), done.out[-500:]
        return done

    @contextlib.contextmanager
    def ways(self) -> Iterator[list[Way]]:
        """The ways to ingest that are measured, each of them warm."""
        with contextlib.ExitStack() as stack:
            found = [DIRECT]
            if self.tracked:
                found.append(Way(", under a Prefect server", (), stack.enter_context(self.server())))
            for way in found:
                self.ingest(FEW, way)
            yield found

    def server(self) -> contextlib.AbstractContextManager[dict[str, str]]:
        """A Prefect server with a database of its own."""
        return tracked.server(self.fresh("prefect"))


def figures(runs: Sequence[Run]) -> dict[str, Sequence[float]]:
    """The figures of some runs, in their order."""
    found: dict[str, Sequence[float]] = {
        "wall_s": [round(run.wall, 2) for run in runs],
        "cpu_s": [round(run.cpu, 2) for run in runs],
    }
    peaks = [round(run.peak_mb) for run in runs if run.peak_mb is not None]
    return {**found, "peak_mb": peaks} if peaks else found
