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
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.text import Text

from flows.cli.arguments import DEFAULT, Common
from flows.cli.render import as_json, console, json_text, table, visible
from flows.settings import load
from warehouse import raw_files
from warehouse.errors import ConfigError, Deferred
from warehouse.parts import document_id
from warehouse.records import Document, FileResult, RawDocument, RawFile
from warehouse.uri import to_uri

# Files whose texts are looked at together: enough for the language kernel, little enough for memory.
_TOGETHER = 500
_CONTEXT = 24
_SHOWN = ("file_id", "encoding", "encoding_confidence", "published_on", "published_precision", "published_source",
          "language", "language_confidence", "language_decided_by", "detector_label", "detector_probability",
          "second_language", "script", "title", "authors", "external_id", "flags", "source_metadata")  # fmt: skip


def inspect(
    files: tuple[Path, ...],
    /,
    *,
    reader: Annotated[str | None, Parameter(help="Force a reader instead of choosing by name.")] = None,
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
    from tasks.document import DocumentOptions
    from tasks.readers import READERS, ReadOptions
    from tasks.text import language as languages

    if reader is not None and reader not in READERS:
        raise ConfigError(f"no reader {reader!r}; known are {', '.join(READERS)}")
    settings = load({**common.flags(), "encoding": encoding}).settings
    if settings.cache is not None:
        languages.configure(settings.cache)
    options = DocumentOptions(read=ReadOptions(encoding=settings.encoding), reader=reader, language=language)
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
    from tasks.document import documents_of
    from tasks.readers import READERS

    for start in range(0, len(files), _TOGETHER):
        contents = [_content(path) for path in files[start : start + _TOGETHER]]
        for (_, data), result in zip(contents, documents_of(contents, options), strict=True):
            raw = READERS[result.reader].read(data, options.read) if result.reader else iter(())
            decoded = {record.ordinal: record.text for record in raw if isinstance(record, RawDocument)}
            yield from _records(result, decoded)


def _content(path: Path) -> tuple[RawFile, bytes]:
    name = os.fsencode(path)
    try:
        content = raw_files.read(os.path.realpath(name))
    except FileNotFoundError:
        raise ConfigError(f"{str(path)!r} does not exist") from None
    except Deferred as error:
        raise ConfigError(f"{str(path)!r} cannot be read: {error.detail}") from error
    file = RawFile(
        root="", uri=to_uri(os.path.basename(name)), source="default", path=name, stamp=content.stamp,
        file_id=content.file_id,
    )  # fmt: skip
    return file, content.data


def _records(result: FileResult, decoded: dict[int, str]) -> Iterator[dict[str, Any]]:
    head = {
        "uri": result.file.uri,
        "file_id": result.file.file_id,
        "reader": result.reader,
        "encoding": result.encoding,
        "encoding_confidence": result.encoding_confidence,
    }
    for document in result.documents:
        yield {**head, "decoded": decoded[document.ordinal], **_document(result, document)}
    for reject in result.rejects:
        yield {**head, "decoded": decoded.get(reject.ordinal or 0), "reject": dataclasses.asdict(reject)}


def _document(result: FileResult, document: Document) -> dict[str, Any]:
    text = document.text
    plain = dataclasses.asdict(document)
    plain["document_id"] = document_id(result.file.file_id, document.ordinal)
    plain["repairs"] = dict(document.repairs)
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
