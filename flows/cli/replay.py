"""``newsmill replay``.

Belongs here: choosing what to read again.  Does not belong here: reading it.
"""

from typing import Annotated

from cyclopts import Parameter

from flows.cli.arguments import DEFAULT, Common, Format
from flows.cli.render import Bar, show_outcome
from flows.summary import Outcome
from warehouse import ledger, queries
from warehouse.errors import ConfigError

_REJECTED = """
    SELECT DISTINCT rejects.file_id, files.root, rejects.uri
    FROM rejects LEFT JOIN files ON files.uri = rejects.uri AND files.file_id IS NOT DISTINCT FROM rejects.file_id
    WHERE rejects.reason = $reason OR $reason = 'any'
    ORDER BY ALL"""


def replay(
    files: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
    /,
    *,
    reason: Annotated[str | None, Parameter(help="Everything that was refused for this reason; `any` for all.")] = None,
    stale: Annotated[bool, Parameter(help="Everything that another version or other settings made.")] = False,
    direct: Annotated[bool, Parameter(help="Run the same stages without Prefect.")] = False,
    format: Format = "table",  # noqa: A002 - the word that a person types
    common: Common = DEFAULT,
) -> int:
    """Read files again: after a fix, by reason, or what an older version made.

    What comes out equal changes nothing; what comes out otherwise replaces its rows in one step.

    ```
    newsmill replay --reason undecodable --set encoding=cp1250
    newsmill replay 3f2a9c0d wire/2019/a.txt
    newsmill replay --stale
    ```

    Args:
        files: file_ids, beginnings of them (8 digits at least) or uris.

    """
    from flows import run
    from tasks import version

    if not (files or reason or stale):
        raise ConfigError("say what to read again: FILES, --reason REASON, or --stale")
    settings = common.settings
    with run.opened(settings) as book:
        chosen = set(ledger.file_ids_like(book, files))
        if files and not chosen:
            raise ConfigError(
                f"no content is known as {files[0]!r}; `newsmill rejects` and the table files have the names"
            )
        if stale:
            chosen |= set(ledger.stale_contents(book, version.pipeline_version(), settings.fingerprint()))
    unread: list[tuple[str, str]] = []
    if reason:
        found = queries.rows(settings.layout, _REJECTED, {"reason": reason}, is_ledger_elsewhere=True)
        if not found:
            raise ConfigError(f"nothing was refused for the reason {reason!r}; `newsmill rejects` lists the reasons")
        chosen |= {row["file_id"] for row in found if row["file_id"]}
        unread = [(row["root"], row["uri"]) for row in found if not row["file_id"]]
    with Bar() as bar:
        if direct:
            from tasks import direct as stages

            outcome = run.replay(settings, stages, file_ids=sorted(chosen), unread=unread, progress=bar)
        else:
            from flows.cli import orchestrator

            def call() -> Outcome:
                from flows.ingest import replay as flow

                return flow(file_ids=sorted(chosen), unread=unread, settings=common.flags())

            outcome = orchestrator.tracked(settings, bar, call)
    show_outcome(outcome, format)
    return 1 if outcome.failures else 0
