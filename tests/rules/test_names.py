"""Names that say nothing, and names that shadow others; the rest of the rules stands in test_house_rules."""

import ast
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("flows", "tasks", "warehouse")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
SAYS_NOTHING = {"util", "utils", "utility", "utilities", "helper", "helpers", "common", "manager", "managers", "misc"}


def words(name: str) -> set[str]:
    """The words of a name in snake case or camel case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def defined(path: Path) -> Iterator[str]:
    """What a module defines at its top level."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_no_folder_and_no_module_has_a_name_that_says_nothing() -> None:
    names = {part for path in MODULES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert {name for name in names if words(name) & SAYS_NOTHING} == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_at_the_top_of_a_module_has_such_a_name(path: Path) -> None:
    # What every command takes is what they have in common, and nothing else is called so.
    allowed = {"Common"} if path.relative_to(ROOT).as_posix() == "flows/cli/arguments.py" else set()
    public = {name for name in defined(path) if not name.startswith("_")}
    assert {name for name in public if words(name) & SAYS_NOTHING} <= allowed


def test_no_file_of_flows_shadows_a_package() -> None:
    """Prefect may load a flow by its path: its folder is then first in the search for every import."""
    installed = set(importlib.metadata.packages_distributions()) - {"flows"}
    stems = {path.stem for path in (ROOT / "flows").iterdir() if path.suffix in {".py", ""}} - {
        "__init__",
        "__pycache__",
    }
    assert stems
    assert stems & (installed | sys.stdlib_module_names) == set()


def test_our_packages_have_names_of_their_own() -> None:
    """Two distributions that bring a folder ``tasks`` would lie in one another."""
    found = importlib.metadata.packages_distributions()
    for package in PACKAGES:
        assert set(found.get(package, ["newsmill"])) == {"newsmill"}
        assert package not in sys.stdlib_module_names


def test_tests_are_no_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_a_test_file_is_named_by_what_it_tests() -> None:
    """tests/unit/test_<package>_<module>.py, so that a module's tests are found without a search."""
    modules = {"_".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES}
    modules |= {name.removesuffix("___init__") for name in modules}
    for path in (ROOT / "tests" / "unit").glob("test_*.py"):
        name = path.stem.removeprefix("test_")
        assert any(name == module or name.startswith(f"{module}_") for module in modules), path.name
