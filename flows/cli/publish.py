"""``newsmill publish`` and ``newsmill rebuild``.

Belongs here: publishing outside a run.  Does not belong here: the loader.
"""

import dataclasses
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.cli.arguments import DEFAULT, Common, Format
from flows.cli.render import Bar, as_json, console, visible
from flows.settings import Settings
from warehouse import ledger, loader
from warehouse.durable import lock
from warehouse.loader import Published


def _show(done: Published, form: str) -> int:
    if form == "json":
        as_json({"published": done.path, "commits": done.commits, "seconds": round(done.seconds, 3)})
    elif done.path is None:
        console().print("nothing to publish: the newest snapshot holds every commit")
    else:
        console().print(f"published {visible(str(done.path))}: {done.commits} commits in {done.seconds:.1f} s")
    return 0


def publish(*, format: Format = "table", common: Common = DEFAULT) -> int:  # noqa: A002 - the word that a person types
    """Publish what is committed and not yet in a snapshot.

    ```
    newsmill publish
    ```
    """
    from flows import run

    settings = common.settings
    with Bar() as bar, run.opened(settings) as book:
        done = loader.publish(settings.layout, book, on_commit=lambda n, of: bar.step("publish", n, of))
        is_begun = bool(ledger.unerased(book))
    if is_begun:
        with Bar() as bar, run.exclusive(settings, bar, create=False):
            pass  # whoever enters finishes what was begun to be forgotten
    return _show(done, format)


def rebuild(
    *,
    ledger_too: Annotated[
        bool, Parameter(name="--ledger", help="Make a lost or older ledger anew, from the newest snapshot and parts.")
    ] = False,
    root: Annotated[
        tuple[Path, ...], Parameter(help="With --ledger: a folder that was ingested from, where no snapshot tells.")
    ] = (),
    force: Annotated[
        bool, Parameter(help="With --ledger: also where it is whole, or where nobody knows what was forgotten.")
    ] = False,
    format: Format = "table",  # noqa: A002 - the word that a person types
    common: Common = DEFAULT,
) -> int:
    """Build the warehouse anew from parts and ledger, and publish it.

    Nobody who reads is disturbed. With --ledger the ledger is made first, when no backup of it is left; the old one
    is moved aside, and what nothing could tell is said.

    ```
    newsmill rebuild
    newsmill rebuild --ledger
    ```
    """
    from flows.erase import erase

    settings = common.settings
    home = settings.layout
    if ledger_too:
        return _restored(settings, root, force, format)
    book = ledger.open_ledger(home, settings.ledger_url)
    try:
        with Bar() as bar, lock(home.lock("run"), on_wait=bar.waiting):
            loader.check_rebuildable(home, book)
            done = loader.publish(home, book, rebuild=True, on_commit=lambda n, of: bar.step("publish", n, of))
            erase(settings, book, bar)
    finally:
        book.close()
    return _show(done, format)


def _restored(settings: Settings, roots: tuple[Path, ...], force: bool, form: str) -> int:
    from flows import restoring

    with Bar() as bar:
        made, done = restoring.restore(settings, bar, roots=roots, force=force)
    if form == "json":
        as_json({**dataclasses.asdict(made), "published": done.path, "seconds": round(done.seconds, 3)})
        return 0
    out = console()
    whence = f"{made.snapshot} and the parts" if made.snapshot else "the parts alone"
    out.print(
        f"ledger made anew from {whence}: {made.commits} commits, {made.known_batches} batches that the snapshot "
        f"knows, {made.added_batches} more, {made.forgotten} forgotten contents"
    )
    if made.aside:
        out.print(f"the old ledger is {visible(made.aside)}")
    out.print("Not known:")
    for line in made.unknown:
        out.print(f"- {visible(line)}")
    return _show(done, form)
