"""``newsmill ingest``.

Belongs here: its arguments.  Does not belong here: the ingest.
"""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows import early
from flows.cli.arguments import DEFAULT, Common, Format
from flows.cli.render import Bar, show, show_outcome
from flows.summary import Outcome
from flows.summary import profile as stages_of
from warehouse.uri import to_uri


def ingest(
    paths: Annotated[tuple[Path, ...], Parameter(show_default=False)] = (),
    /,
    *,
    source: Annotated[str | None, Parameter(help="Who the files come from.")] = None,
    dry_run: Annotated[bool, Parameter(help="Only say what would be done.")] = False,
    direct: Annotated[bool, Parameter(help="Run the same stages without Prefect.")] = False,
    profile: Annotated[bool, Parameter(help="Also say where the time went, a row a stage.")] = False,
    format: Format = "table",  # noqa: A002 - the word that a person types
    common: Common = DEFAULT,
) -> int:
    """Ingest everything new below PATHS, or in the inbox.

    Files are found by name, size and times; only what is new is read. Every file ends as a document, a duplicate,
    a reject with a reason, or deferred. Raw files are never changed.

    Formats: plain text, JSON Lines and JSON arrays, CSV and TSV, Parquet, HTML, WARC and WET, Markdown with front
    matter, e-mail, news-crawl document lines; packed by gzip, bzip2, xz or zstd, and in zip or tar archives. Of any
    size; big files are committed in cuts.

    ```
    newsmill ingest seeds/raw
    newsmill ingest --source reuters /srv/news --direct --profile
    newsmill ingest --dry-run
    ```

    Args:
        paths: Files and folders; the inbox where none is named.

    """
    settings = common.settings
    names = [os.fsencode(path) for path in paths]
    with nullcontext() if dry_run else early.template(settings, names) as template:
        # All that a run imports comes behind the process that is imported beside it.
        from flows import run

        run.check(settings, names, source)
        if dry_run:
            show_outcome(run.dry_run(settings, names, source=source), format)
            return 0
        with Bar() as bar:
            if direct:
                from tasks import direct as stages

                outcome = run.ingest(settings, stages, names, source=source, progress=bar, template=template)
            else:
                from flows.cli import orchestrator

                def call() -> Outcome:
                    from flows.ingest import ingest as flow

                    absolute = [to_uri(os.path.abspath(name)) for name in names]
                    return flow(paths=absolute, source=source or "", settings=common.flags())

                outcome = orchestrator.tracked(settings, bar, call, template)
    show_outcome(outcome, format)
    if profile and format == "table":
        show(stages_of(outcome), ["stage", "of", "seconds", "share", "µs a document"], format)
    return 1 if outcome.failures else 0
