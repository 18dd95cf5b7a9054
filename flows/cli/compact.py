"""``newsmill compact``.

Belongs here: arguments, and what was done in words.  Does not belong here: doing it (``flows.compacting``).
"""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from flows import compacting
from flows.cli.arguments import DEFAULT, Common, Format
from flows.cli.render import Bar, as_json, console, table, visible
from flows.compacting import Compacted
from flows.settings import load
from warehouse.listing import LakeFile


def _size(files: Sequence[LakeFile]) -> int:
    return sum(file.size_bytes for file in files)


def _sentence(done: Compacted) -> str:
    if not done.replaced and not done.verdict.removable:
        return "Nothing to do: no part is worth merging, no file is due for removal."
    become = "would become" if done.is_dry else "became"
    words = f"{done.replaced} pairs of parts {become} {done.made}" if done.replaced else "No part is worth merging"
    gone = "would be removed" if done.is_dry else "were removed"
    return f"{words}; {len(done.verdict.removable)} files ({_size(done.verdict.removable):,} bytes) {gone}."


def _show(done: Compacted) -> None:
    out = console()
    out.print(_sentence(done))
    weights = {"before": done.before, "after": done.after}
    rows = [
        {"": word, "parts": weight.parts, "bytes": f"{weight.bytes:,}"} for word, weight in weights.items() if weight
    ]
    if done.replaced:
        out.print(table(rows, ["", "parts", "bytes"]))
    if done.is_dry:
        for file in done.verdict.removable:
            out.print(f"would remove {visible(f'{file.kind}/{file.name}')}")
    if done.verdict.waiting:
        out.print(
            f"{len(done.verdict.waiting)} files ({_size(done.verdict.waiting):,} bytes) are no longer needed; "
            "a `newsmill compact` after compact_grace_seconds removes them"
        )
    if done.verdict.kept:
        out.print(
            f"{len(done.verdict.kept)} files ({_size(done.verdict.kept):,} bytes) stay: no commit names them, and they "
            "hold what no commit holds; `newsmill ingest` reads what still lies there, `newsmill rebuild --ledger "
            "--force` takes them in"
        )
    if done.published:
        out.print(f"published {visible(done.published)}")


def compact(
    *,
    dry_run: Annotated[bool, Parameter(help="Say what would be done, and do nothing.")] = False,
    level: Annotated[int | None, Parameter(help="Level of zstd, 1 to 22; default the setting compact_level.")] = None,
    format: Format = "table",  # noqa: A002 - the word that a person types
    common: Common = DEFAULT,
) -> int:
    """Merge small parts, and remove files that no commit needs.

    No row changes and nobody who reads is disturbed.  Replaced parts stay for compact_grace_seconds.

    ```
    newsmill compact --dry-run
    newsmill compact
    newsmill compact --level 9
    ```
    """
    settings = load({**common.flags(), "compact_level": level} if level is not None else common.flags()).settings
    with Bar() as bar:
        done = compacting.dry_run(settings) if dry_run else compacting.compact(settings, progress=bar)
    if format == "json":
        as_json(
            {
                "dry_run": done.is_dry,
                "replaced_commits": done.replaced,
                "new_commits": done.made,
                "parts_before": done.before.parts,
                "bytes_before": done.before.bytes,
                "parts_after": done.after.parts if done.after else None,
                "bytes_after": done.after.bytes if done.after else None,
                "removed": [f"{file.kind}/{file.name}" for file in done.verdict.removable],
                "removed_bytes": _size(done.verdict.removable),
                "waiting": len(done.verdict.waiting),
                "waiting_bytes": _size(done.verdict.waiting),
                "kept": [f"{file.kind}/{file.name}" for file in done.verdict.kept],
                "published": done.published,
                "seconds": round(done.seconds, 3),
            }
        )
    else:
        _show(done)
    return 0
