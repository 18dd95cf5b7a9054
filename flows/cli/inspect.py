"""``newsmill inspect``.

Belongs here: showing what becomes of a file.  Does not belong here: what becomes of it (``tasks.document``).
"""

import dataclasses
import difflib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from cyclopts import Parameter
from rich.text import Text

from flows.cli.arguments import DEFAULT, Common
from flows.cli.render import as_json, console, json_text, table, visible
from flows.settings import load
from warehouse import raw_files
from warehouse.batches import document_id
from warehouse.errors import ConfigError, Deferred
from warehouse.records import Document, FileResult, RawDocument, RawFile, Reject
from warehouse.uri import member_uri, to_uri

# Files whose texts are looked at together: enough for the language kernel, little enough for memory.
_TOGETHER = 500
_CONTEXT = 24
_SHOWN = ("file_id", "encoding", "encoding_confidence", "published_on", "published_precision", "published_source",
          "language", "language_confidence", "language_decided_by", "detector_label", "detector_probability",
          "second_language", "script", "title", "url", "authors", "external_id", "flags",
          "source_metadata")  # fmt: skip


def inspect(
    files: tuple[Path, ...],
    /,
    *,
    reader: Annotated[str | None, Parameter(help="Force a reader instead of choosing by content and name.")] = None,
    encoding: Annotated[str | None, Parameter(help="Force an encoding instead of detecting it.")] = None,
    language: Annotated[str | None, Parameter(help="Force a language instead of detecting it.")] = None,
    format: Annotated[  # noqa: A002 - the word that a person types
        Literal["table", "json", "jsonl"], Parameter(help="How to show it; jsonl is one object a record.")
    ] = "table",
    common: Common = DEFAULT,
) -> int:
    """What newsmill makes of files, without ingesting them.

    Shows encoding, repairs with the places that they changed, metadata, language, paragraphs with their segments, or
    the reject.

    ```
    newsmill inspect seeds/raw/005_7688412f004e4ec5.txt
    newsmill inspect seeds/raw/*.txt --format jsonl
    newsmill inspect letter.txt --encoding cp1250
    ```

    Args:
        files: Files to look at.

    """
    from tasks.readers import READERS
    from tasks.text import language as languages

    if reader is not None and reader not in READERS:
        raise ConfigError(f"no reader {reader!r}; known are {', '.join(READERS)}")
    settings = load({**common.flags(), "encoding": encoding}).settings
    if settings.cache is not None:
        languages.configure(settings.cache)
    options = settings.document_options(reader=reader, language=language)
    records = _inspected(files, options)
    if format == "json":
        as_json(list(records))
        return 0
    for record in records:
        if format == "jsonl":
            sys.stdout.write(json_text(record) + "\n")
        else:
            _show(record)
    return 0


def _inspected(files: tuple[Path, ...], options: Any) -> Iterator[dict[str, Any]]:
    from tasks.document import cuts
    from tasks.options import CutLimits

    decoded: dict[tuple[str, int], str] = {}

    def remember(file: RawFile, record: RawDocument) -> None:
        decoded[(file.root, record.ordinal)] = record.text

    for cut in cuts(_contents(files), options, CutLimits(cut_records=_TOGETHER), on_record=remember):
        for result in cut.results:
            yield from _records(result, decoded)
        for file, deferred in cut.deferred:
            raise ConfigError(f"{os.fsdecode(file.path)!r} cannot be read: {deferred.detail}")
        decoded.clear()


def _contents(paths: tuple[Path, ...]) -> Iterator[tuple[RawFile, BinaryIO]]:
    for number, path in enumerate(paths):
        name = os.fsencode(path)
        try:
            with raw_files.opened(os.path.realpath(name)) as opened:
                file = RawFile(
                    root=str(number), uri=to_uri(os.path.basename(name)), source="default", path=name,
                    stamp=opened.stamp, file_id=opened.file_id(),
                )  # fmt: skip
                yield file, opened.stream
        except FileNotFoundError:
            raise ConfigError(f"{str(path)!r} does not exist") from None
        except Deferred as error:
            raise ConfigError(f"{str(path)!r} cannot be read: {error.detail}") from error


def _records(result: FileResult, decoded: dict[tuple[str, int], str]) -> Iterator[dict[str, Any]]:
    uri, key = result.file.uri, result.file.root
    head = {
        "file_id": result.file.file_id,
        "reader": result.reader,
        "encoding": result.encoding,
        "encoding_confidence": result.encoding_confidence,
    }
    rows: list[Document | Reject] = [*result.documents, *result.rejects]
    for row in sorted(rows, key=lambda row: row.ordinal or 0):
        text = decoded.get((key, row.ordinal or 0))
        if isinstance(row, Document):
            told = _document(result, row)
            del told["member"]
        else:
            reject = dataclasses.asdict(row)
            del reject["member"]
            told = {"reject": reject}
        yield {"uri": member_uri(uri, row.member), **head, "decoded": text, **told}


def _document(result: FileResult, document: Document) -> dict[str, Any]:
    text = document.text
    plain = dataclasses.asdict(document)
    plain["document_id"] = document_id(result.file.file_id, document.ordinal)
    plain["repairs"] = dict(document.repairs)
    plain["flags"] = [str(flag) for flag in document.flags]
    plain["paragraphs"] = [paragraph._asdict() for paragraph in document.paragraphs]
    plain["segments"] = [
        {**segment._asdict(), "text": text[segment.start : segment.end]} for segment in document.segments
    ]
    return plain


def _show(record: dict[str, Any]) -> None:
    out = console()
    out.print(visible(record["uri"]), style="bold")
    if "reject" in record:
        out.print("rejected: " + ", ".join(f"{k} {visible(v)}" for k, v in record["reject"].items() if v is not None))
        out.print()
        return
    rows = [{"": name, "value": record[name]} for name in _SHOWN if record[name] not in (None, (), [], {})]
    out.print(table(rows, ["", "value"]))
    if record["repairs"]:
        out.print("repairs: " + ", ".join(f"{step} {count}" for step, count in record["repairs"].items()))
        for line in _changes(record["decoded"], record["text"]):
            out.print(line)
    for number, paragraph in enumerate(record["paragraphs"]):
        notes = [paragraph["kind"], *(f"{n} {visible(paragraph[n])}" for n in ("credit", "language") if paragraph[n])]
        out.print(", ".join(notes), style="dim")
        for segment in record["segments"]:
            if segment["paragraph_no"] == number:
                out.print(f"  | {visible(segment['text'])}")
    out.print()


def _changes(before: str, after: str) -> Iterator[Text]:
    """One line a changed place: what stood there struck through in red, what stands there now in green."""
    pieces = re.compile(r"\w+|\s+|.", re.DOTALL)
    old, new = pieces.findall(before), pieces.findall(after)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=len(old) > 5_000)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind != "equal":
            yield Text.assemble(
                "  … ",
                visible("".join(old[max(0, a - 8) : a])[-_CONTEXT:]),
                (visible("".join(old[a:b])), "red strike"),
                " → ",
                (visible("".join(new[c:d])), "green"),
                visible("".join(old[b : b + 8])[:_CONTEXT]),
                " …",
            )
