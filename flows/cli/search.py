"""``newsmill search`` and ``newsmill index``.

Belongs here: asking the full-text index and building it.  Does not belong here: the index (``warehouse.search``).
"""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from flows.cli.arguments import DEFAULT, Common, Format
from flows.cli.render import Bar, as_json, console, show
from warehouse import search as indexes


def search(
    words: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    language: Annotated[str | None, Parameter(name=["--language", "-l"], help="Only texts in this language.")] = None,
    all: Annotated[bool, Parameter(help="All of the words must be in a text, not only one.")] = False,  # noqa: A002
    rows: Annotated[int, Parameter(help="Most texts to show.", validator=Number(gt=0))] = 10,
    format: Format = "table",  # noqa: A002 - the word that a person types
    common: Common = DEFAULT,
) -> int:
    """Full-text search: the texts that fit some words best, in any of their forms.

    ```
    newsmill search "Brücke gesperrt"
    newsmill search "heating failure" --language en --all
    newsmill sql --search "SELECT * FROM search.matches('Winter') JOIN v_documents USING (document_id)"
    ```

    Args:
        words: What to look for; words are found in their other forms, too, and capitals do not matter.

    """
    settings = common.settings
    found = indexes.find(
        settings.layout,
        words,
        language=language,
        is_every=all,
        most=rows,
        is_ledger_elsewhere=bool(settings.ledger_url),
    )
    columns = ["score", "language", "published_on", "source", "document_id", "title", "sentence"]
    if format == "table":
        columns = ["score", "language", "published_on", "document_id", "sentence"]
    show(found, columns, format)
    for commits in indexes.behind(settings.layout):
        console(stderr=True).print(f"the index lacks the last {commits} commits; renew it with `newsmill index`")
    return 0


def index(*, format: Format = "table", common: Common = DEFAULT) -> int:  # noqa: A002 - the word that a person types
    """Build the full-text index of the newest snapshot.

    Nobody who reads or ingests waits for it. An ingest does not renew it: how long that takes grows with the whole
    warehouse, not with what is new.

    ```
    newsmill index
    ```
    """
    with Bar() as bar:
        built = indexes.build(common.settings.layout, on_language=lambda n, of: bar.step("index", n, of))
    if format == "json":
        as_json(
            {
                "index": built.path,
                "commit_no": built.commit_no,
                "documents": built.documents,
                "seconds": round(built.seconds, 3),
            }
        )
    else:
        documents = sum(built.documents.values())
        console().print(
            f"indexed {documents} documents in {len(built.documents)} languages in {built.seconds:.1f} s; "
            'next: newsmill search "…"'
        )
    return 0
