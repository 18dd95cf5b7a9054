"""``newsmill verify``.

Belongs here: running the proofs and showing what does not hold.  Does not belong here: the proofs.
"""

from typing import Annotated

from cyclopts import Parameter

from flows.cli.arguments import DEFAULT, Common, Format
from flows.cli.render import Bar, as_json, console, visible
from warehouse import ledger
from warehouse import repair as mending
from warehouse import verify as proofs
from warehouse.durable import lock


def verify(
    *,
    deep: Annotated[bool, Parameter(help="Also rebuild from the parts and compare every row.")] = False,
    repair: Annotated[
        bool, Parameter(help="Build a projection that does not hold anew; nothing else is touched.")
    ] = False,
    format: Format = "table",  # noqa: A002 - the word that a person types
    common: Common = DEFAULT,
) -> int:
    """Prove that nothing is missing and nothing is double.

    Ends with exit code 1 and one line for each thing that does not hold. With --repair a projection that is damaged,
    behind or missing is built anew from parts and ledger, if these are whole, and all is proven once more.

    ```
    newsmill verify
    newsmill verify --deep --format json
    newsmill verify --deep --repair
    ```
    """
    settings = common.settings
    home = settings.layout
    found: list[str] = []
    with Bar() as bar:
        # The ledger opens unchecked: that it is older than the snapshot is a finding here.
        book = ledger.open_ledger(home, settings.ledger_url)
        try:
            with lock(home.lock("run"), on_wait=bar.waiting):
                report = proofs.verify(home, book, deep=deep, on_part=lambda done, of: bar.step("files", done, of))
                if repair and mending.is_safe(report):
                    found = report.problems
                    mending.repair(home, book, on_commit=lambda done, of: bar.step("publish", done, of))
                    report = proofs.verify(home, book, deep=deep)
        finally:
            book.close()
    if format == "json":
        as_json({"holds": report.holds, "checked": report.checked, "problems": report.problems, "repaired": found})
    else:
        out = console()
        for problem in found:
            out.print(f"repaired: {visible(problem)}")
        for problem in report.problems:
            out.print(visible(problem), style="red")
        checked = ", ".join(f"{count} {name}" for name, count in report.checked.items())
        verdict = "everything holds" if report.holds else f"{len(report.problems)} problems"
        out.print(f"{verdict}: {checked}")
    return 0 if report.holds else 1
