"""The chain: what the hash of a commit covers, and in which form.

Belongs here: canonical JSON of a commit's rows.  Does not belong here: which rows those are (``commits``), whether the
chain is whole (``verification``, which asks the database and encodes row by row).
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, NamedTuple

NO_HASH = "0" * 64
# The chain covers content only, so that equal input gives equal hashes in every home, whoever ran it and when.
UNCHAINED = ("commit_hash", "run_id", "committed_at")


class Rows(NamedTuple):
    """Rows of one table, each a tuple in the order of ``names``: a batch has thousands."""

    names: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


def _dumps(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


# As ``_dumps`` has them.
_ENCODERS: dict[type, Callable[[Any], str]] = {
    int: int.__repr__,
    str: quoted,
    float: lambda value: float.__repr__(value) if math.isfinite(value) else _dumps(value),
    bool: {True: "true", False: "false"}.__getitem__,
    type(None): {None: "null"}.__getitem__,
}


def _dispatched(value: object) -> str:
    return _ENCODERS.get(type(value), _dumps)(value)


def encoded(rows: Rows) -> str:
    r"""The canonical JSON of rows, column by column: a third of the time of row by row.

    >>> encoded(Rows(("is_last", "uri"), [(True, 'a".txt'), (False, "b.txt")]))
    '[{"is_last":true,"uri":"a\\".txt"},{"is_last":false,"uri":"b.txt"}]'
    """
    order = sorted(range(len(rows.names)), key=rows.names.__getitem__)
    names = [quoted(rows.names[place]).replace("%", "%%") for place in order]
    template = "{" + ",".join(f"{name}:%s" for name in names) + "}"
    columns = list(zip(*rows.rows, strict=True))
    values = []
    for place in order if columns else ():
        kinds = set(map(type, columns[place]))
        encode = _ENCODERS.get(kinds.pop(), _dumps) if len(kinds) == 1 else _dispatched
        values.append(map(encode, columns[place]))
    return "[" + ",".join(map(template.__mod__, zip(*values, strict=True))) + "]"


def chain_hash(previous: str, head: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    """The hash of a commit: sha256 over the hash before it and the commit's own rows as canonical JSON.

    ``content`` has ``Rows``, or whatever JSON can hold.
    """
    parts = (
        f"{quoted(name)}:{encoded(value) if isinstance(value, Rows) else _dumps(value)}"
        for name, value in sorted(content.items())
    )
    payload = f"[{_dumps(previous)},{_dumps(head)},{{{','.join(parts)}}}]"
    return hashlib.sha256(payload.encode()).hexdigest()
