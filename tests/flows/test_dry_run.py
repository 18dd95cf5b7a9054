"""A dry run says what an ingest would do and writes nothing at all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every name below a folder, lock files and all, with modification time and bytes."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
        if not path.is_dir()
    }


def test_without_a_home_it_makes_none(mill: Any) -> None:
    mill.fill(3)
    before = everything(mill.home.parent)
    answer = mill.newsmill("ingest", "--dry-run", mill.raw, "--format", "json")
    assert answer.code == 0, answer.err
    assert answer.json()["counts"] == {"would_read": 3}
    assert everything(mill.home.parent) == before
    assert not mill.home.exists()


def test_beside_a_home_it_leaves_every_byte(mill: Any, write_news: Callable[[int], str]) -> None:
    mill.fill(3)
    mill.put("empty.txt", b"")
    mill.ingest()
    mill.fill(2, first=3)
    mill.put("0001.txt", write_news(50))
    mill.put("again.txt", write_news(0))
    mill.put("new-again.txt", write_news(50))
    (mill.raw / "link.txt").symlink_to("0001.txt")
    before = everything(mill.home.parent)
    answer = mill.newsmill("ingest", "--dry-run", mill.raw, "--format", "json")
    assert answer.code == 0, answer.err
    assert answer.json()["counts"] == {"would_read": 3, "duplicate": 2, "unchanged": 3, "rejected": 1}
    after = everything(mill.home.parent)
    assert after.keys() == before.keys()
    assert after == before

    told = mill.cli("ingest", "--dry-run", str(mill.raw)).out
    assert "Dry run: 3 files would be read; nothing was written." in told
    counts = mill.ingest().counts
    assert (counts["ingested"], counts["duplicate"], counts["rejected"]) == (3, 2, 1), "the ingest does what was said"


def test_the_inbox_is_looked_at_where_no_path_is_named(mill: Any, write_news: Callable[[int], str]) -> None:
    inbox = mill.home / "inbox" / "wire"
    inbox.mkdir(parents=True)
    (inbox / "a.txt").write_text(write_news(1))
    before = everything(mill.home)
    answer = mill.cli("ingest", "--dry-run", "--format", "json")
    assert answer.json()["counts"] == {"would_read": 1}
    assert everything(mill.home) == before


@pytest.mark.parametrize("flags", [["--dry-run"], ["--direct"]])
def test_without_an_inbox_it_says_what_to_do(mill: Any, flags: list[str]) -> None:
    answer = mill.cli("ingest", *flags)
    assert answer.code in (1, 2)
    assert "inbox" in answer.err
    assert "newsmill ingest PATH" in answer.err
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize("flags", [["--dry-run"], ["--direct"]])
def test_a_path_that_does_not_exist_is_a_matter_of_usage(mill: Any, flags: list[str]) -> None:
    answer = mill.cli("ingest", *flags, str(mill.raw / "nowhere"))
    assert answer.code == 2
    assert "nowhere" in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not (mill.home / "versions").exists()
