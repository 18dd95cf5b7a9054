"""The closed sets of newsmill's language: what a column, a reject or a flag may say.

Belongs here: every set of words that a CHECK constraint or a reader of the tables relies on.  Does not
belong here: options (they stand beside the code that obeys them) or free text.
"""

from enum import StrEnum


class FileStatus(StrEnum):
    """What became of one content at one uri."""

    INGESTED = "ingested"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    DEFERRED = "deferred"


class Stage(StrEnum):
    """Where a file or record was refused or put off."""

    DISCOVER = "discover"
    READ = "read"
    DECODE = "decode"
    NORMALISE = "normalise"


class Reason(StrEnum):
    """Why content was refused; a reject is final until a replay.  ``MEANINGS`` says what each is."""

    NOT_REGULAR = "not_regular"
    SYMLINK = "symlink"
    SPARSE = "sparse"
    UNKNOWN_FORMAT = "unknown_format"
    TOO_LARGE = "too_large"
    EMPTY = "empty"
    HEADER_ONLY = "header_only"
    BINARY = "binary"
    UNDECODABLE = "undecodable"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    WRONG_SIZE = "wrong_size"
    MALFORMED = "malformed"
    NO_TEXT = "no_text"
    UNSUPPORTED = "unsupported"
    ENCRYPTED = "encrypted"
    UNSAFE_NAME = "unsafe_name"
    TOO_MANY_MEMBERS = "too_many_members"
    NESTED_TOO_DEEP = "nested_too_deep"
    UNPACKS_TOO_LARGE = "unpacks_too_large"
    RATIO = "ratio"
    CRASH = "crash"
    TIMEOUT = "timeout"
    FORGOTTEN = "forgotten"


MEANINGS: dict[Reason, str] = {
    Reason.NOT_REGULAR: "a FIFO, socket, device or sparse archive member, which is not a file to read",
    Reason.SYMLINK: "a symbolic or hard link, which is not followed",
    Reason.SPARSE: "a file with holes, which no format here has",
    Reason.UNKNOWN_FORMAT: "no reader takes it",
    Reason.TOO_LARGE: "larger than max_file_bytes, max_stream_bytes, max_record_bytes or max_page_bytes allows",
    Reason.EMPTY: "nothing in it, or no visible character",
    Reason.HEADER_ONLY: "a date header and nothing behind it",
    Reason.BINARY: "bytes that are no text",
    Reason.UNDECODABLE: "no encoding fits",
    Reason.TRUNCATED: "ends before its format says that it does",
    Reason.DAMAGED: "breaks the rules of its container, or fails its checksum",
    Reason.WRONG_SIZE: "an archive member that is not as long as the archive says",
    Reason.MALFORMED: "a record, line or page that breaks the rules of its format",
    Reason.NO_TEXT: "a record without a text, or a page without an article",
    Reason.UNSUPPORTED: "a variant of a known format that is not read",
    Reason.ENCRYPTED: "an archive member behind a password",
    Reason.UNSAFE_NAME: "an archive member whose name is absolute, climbs with .. or holds control characters",
    Reason.TOO_MANY_MEMBERS: "an archive with more than max_members members",
    Reason.NESTED_TOO_DEEP: "containers in containers, more than max_depth",
    Reason.UNPACKS_TOO_LARGE: "a container that unpacks to more than max_unpacked_bytes",
    Reason.RATIO: "a container that unpacks to more than max_ratio times its size",
    Reason.CRASH: "a file that killed whoever read it, alone and twice; from outside, in three runs",
    Reason.TIMEOUT: "a file that kept its worker busy for more than batch_seconds",
    Reason.FORGOTTEN: "bytes that `newsmill forget` took down; `newsmill forget --lift` lets them in again",
}


class DeferReason(StrEnum):
    """Why a file could not be read now; it is tried again at every run.

    ``stalled``: its worker waited, for a disk or a machine that stood still; ``killed``: its worker was killed from
    outside, by a system without memory or by a person.
    """

    PERMISSION = "permission"
    IO_ERROR = "io_error"
    CHANGING = "changing"
    STALLED = "stalled"
    KILLED = "killed"


class ParagraphKind(StrEnum):
    """What a block of a document is."""

    BODY = "body"
    HEADING = "heading"
    CAPTION = "caption"
    BOILERPLATE = "boilerplate"


class Precision(StrEnum):
    """How much of ``published_on`` was given; the rest is the first of the period, never a guess."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class PublishedSource(StrEnum):
    """Where ``published_on`` was read."""

    HEADER = "header"
    METADATA = "metadata"
    FILENAME = "filename"
    NONE = "none"


class DecidedBy(StrEnum):
    """What decided ``language``."""

    NO_EVIDENCE = "no_evidence"
    SCRIPT = "script"
    DETECTOR = "detector"
    AGREEMENT = "agreement"
    MAJORITY = "majority"
    SECOND_OPINION = "second_opinion"
    THIRD_OPINION = "third_opinion"
    CUES = "cues"
    HINT = "hint"


class Flag(StrEnum):
    """What a reader of a document should know about its text."""

    ENCODING_UNCERTAIN = "encoding_uncertain"
    HEADER_INVALID = "header_invalid"
    MOJIBAKE_SUSPECT = "mojibake_suspect"
    REPLACEMENT_CHARACTERS = "replacement_characters"
    NUL_CHARACTERS = "nul_characters"
    CAPPED_MARKS = "capped_marks"
    MULTILINGUAL = "multilingual"


class RunStatus(StrEnum):
    """How an execution of a flow ended; ``crashed`` is said of one that never could."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CRASHED = "crashed"


class CommitKind(StrEnum):
    """What a ledger commit records.

    A batch's parts; files that needed none; parts that take others' rows over; contents that are forgotten or let in
    again.
    """

    BATCH = "batch"
    SIGHTINGS = "sightings"
    COMPACTION = "compaction"
    TOMBSTONES = "tombstones"
