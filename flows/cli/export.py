"""``newsmill export``.

Belongs here: what to export and where to.  Does not belong here: writing it (``warehouse.export``).
"""

from datetime import date
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.cli.arguments import DEFAULT, Common, Format
from flows.cli.render import as_json, console, visible
from warehouse import export as exports
from warehouse.errors import ConfigError

_DAY = "as YYYY-MM-DD; what has no date is left out."


def _day(text: str | None, flag: str) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{flag} takes a day like 2019-04-25, not {text!r}") from error


def export(
    target: Path,
    /,
    *,
    fineweb: Annotated[bool, Parameter(help="FineWeb's columns: text, id, dump, url, date, language, …")] = False,
    language: Annotated[tuple[str, ...], Parameter(name=["--language", "-l"], show_default=False,
                                                   help="Only texts in this language; may be given again.")] = (),
    source: Annotated[tuple[str, ...], Parameter(show_default=False,
                                                 help="Only texts of this source; may be given again.")] = (),
    since: Annotated[str | None, Parameter(help=f"First day, {_DAY}")] = None,
    until: Annotated[str | None, Parameter(help=f"Last day, {_DAY}")] = None,
    replace: Annotated[bool, Parameter(help="Replace TARGET if it is there.")] = False,
    format: Format = "table",  # noqa: A002 - the word that a person types
    common: Common = DEFAULT,
) -> int:  # fmt: skip
    """Write documents to a file for other tools: Parquet, JSON Lines, or a DuckDB file of their own.

    ```
    newsmill export german.parquet --language de --since 2018-01-01
    newsmill export corpus.parquet --fineweb
    newsmill export corpus.jsonl --source wire
    newsmill export share.duckdb
    ```

    Args:
        target: File to write; its ending chooses the form: .parquet, .jsonl (distinct current texts) or .duckdb
            (current documents with their paragraphs, segments and files, and every view and macro).

    """
    options = exports.ExportOptions(language, source, _day(since, "--since"), _day(until, "--until"), fineweb)
    count = exports.export(common.settings.layout, target, options, is_replacing=replace)
    if format == "json":
        as_json({"file": target, "documents": count, "bytes": target.stat().st_size})
    else:
        size = target.stat().st_size / 1e6
        console().print(f"wrote {count} documents to {visible(str(target))}, {size:.1f} MB")
    return 0
