"""What batches obey besides their files.

Belongs here: those options, frozen, with their defaults.  Does not belong here: what is done with them
(``tasks.document``, ``tasks.ingest_batch``), which a process that leaves the work to workers need not import; where a
setting comes from (``flows.settings``).
"""

from dataclasses import dataclass, field, replace

from tasks.readers.options import ReadOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentOptions:
    """What a person can set that changes a row; its fingerprint is part of every batch id.

    ``fields`` holds for a source, or for ``default``, the names of its fields as ``ReadOptions.fields`` takes them.
    """

    read: ReadOptions = field(default_factory=ReadOptions)
    reader: str | None = None
    language: str | None = None
    fields: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()

    def reading(self, source: str) -> ReadOptions:
        """How files of a source are read."""
        if not self.fields:
            return self.read
        named = dict(self.fields)
        return replace(self.read, fields=named.get(source, named.get("default", ())))


@dataclass(frozen=True, slots=True, kw_only=True)
class CutLimits:
    """How much is held at once, whichever comes first; only records of big or packed files ever come that far.

    ``cut_bytes`` counts decoded characters, or what a record was long where that is more; ``cut_records`` bounds the
    rows that short records make.
    """

    cut_bytes: int = 8_000_000
    cut_records: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """What a worker must know besides the files."""

    document: DocumentOptions
    pipeline_version: str
    settings_fingerprint: str
    cut: CutLimits = field(default_factory=CutLimits)
