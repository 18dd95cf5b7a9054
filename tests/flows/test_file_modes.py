"""Who may read and write what stands in a home, whatever the umask was.

Others never write: not into folders either, where they could put a file in the place of another.  Whether group and
others read is for the umask to say; parts and snapshots are 0444, so that the folder decides.  Locks and the state of
Prefect are the owner's alone.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MASKS = pytest.mark.parametrize("mask", [0o000, 0o077], ids=oct)


def modes(home: Path) -> Iterator[tuple[str, int]]:
    for path in [home, *sorted(home.rglob("*"))]:
        if not path.is_symlink():
            yield path.relative_to(home.parent).as_posix(), stat.S_IMODE(path.stat().st_mode)


@MASKS
def test_nobody_else_writes_into_a_home(mill: Any, mask: int) -> None:
    mill.fill(6)
    for words in (
        ["ingest", "--direct", mill.raw, "--set", "batch_files=3", "--set", "workers=2"], ["compact", "--level", "3"],
        ["forget", "--uri", "0001.txt"], ["verify"],
    ):  # fmt: skip
        answer = mill.newsmill(*words, before_exec=lambda: os.umask(mask))
        assert answer.code == 0, answer.err
    found = dict(modes(mill.home))
    assert {name.split("/")[1] for name in found if "/" in name} >= {"lake", "ledger.sqlite", "locks", "versions"}
    assert {name: oct(mode) for name, mode in found.items() if mode & stat.S_IWOTH} == {}
    finished = {name: mode for name, mode in found.items() if name.endswith((".parquet", ".duckdb"))}
    assert len(finished) >= 3
    assert set(finished.values()) == {0o444}
    assert {mode for name, mode in found.items() if name.endswith(".lock")} == {0o600}
    # The folders and the ledger are as closed as was asked for.
    rest = [mode for name, mode in found.items() if name not in finished and not name.endswith(".lock")]
    assert [oct(mode) for mode in rest if mode & mask] == []
    assert (found["home"] & 0o055 == 0o055) == (mask & 0o055 == 0), "and no more closed than that"


@pytest.fixture(scope="module")
def exporting(new_mill: Any) -> Any:
    mill = new_mill("exporting")
    mill.fill(2)
    mill.ingest()
    return mill


@MASKS
@pytest.mark.parametrize("ending", ["parquet", "jsonl", "duckdb"])
def test_an_export_is_as_closed_as_was_asked_for(exporting: Any, tmp_path: Path, mask: int, ending: str) -> None:
    """One that takes the place of another is as closed as that one was."""
    path = tmp_path / f"corpus.{ending}"
    before = os.umask(mask)
    try:
        assert exporting.cli("export", path).code == 0
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
        path.chmod(0o640)
        assert exporting.cli("export", path, "--replace").code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_what_is_begun_is_the_owners_alone(mill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a snapshot can be read by nobody else, whatever the umask."""
    from warehouse import durable

    seen: list[int] = []
    real = durable.rename_durably

    def looking(temporary: Path, final: Path) -> None:
        seen.append(stat.S_IMODE(temporary.stat().st_mode))
        real(temporary, final)

    monkeypatch.setattr("warehouse.parts.rename_durably", looking)
    monkeypatch.setattr("warehouse.snapshots.rename_durably", looking)
    mill.fill(2)
    mask = os.umask(0)
    try:
        mill.ingest()
        with durable.temporary_file(mill.home / "versions") as begun:
            assert stat.S_IMODE(begun.stat().st_mode) == 0o600
    finally:
        os.umask(mask)
    assert seen
    assert set(seen) == {0o444}, "closed for good before it has its name"


def test_the_state_of_prefect_is_the_owners_alone(mill: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from flows.settings import prepare_prefect

    monkeypatch.setattr(os, "environ", {"HOME": str(tmp_path)})
    mask = os.umask(0)
    try:
        prepare_prefect(mill.settings().layout)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((mill.home / "prefect").stat().st_mode) == 0o700
    assert stat.S_IMODE(mill.home.stat().st_mode) == 0o775


@pytest.mark.parametrize(("mode", "is_refused"), [(0o644, True), (0o604, True), (0o640, False), (0o600, False)])
def test_a_settings_file_with_the_ledgers_url_is_not_for_everybody(
    mill: Any, monkeypatch: pytest.MonkeyPatch, mode: int, is_refused: bool
) -> None:
    file = mill.raw.parent / "newsmill.toml"
    monkeypatch.chdir(file.parent)
    file.write_text('ledger_url = "postgresql+psycopg://someone:planted-canary@127.0.0.1:1/nowhere"\n')
    file.chmod(mode)
    answer = mill.cli("settings")
    assert answer.code == (2 if is_refused else 0)
    assert ("chmod o-rwx newsmill.toml" in answer.err) == is_refused
    assert "planted-canary" not in answer.out + answer.err
    file.write_text("batch_files = 7\n")
    file.chmod(0o644)
    assert mill.cli("settings").code == 0, "others may read what is no secret"
