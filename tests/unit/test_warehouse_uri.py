"""Names from outside become safe words and come back byte for byte."""

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from warehouse.uri import name_of, to_path, to_uri

SAFE = set(string.ascii_letters + string.digits + "/-._~%")


@given(st.binary())
@example(b"caf\xe9 [1]\n'\"!.txt")
@example(b"a%2Fb/../c?x=1#y")
@example(bytes(range(256)))
def test_every_path_comes_back(path: bytes) -> None:
    assert to_path(to_uri(path)) == path


@given(st.binary())
def test_a_uri_is_harmless_ascii(path: bytes) -> None:
    assert set(to_uri(path)) <= SAFE


@given(st.binary(), st.binary())
def test_different_paths_have_different_uris(one: bytes, other: bytes) -> None:
    assert (to_uri(one) == to_uri(other)) == (one == other)


@given(st.lists(st.binary(min_size=1).filter(lambda name: b"/" not in name), min_size=1))
def test_folders_stay_folders(names: list[bytes]) -> None:
    assert [to_path(part) for part in to_uri(b"/".join(names)).split("/")] == names


@given(st.binary())
def test_a_name_for_people_is_always_text(path: bytes) -> None:
    name_of(to_uri(path)).encode("utf-8")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"wire/a.txt", "a.txt"),
        ("wire/Zürich.txt".encode(), "Zürich.txt"),
        (b"a%2Fb.txt", "a%2Fb.txt"),
        (b"x/\xff", "\\xff"),
    ],
)
def test_the_name_is_the_last_component(path: bytes, name: str) -> None:
    assert name_of(to_uri(path)) == name
