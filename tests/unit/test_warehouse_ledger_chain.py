"""The chain: the canonical form made by columns is the one that JSON gives row by row."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from warehouse.ledger.chain import Rows, chain_hash, encoded

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 63) - 1), st.floats(), st.text(), st.just("a.txt")
)
# Of each column either one kind or all kinds.
COLUMNS = [st.integers(), st.text(), st.floats(), st.booleans(), st.none(), VALUES]


def by_row(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


@given(st.lists(st.tuples(*COLUMNS), max_size=4), st.permutations(["uri", "size_bytes", "is_last", "a", "b%s", 'c"']))
def test_rows_are_encoded_as_json_encodes_them(rows: list[tuple[Any, ...]], names: list[str]) -> None:
    plain = [dict(zip(names, row, strict=True)) for row in rows]
    assert encoded(Rows(tuple(names), rows)) == by_row(plain)
    content = {"spans": plain, "parts": [], "tombstones": ["x"]}
    made = {**content, "spans": Rows(tuple(names), rows)}
    assert chain_hash("0" * 64, {"kind": "batch"}, made) == chain_hash("0" * 64, {"kind": "batch"}, content)


def test_the_form_is_what_it_was() -> None:
    """Ledgers of before are held against it."""
    rows = Rows(("uri", "detail"), [("a.txt", None), ("b.txt", "Zürich")])
    assert chain_hash("0" * 64, {"commit_no": 1, "batch_id": None}, {"sightings": rows, "parts": []}) == (
        "4c54cc4925bab4d261e5349a3f073435e98ac924ae54782a1c7d6f220a8971e7"
    )
