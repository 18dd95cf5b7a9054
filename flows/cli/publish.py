"""``newsmill publish`` and ``newsmill rebuild``.

Belongs here: publishing outside a run.  Does not belong here: the loader.
"""

from flows.cli.arguments import DEFAULT, Common, Format
from flows.cli.render import Bar, as_json, console, visible
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


def rebuild(*, format: Format = "table", common: Common = DEFAULT) -> int:  # noqa: A002 - the word that a person types
    """Build the warehouse anew from parts and ledger, and publish it.

    Nobody who reads is disturbed.

    ```
    newsmill rebuild
    ```
    """
    from flows.erase import erase

    settings = common.settings
    home = settings.layout
    book = ledger.open_ledger(home, settings.ledger_url)
    try:
        with Bar() as bar, lock(home.lock("run"), on_wait=bar.waiting):
            loader.check_rebuildable(home, book)
            done = loader.publish(home, book, rebuild=True, on_commit=lambda n, of: bar.step("publish", n, of))
            erase(settings, book, bar)
    finally:
        book.close()
    return _show(done, format)
