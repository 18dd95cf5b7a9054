"""Showing results: tables, JSON, progress bars.

Belongs here: everything that knows a terminal.  Does not belong here: what is shown.

Names and texts come from outside: whatever could move a cursor or pose as markup is made visible first.
"""

import json
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from types import TracebackType
from typing import Any, ClassVar, Self

from rich import progress as bars
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.summary import PATHS, Outcome, Progress, headline, next_command, remarks

NUMBERS = (int, float, Decimal)
# What JSON lets through as it is: DEL and C1 controls, bidirectional controls, and what ends a line for some readers.
_UNSEEN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def console(*, stderr: bool = False) -> Console:
    """A console that interprets no markup; 120 columns where there is no terminal to ask."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, markup=False, highlight=False, width=None if stream.isatty() else 120)


def _shortened(text: str, cut: int | None) -> str:
    return text if cut is None or len(text) <= cut else text[: cut - 1] + "…"


def visible(value: object) -> str:
    r"""A value for a terminal: control and bidirectional characters as escapes, NULL as an empty word.

    >>> visible("a\x1b[2J\nb\u202ec"), visible(None), visible(1234567)
    ('a\\x1b[2J\\nb\\u202ec', '', '1234567')
    """
    if value is None:
        return ""
    text = value if isinstance(value, str) else _compact(value)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _compact(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | dict):
        return json_text(value)
    return str(plain(value))


def _interval(value: tuple[int, int, int]) -> str:
    """Months, days and nanoseconds in words.

    >>> _interval((14, 3, 3_600_000_000_000)), _interval((0, 0, 0))
    ('14 months 3 days 1:00:00', '0:00:00')
    """
    months, days, nanoseconds = value
    words = [f"{number} {name}{'s' * (number != 1)}" for number, name in ((months, "month"), (days, "day")) if number]
    if nanoseconds or not words:
        words.append(str(timedelta(microseconds=nanoseconds // 1000)))
    return " ".join(words)


def table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, title: str | None = None, cut: int | None = None
) -> Table:
    """A table of mappings; numbers stand right, texts of more than ``cut`` characters end with an ellipsis."""
    made = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for name in columns:
        known = [row[name] for row in rows if row[name] is not None]
        is_number = all(isinstance(value, NUMBERS) and not isinstance(value, bool) for value in known)
        made.add_column(Text(visible(name)), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(_shortened(visible(row[name]), cut)) for name in columns))
    return made


def plain(value: object) -> object:
    """A value as JSON can hold it: NaN and infinities become null, bytes hexadecimal, dates and the like text.

    >>> plain({"a": [float("nan"), 1.5, None]})
    {'a': [None, 1.5, None]}
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if type(value).__name__ == "MonthDayNano":
        return _interval(value)  # type: ignore[arg-type]
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def json_text(value: object, *, indent: int | None = None) -> str:
    r"""Strict JSON in one string: letters as they are, control and bidirectional characters as escapes.

    >>> json_text("Zürich \x9b2J\u202e"), json.loads(json_text("\x9b\u202e"))
    ('"Zürich \\u009b2J\\u202e"', '\x9b\u202e')
    """
    made = json.dumps(plain(value), ensure_ascii=False, indent=indent, allow_nan=False)
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", made)


def as_json(value: object) -> None:
    """One JSON value on standard output."""
    sys.stdout.write(json_text(value, indent=2) + "\n")


def show(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], form: str, *, title: str | None = None) -> None:
    """Rows as a table or as JSON."""
    found = list(rows)
    if form == "json":
        as_json([{name: row[name] for name in columns} for row in found])
    else:
        console().print(table(found, columns, title=title))


def show_outcome(outcome: Outcome, form: str) -> None:
    """What a run did, and the next command to try."""
    if form == "json":
        as_json(
            {
                "run_id": outcome.run_id,
                "headline": headline(outcome),
                "counts": outcome.counts,
                "reasons": outcome.reasons,
                "seconds": {name: round(seconds, 3) for name, seconds in outcome.timings.items()},
                "published": outcome.published,
                "failures": outcome.failures,
                "missing": outcome.missing,
            }
        )
        return
    out = console()
    out.print(headline(outcome))
    rows = [{"files": outcome.counts[name], "": words} for name, words in PATHS.items() if outcome.counts.get(name)]
    if rows:
        out.print(table(rows, ["files", ""]))
    for sentence in remarks(outcome):
        out.print(sentence)
    for failure in outcome.failures:
        out.print(visible(failure), style="red")
    for file_id in outcome.missing:
        out.print(f"content {file_id} is at none of its places any more; its rows stay as they are")
    if outcome.published:
        out.print(f"published {visible(outcome.published)}")
    out.print(f"next: {next_command(outcome)}")


class Bar(Progress):
    """A progress bar on standard error; nothing where that is no terminal."""

    WORDS: ClassVar = {
        "discover": "looking",
        "files": "ingesting",
        "records": "records",
        "publish": "publishing",
        "index": "indexing",
        "compact": "compacting",
        "forget": "rewriting",
    }

    def __init__(self) -> None:
        self.console = console(stderr=True)
        self.bar = bars.Progress(
            bars.TextColumn("{task.description:>10}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeElapsedColumn(),
            bars.TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self.tasks: dict[str, bars.TaskID] = {}

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def waiting(self) -> None:
        """Say that another run holds the home."""
        self.console.print("another newsmill is at work on this home; waiting until it has ended")

    def step(self, name: str, done: int, total: int | None) -> None:
        """Move one bar."""
        if name not in self.tasks:
            self.tasks[name] = self.bar.add_task(self.WORDS[name], total=total)
        self.bar.update(self.tasks[name], completed=done, total=total)
