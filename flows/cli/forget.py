"""``newsmill forget``.

Belongs here: arguments, and what was done in words.  Does not belong here: doing it (``flows.forgetting``).
"""

from typing import Annotated

from cyclopts import Parameter

from flows import forgetting
from flows.cli import orchestrator
from flows.cli.arguments import DEFAULT, Common, Format
from flows.cli.orchestrator import Hidden
from flows.cli.render import Bar, as_json, console, show, table, visible
from flows.forgetting import Chosen, Forgotten
from flows.settings import Settings
from warehouse.clock import iso
from warehouse.errors import ConfigError

OUT_OF_REACH = "Out of reach: raw files, exports, backups, and what a client has open until it closes it."


def _counted(count: int, noun: str) -> str:
    ending = "es" if noun.endswith("x") else "s"
    return f"{count} {noun}{ending * (count != 1)}"


def _sentence(done: Forgotten) -> str:
    if not done.file_ids:
        return "What was begun is finished." if done.erased else "Nothing to finish: every forgetting came to its end."
    verb = "would be forgotten" if done.is_dry else "are forgotten" if len(done.file_ids) > 1 else "is forgotten"
    return (
        f"{_counted(len(done.file_ids), 'content')} with {_counted(done.documents, 'document')} {verb}, "
        f"seen at {_counted(len(done.places), 'path')}."
    )


def _hidden(hidden: Hidden) -> str:
    """What became of texts on Prefect's pages; empty where there is nothing to say."""
    if hidden.problem is not None:
        return (
            f"Prefect's pages may still show titles and names of these: {visible(hidden.problem)}; "
            "run `newsmill forget` again when that has changed, or leave it to the weekly maintenance"
        )
    some = _counted(hidden.artifacts, "artifact")
    return f"titles, and names of rejects, were taken out of {some} on Prefect's pages" if hidden.artifacts else ""


def _show(done: Forgotten, hidden: Hidden) -> None:
    out = console()
    out.print(_sentence(done))
    rows = [{"source": place.source, "uri": place.uri, "file_id": place.file_id[:12]} for place in done.places]
    if rows:
        out.print(table(rows, ["source", "uri", "file_id"]))
    if done.is_dry:
        out.print(f"{_counted(done.parts, 'part')} would be rewritten and the warehouse built anew")
    elif done.erased:
        out.print(
            f"removed {_counted(done.erased.parts, 'part')}, {_counted(done.erased.snapshots, 'snapshot')}, "
            f"{_counted(done.erased.indexes, 'full-text index')}; published {visible(str(done.erased.published))}"
        )
        if done.erased.indexes and done.erased.index is None:
            out.print("there is no full-text index now: `pip install newsmill[search]`, then `newsmill index`")
        if done.erased.readers:
            pids = ", ".join(map(str, done.erased.readers))
            out.print(f"still open, until they close it, in the processes {pids}")
    if done.same_text:
        out.print(f"{_counted(done.same_text, 'document')} of other files have a text of these, and stay")
    if said := _hidden(hidden):
        out.print(said)
    for path in done.lying:
        out.print(f"a raw file still has the bytes: {visible(path)}")
    if done.file_ids:
        out.print(OUT_OF_REACH)


def _as_json(done: Forgotten, hidden: Hidden) -> None:
    as_json(
        {
            "dry_run": done.is_dry,
            "forgotten": done.file_ids,
            "documents": done.documents,
            "paths": [
                {"root": place.root, "uri": place.uri, "source": place.source, "file_id": place.file_id}
                for place in done.places
            ],
            "raw_files": done.lying,
            "same_text_elsewhere": done.same_text,
            "rewritten_parts": done.parts,
            "removed_parts": done.erased.parts if done.erased else None,
            "removed_snapshots": done.erased.snapshots if done.erased else None,
            "removed_indexes": done.erased.indexes if done.erased else None,
            "still_open_in": done.erased.readers if done.erased else None,
            "published": done.erased.published if done.erased else None,
            "prefect": {"changed_artifacts": hidden.artifacts, "problem": hidden.problem},
            "seconds": round(done.seconds, 3),
        }
    )


def _list(settings: Settings, form: str) -> None:
    rows = [
        {
            "file_id": stone.file_id,
            "forgotten": iso(stone.forgotten_at),
            "state": "let in again" if stone.is_lifted else "erased" if stone.is_erased else "begun",
            "uris": list(stone.uris) if form == "json" else ", ".join(stone.uris),
        }
        for stone in forgetting.tombstones(settings)
    ]
    show(rows, ["file_id", "forgotten", "state", "uris"], form)


def forget(
    files: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
    /,
    *,
    uri: Annotated[tuple[str, ...], Parameter(help="Every content that was ever seen at this uri.")] = (),
    source: Annotated[tuple[str, ...], Parameter(help="Every content that came from this source.")] = (),
    dry_run: Annotated[bool, Parameter(help="Say what would be forgotten, and do nothing.")] = False,
    lift: Annotated[bool, Parameter(help="Let forgotten bytes in again: the next ingest takes them.")] = False,
    list: Annotated[bool, Parameter(help="What was forgotten, and when.")] = False,  # noqa: A002 - what a person types
    format: Format = "table",  # noqa: A002 - the word that a person types
    common: Common = DEFAULT,
) -> int:
    """Take content down for good: out of the parts, every snapshot and the full-text index.

    Contents are whole raw files: the same bytes go wherever they were seen, equal texts in other files stay. The same
    bytes are refused from then on, with the reason `forgotten`. Raw files are not touched, exports and backups are out
    of reach. A kill at any moment loses nothing: the next command that writes finishes it.

    ```
    newsmill forget --uri wire/2019/a.txt --dry-run
    newsmill forget 3f2a9c0d --uri wire/2019/a.txt
    newsmill forget --source wire
    newsmill forget --list
    newsmill forget --lift 3f2a9c0d
    ```

    Args:
        files: file_ids, or beginnings of them (8 digits at least).

    """
    settings = common.settings
    chosen = Chosen(files, uri, source)
    is_choice = bool(files or uri or source)
    if list:
        _list(settings, format)
        return 0
    if not is_choice and (dry_run or lift):
        raise ConfigError("say which content: FILES, --uri URI or --source SOURCE")
    if dry_run and lift:
        raise ConfigError("--lift has no --dry-run; `newsmill forget --list` shows what is forgotten")
    with Bar() as bar:
        if lift:
            lifted = forgetting.lift(settings, chosen, bar)
        else:
            done = forgetting.dry_run(settings, chosen) if dry_run else forgetting.forget(settings, chosen, bar)
            hidden = Hidden() if dry_run else orchestrator.hide_examples(settings, bar)
    if lift and format == "json":
        as_json({"lifted": lifted})
    elif lift:
        console().print(f"{_counted(len(lifted), 'content')} may come in again; next: newsmill ingest PATH")
    elif format == "json":
        _as_json(done, hidden)
    else:
        _show(done, hidden)
    return 0
