"""Every section of deploy/runbook.md is carried out, on a home in the state that it speaks of.

A block of `sh` is run as it stands there, by bash, which ends at the first command that fails.  Those that need a
service manager, a server or another database are not; tests/rules/test_deploy_rules.py looks at their commands.
"""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.flows.test_versions import EARLIER, made_at
from warehouse.durable import lock

PAGE = Path(__file__).parents[2] / "deploy" / "runbook.md"
ELSEWHERE = re.compile(r"\b(sudo|docker|kubectl|systemctl|pg_dump|newsmill deploy)\b")
SECTIONS = {
    title: re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    for title, text in re.findall(
        r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
}


class Operator:
    """Somebody who works through a section with a home and a folder for backups."""

    def __init__(self, mill: Any) -> None:
        self.mill = mill
        self.inbox = mill.home / "inbox" / "my-source"
        self.backup = mill.home.parent / "backup"
        self.target = mill.home.parent / "elsewhere"
        self.inbox.mkdir(parents=True)

    def does(self, title: str, *, part: str = "", first: int | None = None) -> str:
        """Run the blocks of a section, or the first of them; returns what they said."""
        said = ""
        for block in SECTIONS[title][:first]:
            if ELSEWHERE.search(block):
                continue
            code = block.replace("/srv/elsewhere", str(self.target))
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", code],
                cwd=self.mill.home.parent,
                env={
                    **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
                    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                    "NEWSMILL_HOME": str(self.mill.home),
                    "BACKUP": str(self.backup),
                    "PART": part,
                    "COLUMNS": "200",
                },
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert done.returncode == 0, f"{title}: {code}\n{done.stdout}\n{done.stderr}"
            said += done.stdout + done.stderr
        return said

    def files(self, *numbers: int, text: Callable[[int], str]) -> None:
        for number in numbers:
            (self.inbox / f"{number:04d}.txt").write_text(text(number), encoding="utf-8")


@pytest.fixture
def operator(mill: Any, write_news: Any) -> Operator:
    made = Operator(mill)
    made.files(*range(1, 7), text=write_news)
    assert mill.cli("ingest", "--direct", "--set", "batch_files=3").code == 0
    return made


def test_the_blocks_are_found() -> None:
    assert len(SECTIONS) >= 12
    assert sum(map(len, SECTIONS.values())) >= 15


def test_looking_after_it(operator: Operator) -> None:
    said = operator.does("Look after it")
    assert "everything holds" in said
    assert "no ingest is running" in said
    assert SECTIONS["When a password has to change"] == [], "nothing of newsmill's"
    # The blocks that a server is wanted for are left out.
    assert SECTIONS["When Prefect's server or its database is lost"]


def test_a_backup_is_restored_with_all_that_came_after_it(operator: Operator, write_news: Any) -> None:
    mill = operator.mill
    operator.does("Back it up", first=1)
    operator.files(7, 8, text=write_news)
    assert mill.cli("ingest", "--direct").code == 0
    first = {path.name for path in (operator.backup / "lake").rglob("*.parquet")}
    assert "everything holds" in operator.does("Back it up")
    second = {path.name for path in (operator.backup / "lake").rglob("*.parquet")}
    assert first < second, "the second one adds"
    operator.files(9, text=write_news)
    assert mill.cli("ingest", "--direct").code == 0
    rows = mill.hashes()["documents"]

    for part in (mill.home / "lake").rglob("*.parquet"):
        part.unlink()
    for left in mill.home.glob("ledger*"):
        left.unlink()
    assert mill.cli("ingest", "--direct").code == 1
    assert operator.does("Restore it").count("everything holds") == 2
    assert mill.hashes()["documents"] == rows, "what came after the backup was in the inbox"
    assert mill.problems(deep=True) == []
    assert list((mill.home / "before" / "versions").iterdir()), "what was there is put away"


def test_a_backup_has_the_parts_that_its_ledger_names(operator: Operator, write_news: Any) -> None:
    """What a run writes between the two copies belongs to no commit of the first."""
    mill = operator.mill
    copied = mill.home.parent / "copied"
    shutil.copytree(mill.home, copied)
    operator.files(7, text=write_news)
    assert mill.cli("ingest", "--direct").code == 0
    for path in mill.home.glob("ledger.sqlite*"):
        path.unlink()
    shutil.copy2(copied / "ledger.sqlite", mill.home)
    assert "everything holds" in operator.does("Back it up")
    before = {path.relative_to(copied / "lake") for path in (copied / "lake").rglob("*.parquet")}
    assert {path.relative_to(operator.backup / "lake") for path in operator.backup.rglob("*.parquet")} == before
    assert sorted(os.listdir(operator.backup)) == ["lake", "ledger.sqlite", "parts.txt"]


def test_what_was_forgotten_after_a_backup_stays_forgotten(operator: Operator) -> None:
    mill = operator.mill
    operator.does("Back it up", first=1)
    operator.does("When content must go")
    said = operator.does("Restore it")
    assert "1 contents are forgotten again" in said
    assert said.count("everything holds") == 2
    assert mill.one("SELECT count(*) FROM documents") == 5
    assert mill.one("SELECT count(*) FROM documents WHERE uri = 'my-source/0001.txt'") == 0
    assert (operator.inbox / "0001.txt").exists()


@pytest.mark.parametrize("is_there", [False, True], ids=["lost", "older than the parts"])
def test_a_ledger_is_made_anew(operator: Operator, write_news: Any, is_there: bool) -> None:
    mill = operator.mill
    operator.does("Back it up", first=1)
    versions = sorted((mill.home / "versions").iterdir())
    operator.files(7, text=write_news)
    assert mill.cli("ingest", "--direct").code == 0
    (operator.inbox / "0007.txt").unlink()
    for path in mill.home.glob("ledger.sqlite*"):
        path.unlink()
    if is_there:
        shutil.copy2(operator.backup / "ledger.sqlite", mill.home)
        for path in {*(mill.home / "versions").iterdir()} - {*versions}:
            path.unlink()
        (mill.home / "warehouse.duckdb").unlink()
        (mill.home / "warehouse.duckdb").symlink_to(f"versions/{versions[-1].name}")
        assert mill.cli("verify").code == 1
    said = operator.does("When the ledger is lost or old")
    assert "ledger made anew" in said
    assert "everything holds" in said
    assert mill.one("SELECT count(*) FROM documents") == 7
    assert mill.problems(deep=True) == []


@pytest.mark.long
def test_a_backup_beside_a_running_ingest_is_whole(operator: Operator, started: Any, write_news: Any) -> None:
    """The ledger is copied first: whatever it names is there when the parts are copied."""
    mill = operator.mill
    operator.files(*range(100, 160), text=write_news)
    process = started(
        [*mill.command("ingest", "--direct", "--set", "batch_files=2", "--set", "publish_seconds=0")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    looks = 0
    while process.poll() is None or not looks:
        operator.does("Back it up", first=1)
        looks += 1
    assert process.wait() == 0
    trial = type(mill)(home=operator.backup, raw=mill.raw)
    assert trial.cli("rebuild").code == 0
    assert trial.problems(deep=True) == []


def test_a_backup_that_breaks_off_leaves_the_one_before(operator: Operator, write_news: Any) -> None:
    operator.does("Back it up", first=1)
    before = (operator.backup / "ledger.sqlite").read_bytes()
    operator.files(7, text=write_news)
    assert operator.mill.cli("ingest", "--direct").code == 0
    # A file stands where a folder of parts should be.
    shutil.rmtree(operator.backup / "lake")
    (operator.backup / "lake").write_text("")
    with pytest.raises(AssertionError, match="lake"):
        operator.does("Back it up", first=1)
    assert (operator.backup / "ledger.sqlite").read_bytes() == before


@pytest.mark.parametrize("version", EARLIER[:1])
def test_a_home_of_an_earlier_version_is_upgraded(operator: Operator, version: str) -> None:
    """An older ledger, and parts and snapshot that say that an older pipeline made them."""
    mill = operator.mill
    rows = mill.hashes()["documents"]
    made_at(version, mill.home / "ledger.sqlite")
    said = operator.does("Upgrade it")
    assert said.count("everything holds") == 3
    assert mill.hashes()["documents"] == rows
    with sqlite3.connect(mill.home / "ledger.sqlite") as ledger:
        assert ledger.execute("SELECT version_num FROM alembic_version").fetchall() != [(version,)]
    ledger.close()


def test_a_home_is_moved(operator: Operator) -> None:
    mill = operator.mill
    said = operator.does("Move it")
    assert "everything holds" in said
    shutil.move(mill.home, mill.home.with_name("gone"))
    moved = type(mill)(home=operator.target, raw=mill.raw)
    assert moved.problems(deep=True) == []
    assert moved.one("SELECT count(*) FROM files") == 6, "nothing was taken for new"
    assert moved.ingest(operator.target / "inbox").counts.keys() <= {"unchanged", "duplicate"}


def test_a_damaged_part_comes_out_of_the_backup(operator: Operator) -> None:
    mill = operator.mill
    operator.does("Back it up", first=1)
    part = next((mill.home / "lake" / "documents").iterdir())
    part.chmod(0o644)
    part.write_bytes(part.read_bytes()[:-9])
    name = part.relative_to(mill.home / "lake").as_posix()
    answer = mill.cli("verify")
    assert answer.code == 1
    assert part.name in answer.out
    assert "everything holds" in operator.does("When a part is damaged or missing", part=name)


def test_a_damaged_snapshot_is_built_anew(operator: Operator) -> None:
    newest = operator.mill.newest()
    newest.chmod(0o644)
    newest.write_bytes(newest.read_bytes()[:-4096])
    assert "everything holds" in operator.does("When a snapshot is damaged")
    assert operator.mill.problems(deep=True) == []


def test_room_is_made(operator: Operator, write_news: Any) -> None:
    operator.files(10, text=write_news)
    assert "no ingest is running" in operator.does("When the disk is full")
    assert operator.mill.one("SELECT count(*) FROM documents") == 7


def test_what_was_read_wrongly_is_read_again(operator: Operator) -> None:
    mill = operator.mill
    (operator.inbox / "wrong.txt").write_bytes(b"\xff\xfe" + "Ein halbes Zeichen.".encode("utf-16-le")[:-1])
    assert mill.cli("ingest", "--direct").code == 0
    operator.does("When files were read wrongly")
    assert mill.problems() == []


def test_content_goes(operator: Operator) -> None:
    operator.does("When content must go")
    assert operator.mill.one("SELECT count(*) FROM documents WHERE uri = 'my-source/0001.txt'") == 0


def test_who_holds_the_home(operator: Operator) -> None:
    if not shutil.which("lslocks"):
        pytest.skip("no lslocks here")
    assert "nobody" in operator.does("When a run hangs or was killed")
    with lock(operator.mill.home / "locks" / "run.lock"):
        said = operator.does("When a run hangs or was killed")
    assert "nobody" not in said
    assert str(os.getpid()) in said


def test_no_section_with_commands_is_left_out() -> None:
    tried = set(re.findall(r'(?:does|SECTIONS)[(\[]"([^"]+)"', Path(__file__).read_text(encoding="utf-8")))
    assert SECTIONS.keys() == tried
