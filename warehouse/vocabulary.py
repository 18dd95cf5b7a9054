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
    """Why content was refused; a reject is final until a replay."""

    NOT_REGULAR = "not_regular"
    SYMLINK = "symlink"
    UNKNOWN_FORMAT = "unknown_format"
    TOO_LARGE = "too_large"
    EMPTY = "empty"
    HEADER_ONLY = "header_only"
    BINARY = "binary"
    UNDECODABLE = "undecodable"
    MARKUP = "markup"
    CRASH = "crash"
    TIMEOUT = "timeout"


class DeferReason(StrEnum):
    """Why a file could not be read now; it is tried again at every run."""

    PERMISSION = "permission"
    IO_ERROR = "io_error"
    CHANGING = "changing"


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
    """What a ledger commit records: a batch's parts, files that needed none, or parts that take others' rows over."""

    BATCH = "batch"
    SIGHTINGS = "sightings"
    COMPACTION = "compaction"
