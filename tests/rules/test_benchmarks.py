"""What the benchmarks report can be measured again, and their page has the figures of their files."""

import json
import sys
import time
from pathlib import Path

import pytest

from benchmarks import process, report, tracked

ROOT = Path(__file__).parents[2]
SETTINGS = [
    {"setting": "workers", "value": 3, "from": "default"},
    {"setting": "batch_files", "value": 7, "from": "NEWSMILL_BATCH_FILES"},
]
ROWS = [
    report.Row("this | that", "≤ 2", "1.5", True, {"ratios": [1.4, 1.6]}),
    report.Row("dlt on 20 files", "≥ 1.4 times", "0.73 times", False),
]


@pytest.fixture(scope="module")
def found() -> dict:
    """A report as it is read back."""
    return json.loads(report.as_json(report.environment({}, SETTINGS, 3), ROWS))


def test_a_report_names_versions_load_settings_and_corpus(found: dict) -> None:
    environment = found["environment"]
    assert {"newsmill", "duckdb", "prefect", "pyarrow", "langdetect"} <= environment["versions"].keys()
    assert environment["versions"]["duckdb"] == "1.5.5"
    assert environment["rounds"] == 3
    assert environment["settings"] == {"workers": 3, "batch_files": 7}
    assert environment["set"] == ["batch_files"]
    assert environment["corpus"]["version"] == 2
    assert all(len(environment[when].split()) == 3 for when in ("load_at_start", "load_at_end"))
    assert found["rows"][0]["details"] == {"ratios": [1.4, 1.6]}


def test_a_peer_s_versions_are_those_of_its_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    monkeypatch.setattr(report, "_versions", lambda python, names: asked.setdefault(str(python), list(names)) and {})
    report.environment({"naive": Path("there/python")}, SETTINGS, 1)
    assert asked["there/python"] == ["duckdb", "langdetect", "pandas", "pyarrow"]
    assert "newsmill" in asked[sys.executable]


def test_the_tables_say_what_was_measured(found: dict) -> None:
    found["environment"] |= {"peers": {"dlt": {"dlt": "1.31.0", "duckdb": "1.5.5"}}, "commit": "abc"}
    text = report.tables([found, found])
    assert text.count("| what | target | found | holds |") == 2
    assert "| this \\| that | ≤ 2 | 1.5 | yes |" in text
    assert "| dlt on 20 files | ≥ 1.4 times | 0.73 times | **no** |" in text
    for words in (
        "dlt: dlt 1.31.0, duckdb 1.5.5.",
        "commit abc",
        "3 workers",
        "the defaults: batch_files",
        "Corpus 2:",
    ):
        assert words in text


def test_the_page_gets_the_tables_between_its_marks_and_keeps_the_rest() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    once = report.renewed(page, "| new |")
    before, after = page.split(report.BEGIN)[0], page.split(report.END)[1]
    assert once == f"{before}{report.BEGIN}\n| new |\n{report.END}{after}"
    assert report.renewed(once, "| new |") == once


@pytest.mark.parametrize(
    "page", ["none", report.BEGIN, f"{report.END}\n{report.BEGIN}", f"{report.BEGIN}{report.END}{report.END}"]
)
def test_a_page_without_its_marks_is_left_alone(page: str) -> None:
    with pytest.raises(ValueError, match="each once"):
        report.renewed(page, "| new |")


def test_memory_is_looked_at_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look takes CPU that the command would have."""
    looks = []
    monkeypatch.setattr(process, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(process, "_shared_memory_mb", lambda pids: looks.append(pids) or 5.0)
    command = [sys.executable, "-c", "import time; time.sleep(0.3)"]
    assert process.run(command).peak_mb is None
    assert looks == []
    assert process.run(command, memory=True).peak_mb == 5.0


def test_the_beginning_of_a_flow_without_a_server_is_noted(tmp_path: Path) -> None:
    (tmp_path / "news.txt").write_text("Der Rat der Stadt tagte am Abend und beriet lange über die Brücke.\n")
    started, note = time.time(), tmp_path / "began"
    given = ["ingest", "--home", tmp_path / "home", tmp_path / "news.txt", "--direct", "--format", "json"]
    done = process.run([sys.executable, "-c", tracked.NOTED, note, *given])
    assert json.loads(done.out)
    assert started < float(note.read_text()) < done.ended
    with pytest.raises(RuntimeError, match="ended with"):
        process.run([sys.executable, "-c", tracked.NOTED, note, "ingest", tmp_path / "absent", "--direct"])
