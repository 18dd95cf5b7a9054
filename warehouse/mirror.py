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
    """Bring the copy to what the ledger says; what it says beyond that is lost, see ``ahead``."""
    if is_current(home, marks):
        return
    with temporary_file(home.path, home.tombstones) as temporary:
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


def ahead(home: Home, marks: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Contents that the copy says are forgotten, and such as were let in again, of which the ledger knows nothing.

    The ledger is written first: what the copy alone knows stood in a newer ledger than this one.  Of a mark that both
    have only the lift can be news, and one that was lifted there and is unknown here is none.
    """
    if is_current(home, marks):
        return [], []
    copied = read(home) or []
    known = {(mark["commit_no"], mark["file_id"]): mark["lifted_by"] for mark in marks}
    here, there = ({mark["file_id"] for mark in some if mark["lifted_by"] is None} for some in (marks, copied))
    buried, lifted = set[str](), set[str]()
    for mark in copied:
        key = (mark["commit_no"], mark["file_id"])
        if mark["lifted_by"] is None and key not in known:
            buried.add(mark["file_id"])
        elif mark["lifted_by"] is not None and key in known and known[key] is None:
            lifted.add(mark["file_id"])
    return sorted(buried - here), sorted(lifted - there)
