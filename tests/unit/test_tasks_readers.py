"""Readers: every format is registered, tested, and yields each record exactly once."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.readers import READERS, ReadOptions, reader_for
from warehouse.records import RawDocument, Reject
from warehouse.vocabulary import Reason, Stage

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("key", READERS)
def test_a_reader_takes_some_names(key: str) -> None:
    reader = READERS[key]
    assert reader.suffixes
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in reader.suffixes)
    for suffix in reader.suffixes:
        assert reader_for("a" + suffix) == reader_for("A" + suffix.upper()) == key


def test_no_suffix_belongs_to_two_readers() -> None:
    every = [suffix for reader in READERS.values() for suffix in reader.suffixes]
    assert len(every) == len(set(every))


@pytest.mark.parametrize("key", READERS)
def test_a_reader_has_cases_of_its_own(key: str) -> None:
    """A folder of golden cases, or unit tests."""
    golden = TESTS / "golden" / "readers" / key
    unit = TESTS / "unit" / f"test_tasks_readers_{key}.py"
    assert (
        unit.is_file()
        or (golden.is_dir() and any(golden.iterdir()))
        or f"def test_{key}_" in Path(__file__).read_text()
    )


@pytest.mark.parametrize("name", ["", "txt", "a.txt.gz", "a.txtx", "a", "a.jpg", "a.txt ", "a.txt\n", ".t"])
def test_a_name_that_none_takes(name: str) -> None:
    assert reader_for(name) is None


@pytest.mark.parametrize("name", ["a.txt", "A.TXT", "a.b.txt", ".txt", "\\xff.txt", "ü.TexT", "a\nb.txt"])
def test_a_name_that_one_takes(name: str) -> None:
    assert reader_for(name) == "plain"


@pytest.mark.parametrize("key", READERS)
@given(data=st.binary(max_size=200))
def test_a_reader_yields_records_in_order_and_nothing_else(key: str, data: bytes) -> None:
    records = list(READERS[key].read(data, ReadOptions()))
    assert all(isinstance(record, RawDocument | Reject) for record in records)
    assert [record.ordinal for record in records if record.ordinal is not None] == list(range(len(records)))
    assert records, "bytes that give no record have no row anywhere"


def test_plain_text_is_one_record_as_it_stands() -> None:
    (record,) = READERS["plain"].read(" date 2019-04 Grüße\r\n\n".encode(), ReadOptions())
    assert isinstance(record, RawDocument)
    assert (record.ordinal, record.text) == (0, " date 2019-04 Grüße\r\n\n")
    assert (record.encoding, record.encoding_confidence) == ("utf-8", 1.0)


def test_plain_text_that_cannot_be_decoded_is_one_reject() -> None:
    (record,) = READERS["plain"].read(b"", ReadOptions())
    assert isinstance(record, Reject)
    assert (record.ordinal, record.stage, record.reason) == (0, Stage.READ, Reason.EMPTY)


def test_plain_text_obeys_the_encoding_hint() -> None:
    data = "Grüße".encode("cp1252")
    (record,) = READERS["plain"].read(data, ReadOptions(encoding="cp1250"))
    assert isinstance(record, RawDocument)
    assert (record.text, record.encoding) == ("Grüße", "cp1250")
