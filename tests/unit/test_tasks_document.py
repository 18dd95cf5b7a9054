"""From bytes to documents and rejects: every record ends as one or the other, whatever the bytes are."""

import random
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.document import PREVIEW_CHARACTERS, documents_of, preview
from tasks.options import DocumentOptions
from tasks.readers import ReadOptions
from warehouse import batches
from warehouse.projection import document_tables
from warehouse.records import Document, FileResult, Reject
from warehouse.uri import to_uri
from warehouse.vocabulary import DecidedBy, Flag, ParagraphKind, Precision, PublishedSource, Reason, Stage

GERMAN = "Der Zug kam am Abend an. Er hatte eine Stunde Verspätung, wie die Bahn mitteilte."


@pytest.fixture
def read(make: Any) -> Callable[..., FileResult]:
    """What one file of these bytes becomes."""

    def read_(data: bytes, uri: str = "a.txt", **options: Any) -> FileResult:
        (result,) = documents_of([(make.raw_file(uri, uri), data)], DocumentOptions(**options))
        return result

    return read_


@pytest.fixture
def document(read: Callable[..., FileResult]) -> Callable[..., Document]:
    def document_(data: bytes, uri: str = "a.txt", **options: Any) -> Document:
        result = read(data, uri, **options)
        assert result.rejects == ()
        return result.documents[0]

    return document_


@pytest.fixture
def reject(read: Callable[..., FileResult]) -> Callable[..., Reject]:
    def reject_(data: bytes, uri: str = "a.txt", **options: Any) -> Reject:
        result = read(data, uri, **options)
        assert result.documents == ()
        return result.rejects[0]

    return reject_


DEFECTS: dict[str, dict[str, Any]] = {
    "005": {"language": "de", "repair": "mojibake", "has": "für", "lacks": "Ã"},
    "007": {"language": "de", "repair": "soft_hyphens", "lacks": "\u00ad"},
    "011": {"language": "en", "published_on": None},
    "021": {"language": "es", "published_on": date(2019, 4, 25), "precision": Precision.DAY},
    "033": {"language": "en", "repair": "entities", "lacks": "&quot;"},
    "035": {"language": "fr", "published_on": date(2019, 4, 15), "precision": Precision.DAY},
    "039": {"language": "it", "published_on": None, "flag": Flag.HEADER_INVALID, "has": "2019-02-30"},
    "042": {"language": "el", "encoding": "utf-8", "lacks": "\ufeff"},
    "058": {"language": "es", "flag": Flag.MULTILINGUAL},
    "060": {"language": "pl", "published_on": None, "flag": Flag.HEADER_INVALID, "has": "2019-13"},
    "068": {"language": "en", "repair": "line_ends", "lacks": "\r"},
    "071": {"language": "ja", "encoding": "utf-16-be"},
    "073": {"language": "de", "published_on": None, "has": "Date 2019 war"},
    "076": {"language": "ru", "encoding": "utf-16-le"},
    "144": {"language": "de", "encoding": "cp1252", "has": "€"},
    "156": {"language": "fr", "repair": "zero_width", "lacks": "\u200b"},
    "162": {"language": "zh", "has": "，"},
    "165": {"language": "de", "has": "zusammengekommen.Bei"},
}
REFUSED = {
    "010": (Stage.DECODE, Reason.BINARY),
    "104": (Stage.NORMALISE, Reason.HEADER_ONLY),
    "111": (Stage.NORMALISE, Reason.EMPTY),
    "116": (Stage.READ, Reason.EMPTY),
}


@pytest.fixture(scope="module")
def sample(samples: Path, make: Any) -> dict[str, FileResult]:
    """What each sample becomes, by the number at the beginning of its name."""
    files = [(make.raw_file(path.name, path.name), path.read_bytes()) for path in sorted(samples.iterdir())]
    return {result.file.uri[:3]: result for result in documents_of(files, DocumentOptions())}


class TestSamples:
    @pytest.mark.parametrize("number", DEFECTS)
    def test_a_defect_is_mended_or_flagged(self, sample: dict[str, FileResult], number: str) -> None:
        expected, result = DEFECTS[number], sample[number]
        (document,) = result.documents
        assert document.language == expected["language"]
        assert result.encoding == expected.get("encoding", "utf-8")
        assert document.published_on == expected.get("published_on", document.published_on)
        assert document.published_precision == expected.get("precision", document.published_precision)
        assert expected.get("repair") in {None, *dict(document.repairs)}
        assert expected.get("flag") in {None, *document.flags}
        assert expected.get("has", "") in document.text
        assert expected.get("lacks", "\x00") not in document.text

    @pytest.mark.parametrize("number", REFUSED)
    def test_what_is_no_text_is_refused(self, sample: dict[str, FileResult], number: str) -> None:
        (reject,) = sample[number].rejects
        assert (reject.stage, reject.reason) == REFUSED[number]

    def test_no_other_is_refused_or_flagged(self, sample: dict[str, FileResult]) -> None:
        assert {number for number, result in sample.items() if result.rejects} == set(REFUSED)
        flagged = {number for number, result in sample.items() for document in result.documents if document.flags}
        # 144 is right, but too short to be sure.
        assert flagged == {number for number, defect in DEFECTS.items() if "flag" in defect} | {"144"}

    def test_every_other_header_is_read(self, sample: dict[str, FileResult]) -> None:
        dated = {
            number
            for number, result in sample.items()
            for document in result.documents
            if document.published_source is PublishedSource.HEADER
        }
        without = {number for number, defect in DEFECTS.items() if defect.get("published_on", date.min) is None}
        assert dated == sample.keys() - REFUSED.keys() - without

    def test_languages_and_scripts(self, sample: dict[str, FileResult]) -> None:
        documents = [document for result in sample.values() for document in result.documents]
        assert len({document.language for document in documents}) >= 8
        assert len({document.script for document in documents}) >= 5
        assert all(document.language != "und" for document in documents)

    def test_they_are_consistent(self, sample: dict[str, FileResult]) -> None:
        for result in sample.values():
            is_consistent(result)


class TestOrder:
    """The order of the steps shows in what comes out."""

    def test_the_header_is_read_before_repairs_and_is_no_text(self, document: Callable[..., Document]) -> None:
        found = document(f" date 2019-04 {GERMAN}".encode())
        assert (found.published_on, found.published_precision) == (date(2019, 4, 1), Precision.MONTH)
        assert found.text == GERMAN
        assert found.paragraphs[0].start == 0

    def test_an_impossible_date_stays_in_the_text(self, document: Callable[..., Document]) -> None:
        found = document(f"date 2019-02-30 {GERMAN}".encode())
        assert found.text.startswith("date 2019-02-30 ")
        assert (found.published_on, found.published_source) == (None, PublishedSource.NONE)
        assert Flag.HEADER_INVALID in found.flags
        assert found.source_metadata["header_status"] == "invalid"

    def test_repairs_come_before_everything_that_reads_the_text(self, document: Callable[..., Document]) -> None:
        """Soft hyphens split words, odd blanks sentences, and CRLF paragraphs."""
        found = document("Der Zug kam\u00a0am Abend an.\r\n\r\nEr hatte Ver\u00adspätung.\r\n".encode())
        assert found.text == "Der Zug kam am Abend an.\n\nEr hatte Verspätung."
        assert len(found.paragraphs) == 2
        assert {"line_ends", "blanks", "soft_hyphens"} <= dict(found.repairs).keys()
        assert found.word_count == 9

    def test_the_language_decides_the_segments(self, document: Callable[..., Document]) -> None:
        """No sentence ends with the title of a doctor or the number of a day."""
        text = b"Am 24. April kam Dr. Maier an. Danach ging er wieder nach Hause."
        assert len(document(text).segments) == 2

    def test_the_name_gives_what_the_text_does_not(self, document: Callable[..., Document]) -> None:
        found = document(GERMAN.encode(), "wire/007_ad13c6fc177309bb.txt")
        assert found.external_id == "ad13c6fc177309bb"
        assert found.source_metadata["sequence"] == 7
        assert document(GERMAN.encode(), "kim-2019-04-25.txt").published_source is PublishedSource.FILENAME

    def test_the_header_wins_over_the_name(self, document: Callable[..., Document]) -> None:
        found = document(f"date 2018-11 {GERMAN}".encode(), "kim-2019-04-25.txt")
        assert (found.published_on, found.published_source) == (date(2018, 11, 1), PublishedSource.HEADER)

    def test_a_caption_keeps_its_credit(self, document: Callable[..., Document]) -> None:
        found = document(f"Foto: Anna Muster/dpa\n\n{GERMAN}".encode())
        assert [(p.kind, p.credit) for p in found.paragraphs] == [
            (ParagraphKind.CAPTION, "Anna Muster/dpa"), (ParagraphKind.BODY, None),
        ]  # fmt: skip


class TestHints:
    def test_a_language_hint_wins(self, document: Callable[..., Document]) -> None:
        found = document(GERMAN.encode(), language="nl")
        assert (found.language, found.language_decided_by) == ("nl", DecidedBy.HINT)
        assert found.language_confidence == 1.0
        # What the detector says stays what it says.
        assert found.detector_label == "de"

    def test_without_a_hint_the_text_decides(self, document: Callable[..., Document]) -> None:
        found = document(GERMAN.encode())
        assert found.language == "de"
        assert found.language_decided_by is not DecidedBy.HINT

    def test_an_encoding_hint_wins(self, read: Callable[..., FileResult]) -> None:
        data = "Żółta łódź płynie po rzece. Śnieg pada.".encode("cp1250")
        found = read(data, read=ReadOptions(encoding="cp1250"))
        assert found.documents[0].text == "Żółta łódź płynie po rzece. Śnieg pada."
        assert (found.encoding, found.encoding_confidence) == ("cp1250", 1.0)

    def test_an_unknown_encoding_hint_is_a_reject_with_its_name(self, reject: Callable[..., Reject]) -> None:
        found = reject(GERMAN.encode(), read=ReadOptions(encoding="klingon"))
        assert (found.stage, found.reason) == (Stage.DECODE, Reason.UNDECODABLE)
        assert "klingon" in found.detail

    def test_a_reader_hint_wins_over_the_name(self, document: Callable[..., Document]) -> None:
        assert document(GERMAN.encode(), "a.unknown", reader="plain").text == GERMAN


class TestRejects:
    @pytest.mark.parametrize(
        ("data", "stage", "reason"),
        [
            (b"", Stage.READ, Reason.EMPTY),
            (b"\xef\xbb\xbf", Stage.READ, Reason.EMPTY),
            (b"\xff\xfe", Stage.READ, Reason.EMPTY),
            (b" \t\r\n\n", Stage.NORMALISE, Reason.EMPTY),
            ("\u00a0\u200b\u00ad\ufeff ".encode(), Stage.NORMALISE, Reason.EMPTY),
            (b"date 2019-04", Stage.NORMALISE, Reason.HEADER_ONLY),
            (b" date 2019-04 \r\n\r\n", Stage.NORMALISE, Reason.HEADER_ONLY),
            (b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8, Stage.DECODE, Reason.BINARY),
            (b"%PDF-1.7\n" + bytes(range(256)) * 4, Stage.DECODE, Reason.BINARY),
            (random.Random(0).randbytes(4096), Stage.DECODE, Reason.UNDECODABLE),
        ],
    )
    def test_content_that_is_no_text_is_refused(
        self, read: Callable[..., FileResult], data: bytes, stage: Stage, reason: Reason
    ) -> None:
        found = read(data)
        assert (found.documents, found.record_count, found.is_last) == ((), 1, True)
        (reject,) = found.rejects
        assert (reject.ordinal, reject.stage, reject.reason) == (0, stage, reason)
        assert reject.detail
        assert (found.encoding, found.encoding_confidence) == (None, None)

    @pytest.mark.parametrize("name", ["photo.jpg", "README", "caf%E9.%0A", "a.", ".txt%20"])
    def test_a_name_that_no_reader_takes_is_refused_with_what_is_taken(
        self, reject: Callable[..., Reject], name: str
    ) -> None:
        found = reject(b"some bytes", name)
        assert (found.ordinal, found.stage, found.reason) == (None, Stage.READ, Reason.UNKNOWN_FORMAT)
        assert ".txt" in found.detail
        assert found.preview == "some bytes"

    def test_a_long_suffix_from_outside_does_not_flood_the_detail(self, reject: Callable[..., Reject]) -> None:
        assert len(reject(b"x", "a." + "b" * 240).detail) < 400

    @given(st.binary(max_size=600))
    @example(b"\x1b]0;title\x07")
    @example("\u202e".encode() * 200)
    @example("😀".encode() * 200)
    def test_a_preview_is_short_and_harmless(self, data: bytes) -> None:
        shown = preview(data)
        assert shown.isprintable()
        # At most ten characters, as in \U0010ffff, stand for one.
        assert len(shown) <= 10 * PREVIEW_CHARACTERS
        shown.encode("utf-8")

    def test_a_preview_shows_the_beginning(self) -> None:
        assert preview(b"abc" * 100) == ("abc" * 100)[:PREVIEW_CHARACTERS]


class TestMany:
    def test_files_come_back_in_their_order(self, make: Any) -> None:
        texts = [
            GERMAN.encode(),
            b"",
            GERMAN.encode(),
            b"x.jpg is no text",
            "Καλημέρα στην Αθήνα και σε όλους.".encode(),
        ]
        uris = ["a.txt", "b.txt", "c.txt", "d.jpg", "e.txt"]
        files = [make.raw_file(uri, uri) for uri in uris]
        found = documents_of(zip(files, texts, strict=True), DocumentOptions())
        assert [result.file for result in found] == files
        assert [len(result.documents) for result in found] == [1, 0, 1, 0, 1]
        assert found[4].documents[0].language == "el"

    def test_what_a_file_becomes_does_not_depend_on_its_neighbours(self, samples: Path, make: Any) -> None:
        """The unit of retry may be cut otherwise; parts must not change with it."""
        files = [(make.raw_file(path.name, path.name), path.read_bytes()) for path in sorted(samples.iterdir())[:12]]
        together = documents_of(files, DocumentOptions())
        alone = [result for one in files for result in documents_of([one], DocumentOptions())]
        assert together == alone
        assert documents_of(files[::-1], DocumentOptions()) == together[::-1]

    def test_nothing_gives_nothing(self) -> None:
        assert documents_of([], DocumentOptions()) == []

    def test_steps_are_timed(self, make: Any) -> None:
        timings = {"read": 1.0, "detect": 1.0}
        documents_of([(make.raw_file(), GERMAN.encode())], DocumentOptions(), timings)
        assert set(timings) == {"read", "normalise", "detect", "segment"}
        assert timings["read"] == 1.0
        assert timings["detect"] > 1.0

    def test_every_record_is_counted(self, samples: Path, make: Any) -> None:
        files = [(make.raw_file(path.name, path.name), path.read_bytes()) for path in sorted(samples.iterdir())[-8:]]
        for result in documents_of(files, DocumentOptions()):
            assert result.record_count == len(result.documents) + len(result.rejects) == 1


def is_consistent(result: FileResult) -> None:
    """What every later stage relies on."""
    assert result.record_count == len(result.documents) + len(result.rejects)
    for document in result.documents:
        text = document.text
        text.encode("utf-8")
        assert text == text.strip(" \n") != ""
        at = 0
        for segment in document.segments:
            assert segment.start >= at
            assert segment.end > segment.start
            at = segment.end
        assert document.segments[0].start == 0
        assert at == len(text)
        assert [p.start for p in document.paragraphs] == [
            next(s.start for s in document.segments if s.paragraph_no == n) for n in range(len(document.paragraphs))
        ]
        assert 0 <= document.language_confidence <= 1
    for reject in result.rejects:
        assert (reject.preview or "").isprintable()


CHARACTERS = st.one_of(
    st.characters(),
    st.sampled_from(" \n\r\t\x00\x0b\x0c\x1c\x1f\x85\u00a0\u1680\u2028\u3000\u200b\u200d\ufeff\u00ad\u202e\u0301.!?:("),
    st.sampled_from(["date 2019-04 ", "Foto: A/dpa", "Berlin (dpa) - ", "\n\n", ". ", "&amp;", "Ã¼", "😀", "语。"]),
)  # fmt: skip


class TestAnything:
    @given(st.lists(CHARACTERS, max_size=60).map("".join))
    @example("\x1f\n\n\x85.")
    @example("a\u3000\n\n\u2028b")
    @example("\ud800 lone")
    @settings(max_examples=150)
    def test_any_text_becomes_rows(self, read: Callable[..., FileResult], text: str) -> None:
        result = read(text.encode("utf-8", "surrogatepass"))
        is_consistent(result)
        rows = batches.tables([result], "v", "b" * 32)
        live = {(span.file_id, span.first_ordinal): span.last_ordinal for span in batches.spans_of([result])}
        tables = document_tables(rows["documents"], rows["files"], live)
        assert ("documents" in tables) == bool(result.documents)
        for document, row in zip(result.documents, tables["documents"].to_pylist() if tables else [], strict=True):
            at = 0
            for place, segment in zip(row["segment_places"], document.segments, strict=True):
                piece = row["text"].encode()[at : at + place["byte_count"]].decode()
                assert piece == document.text[segment.start : segment.end]
                assert (place["byte_start"], place["char_start"], place["char_count"]) == (
                    at,
                    segment.start,
                    len(piece),
                )
                at += place["byte_count"] + place["separator_count"]
            assert row["text"] == document.text
            assert at == len(document.text.encode())

    @given(st.binary(max_size=200))
    @settings(max_examples=100)
    def test_any_bytes_become_rows(self, read: Callable[..., FileResult], data: bytes) -> None:
        result = read(data)
        is_consistent(result)
        batches.tables([result], "v", "b" * 32)

    @given(st.binary(max_size=40).filter(lambda name: b"/" not in name))
    @settings(max_examples=50)
    def test_any_name_becomes_rows(self, read: Callable[..., FileResult], name: bytes) -> None:
        for uri in (to_uri(name), to_uri(name + b".txt")):
            result = read(GERMAN.encode(), uri)
            is_consistent(result)
            batches.tables([result], "v", "b" * 32)
