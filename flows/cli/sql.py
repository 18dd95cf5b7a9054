"""``newsmill sql``.

Belongs here: where the query comes from and how its result is written.  Does not belong here: the connection
(``warehouse.queries``).
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from cyclopts import Parameter

from flows.cli.arguments import DEFAULT, Common
from flows.cli.render import console, json_text, table
from warehouse import queries
from warehouse.errors import ConfigError

# A cell of a table shows so many characters; the other formats write all.
CELL = 160


def sql(
    query: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    file: Annotated[Path | None, Parameter(name=["--file", "-f"], help="Read the query from a file.")] = None,
    param: Annotated[
        tuple[str, ...],
        Parameter(name=["--param", "-p"], help="A value for $name in the query, as name=value.", show_default=False),
    ] = (),
    format: Annotated[  # noqa: A002 - the word that a person types
        Literal["table", "csv", "json", "jsonl", "parquet"], Parameter(help="How to write the result.")
    ] = "table",
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], help="Write to a file.")] = None,
    rows: Annotated[int, Parameter(help="Most rows of a table; other formats write all.")] = 100,
    common: Common = DEFAULT,
) -> int:
    """Ask the newest snapshot; reads the tables and nothing else.

    An ingest that runs meanwhile is neither waited for nor held up.

    ```
    newsmill sql "FROM v_languages"
    newsmill sql "SELECT count(*) FROM documents WHERE language = $lang" -p lang=de
    newsmill sql "FROM v_documents" --format parquet -o documents.parquet
    ```

    Args:
        query: One SQL statement; `-` or nothing reads it from standard input.

    """
    text = _query(query, file)
    pairs = [word.partition("=") for word in param]
    if wrong := [name for name, sign, _ in pairs if not sign]:
        raise ConfigError(f"--param takes name=value, not {wrong[0]!r}")
    if format == "parquet" and output is None:
        raise ConfigError("--format parquet needs a file: -o FILE")
    settings = common.settings
    values = {name: value for name, _, value in pairs}
    with queries.streamed(settings.layout, text, values, is_ledger_elsewhere=bool(settings.ledger_url)) as reader:
        if format == "parquet":
            assert output is not None
            names = _unique(reader.schema.names)
            schema = pa.schema([field.with_name(name) for field, name in zip(reader.schema, names, strict=True)])
            with pq.ParquetWriter(output, schema, compression="zstd") as writer:
                for batch in reader:
                    writer.write_batch(batch.rename_columns(names))
        elif output is not None:
            with output.open("w", encoding="utf-8", newline="") as stream:
                _write(reader, format, stream, rows)
        else:
            _write(reader, format, sys.stdout, rows)
    return 0


def _query(query: str | None, file: Path | None) -> str:
    if query not in (None, "-") and file is not None:
        raise ConfigError("give a query or --file, not both")
    if file is not None:
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--file {str(file)!r} cannot be read: {error}") from error
    if query in (None, "-"):
        if sys.stdin is None or sys.stdin.isatty():
            raise ConfigError('give a query: newsmill sql "FROM v_languages"')
        return sys.stdin.read()
    assert query is not None
    return query


def _unique(names: list[str]) -> list[str]:
    """Column names that a mapping can hold: the second ``a`` becomes ``a_1``, as DuckDB itself names it in a table.

    >>> _unique(["a", "b", "a", "a"])
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


def _rows(reader: pa.RecordBatchReader) -> Iterator[dict[str, Any]]:
    names = _unique(reader.schema.names)
    for batch in reader:
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield dict(zip(names, values, strict=True))


def _write(reader: pa.RecordBatchReader, form: str, stream: IO[str], most: int) -> None:
    names = _unique(reader.schema.names)
    if form == "csv":
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        for row in _rows(reader):
            writer.writerow([_cell(row[name]) for name in names])
    elif form == "jsonl":
        for row in _rows(reader):
            stream.write(json_text(row) + "\n")
    elif form == "json":
        stream.write("[")
        for number, row in enumerate(_rows(reader)):
            stream.write((",\n " if number else "") + json_text(row))
        stream.write("]\n")
    else:
        _write_table(reader, names, stream, most)


def _cell(value: object) -> object:
    return json_text(value) if isinstance(value, list | dict) else value


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
