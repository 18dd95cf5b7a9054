"""Thousands of hostile raw files: nobody dies of them, every one is accounted for, none takes more than it may."""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile
import pytest

SECONDS, MEMORY = 30, 512_000_000
GOLDEN = Path(__file__).parents[1] / "golden" / "readers"
LIMITS = ("workers=2", "batch_files=50", f"batch_seconds={SECONDS}", f"worker_memory_bytes={MEMORY}")


@pytest.fixture
def place(mill: Any, memory: Path) -> Any:
    """A home and raw files in memory: this is about bytes, not about disks."""
    folder = memory / "hostile"
    folder.mkdir()
    yield type(mill)(home=folder / "home", raw=folder / "raw")
    shutil.rmtree(folder)


def campaign(mill: Any, count: int, samples: Path, record: Callable[[str, object], None]) -> None:
    """So many files, ingested by workers that are killed beyond their time or memory; what became of each."""
    good = sorted(path for folder in (samples, GOLDEN) for path in folder.rglob("*") if path.is_file())
    paths = hostile.write(mill.raw, count, good)
    flags = [word for limit in LIMITS for word in ("--set", limit)]
    answer = mill.newsmill("ingest", "--direct", mill.raw, *flags, "--format", "json", seconds=4 * 3600)
    assert answer.code == 0, answer.err[-3000:]
    counts = answer.json()["counts"]
    assert sum(counts.get(word, 0) for word in ("ingested", "rejected", "duplicate", "deferred")) == paths
    assert counts.get("deferred", 0) == 0, "nothing here mends itself"
    assert mill.one("SELECT count(*) FROM files") == paths
    unnamed = mill.rows("SELECT uri FROM files WHERE status = 'rejected' AND reject_count = 0 AND reason IS NULL")
    assert unnamed == [], "each refusal has its reason"
    reasons = Counter(mill.column("SELECT reason FROM rejects"))
    dead = mill.rows("SELECT uri, reason, detail FROM rejects WHERE reason IN ('crash', 'timeout')")
    record("hostile", {**counts, **reasons})
    print(counts, dict(reasons))
    assert dead == [], f"more than {SECONDS} s, {MEMORY} bytes, or the end of a worker"
    assert len(reasons) >= 15, "the kinds are there"
    assert mill.one("SELECT count(*) FROM documents") > count / 5
    assert mill.problems(deep=True) == []
    assert mill.newsmill("ingest", "--direct", mill.raw).code == 0
    assert not Path("/etc/evil.txt").exists()
    assert list(mill.home.parent.rglob("evil*")) == []


@pytest.mark.faults
def test_2000_hostile_files(place: Any, samples: Path, record_property: Callable[[str, object], None]) -> None:
    campaign(place, 2_000, samples, record_property)


@pytest.mark.long
def test_50000_hostile_files(place: Any, samples: Path, record_property: Callable[[str, object], None]) -> None:
    campaign(place, 50_000, samples, record_property)


def test_the_same_number_gives_the_same_file(tmp_path: Path, samples: Path) -> None:
    good = sorted(path for path in samples.rglob("*") if path.is_file())
    made = []
    for name in ("a", "b"):
        hostile.write(tmp_path / name, 5, good)
        files = sorted((tmp_path / name / "0000").iterdir())
        made.append([(os.fsencode(path.name), path.read_bytes()) for path in files])
    assert made[0] == made[1]
    assert len(made[0]) == 5


def test_a_worker_that_dies_of_a_file_is_noticed(
    place: Any, samples: Path, monkeypatch: pytest.MonkeyPatch, mutated: Callable[[str], dict[str, str]],
    record_property: Callable[[str, object], None],
) -> None:  # fmt: skip
    """The canary: a build in which one kind of file kills whoever reads it."""
    environment = mutated(
        "import os, resource\nfrom tasks import record\nreal = record.prepared\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n\n\ndef odd(records):\n"
        "    if any('Meldung 0.' in getattr(found, 'text', '') for found in records):\n"
        "        os.abort()\n    return real(records)\n\n\nrecord.prepared = odd\n"
    )
    monkeypatch.setenv("PYTHONPATH", environment["PYTHONPATH"])
    monkeypatch.setattr(hostile, "ODD", {})
    monkeypatch.setattr(hostile, "FORMATS", {})
    monkeypatch.setattr(hostile, "TEXTS", {"UTF-16": hostile.TEXTS["UTF-16"], "short": hostile.TEXTS["short"]})
    with pytest.raises(AssertionError, match="the end of a worker"):
        campaign(place, 60, samples, record_property)
