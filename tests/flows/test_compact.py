"""Compaction: fewer and smaller parts, the same rows, whatever came before and comes after."""

import json
from collections.abc import Callable
from typing import Any

import pytest

News = Callable[[int], str]
NO_GRACE = ("--set", "compact_grace_seconds=0")


@pytest.fixture
def faked_version(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the pipeline have another version."""
    from tasks import version

    def fake(number: str) -> None:
        monkeypatch.setattr(version, "pipeline_version", lambda: number)

    return fake


def compacted(mill: Any, *arguments: str) -> dict[str, Any]:
    answer = mill.cli("compact", *arguments, "--format", "json")
    assert answer.code == 0, answer.err
    return dict(answer.json())


def row_hashes(mill: Any) -> dict[str, Any]:
    """Hashes of the tables that a compaction leaves alone: it is a commit of a run, and no more."""
    return {name: found for name, found in mill.hashes().items() if name not in ("loads", "runs")}


def test_many_small_parts_become_one_and_no_row_changes(mill: Any, write_news: News) -> None:
    mill.fill(12)
    mill.put("empty.txt", b"")
    mill.put("again.txt", write_news(3))
    mill.ingest(batch_files=3)
    mill.put("0002.txt", write_news(99))
    mill.ingest()
    rows, before, commit = row_hashes(mill), mill.parts(), mill.last_commit()

    tree = mill.tree()
    planned = compacted(mill, "--dry-run", *NO_GRACE)
    assert (planned["replaced_commits"], planned["new_commits"], planned["removed"]) == (6, 1, [])
    assert mill.tree() == tree, "a dry run writes nothing"

    done = compacted(mill)
    assert (done["parts_before"], done["parts_after"], done["waiting"]) == (12, 2, 12)
    assert (done["replaced_commits"], done["new_commits"]) == (6, 1)
    assert done["bytes_after"] < done["bytes_before"] / 2
    assert before.items() < mill.parts().items(), "what was replaced stays for its grace time"
    assert row_hashes(mill) == rows
    load = mill.rows("SELECT * FROM loads WHERE kind = 'compaction'")
    assert [row["commit_no"] for row in load] == [commit + 1]
    assert sum(value for name, value in load[0].items() if name.endswith("_count")) == 0
    assert mill.one("SELECT flow FROM runs JOIN loads USING (run_id) WHERE kind = 'compaction'") == "compact"
    assert mill.problems(deep=True) == []

    done = compacted(mill, *NO_GRACE)
    assert sorted(done["removed"]) == sorted(before)
    assert len(mill.parts()) == 2
    assert mill.problems(deep=True) == [], "also where the old files are gone"
    hashes = mill.hashes()
    assert mill.cli("rebuild").code == 0
    assert mill.hashes() == hashes

    tree = mill.tree("ledger.sqlite")
    again = mill.cli("compact", *NO_GRACE)
    assert again.out.startswith("Nothing to do"), again.out
    assert mill.tree("ledger.sqlite") == tree
    assert mill.last_commit() == commit + 1
    assert mill.ingest().counts == {"unchanged": 14}


def test_compact_replay_compact_replay(mill: Any, faked_version: Callable[[str], None]) -> None:
    """Rows that a replay replaced go with the next compaction; what was compacted is compacted again."""
    mill.fill(8)
    mill.ingest(batch_files=2)
    texts = mill.rows("SELECT document_id, text FROM documents ORDER BY ALL")
    compacted(mill, *NO_GRACE)
    faked_version("2-faked")
    assert mill.cli("replay", "0001.txt", "0005.txt", "--direct").code == 0
    assert mill.problems(deep=True) == []
    rows = row_hashes(mill)
    done = compacted(mill, *NO_GRACE)
    assert (done["replaced_commits"], done["new_commits"], done["parts_after"]) == (2, 1, 2)
    assert row_hashes(mill) == rows
    assert mill.problems(deep=True) == []
    faked_version("3-faked")
    mill.fill(3, first=20)
    mill.ingest()
    assert mill.cli("replay", "--stale", "--direct").code == 0
    compacted(mill, *NO_GRACE)
    assert len(mill.parts()) == 2
    assert mill.rows("SELECT document_id, text FROM documents WHERE uri < '0020' ORDER BY ALL") == texts
    assert mill.column("SELECT DISTINCT pipeline_version FROM documents") == ["3-faked"]
    hashes = mill.hashes()
    assert mill.cli("rebuild").code == 0
    assert mill.hashes() == hashes
    assert mill.problems() == []


def test_a_snapshot_of_before_is_brought_up_to_date_from_merged_parts(mill: Any) -> None:
    """Commits that were never published, whose own parts are gone by the time somebody publishes."""
    from warehouse import snapshots

    mill.fill(2)
    mill.ingest()
    first = mill.newest()
    mill.fill(4, first=2)
    mill.ingest(batch_files=1)
    compacted(mill, *NO_GRACE)
    expected = mill.hashes()
    for _, path in snapshots.numbered(mill.settings().layout):
        if path != first:
            path.unlink()
    assert mill.cli("publish").code == 0
    assert mill.hashes() == expected
    assert mill.problems(deep=True) == []


def test_a_higher_level_is_smaller(new_mill: Callable[..., Any]) -> None:
    sizes = []
    for level in ("1", "19"):
        mill = new_mill()
        mill.fill(60)
        mill.ingest()
        sizes.append(compacted(mill, "--level", level)["bytes_after"])
    assert sizes[1] < sizes[0]


@pytest.mark.parametrize(
    "words", [["--level", "0"], ["--level", "23"], ["--level", "x"], ["--set", "compact_grace_seconds=-1"]]
)
def test_what_cannot_be_is_refused_in_one_line(mill: Any, words: list[str]) -> None:
    mill.fill(1)
    mill.ingest()
    answer = mill.cli("compact", *words)
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_a_home_that_was_never_used_is_not_made(mill: Any, words: list[str]) -> None:
    answer = mill.cli("compact", *words)
    assert answer.code == 1
    assert "newsmill ingest" in answer.err
    assert not mill.home.exists()


def test_damage_stops_it_and_is_recorded(mill: Any) -> None:
    mill.fill(4)
    mill.ingest(batch_files=2)
    (path, *_) = sorted((mill.home / "lake" / "files").iterdir())
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    before = mill.parts()
    answer = mill.cli("compact", *NO_GRACE)
    assert answer.code == 1
    assert len(answer.err.splitlines()) == 1
    assert path.name in answer.err
    assert mill.parts().keys() >= before.keys()
    runs = json.loads(mill.cli("status", "--format", "json").out)["runs"]
    assert [(run["flow"], run["status"]) for run in runs] == [("compact", "failed"), ("ingest", "completed")]


def test_a_person_reads_what_was_done(mill: Any) -> None:
    mill.fill(4)
    mill.ingest(batch_files=2)
    planned = mill.cli("compact", "--dry-run").out
    assert "2 pairs of parts would become 1" in planned
    done = mill.cli("compact").out
    assert "2 pairs of parts became 1" in done
    assert "4 files" in done, "those that wait for their grace time"
    removed = mill.cli("compact", "--dry-run", *NO_GRACE).out
    assert removed.count("would remove documents/") == removed.count("would remove files/") == 2
    assert "4 files" in mill.cli("compact", *NO_GRACE).out
