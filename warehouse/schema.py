"""The Arrow schema of every table and part: the one source for Parquet, DDL, comments and the data dictionary.

Belongs here: names, types, nullability, checks and descriptions of columns.  Does not belong here: how DuckDB
spells them (``ddl``), rows (``records``) or files (``parts``).

Every field carries its description in its metadata, and where it has them a CHECK and a DuckDB type.  Lengths
and offsets are in characters (Unicode code points) unless the name says bytes; timestamps are UTC.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import pyarrow as pa

from warehouse.vocabulary import (
    CommitKind,
    DecidedBy,
    FileStatus,
    Flag,
    ParagraphKind,
    Precision,
    PublishedSource,
    RunStatus,
    Stage,
)

TEXT = pa.string()
COUNT = pa.int64()
SMALL = pa.int32()
MOMENT = pa.timestamp("us")
SHARE = pa.float64()


def column(
    name: str,
    kind: pa.DataType,
    description: str,
    *,
    nullable: bool = False,
    check: str | None = None,
    words: Iterable[StrEnum] | None = None,
    duckdb_type: str | None = None,
) -> pa.Field:
    """One described column; ``words`` makes the CHECK of a closed set, ``check`` any other."""
    if words is not None:
        check = f"{name} IN ({', '.join(repr(str(word)) for word in words)})"
    extra = {"description": description, "check": check, "duckdb_type": duckdb_type}
    return pa.field(name, kind, nullable=nullable, metadata={k: v for k, v in extra.items() if v is not None})


def _table(description: str, *columns: pa.Field) -> pa.Schema:
    return pa.schema(columns, metadata={"description": description})


def _hex(name: str, digits: int, description: str, *, nullable: bool = False) -> pa.Field:
    return column(name, TEXT, description, nullable=nullable, check=f"length({name}) = {digits}")


def _share(name: str, description: str, *, nullable: bool = False) -> pa.Field:
    return column(name, SHARE, description, nullable=nullable, check=f"{name} BETWEEN 0 AND 1")


def _count(name: str, description: str) -> pa.Field:
    return column(name, COUNT, description, check=f"{name} >= 0")


FILE_ID = _hex("file_id", 64, "sha256 of the bytes, 64 hex digits")
URI = column("uri", TEXT, "percent-encoded path below its root; an archive member stands after !/")
SOURCE = column(
    "source", TEXT, "who the files come from: --source, else the first folder below the inbox, else default"
)
SIZE = column("size_bytes", COUNT, "length of the raw file in bytes", check="size_bytes >= 0")
ENCODING = column("encoding", TEXT, "Python codec name that decoded the bytes", nullable=True)
ENCODING_CONFIDENCE = _share("encoding_confidence", "1 where the bytes prove the encoding", nullable=True)
ORDINAL = column("ordinal", COUNT, "number of the record in its file, from 0", check="ordinal >= 0")
DOCUMENT_ID = _hex("document_id", 32, "first 32 hex digits of sha256 of the ASCII file_id:ordinal")
BATCH_ID = _hex("batch_id", 32, "batch whose part holds the row")
RUN_ID = column("run_id", TEXT, "run that committed the row")
LANGUAGE = column("language", TEXT, "newsmill's decision: ISO 639 code, und without evidence")
PUBLISHED_ON = column(
    "published_on",
    pa.date32(),
    "date of publication; the first of the month or year below day precision",
    nullable=True,
)
TEXT_ID = _hex("text_id", 32, "first 32 hex digits of sha256 of the text: equal texts, equal id")
REPAIRS = pa.list_(pa.struct([pa.field("step", TEXT, nullable=False), pa.field("count", COUNT, nullable=False)]))

FILES = _table(
    "One row is one content seen at one uri, or a path that could not be read.",
    _hex("file_id", 64, "sha256 of the bytes, 64 hex digits; NULL for a path that was never read", nullable=True),
    column("root", TEXT, "where the uri begins: inbox, or the percent-encoded absolute folder"),
    URI,
    SOURCE,
    SIZE,
    column("modified_at", MOMENT, "modification time of the file when it was seen"),
    column("seen_at", MOMENT, "when this content was last found new at this uri"),
    column("status", TEXT, "what became of it", words=FileStatus),
    column("reason", TEXT, "why the path was deferred or refused unread", nullable=True),
    ENCODING,
    ENCODING_CONFIDENCE,
    _count("document_count", "documents of this content; 0 for a duplicate, whose content is counted at its first uri"),
    _count("reject_count", "rejects of this content, counted as document_count is"),
    column("is_current", pa.bool_(), "whether this is the newest content of its uri"),
    column("sighting_no", COUNT, "order of the sightings in the ledger: the highest of a uri is its newest"),
    RUN_ID,
)

SEGMENT_PLACES = pa.list_(
    pa.struct(
        [
            column("paragraph_no", SMALL, "paragraph that holds the segment"),
            column("kind", TEXT, "kind of its paragraph"),
            column("byte_start", SMALL, "first byte in the document's text, from 0"),
            column("byte_count", SMALL, "length in UTF-8 bytes"),
            column("separator_count", SMALL, "length in UTF-8 bytes of what follows it before the next segment"),
            column("char_start", SMALL, "first character in the document's text, from 0"),
            column("char_count", SMALL, "length in characters"),
        ]
    )
)

DOCUMENTS = _table(
    "One row is one document: a record's normalised text with its metadata.",
    DOCUMENT_ID,
    FILE_ID,
    ORDINAL,
    SOURCE,
    URI,
    column("external_id", TEXT, "the source's own id, not verified", nullable=True),
    column("url", TEXT, "address of the original", nullable=True),
    column("title", TEXT, "title where the file has one", nullable=True),
    column("authors", pa.list_(TEXT), "authors as printed"),
    PUBLISHED_ON,
    column(
        "published_precision",
        TEXT,
        "how much of published_on was given",
        nullable=True,
        words=Precision,
    ),
    column("published_source", TEXT, "where published_on was read", words=PublishedSource),
    LANGUAGE,
    _share("language_confidence", "how sure the decision is, defined for every decider"),
    column("language_decided_by", TEXT, "what decided the language", words=DecidedBy),
    column("detector_label", TEXT, "langdetect's label with seed 0; NULL where it finds no features", nullable=True),
    _share("detector_probability", "langdetect's probability of that label", nullable=True),
    column("second_language", TEXT, "language that the second opinion says", nullable=True),
    column("script", TEXT, "ISO 15924 code of the dominant script", nullable=True),
    column("text", TEXT, "normalised text: the concatenation of its segments and separators"),
    TEXT_ID,
    _count("char_count", "length of the text in characters"),
    _count("word_count", "words: runs of letters and digits; each Han or Kana character counts as one"),
    _count("paragraph_count", "paragraphs of the document"),
    _count("segment_count", "segments of the document"),
    column(
        "is_distinct",
        pa.bool_(),
        "whether it stands for its text in v_documents: current, and of equal texts the earliest published, then the "
        "lowest document_id",
    ),
    _count("copy_count", "current documents that have this very text, this one included; 0 where it is not current"),
    column("repairs", REPAIRS, "normalisation steps that changed something, with their counts"),
    column(
        "flags",
        pa.list_(TEXT),
        "what a reader should know: " + ", ".join(Flag),
    ),
    column("source_metadata", TEXT, "what the source said and no column holds, as JSON", duckdb_type="JSON"),
    column("pipeline_version", TEXT, "version of the code, libraries and tables that made the row"),
    BATCH_ID,
    column("segment_places", SEGMENT_PLACES, "where each segment stands in the text; the view segments cuts them out"),
)

PARAGRAPHS = _table(
    "One row is one block of a document.",
    DOCUMENT_ID,
    column("paragraph_no", SMALL, "number of the paragraph in its document, from 0"),
    column("kind", TEXT, "what the block is", words=ParagraphKind),
    column("credit", TEXT, "agency or photographer of a caption", nullable=True),
    column("language", TEXT, "language of the block where it was looked at alone", nullable=True),
    _share("language_confidence", "how sure that is", nullable=True),
    column("char_start", COUNT, "first character in the document's text, from 0"),
    column("char_end", COUNT, "one behind the last character", check="char_end >= char_start"),
)

SEGMENTS = _table(
    "One row is one translation unit, a sentence in most cases.",
    column("segment_id", TEXT, "document_id, a hyphen and segment_no with at least five digits"),
    DOCUMENT_ID,
    column("paragraph_no", SMALL, "paragraph that holds the segment"),
    column("segment_no", SMALL, "number of the segment through the whole document, from 0"),
    column("kind", TEXT, "kind of its paragraph", words=ParagraphKind),
    column("text", TEXT, "the segment's characters as they stand in the document"),
    column("separator", TEXT, "what follows it in the document before the next segment; empty at the end"),
    column("char_start", COUNT, "first character in the document's text, from 0"),
    column("char_end", COUNT, "one behind the last character", check="char_end >= char_start"),
    TEXT_ID,
    LANGUAGE,
    PUBLISHED_ON,
)

REJECTS = _table(
    "One row is one refused file or record, with the stage and the reason.",
    _hex("reject_id", 32, "stable id of the reject"),
    URI,
    _hex("file_id", 64, "sha256 of the bytes; NULL for a path that was refused unread", nullable=True),
    column("ordinal", COUNT, "record in its file; NULL where the whole file was refused", nullable=True),
    column("stage", TEXT, "where it was refused", words=Stage),
    column("reason", TEXT, "why, out of a closed list"),
    column("detail", TEXT, "what was found"),
    column("preview", TEXT, "beginning of the content, control characters escaped", nullable=True),
    RUN_ID,
    column("rejected_at", MOMENT, "when the reject was committed"),
)

RUNS = _table(
    "One row is one execution of a flow that committed something; newsmill status knows the others.",
    RUN_ID,
    column("flow", TEXT, "which flow ran"),
    column("orchestrator", TEXT, "prefect or direct"),
    column("status", TEXT, "how it ended", words=RunStatus),
    column("started_at", MOMENT, "when it began"),
    column("finished_at", MOMENT, "when its last commit was made and its counts were known", nullable=True),
    column("counts", TEXT, "files and documents by outcome, as JSON", duckdb_type="JSON"),
    column("timings", TEXT, "seconds a stage, as JSON", duckdb_type="JSON"),
    column("versions", TEXT, "versions of newsmill and of what it stands on, as JSON", duckdb_type="JSON"),
    column("pipeline_version", TEXT, "version of the code, libraries and tables that made the rows"),
    column("settings_fingerprint", TEXT, "hash of the settings that can change a row"),
)

LOADS = _table(
    "One row is one applied commit of the ledger.",
    column("commit_no", COUNT, "number of the commit, from 1 without gaps"),
    _hex("commit_hash", 64, "hash over the commit and the hash before it"),
    column(
        "kind",
        TEXT,
        "parts of a batch, sightings that needed none, parts that took others' rows over, contents that were forgotten",
        words=CommitKind,
    ),
    _hex("batch_id", 32, "batch that was committed; NULL for other kinds", nullable=True),
    RUN_ID,
    column("committed_at", MOMENT, "when the ledger acknowledged it"),
    _count("file_count", "sightings of files in the commit"),
    _count("document_count", "documents in the parts of the commit"),
    _count("paragraph_count", "paragraphs in the parts of the commit"),
    _count("segment_count", "segments in the parts of the commit"),
    _count("reject_count", "rejects in the commit"),
)

# A translation is of a text, not of a place: the same sentence in a hundred documents is translated once.
TRANSLATIONS = _table(
    "One row is one text in another language, by one version of one engine.",
    TEXT_ID,
    column("source_language", TEXT, "language that the engine was told, an ISO 639 code"),
    column("target_language", TEXT, "language of the translation, an ISO 639 code"),
    column("engine", TEXT, "what translated"),
    column("engine_version", TEXT, "its version, with that of its model and glossary"),
    column("text", TEXT, "the translation"),
    _share("quality", "the engine's own estimate, where it makes one", nullable=True),
    column("translated_at", MOMENT, "when the translation was committed"),
    RUN_ID,
    BATCH_ID,
)

TABLES: dict[str, pa.Schema] = {
    "files": FILES,
    "documents": DOCUMENTS,
    "paragraphs": PARAGRAPHS,
    "rejects": REJECTS,
    "runs": RUNS,
    "loads": LOADS,
    "translations": TRANSLATIONS,
}

# Small tables that come with newsmill (seeds/reference) instead of being ingested.
REFERENCES: dict[str, pa.Schema] = {
    "ref_languages": _table(
        "One row is one language that newsmill may find.",
        column("language", TEXT, "ISO 639 code: two letters where there are two; und where nothing is known"),
        column("name", TEXT, "English name"),
        column("endonym", TEXT, "what the language calls itself; empty for und"),
        column("script", TEXT, "ISO 15924 code of the script that its news is mostly printed in"),
        column("is_spaced", pa.bool_(), "whether blanks part its words"),
        column("stemmer", TEXT, "stemmer of full-text search, none where DuckDB has none"),
    ),
    "ref_stop_words": _table(
        "One row is one word that says little about a text in its language.",
        column("language", TEXT, "ISO 639 code"),
        column("word", TEXT, "the word in small letters"),
    ),
}


# Tables of which DuckDB stores no rows: views over others, with the same promises about their columns.
VIEWED: dict[str, pa.Schema] = {"segments": SEGMENTS}


def _described(kind: pa.Schema, *names: str) -> list[pa.Field]:
    return [kind.field(name) for name in names]


# A text is stored once in a part.  Spans are lengths, not offsets: starts, ids, text_ids and counts are derived
# when the part is loaded (``loader``), which keeps the parts a third smaller (figures in docs/decisions/0004).
PARAGRAPH_SPANS = pa.list_(
    pa.struct(
        [
            *_described(PARAGRAPHS, "kind", "credit", "language", "language_confidence"),
            column("segment_count", SMALL, "segments of the paragraph"),
        ]
    )
)
SEGMENT_SPANS = pa.list_(
    pa.struct(
        [
            column("byte_count", SMALL, "length of the segment in UTF-8 bytes"),
            column("separator_count", SMALL, "length in UTF-8 bytes of what follows it before the next segment"),
        ]
    )
)

# The uri of a file stands in the other part; of a record's own uri a part keeps what is behind the file's.
MEMBER = column("member", TEXT, "percent-encoded path inside the archive; NULL outside archives", nullable=True)

_DERIVED = (
    "document_id", "source", "uri", "text_id", "char_count", "paragraph_count", "segment_count", "segment_places",
    "is_distinct", "copy_count",
)  # fmt: skip

DOCUMENTS_PART = _table(
    "One row is one document; paragraphs and segment spans are nested, the text is stored once.",
    *(field for field in DOCUMENTS if field.name not in _DERIVED),
    column("paragraphs", PARAGRAPH_SPANS, "blocks of the document in order"),
    column("segments", SEGMENT_SPANS, "segments through the whole document in order"),
    MEMBER,
)

REJECT_SPANS = pa.list_(pa.struct([*_described(REJECTS, "ordinal", "stage", "reason", "detail", "preview"), MEMBER]))

FILES_PART = _table(
    "One row is what reading found in one file or in one cut of it; record rejects are nested.",
    FILE_ID,
    URI,
    SOURCE,
    SIZE,
    column("reader", TEXT, "reader that took the bytes; NULL where none did", nullable=True),
    ENCODING,
    ENCODING_CONFIDENCE,
    column("first_ordinal", COUNT, "first record of the cut"),
    column("last_ordinal", COUNT, "last record of the cut"),
    column("is_last", pa.bool_(), "whether the file ends with this cut"),
    _count("document_count", "documents of the cut"),
    _count("reject_count", "rejects of the cut"),
    column("rejects", REJECT_SPANS, "refused records in order"),
    column("pipeline_version", TEXT, "version of the code, libraries and tables that made the row"),
    BATCH_ID,
)

PARTS: dict[str, pa.Schema] = {"documents": DOCUMENTS_PART, "files": FILES_PART}


def description(item: pa.Schema | pa.Field) -> str:
    """What a table or column is for, in one sentence.

    >>> description(FILES.field("uri")).split(";")[0]
    'percent-encoded path below its root'
    """
    return note(item, "description") or ""


def note(item: pa.Schema | pa.Field, key: str) -> str | None:
    """One entry of the metadata of a table or column; None where there is none."""
    found: Any = (item.metadata or {}).get(key.encode())
    return None if found is None else found.decode()


def quoted(text: str) -> str:
    """A text as an SQL literal.

    >>> quoted("newsmill's")
    "'newsmill''s'"
    """
    return "'" + text.replace("'", "''") + "'"
