"""``newsmill rejects``.

Belongs here: showing what was refused.  Does not belong here: trying again (``replay``).
"""

from typing import Annotated

from cyclopts import Parameter

from flows.cli.arguments import DEFAULT, Common, Format
from flows.cli.render import console, show
from warehouse import queries

_SUMMARY = "SELECT stage, reason, rejects, example_uri FROM v_rejects_by_reason ORDER BY rejects DESC, reason"
_LIST = """
    SELECT uri, ordinal, stage, reason, detail, preview, file_id FROM rejects
    WHERE reason = coalesce($reason, reason) ORDER BY uri, ordinal LIMIT $most"""


def rejects(
    *,
    reason: Annotated[str | None, Parameter(help="Only those refused for this reason, one row each.")] = None,
    all: Annotated[bool, Parameter(name="--all", help="One row a reject.")] = False,  # noqa: A002
    rows: Annotated[int, Parameter(help="Most rows to show.")] = 100,
    format: Format = "table",  # noqa: A002 - the word that a person types
    common: Common = DEFAULT,
) -> int:
    """What was refused, and why.

    ```
    newsmill rejects
    newsmill rejects --reason binary
    newsmill replay --reason undecodable --set encoding=cp1250
    ```
    """
    settings = common.settings
    home, elsewhere = settings.layout, bool(settings.ledger_url)
    if reason is None and not all:
        found, columns = (
            queries.rows(home, _SUMMARY, is_ledger_elsewhere=elsewhere),
            ["stage", "reason", "rejects", "example_uri"],
        )
    else:
        found = queries.rows(home, _LIST, {"reason": reason, "most": rows}, is_ledger_elsewhere=elsewhere)
        columns = ["uri", "ordinal", "stage", "reason", "detail", "preview"]
        if format == "json":
            columns.append("file_id")
    if not found and format == "table":
        console().print("nothing was refused" + (f" for the reason {reason}" if reason else ""))
        return 0
    show(found, columns, format)
    if format == "table" and reason is None and not all:
        console().print("next: newsmill rejects --reason REASON, then newsmill replay --reason REASON")
    return 0
