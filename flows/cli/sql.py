"""``newsmill sql``.

Belongs here: where the query comes from.  Does not belong here: the connection (``warehouse.queries``), how the
result is written (``flows.cli.results``), the prompt (``flows.cli.prompt``).
"""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from flows.cli.arguments import DEFAULT, Common
from flows.cli.results import Form, ResultOptions, write
from warehouse import queries
from warehouse.errors import ConfigError
from warehouse.queries import QueryOptions


def sql(
    query: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    file: Annotated[Path | None, Parameter(name=["--file", "-f"], help="Read the query from a file.")] = None,
    param: Annotated[
        tuple[str, ...],
        Parameter(name=["--param", "-p"], help="A value for $name in the query, as name=value.", show_default=False),
    ] = (),
    format: Annotated[Form, Parameter(help="How to write the result.")] = "table",  # noqa: A002 - what a person types
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], help="Write to a file.")] = None,
    rows: Annotated[
        int, Parameter(help="Most rows of a table; other formats write all.", validator=Number(gt=0))
    ] = 100,
    raw: Annotated[bool, Parameter(help="CSV as stored; else no text begins like a formula of a spreadsheet.")] = False,
    memory: Annotated[str | None, Parameter(help="Most memory, like 2GB; more goes to temporary files.")] = None,
    seconds: Annotated[float | None, Parameter(help="Stop after so long.", validator=Number(gt=0))] = None,
    search: Annotated[bool, Parameter(help="Attach the full-text index as `search`.")] = False,
    common: Common = DEFAULT,
) -> int:
    """Ask the newest snapshot; reads the tables and nothing else.

    An ingest that runs meanwhile is neither waited for nor held up. Without a query, on a terminal, a prompt opens.

    ```
    newsmill sql "FROM v_languages"
    newsmill sql "SELECT count(*) FROM documents WHERE language = $lang" -p lang=de
    newsmill sql "FROM v_documents" --format parquet -o documents.parquet
    newsmill sql -f report.sql --format csv --seconds 60 --memory 2GB
    newsmill sql --search "FROM search.matches('Winter') ORDER BY score DESC LIMIT 5"
    newsmill sql
    ```

    Args:
        query: One SQL statement; `-` reads it from standard input, which a pipe needs not say.

    """
    if format == "parquet" and output is None:
        raise ConfigError("--format parquet needs a file: -o FILE")
    settings = common.settings
    options, results = QueryOptions(memory, seconds, is_alone=True), ResultOptions(format, rows, raw)
    attach = None
    if search:
        from warehouse.search import attacher

        attach = attacher(settings.layout)
    if query is None and file is None and sys.stdin is not None and sys.stdin.isatty():
        from flows.cli.prompt import converse

        return converse(settings, options, results, output, attach)
    text = _query(query, file)
    pairs = [word.partition("=") for word in param]
    if wrong := [name for name, sign, _ in pairs if not sign]:
        raise ConfigError(f"--param takes name=value, not {wrong[0]!r}")
    values = {name: value for name, _, value in pairs}
    elsewhere = bool(settings.ledger_url)
    with queries.streamed(
        settings.layout, text, values, is_ledger_elsewhere=elsewhere, options=options, attach=attach
    ) as reader:
        write(reader, results, output)
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
        if sys.stdin is None or (query is None and sys.stdin.isatty()):
            raise ConfigError('give a query: newsmill sql "FROM v_languages"')
        return sys.stdin.read()
    assert query is not None
    return query
