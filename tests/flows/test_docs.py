"""Every example in the docs runs here, on the samples, and shows what it really says.

A fenced block of `sh` holds commands: those of newsmill are run, the others are for tools that are not installed
here.  A block of `sql` or `python` is run as a whole.  A block of `text` right behind one is what comes out.
"""

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

from warehouse import search

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RUN = ("sql", "search", "status", "verify", "settings")


class Example(NamedTuple):
    page: str
    line: int
    kind: str
    code: str
    shown: str | None


def examples(page: Path) -> Iterator[Example]:
    text = page.read_text(encoding="utf-8")
    pattern = re.compile(r"^```(sh|sql|python)\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
    for found in pattern.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Example(page.relative_to(ROOT).as_posix(), line, found[1], found[2], found[3])


def commands(code: str) -> list[list[str]]:
    """The commands of newsmill in a block that can be run on the samples; a line break inside quotes is none."""
    found = []
    lexer = shlex.shlex(code, posix=True, punctuation_chars=";\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, "#"
    words: list[str] = []
    for word in [*lexer, "\n"]:
        if word.strip(";\n"):
            words.append(word)
        else:
            if words and words[0].endswith("newsmill") and len(words) > 2 and words[1] in RUN:
                found.append(words[1:])
            words = []
    return found


def inline(page: Path) -> list[str]:
    """Queries between backticks in running text."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`((?:SELECT|FROM) [^`…]+)`", text)


EXAMPLES = [example for page in PAGES for example in examples(page)]
RUNNABLE = [example for example in EXAMPLES if example.kind != "sh" or commands(example.code)]


@pytest.fixture(scope="module")
def mill(new_mill: Any, samples: Path) -> Any:
    made = new_mill("documented", samples)
    assert made.cli("ingest", "--direct", samples).code == 0
    search.build(made.settings().layout)
    return made


def said(mill: Any, example: Example) -> str:
    """What an example writes."""
    if example.kind == "sh":
        answers = [mill.cli(*command) for command in commands(example.code)]
        assert [answer.err for answer in answers if answer.code] == []
        return "".join(answer.out for answer in answers)
    code = example.code.replace("data/", f"{mill.home}/")
    if example.kind == "python":
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, example.page, "exec"), {})
        return out.getvalue()
    if "ATTACH" not in code:
        return str(mill.cli("sql", code).out)
    with duckdb.connect() as connection:
        *before, last = [one for one in code.split(";\n") if one.strip()]
        for statement in before:
            connection.execute(statement.replace("LOAD fts", f"LOAD '{search.extension()}'"))
        return f"{connection.sql(last)}\n"


def tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


@pytest.mark.parametrize("example", RUNNABLE, ids=lambda example: f"{example.page}:{example.line}")
def test_an_example_says_what_it_shows(mill: Any, example: Example) -> None:
    answer = said(mill, example)
    if example.shown is not None:
        assert tidy(answer) == tidy(example.shown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_query_in_running_text_is_one(mill: Any, page: Path) -> None:
    for query in inline(page):
        answer = mill.cli("sql", query, "--rows", "1")
        assert answer.code == 0, f"{query}: {answer.err}"


def test_the_docs_have_examples() -> None:
    pages = {example.page for example in RUNNABLE}
    assert {"README.md", "docs/sql.md", "docs/clients.md", "docs/data-dictionary.md"} <= pages
    assert sum(example.shown is not None for example in RUNNABLE) >= 15
    queries = [example for example in RUNNABLE if example.kind in ("sql", "python")]
    assert [(example.page, example.line) for example in queries if not example.shown] == [], "every answer is shown"
    for page in ("docs/sql.md", "README.md"):
        blocks = [example for example in RUNNABLE if example.page == page and example.kind == "sh"]
        assert blocks
        assert all(example.shown for example in blocks if commands(example.code)[0][0] in ("sql", "search"))
