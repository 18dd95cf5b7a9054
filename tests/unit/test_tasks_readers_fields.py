"""Fields, dates and bounds that all readers share."""

import io
import json
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.readers import ReadOptions, fields
from tasks.readers.bounded import CHUNK, lines, text_of, whole
from tasks.readers.dates import published
from tasks.text.decoded import Decoded
from warehouse.errors import Refusal
from warehouse.records import RawDocument
from warehouse.vocabulary import Flag, Precision, Reason

DAY, MONTH, YEAR = Precision.DAY, Precision.MONTH, Precision.YEAR
DECODED = Decoded(text="", encoding="utf-8", confidence=1.0, flags=())


@pytest.mark.parametrize(
    ("value", "on", "precision"),
    [
        ("2019-04-25", (2019, 4, 25), DAY), ("2019-4-5", (2019, 4, 5), DAY), ("2019/04/25 08:52", (2019, 4, 25), DAY),
        ("2019-04-25T23:59:59.123-11:00", (2019, 4, 25), DAY), ("20190425", (2019, 4, 25), DAY),
        ("20190425T085200Z", (2019, 4, 25), DAY), ("20190425085200", (2019, 4, 25), DAY),
        ("2019-04", (2019, 4, 1), MONTH), ("04/2019", (2019, 4, 1), MONTH), ("April 2019", (2019, 4, 1), MONTH),
        ("2019", (2019, 1, 1), YEAR), (2019, (2019, 1, 1), YEAR), (20190425, (2019, 4, 25), DAY),
        ("25.04.2019", (2019, 4, 25), DAY), ("25.4.2019, 8:52 Uhr", (2019, 4, 25), DAY),
        ("04.05.2019", (2019, 5, 4), DAY), ("25/04/2019", (2019, 4, 25), DAY), ("04/25/2019", (2019, 4, 25), DAY),
        ("05/05/2019", (2019, 5, 5), DAY), ("April 25, 2019", (2019, 4, 25), DAY),
        ("25 Apr 2019", (2019, 4, 25), DAY), ("Thursday, 25th April 2019", (2019, 4, 25), DAY),
        ("Thu, 25 Apr 2019 08:52:00 +0200", (2019, 4, 25), DAY), (1556150400, (2019, 4, 25), DAY),
        (1556150400000, (2019, 4, 25), DAY), (1556150400.5, (2019, 4, 25), DAY), ("1556150400", (2019, 4, 25), DAY),
        (datetime(2019, 4, 25, 23, 59), (2019, 4, 25), DAY), (date(2019, 4, 25), (2019, 4, 25), DAY),
    ],
)  # fmt: skip
def test_a_date_keeps_what_it_says(value: object, on: tuple[int, int, int], precision: Precision) -> None:
    assert published(value) == (date(*on), precision)


@pytest.mark.parametrize(
    "value",
    ["04/05/2019", "2019-13-01", "2019-02-30", "2019-00", "soon", "", "25 Foo 2019", "9999", "0001-01-01", 7, 0, -1,
     True, None, float("nan"), float("inf"), 10**30, [], {}, "12", "123456789012345678901234567890", "٢٠١٩-٠٤-٢٥",
     "yesterday at 10", "2019-04-25-26"],
)  # fmt: skip
def test_what_says_no_date_for_certain_is_none(value: object) -> None:
    assert published(value) is None


@given(st.one_of(st.text(max_size=40), st.integers(), st.floats(), st.from_regex(r"[0-9:/. TZ+-]{1,30}")))
def test_no_value_breaks_the_dates(value: object) -> None:
    found = published(value)
    assert found is None or 1000 <= found.on.year < 2200
    if found is not None and found.precision is not DAY:
        assert found.on.day == 1


def document(values: dict[str, object], *mapped: tuple[str, str]) -> RawDocument:
    return fields.document(values, ReadOptions(fields=mapped), DECODED, ordinal=0, held=0)


def test_what_is_not_mapped_is_kept_and_what_is_mapped_is_not_there_twice() -> None:
    found = document({"Text": "It rained.", "Head-line": "Rain", "x": {"y": [1, None]}, "empty": None, "url": 7.5})
    assert (found.text, found.title, found.url) == ("It rained.", "Rain", None)
    assert found.metadata == {"x": {"y": [1, None]}, "url": 7.5}


def test_what_was_set_wins_over_the_guess() -> None:
    found = document({"text": "short", "long": "It rained.", "a": {"b": "Rain"}}, ("text", "long"), ("title", "a.b"))
    assert (found.text, found.title) == ("It rained.", "Rain")
    assert found.metadata["text"] == "short"


def test_a_field_that_was_set_and_is_not_there_is_no_text() -> None:
    with pytest.raises(Refusal) as refused:
        document({"text": "It rained."}, ("text", "body"))
    assert refused.value.reason is Reason.NO_TEXT
    assert "'body'" in refused.value.detail


def test_a_date_that_cannot_be_read_is_kept_as_it_stands() -> None:
    found = document({"text": "a", "date": "soon"})
    assert (found.published_on, found.metadata) == (None, {"date": "soon"})


def test_halves_of_characters_are_replaced_and_flagged() -> None:
    found = document({"text": "a\ud83d", "title": "\udc00b", "k\ud800": ["\ud800"]})
    assert (found.text, found.flags) == ("a\ufffd", (Flag.REPLACEMENT_CHARACTERS,))
    json.dumps([found.title, found.metadata], ensure_ascii=False).encode()


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.binary(max_size=8), st.dates()
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["text", "title", "date", "url", "authors", "id", "x", "\ud800"]), VALUES))
def test_any_fields_become_what_can_be_written(values: dict[str, object]) -> None:
    try:
        found = document(values)
    except Refusal:
        return
    json.dumps(found.metadata, allow_nan=False, ensure_ascii=False).encode()
    for text in (found.text, found.title or "", found.url or "", found.external_id or "", *found.authors):
        text.encode()


def test_a_maze_of_fields_is_refused() -> None:
    value: object = "x"
    for _ in range(60):
        value = [value]
    wide = [[["x"] * 100] * 100] * 100
    for maze in (value, wide):
        with pytest.raises(Refusal) as refused:
            document({"text": "a", "b": maze})
        assert refused.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 5000])
def test_whole_takes_no_more_than_it_may(size: int) -> None:
    stream = io.BytesIO(b"x" * size)
    if size <= 1000:
        assert whole(stream, 1000, "max_file_bytes") == b"x" * size
    else:
        with pytest.raises(Refusal, match="max_file_bytes is 1000"):
            whole(stream, 1000, "max_file_bytes")
        assert stream.tell() == 1001


def test_whole_takes_what_comes_in_pieces() -> None:
    data = bytes(range(256)) * 5_000
    assert whole(io.BufferedReader(io.BytesIO(data), 64), 10 * CHUNK, "x") == data  # type: ignore[arg-type]


@given(st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line and b"\r" not in line)), st.integers(1, 8))
def test_lines_have_their_places_and_their_bound(content: list[bytes], most: int) -> None:
    data = b"\n".join(content)
    found = list(lines(io.BytesIO(data), most))
    for line in found:
        end = data.find(b"\n", line.offset)
        full = data[line.offset : end if end >= 0 else len(data)]
        assert line.is_whole is (len(full) <= most)
        assert line.data in (full[:most], full[:most].removeprefix(b"\xef\xbb\xbf"))


def test_a_line_is_decoded_alone() -> None:
    assert text_of("Grüße".encode(), None).encoding == "utf-8"
    assert text_of("Grüße".encode("cp1252"), None).text == "Grüße"
    assert text_of("Grüße".encode("cp1252"), "cp1250").encoding == "cp1250"
