"""Options that readers obey.

Belongs here: what a person can set about reading, frozen, and the guards with their defaults.  Does not belong here:
where a setting comes from.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How bytes are read, and how far they are trusted.

    ``encoding`` is a hint that wins over detection: a source that is known to be wrong about itself is common, and
    None, the default, trusts the bytes.  ``fields`` names the fields of this source's records: pairs of what is
    wanted (text, title, date, url, authors, id) and what the source calls it, dots for a field in a field.

    The guards: ``max_file_bytes`` for what must be held whole (a plain text, a mail, an archive in an archive);
    ``max_record_bytes`` for one line, record or row; ``max_page_bytes`` for a page that is parsed into a tree, which
    takes a hundred times its size; ``max_unpacked_bytes`` and ``max_ratio`` for what comes out of a container (real
    text in any packing stays below 100); ``max_members`` for one archive; ``max_depth`` for containers in containers
    (a .tar.gz is two); ``max_window_bytes`` for the memory that a packer may ask of its reader (xz -9 asks for 64 MB).

    Records below ``first_ordinal`` are wanted by nobody: a reader that can count one without reading it yields
    ``passed_over`` instead.
    """

    encoding: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    max_file_bytes: int = 256_000_000
    max_record_bytes: int = 16_000_000
    max_page_bytes: int = 8_000_000
    max_unpacked_bytes: int = 100_000_000_000
    max_ratio: int = 200
    max_members: int = 100_000
    max_depth: int = 2
    max_window_bytes: int = 134_217_728
    first_ordinal: int = 0
