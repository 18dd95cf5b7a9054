"""Readers: one conformance suite over every format, on golden files, random bytes and long streams."""

import io
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.settings import ReaderName
from tasks.document import documents_of
from tasks.options import DocumentOptions
from tasks.readers import READERS, ReadOptions, container_endings, endings, is_streaming, reader_for
from tasks.readers.opening import opened
from warehouse.records import RawDocument, RawFile, Reject, Stamp
from warehouse.vocabulary import MEANINGS, Reason, Stage

GOLDEN = Path(__file__).parents[1] / "golden" / "readers"
FILES = sorted(path for path in GOLDEN.glob("*/*") if path.name != "cases.json")
ENDINGS = [suffix for reader in READERS.values() for suffix in reader.suffixes] + list(container_endings()) + ["", ".x"]


def records(data: bytes, name: str, options: ReadOptions | None = None) -> list[RawDocument | Reject]:
    return list(opened(io.BytesIO(data), name, options or ReadOptions()).records)


def conforms(found: list[RawDocument | Reject]) -> None:
    """What holds for the records of any bytes: each is numbered, none is missing, all can be written."""
    assert found, "bytes that give no record have no row anywhere"
    if found[0].ordinal is None:
        assert len(found) == 1, "what refuses the whole file stands alone"
        return
    assert [record.ordinal for record in found] == list(range(len(found)))
    for record in found:
        if isinstance(record, Reject):
            assert record.detail
            assert record.reason in MEANINGS
            assert record.preview is None or record.preview.isprintable()
        else:
            json.dumps(record.metadata, ensure_ascii=False, allow_nan=False).encode()
            for text in (record.title, record.url, record.external_id, *record.authors):
                assert text is None or (text and text.isprintable() and text.encode())


def described(record: RawDocument | Reject) -> dict[str, Any]:
    """A record as cases.json has it."""
    if isinstance(record, Reject):
        return {"reject": [record.stage, record.reason]}
    when = [str(record.published_on), record.published_precision] if record.published_on else None
    found = {
        "begins": record.text[:40],
        "characters": len(record.text),
        "title": record.title,
        "url": record.url,
        "external_id": record.external_id,
        "authors": list(record.authors),
        "published": when,
        "byte_offset": record.byte_offset,
        "encoding": None if record.encoding == "utf-8" else record.encoding,
        "metadata": record.metadata,
    }
    return {name: value for name, value in found.items() if value not in (None, [], {})}


@pytest.mark.parametrize("key", READERS)
def test_a_reader_takes_some_names(key: str) -> None:
    reader = READERS[key]
    assert reader.suffixes
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in reader.suffixes)
    for suffix in reader.suffixes:
        assert reader_for("a" + suffix) == reader_for("A" + suffix.upper()) == key


def test_no_suffix_belongs_to_two() -> None:
    every = [*endings(), *container_endings()]
    assert len(every) == len(set(every))


@pytest.mark.parametrize("key", READERS)
def test_a_reader_has_cases_of_each_kind(key: str) -> None:
    names = {path.stem.partition("_")[0] for path in (GOLDEN / key).iterdir()}
    assert names >= {"good", "torn", "empty", "hostile", "cases"}
    assert {path.suffix for path in (GOLDEN / key).iterdir()} - {".json"} <= set(READERS[key].suffixes)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_golden_file_is_read_as_its_case_says(path: Path) -> None:
    case = json.loads((path.parent / "cases.json").read_text("utf-8"))[path.name]
    found = opened(io.BytesIO(path.read_bytes()), path.name, ReadOptions())
    assert found.reader == path.parent.name
    every = list(found.records)
    conforms(every)
    assert [described(record) for record in every] == case


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_record_of_a_golden_file_is_a_document_or_a_reject(path: Path) -> None:
    data = path.read_bytes()
    file = RawFile(
        root="golden", uri=path.name, source="golden", path=b"", file_id="0" * 64,
        stamp=Stamp(size_bytes=len(data), mtime_ns=0, ctime_ns=0, inode=0),
    )  # fmt: skip
    (result,) = documents_of([(file, data)], DocumentOptions())
    assert result.record_count == len(result.documents) + len(result.rejects) == len(records(data, path.name))
    ordinals = [row.ordinal for row in (*result.documents, *result.rejects)]
    assert sorted(ordinals) == list(range(result.record_count))


@pytest.mark.parametrize("path", [path for path in FILES if path.stem.startswith("good")], ids=lambda path: path.name)
def test_a_good_file_is_known_without_its_name(path: Path) -> None:
    """Where the content says what it is, the name need not; where it does not, the file is refused by name."""
    head = path.read_bytes()[:4096]
    if path.parent.name in ("plain", "markdown", "delimited") or path.name in ("good_utf16.jsonl", "good_html.eml"):
        assert reader_for("page", head) is None or path.name == "good_html.eml"
    else:
        assert reader_for("page", head) == reader_for("page.unknown", head) == path.parent.name


@pytest.mark.parametrize("name", ["", "txt", "a.txt.gz", "a.txtx", "a", "a.jpg", "a.txt ", "a.txt\n", ".t"])
def test_a_name_that_none_takes(name: str) -> None:
    assert reader_for(name) is None


@pytest.mark.parametrize("name", ["a.txt", "A.TXT", "a.b.txt", ".txt", "\\xff.txt", "ü.TexT", "a\nb.txt"])
def test_a_name_that_one_takes(name: str) -> None:
    assert reader_for(name) == "plain"


def test_content_that_is_certain_wins_over_the_name_and_the_name_over_a_likeness() -> None:
    good = (GOLDEN / "parquet" / "good.parquet").read_bytes()
    assert [record.ordinal for record in records(good, "table.txt")] == [0, 1, 2]
    (record,) = records(b'{"text": "an article on JSON"} is what it is called.', "a.txt")
    assert isinstance(record, RawDocument)
    assert record.text == '{"text": "an article on JSON"} is what it is called.'


@pytest.mark.parametrize(
    ("key", "file"),
    [("html", "good.html"), ("json_lines", "good.jsonl"), ("json_lines", "good_array.json"), ("mail", "good.eml")],
)
def test_what_was_saved_as_a_text_is_read_as_what_it_is(key: str, file: str) -> None:
    data = (GOLDEN / key / file).read_bytes()
    wanted = [described(record) for record in records(data, file)]
    assert [described(record) for record in records(data, "saved.txt")] == wanted
    if key == "html":
        assert [described(record) for record in records(data, "page.json")] == wanted


@pytest.mark.parametrize(
    "text",
    [
        "{a} and {b}",
        '{"a"} is a set.',
        "[1] See below",
        '{"a": 1}\nis how it is written.',
        "{}\nSo it goes.",
        "<b>Bold</b> words",
        "Note: this\nis: no mail\n",
        "From: Ada\nHello",
    ],
)
def test_a_text_that_begins_with_marks_stays_one(text: str) -> None:
    assert reader_for("a.txt", text.encode()) == "plain"


HEAD_OF_MAIL = b"From: Ada Holm <ada@news.example>\nTo: a@b.example\nSubject: S\nMIME-Version: 1.0\n"
FORWARDED = b"From: Jo <jo@b.example>\nSubject: Inner\n\nThe forwarded words."


def mixed(*parts: bytes, kind: bytes = b"mixed") -> bytes:
    """A mail of these parts."""
    joined = b"".join(b"--xx\nContent-Type: " + part + b"\n" for part in parts)
    return HEAD_OF_MAIL + b"Content-Type: multipart/" + kind + b"; boundary=xx\n\n" + joined + b"--xx--\n"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (mixed(b"text/plain\n\nOne.", b"text/html\n\n<p>Two <b>words</b>.</p>"), "One.\n\nTwo words."),
        (mixed(b"text/plain\n\n \n", b"text/html\n\n<p>Only here.</p>", kind=b"alternative"), "Only here."),
        (mixed(b"text/plain\n\nSee.", b"message/rfc822\nContent-Disposition: attachment\n\n" + FORWARDED),
         "See.\n\nThe forwarded words."),
    ],
    ids=["HTML behind plain", "blank alternative", "forwarded as an attachment"],
)  # fmt: skip
def test_no_part_of_a_mail_is_lost(data: bytes, text: str) -> None:
    (record,) = records(data, "a.eml")
    assert isinstance(record, RawDocument)
    assert record.text.strip() == text


def test_what_a_parser_of_mails_finds_amiss_is_kept() -> None:
    data = HEAD_OF_MAIL + b"Content-Transfer-Encoding: base64\n\nSXQgcmFpbmVk!!IGFsbCBkYX\n"
    (record,) = records(data, "a.eml")
    assert isinstance(record, RawDocument)
    assert record.metadata["defects"]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.eml", b"From: a@b.example\nSubject: " + b"=?utf-8?Q?a?= " * 100_000 + b"\n\nWords.", None),
        ("a.eml", HEAD_OF_MAIL + b"Cc: " + b"a@b.example, " * 100_000 + b"\n\nWords.", None),
        ("a.eml", HEAD_OF_MAIL + b"Content-Type: text/plain" + b"; p*1=x" * 50_000 + b"\n\nWords.", None),
        ("a.eml", mixed(*[b"text/plain\n\na"] * 30_000), Reason.MALFORMED),
        ("a.eml", mixed(*[b"text/plain\n\na"] * 1_500), Reason.MALFORMED),
        ("a.md", b"![[" * 300_000, Reason.TOO_LARGE),
        ("a.md", b"|a|\n|-|\n" * 100_000, Reason.TOO_LARGE),
    ],
    ids=["subject", "addresses", "parameters", "borders", "parts", "brackets", "tables"],
)  # fmt: skip
def test_what_takes_the_square_of_its_length_has_a_bound(name: str, data: bytes, reason: Reason | None) -> None:
    (record,) = records(data, name)
    assert (record.reason if isinstance(record, Reject) else None) == reason
    if isinstance(record, RawDocument):
        # Nobody waits for an assertion on time: what was kept says whether headers have a bound.
        assert all(len(value) <= 4_000 for value in (record.title or "", *map(str, record.metadata.values())))
        assert len((record.title or "").replace(" ", "")) < 1_000


def test_a_format_that_is_certain_is_not_read_as_another() -> None:
    """Who says that files are plain means those whose names say nothing."""
    data = (GOLDEN / "warc" / "good.warc").read_bytes()
    assert opened(io.BytesIO(data), "good.warc", ReadOptions(), "plain").reader == "warc"
    assert opened(io.BytesIO(b"Words."), "0001", ReadOptions(), "plain").reader == "plain"


def test_a_person_can_say_what_files_are(mill: Any) -> None:
    """Names without a suffix are refused as unknown, and taken when it is said what they are."""
    mill.put("0001", "The council met in the evening and talked about the new bridge.")
    mill.put("page.php", b"<p>It rained all day, and nobody went out.</p>")
    assert mill.ingest().counts == {"rejected": 2, "record_rejects": 2}
    answer = mill.newsmill("replay", "--reason", "unknown_format", "--direct", "--set", "reader=plain")
    assert answer.code == 0, answer.err
    assert mill.one("SELECT count(*) FROM documents") == 2
    assert mill.one("SELECT count(*) FROM rejects") == 0
    wrong = mill.newsmill("ingest", "--direct", mill.raw, "--set", "reader=word")
    assert wrong.code == 2
    assert "should be 'plain'" in wrong.err
    assert set(get_args(ReaderName)) == set(READERS)


def test_what_goes_through_in_pieces_may_be_larger() -> None:
    assert {key for key, reader in READERS.items() if reader.is_streaming} == {
        "json_lines", "delimited", "parquet", "warc", "news_docs",
    }  # fmt: skip
    assert all(map(is_streaming, ("a.jsonl", "a.txt.gz", "b.CSV", "a.tar")))
    assert is_streaming("a.txt", b"WARC/1.0\r\n")
    assert not any(map(is_streaming, ("a.txt", "a.html", "photo.jpg")))


@pytest.mark.parametrize("key", READERS)
@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=300))
def test_any_bytes_end_as_records(key: str, data: bytes) -> None:
    for forced in (key, None):
        conforms(list(opened(io.BytesIO(data), "a" + READERS[key].suffixes[0], ReadOptions(), forced).records))


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """A golden file with bytes flipped, cut out, doubled or put in, under any name."""
    path = draw(st.sampled_from(FILES))
    data = bytearray(path.read_bytes()[:6000])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        more = draw(st.integers(0, 60))
        kind = draw(st.sampled_from(("flip", "cut", "double", "put")))
        if kind == "flip" and at < len(data):
            data[at] ^= draw(st.integers(1, 255))
        elif kind == "cut":
            del data[at : at + more]
        elif kind == "double":
            data[at:at] = data[at : at + more]
        else:
            data[at:at] = draw(st.binary(max_size=40))
    return draw(st.sampled_from((path.name, path.name, "a" + draw(st.sampled_from(ENDINGS))))), bytes(data)


@settings(max_examples=300, deadline=None)
@given(mutated())
def test_a_mutated_file_ends_as_records(case: tuple[str, bytes]) -> None:
    name, data = case
    conforms(records(data, name))


@pytest.mark.long
@settings(max_examples=20_000, deadline=None)
@given(mutated())
def test_many_mutated_files_end_as_records(case: tuple[str, bytes]) -> None:
    name, data = case
    conforms(records(data, name))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
@pytest.mark.parametrize("first", [1, 2, 5])
def test_what_was_read_before_is_passed_over_and_the_rest_is_the_same(path: Path, first: int) -> None:
    every = records(path.read_bytes(), path.name)
    rest = records(path.read_bytes(), path.name, ReadOptions(first_ordinal=first))
    assert [record.ordinal for record in rest] == [record.ordinal for record in every]
    assert rest[first:] == every[first:]


def test_what_a_warc_says_of_a_record_is_made_harmless() -> None:
    data = warc_record(b"It rained.").replace(
        b"\r\n\r\n", b"\r\nWARC-Record-ID:\0 <a>\r\nWARC-Target-URI: http://\x1b[2J\r\n\r\n", 1
    )
    (record,) = records(data, "a.warc")
    conforms([record])
    assert isinstance(record, RawDocument)
    assert (record.url, record.external_id) == ("http://[2J", "<a")


class Endless(io.RawIOBase):
    """So many bytes, made while they are read."""

    def __init__(self, head: bytes, piece: bytes, size: int) -> None:
        self.ready, self.piece, self.left = head, piece, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.ready and self.left > 0:
            self.ready = self.piece
            self.left -= len(self.piece)
        size = min(len(buffer), len(self.ready))
        buffer[:size], self.ready = self.ready[:size], self.ready[size:]
        return size


def warc_record(text: bytes) -> bytes:
    return b"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n" % (
        len(text),
        text,
    )


SENTENCE = b"It rained all day, and the harbour stayed closed. " * 20
STREAMS = {
    "json_lines": (b"", b'{"text": "' + SENTENCE + b'"}\n'),
    "json_array": (b"[", b'{"text": "' + SENTENCE + b'"},\n'),
    "delimited": (b"id,text\n", b'1,"' + SENTENCE + b'"\n'),
    "warc": (b"", warc_record(SENTENCE)),
    "news_docs": (b"", b"20190425\tSXQgcmFpbmVk\t" + b"SXQgcmFpbmVk" * 80 + b"\n"),
}


def peak(stream: Iterator[Any]) -> tuple[int, int]:
    """How many things a stream gives, and the most memory that Python held meanwhile."""
    tracemalloc.start()
    try:
        count = sum(1 for _ in stream)
        return count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("case", STREAMS)
def test_a_long_stream_is_not_held(case: str) -> None:
    head, piece = STREAMS[case]
    key = "json_lines" if case == "json_array" else case
    size = 12_000_000
    stream = io.BufferedReader(Endless(head, piece, size), 1 << 16)
    count, most = peak(opened(stream, "a", ReadOptions(), key).records)
    # The array has no end, which is one reject more.
    assert count == -(-size // len(piece)) + (case == "json_array")
    assert most < 3_000_000


@pytest.mark.parametrize("case", [*STREAMS, "quote"])
def test_a_record_without_an_end_is_not_held(case: str) -> None:
    starts = {
        "json_lines": (b'{"text": "a"}\n{"text": "', b"x" * 65_536),
        "json_array": (b'[{"text": "a"}, {"text": "', b"x" * 65_536),
        "delimited": (b'id,text\n1,a\n2,"', b"x" * 65_536),
        "quote": (b'id,text\n1,a\n2,"', b"x" * 500 + b"\n"),
        "warc": (warc_record(b"a") + b"WARC/1.0\r\nA: ", b"x" * 65_536),
        "news_docs": (b"20190425\tYQ==\tYQ==\n20190425\t", b"A" * 65_536),
    }
    key = {"json_array": "json_lines", "quote": "delimited"}.get(case, case)
    stream = io.BufferedReader(Endless(*starts[case], 12_000_000), 1 << 16)
    options = ReadOptions(max_record_bytes=200_000)
    tracemalloc.start()
    try:
        found = opened(stream, "a", options, key).records
        first = next(found)
        others = {type(record) for record in found}
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(first, RawDocument)
    assert others == {Reject}
    assert most < 6_000_000


def test_a_long_parquet_file_is_not_held(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for number in range(8):
            texts = [f"{number} {row} " + SENTENCE.decode() + str(hash((number, row))) for row in range(5_000)]
            writer.write_table(pa.table({"id": range(5_000), "text": texts}, schema=schema))
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    most = 0
    with path.open("rb") as stream:
        for record in READERS["parquet"].read(stream, ReadOptions()):
            assert isinstance(record, RawDocument)
            most = max(most, pool.bytes_allocated() - before)
    assert record.ordinal == 39_999
    assert most < 20_000_000


# In a process of its own: what a library does at a torn footer may be to abort.
TORN = """
import io, random, sys
from tasks.readers import ReadOptions
from tasks.readers.opening import opened

data = open(sys.argv[1], "rb").read()
for seed in range(int(sys.argv[2])):
    chance, torn = random.Random(seed), bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(torn))
        if chance.random() < 0.6:
            torn[at] ^= chance.randint(1, 255)
        else:
            del torn[at : at + chance.randint(1, 40)]
    assert list(opened(io.BytesIO(bytes(torn)), "a.parquet", ReadOptions()).records)
print("whole")
"""


@pytest.mark.parametrize("count", [600, pytest.param(30_000, marks=pytest.mark.long)])
def test_no_torn_parquet_file_ends_the_process(count: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TORN, GOLDEN / "parquet" / "good.parquet", str(count)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr[-2000:]


def test_plain_text_is_one_record_as_it_stands() -> None:
    (record,) = READERS["plain"].read(io.BytesIO(" date 2019-04 Grüße\r\n\n".encode()), ReadOptions())
    assert isinstance(record, RawDocument)
    assert (record.ordinal, record.text) == (0, " date 2019-04 Grüße\r\n\n")
    assert (record.encoding, record.encoding_confidence) == ("utf-8", 1.0)


def test_plain_text_that_cannot_be_decoded_is_one_reject() -> None:
    (record,) = READERS["plain"].read(io.BytesIO(b""), ReadOptions())
    assert isinstance(record, Reject)
    assert (record.ordinal, record.stage, record.reason) == (0, Stage.READ, Reason.EMPTY)


def test_plain_text_obeys_the_encoding_hint() -> None:
    data = "Grüße".encode("cp1252")
    (record,) = READERS["plain"].read(io.BytesIO(data), ReadOptions(encoding="cp1250"))
    assert isinstance(record, RawDocument)
    assert (record.text, record.encoding) == ("Grüße", "cp1250")


@pytest.mark.parametrize("suffix", [".txt", ".html", ".md", ".eml"])
def test_what_must_be_held_whole_has_a_bound(suffix: str) -> None:
    options = ReadOptions(max_file_bytes=1_000, max_page_bytes=1_000)
    (record,) = records(b"From: a\n\n" + b"x" * 1_000, "a" + suffix, options)
    assert isinstance(record, Reject)
    assert record.reason is Reason.TOO_LARGE


def test_every_reason_has_its_meaning() -> None:
    assert set(MEANINGS) == set(Reason)


def test_the_page_on_formats_is_what_the_code_says() -> None:
    from docs import formats

    assert formats.PAGE.read_text("utf-8") == formats.page(), "stale: run `make docs`"


def test_help_names_every_format_and_container() -> None:
    from flows.cli.ingest import ingest
    from tasks.readers.containers import CONTAINERS

    words = " ".join((ingest.__doc__ or "").split())
    for reader in READERS.values():
        assert reader.title in words
    for kind in CONTAINERS:
        assert kind in words
