"""The look for known holes can fail, and a list that says nothing is not taken for a clean one."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

AUDIT = Path(__file__).parents[2] / "requirements" / "audit.py"
CANARY = {
    "id": "OLD-1", "modified": "2026-11-20T00:00:00Z", "summary": "an old hole",
    "affected": [{"package": {"ecosystem": "PyPI", "name": "Jinja2"},
                  "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.7.2"}]}]}],
}  # fmt: skip


def hole(name: str, **affected: Any) -> dict[str, Any]:
    package = {"ecosystem": "PyPI", "name": name}
    return {"id": f"NEW-{name}", "modified": "2026-11-21T00:00:00Z", "affected": [{"package": package, **affected}]}


RECENT = ("--not-before", "2026-11-01")


def audited(folder: Path, *found: dict[str, Any], words: tuple[str, ...] = RECENT) -> tuple[int, str]:
    for number, advisory in enumerate(found):
        (folder / f"{number}.json").write_text(json.dumps(advisory))
    done = subprocess.run([sys.executable, AUDIT, folder, *words], capture_output=True, text=True)
    assert done.stderr == ""
    return done.returncode, done.stdout


def events(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"type": "ECOSYSTEM", "events": [{word: version} for word, version in pairs]}]


@pytest.mark.parametrize(
    ("advisory", "code"),
    [
        (hole("duckdb", ranges=events(("introduced", "0"))), 1),
        (hole("DuckDB", ranges=events(("introduced", "1.5.5"))), 1),
        (hole("duckdb", versions=["1.5.5"]), 1),
        (hole("duckdb", ranges=events(("introduced", "1.0"), ("last_affected", "1.5.5"))), 1),
        (hole("duckdb", ranges=events(("introduced", "0"), ("fixed", "1.0"), ("introduced", "1.5"))), 1),
        (hole("duckdb", ranges=events(("introduced", "0"), ("fixed", "1.5.5"))), 0),
        (hole("duckdb", ranges=events(("introduced", "1.0"), ("last_affected", "1.5.4"))), 0),
        (hole("duckdb", versions=["1.5.4"]), 0),
        (hole("duckdb", ranges=events(("introduced", "1.5"), ("fixed", "1.0"), ("introduced", "0"))), 1),
        (hole("duckdb", ranges=events(("fixed", "1.5"), ("introduced", "0"))), 0),
        (hole("duckdb", ranges=events(("introduced", "0"), ("fixed", "no-number"))), 1),
        (hole("duckdb", ranges=events(("introduced", "0"), ("last_affected", "no-number"))), 1),
        (hole("duckdb", ranges=events(("introduced", "no-number"))), 1),
        (hole("duckdb", ranges=events(("introduced", "no-number"), ("fixed", "1.5.5"))), 0),
        (hole("no-package-of-ours", ranges=events(("introduced", "0"))), 0),
        (hole("duckdb", ranges=events(("introduced", "0"))) | {"withdrawn": "2026-11-22T00:00:00Z"}, 0),
    ],
)
def test_a_pin_that_an_advisory_means_is_found_and_no_other(
    tmp_path: Path, advisory: dict[str, Any], code: int
) -> None:
    found, said = audited(tmp_path, CANARY, advisory)
    assert found == code, said
    assert ("duckdb 1.5.5: NEW-" in said) == (code == 1)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], RECENT),
        ([hole("duckdb", ranges=events(("introduced", "0")))], RECENT),
        ([CANARY], ("--not-before", "2026-11-25")),
        ([CANARY | {"modified": "2026-01-01T00:00:00Z"}], ()),
    ],
    ids=["empty", "without the canary", "older than asked", "months old"],
)
def test_a_list_that_proves_nothing_is_no_success(
    tmp_path: Path, found: list[dict[str, Any]], words: tuple[str, ...]
) -> None:
    code, said = audited(tmp_path, *found, words=words)
    assert code == 2
    assert said.startswith("blind: ")


def test_a_list_that_is_not_there_is_no_success(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, AUDIT, tmp_path / "nowhere.zip"], capture_output=True, text=True)
    assert done.returncode == 2


def test_a_zip_is_a_list_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("OLD-1.json", json.dumps(CANARY))
    done = subprocess.run([sys.executable, AUDIT, tmp_path / "all.zip", *RECENT], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 known holes" in done.stdout
