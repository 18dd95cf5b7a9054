"""Writing the result of a query: table, CSV, JSON, JSON Lines, Parquet, to a terminal, a pipe or a file.

Belongs here: formats.  Does not belong here: where the query comes from (``sql``, ``prompt``), how a value looks on a
terminal (``render``).
"""

import contextlib
import csv
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from flows.cli.render import console, json_text, table, visible
from warehouse.durable import open_as_asked, temporary_file
from warehouse.errors import ConfigError

Form = Literal["table", "csv", "json", "jsonl", "parquet"]
# A cell of a table shows so many characters; the other formats write all.
CELL = 160
# What a spreadsheet takes for the begin of a formula or of another cell; the wide forms are folded to these.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# Where the comma is a decimal sign a spreadsheet parts cells at semicolons, whatever is quoted; pasted text at tabs.
_INNER = re.compile(r'(?:(?<=;)|(?<=[\s\S]\t))(?="*[=+\-@＝＋－＠])')


@dataclass(frozen=True, slots=True)
class ResultOptions:
    """How to write: ``rows`` are the most of a table, ``is_raw`` leaves texts of CSV as stored, but for a terminal."""

    form: Form = "table"
    rows: int = 100
    is_raw: bool = False


def unique(names: list[str]) -> list[str]:
    """Column names that a mapping can hold: the second ``a`` becomes ``a_1``, as DuckDB itself names it in a table.

    >>> unique(["a", "b", "a", "a"])
    ['a', 'b', 'a_1', 'a_2']
    """
    made: list[str] = []
    for name in names:
        candidate, number = name, 0
        while candidate in made:
            number += 1
            candidate = f"{name}_{number}"
        made.append(candidate)
    return made


def harmless(text: str) -> str:
    r"""A text that no spreadsheet takes for a formula: an apostrophe stands before what begins like one.

    >>> harmless('=HYPERLINK("http://example.org")'), harmless("Rat tagt"), harmless("-1,5"), harmless("gut;=1+1; - ja")
    ('\'=HYPERLINK("http://example.org")', 'Rat tagt', "'-1,5", "gut;'=1+1; - ja")
    """
    text = _INNER.sub("'", text)
    return f"'{text}" if text.startswith(FORMULA) else text


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write what becomes ``path`` when the block has ended well; until then the old file stays.

    A device or pipe is written directly.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    final = path.resolve()
    if not final.parent.is_dir():
        raise ConfigError(f"{final.parent} is no folder; make it, or choose another file")
    with temporary_file(final.parent) as temporary:
        open_as_asked(temporary, final)
        yield temporary
        temporary.replace(final)


def write(reader: pa.RecordBatchReader, options: ResultOptions, output: Path | None) -> None:
    """A whole result to a file, or to standard output where ``output`` is None."""
    if output is None:
        _write(reader, options, sys.stdout)
        return
    with whole_file(output) as target:
        if options.form == "parquet":
            _write_parquet(reader, target)
        else:
            with target.open("w", encoding="utf-8", newline="") as stream:
                _write(reader, options, stream)


def _write_parquet(reader: pa.RecordBatchReader, target: Path) -> None:
    names = unique(reader.schema.names)
    schema = pa.schema([field.with_name(name) for field, name in zip(reader.schema, names, strict=True)])
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch.rename_columns(names))


def _rows(reader: pa.RecordBatchReader) -> Iterator[dict[str, Any]]:
    names = unique(reader.schema.names)
    for batch in reader:
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield dict(zip(names, values, strict=True))


class _Lines:
    r"""CSV lines that end with ``\n``: the writer quotes a ``\r`` only where its own line ends have one."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    def write(self, line: str) -> int:
        """One whole row."""
        return self.stream.write(line.removesuffix("\r\n") + "\n")


def _write(reader: pa.RecordBatchReader, options: ResultOptions, stream: IO[str]) -> None:
    names = unique(reader.schema.names)
    if options.form == "csv":
        kept = str if options.is_raw else harmless
        # A program reads the bytes, a terminal obeys them.
        shown = visible if stream.isatty() else str
        writer = csv.writer(_Lines(stream))
        writer.writerow([shown(kept(name)) for name in names])
        for row in _rows(reader):
            # Of what is no text only lists and the like can hold one.
            writer.writerow(
                [
                    shown(kept(str(_cell(cell)))) if isinstance(cell, str | list | dict) else _cell(cell)
                    for cell in row.values()
                ]
            )
    elif options.form == "jsonl":
        for row in _rows(reader):
            stream.write(json_text(row) + "\n")
    elif options.form == "json":
        stream.write("[")
        for number, row in enumerate(_rows(reader)):
            stream.write((",\n " if number else "") + json_text(row))
        stream.write("]\n")
    else:
        _write_table(reader, names, stream, options.rows)


def _cell(value: object) -> object:
    """A value for CSV: numbers and texts as they are, everything else as JSON would write it."""
    if value is None or (isinstance(value, str | int | float | Decimal) and not isinstance(value, bool)):
        return value
    text = json_text(value)
    return text[1:-1] if text.startswith('"') else text


def _write_table(reader: pa.RecordBatchReader, names: list[str], stream: IO[str], most: int) -> None:
    shown: list[dict[str, Any]] = []
    for row in _rows(reader):
        if len(shown) == most:
            note = f"first {most} rows; --rows N shows more, --format csv all"
            break
        shown.append(row)
    else:
        note = f"{len(shown)} row{'s' * (len(shown) != 1)}"
    out = console()
    out.file = stream
    out.print(table(shown, names, cut=CELL))
    out.print(note, style="dim")
