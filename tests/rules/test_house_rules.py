"""The rules of CONTRIBUTING.md that a machine can check."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from flows.cli import COMMANDS
from tasks.readers import READERS
from warehouse import ddl, dictionary

ROOT = Path(__file__).parents[2]
PACKAGES = ("flows", "tasks", "warehouse")
MODULES = sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts
)
TEXTS = sorted(
    path
    for path in ROOT.rglob("*")
    if path.is_file()
    and path.suffix in {".py", ".md", ".toml", ".txt", ".sql", ".yaml", ".c", ".sh", ""}
    and not {".git", ".venv", "data", "raw", "corpus", "findings", "__pycache__"} & set(path.relative_to(ROOT).parts)
    and not any(part.startswith(".") and part != ".ci" for part in path.relative_to(ROOT).parts)
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_says_what_belongs_in_it(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    words = " ".join(docstring.split())
    assert "Belongs here" in words
    assert re.search(r"Does not belong here|no classes", words)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_can_be_read_at_a_sitting(path: Path) -> None:
    # One story each, told in order: the run, the search, the columns.
    longer = {"flows/run.py", "tasks/discover.py", "warehouse/schema.py"}
    assert len(path.read_text(encoding="utf-8").splitlines()) <= (400 if name(path) in longer else 300)


def test_names_say_what_a_module_is_for() -> None:
    forbidden = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert [name(path) for path in MODULES if path.stem in forbidden] == []


def test_no_flow_is_named_like_a_package_or_a_module_of_python() -> None:
    """A path entrypoint puts flows/ first on the path of the process, where such a file would shadow the other."""
    taken = {*PACKAGES, *sys.stdlib_module_names}
    assert [path.name for path in (ROOT / "flows").iterdir() if path.stem in taken] == []


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=name)
def test_a_lock_is_pinned_by_hash_and_names_no_host(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text
    pinned = re.findall(
        r"^([a-z0-9][\w.\[\]-]*)==\S+.*?(?=^[a-z0-9]|\Z)", text, re.DOTALL | re.MULTILINE | re.IGNORECASE
    )
    wanted = re.findall(r"^[a-z0-9]\S*", text, re.MULTILINE | re.IGNORECASE)
    assert pinned
    assert len(pinned) == len(wanted)
    for block in re.split(r"^(?=[a-zA-Z0-9])", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_every_dependency_has_its_line_of_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    reasons = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text(encoding="utf-8")
    extras = project["project"]["optional-dependencies"].values()
    groups = project["dependency-groups"].values()
    for line in [*project["project"]["dependencies"], *(d for group in (*extras, *groups) for d in group)]:
        package = re.match(r"[\w-]+", line)
        assert package
        assert re.search(rf"\b{re.escape(package[0])}\b", reasons), package[0]


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_no_text_names_a_machine_or_a_registry(path: Path) -> None:
    text = path.read_text(encoding="utf-8", errors="replace")
    home = "/(?:" + "|".join(("ro" + "ot", "ho" + "me/[a-z]+", "Us" + "ers/[a-z]+", "wo" + "rk")) + ")/"
    assert re.findall(rf"(?<![\w.~-]){home}", text) == []
    assert re.findall("py" + r"pi\.(?:org|python)|python" + r"hosted\.org|registry\." + "npm", text) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_listed_as_its_docstring_says(command: str) -> None:
    where, line = COMMANDS[command]
    module, function = where.split(":")
    documented = getattr(importlib.import_module(module), function).__doc__ or ""
    assert documented.splitlines()[0] == line
    assert f"newsmill {command}" in documented, "help shows an example"
    assert f"newsmill {command}" in (ROOT / "README.md").read_text(encoding="utf-8") or f"`{command}`" in (
        ROOT / "README.md"
    ).read_text(encoding="utf-8")


def test_every_view_file_is_a_view_and_says_what_it_answers() -> None:
    files = {path.stem for path in (ROOT / "warehouse" / "sql" / "views").glob("*.sql")}
    assert files == set(ddl.VIEWS)
    for view in ddl.VIEWS:
        header = ddl.view_header(view)
        assert header.question.endswith("?")
        assert header.grain
        assert view in header.example


def test_the_data_dictionary_is_current() -> None:
    page = (ROOT / "docs" / "data-dictionary.md").read_text(encoding="utf-8")
    # What the examples answer is asked anew where the docs are tried.
    page = re.sub(r"\n```text\n.*?^```\n", "", page, flags=re.DOTALL | re.MULTILINE)
    assert page == dictionary.page(), "run `make docs`"


def test_every_reader_has_a_module_and_endings() -> None:
    shared = {"__init__", "bounded", "dates", "fields", "http_answer", "markup", "opening", "options", "page_dates"}
    modules = {path.stem for path in (ROOT / "tasks" / "readers").glob("*.py")} - shared
    assert set(READERS) == modules
    assert all(reader.module == f"tasks.readers.{name}" for name, reader in READERS.items())
    assert all(reader.suffixes for reader in READERS.values())


@pytest.mark.parametrize("path", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]), ids=name)
def test_a_link_in_the_docs_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("tasks.ingest_batch", {"prefect", "duckdb", "sqlalchemy", "alembic"}),
        ("flows.cli.main", {"prefect", "duckdb", "pyarrow", "sqlalchemy", "numba"}),
        ("flows.cli.sql", {"prefect", "sqlalchemy", "numba"}),
        # Before what workers are forked from begins, and before their first batch.
        ("flows.early", {"prefect", "duckdb", "pyarrow", "sqlalchemy", "numba", "numpy"}),
        ("flows.run", {"prefect", "duckdb", "pyarrow", "numba", "numpy", "ftfy"}),
    ],
)
def test_what_must_start_fast_loads_little(module: str, never: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert never & set(done.stdout.split()) == set()
