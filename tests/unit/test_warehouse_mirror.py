"""What the copy of the tombstones says beyond the ledger."""

from typing import Any

import pytest

from warehouse import mirror
from warehouse.layout import Home


def mark(commit_no: int, file_id: str, lifted_by: int | None = None) -> dict[str, Any]:
    return {"commit_no": commit_no, "file_id": file_id, "lifted_by": lifted_by, "erased_at": 1}


@pytest.mark.parametrize(
    ("marks", "copied", "ahead"),
    [
        ([], [mark(3, "x"), mark(2, "y")], (["x", "y"], [])),
        ([mark(2, "y")], [mark(2, "y"), mark(3, "x")], (["x"], [])),
        ([], [mark(3, "x", 4)], ([], [])),
        ([], [mark(3, "x", 4), mark(5, "x")], (["x"], [])),
        ([mark(3, "x", 4)], [mark(3, "x", 4), mark(5, "x")], (["x"], [])),
        ([mark(3, "x", 4)], [mark(3, "x")], ([], [])),
        ([mark(3, "x", 4), mark(5, "x")], [mark(3, "x", 4)], ([], [])),
        ([mark(3, "x")], [], ([], [])),
        ([mark(3, "x")], [mark(3, "x", 4)], ([], ["x"])),
        ([mark(3, "x")], [mark(3, "x", 4), mark(5, "x")], ([], [])),
        ([mark(2, "x")], [mark(3, "x")], ([], [])),
        ([mark(2, "x", 4), mark(3, "x")], [mark(3, "x", 6), mark(7, "x")], ([], [])),
    ],
    ids=["none here", "one here", "let in there", "let in and forgotten there", "forgotten again there",
         "let in here", "forgotten again here", "the copy is behind", "let in there only",
         "let in and forgotten again there", "under another number", "made anew"],
)  # fmt: skip
def test_what_only_the_copy_knows(home: Home, marks: list[Any], copied: list[Any], ahead: Any) -> None:
    home.path.mkdir()
    mirror.write(home, copied)
    assert mirror.ahead(home, marks) == ahead


def test_a_copy_that_does_not_prove_itself_says_nothing(home: Home) -> None:
    home.path.mkdir()
    assert mirror.ahead(home, []) == ([], [])
    mirror.write(home, [mark(3, "x")])
    home.tombstones.write_bytes(home.tombstones.read_bytes().replace(b'"x"', b'"y"'))
    assert mirror.ahead(home, []) == ([], [])
