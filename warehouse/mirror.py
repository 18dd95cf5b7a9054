"""A copy of the tombstones beside the ledger: should the ledger be lost, what was forgotten must not come back.

Belongs here: that file, whole or not at all.  Does not belong here: the tombstones themselves (``ledger``).

One JSON line a tombstone and a last line with their sha256; as private as the ledger, and holding no more than it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from warehouse.durable import private_file, rename_durably, temporary_file
from warehouse.layout import Home


def _text(marks: Sequence[Mapping[str, Any]]) -> str:
    lines = "".join(json.dumps(dict(mark), sort_keys=True) + "\n" for mark in marks)
    return lines + hashlib.sha256(lines.encode()).hexdigest() + "\n"


def is_current(home: Home, marks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the copy says what the ledger says; none is needed while nothing was forgotten."""
    if not home.tombstones.exists():
        return not marks
    return home.tombstones.read_bytes() == _text(marks).encode()


def write(home: Home, marks: Sequence[Mapping[str, Any]]) -> None:
    """Bring the copy to what the ledger says."""
    if is_current(home, marks):
        return
    with temporary_file(home.path) as temporary:
        private_file(temporary)
        temporary.write_text(_text(marks), encoding="utf-8")
        rename_durably(temporary, home.tombstones)


def read(home: Home) -> list[dict[str, Any]] | None:
    """The tombstones as they were copied last; None where there is no copy, or a damaged one."""
    try:
        text = home.tombstones.read_bytes().decode()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    *lines, digest = text.splitlines(keepends=True) or [""]
    if hashlib.sha256("".join(lines).encode()).hexdigest() != digest.strip():
        return None
    return [dict(json.loads(line)) for line in lines]
