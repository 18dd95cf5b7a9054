"""Raw files of every format, from the folder to the tables: cuts, restarts, members, mappings, guards."""

import gzip
import io
import json
import os
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows import run
from flows.settings import Settings, load
from flows.summary import Progress
from tasks import direct
from tasks.direct import Failure
from tasks.options import BatchOptions
from tasks.pool import Pool
from warehouse.layout import Home
from warehouse.records import Batch, Receipt

GOLDEN = Path(__file__).parents[1] / "golden" / "readers"
# In this process, where what happens can be interrupted.
SMALL = {"batch_bytes": 20_000, "workers": 0}


@pytest.fixture
def lines(write_news: Callable[..., str]) -> Callable[[int], bytes]:
    """So many records of JSON Lines, all different, the id of each its number."""

    def make(count: int) -> bytes:
        rows = ({"id": str(n), "title": f"Meldung {n}", "text": write_news(n)[14:]} for n in range(count))
        return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)

    return make


class Interrupted(direct.__class__):
    """The stages of ``direct``, until somebody has seen so many receipts."""

    def __init__(self, after: int, error: BaseException) -> None:
        super().__init__("stages")
        self.__dict__.update(direct.__dict__)
        self.after, self.error = after, error
        self.process = self._process

    def _process(
        self, home: Home, batches: Iterable[Batch], options: BatchOptions, pool: Pool | None
    ) -> Iterator[Receipt | Failure]:
        left = self.after
        for receipt in direct.process(home, batches, options, pool):
            if not left:
                raise self.error
            left -= 1
            yield receipt


def ids(mill: Any) -> list[int]:
    return [int(value) for value in mill.column("SELECT external_id FROM documents ORDER BY external_id::INTEGER")]


def commits(mill: Any) -> list[tuple[int, int, bool]]:
    """First and last ordinal of every span, in the order of the commits."""
    import sqlite3

    with sqlite3.connect(mill.home / "ledger.sqlite") as connection:
        rows = connection.execute("SELECT first_ordinal, last_ordinal, is_last FROM spans ORDER BY commit_no")
        return [(first, last, bool(is_last)) for first, last, is_last in rows]


def test_a_big_file_is_committed_cut_by_cut(mill: Any, lines: Callable[[int], bytes]) -> None:
    mill.put("a.jsonl", lines(400))
    outcome = mill.ingest(**SMALL)
    assert outcome.counts["documents"] == 400
    assert outcome.counts["ingested"] == 1
    spans = commits(mill)
    assert len(spans) > 5
    assert [is_last for *_, is_last in spans] == [False] * (len(spans) - 1) + [True]
    assert [first for first, *_ in spans[1:]] == [last + 1 for _, last, _ in spans[:-1]]
    assert ids(mill) == list(range(400))
    assert mill.rows("SELECT status, document_count, reject_count FROM files") == [
        {"status": "ingested", "document_count": 400, "reject_count": 0}
    ]
    assert mill.problems(deep=True) == []
    assert mill.ingest(**SMALL).counts == {"unchanged": 1}


def test_a_person_sees_that_a_big_file_moves(mill: Any, lines: Callable[[int], bytes]) -> None:
    class Seen(Progress):
        def __init__(self) -> None:
            self.records: list[int] = []

        def step(self, name: str, done: int, total: int | None) -> None:
            if name == "records":
                self.records.append(done)

    seen = Seen()
    mill.put("a.jsonl", lines(50))
    run.ingest(mill.settings(batch_records=20), direct, [os.fsencode(mill.raw)], progress=seen)
    assert seen.records == [20, 40]


def test_short_records_are_cut_by_their_number(mill: Any, lines: Callable[[int], bytes]) -> None:
    mill.put("a.jsonl", lines(100))
    mill.ingest(batch_records=30)
    assert [(first, last) for first, last, _ in commits(mill)] == [(0, 29), (30, 59), (60, 89), (90, 99)]


def test_the_cuts_of_a_file_hold_the_same_rows_as_one(
    new_mill: Callable[..., Any], mill: Any, lines: Callable[[int], bytes]
) -> None:
    mill.put("a.jsonl", lines(120))
    other = new_mill(raw=mill.raw)
    mill.ingest(**SMALL)
    other.ingest()
    assert len(commits(mill)) > len(commits(other)) == 1
    query = "SELECT COLUMNS(* EXCLUDE batch_id) FROM documents ORDER BY ordinal"
    assert mill.rows(query) == other.rows(query)


def test_a_restart_goes_on_behind_the_last_committed_cut(mill: Any, lines: Callable[[int], bytes]) -> None:
    mill.put("a.jsonl", lines(400))
    with pytest.raises(KeyboardInterrupt):
        run.ingest(mill.settings(**SMALL), Interrupted(3, KeyboardInterrupt()), [os.fsencode(mill.raw)])
    before = commits(mill)
    assert len(before) == 3
    assert [problem.partition(":")[0] for problem in mill.problems()] == ["snapshot"]
    mill.ingest(**SMALL)
    assert commits(mill)[:3] == before
    assert commits(mill)[3][0] == before[-1][1] + 1
    assert ids(mill) == list(range(400))
    assert mill.problems(deep=True) == []


def test_a_failure_in_the_middle_keeps_what_was_committed(
    mill: Any, lines: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    from warehouse import parts

    mill.put("a.jsonl", lines(400))
    mill.put("b.txt", "Es regnet seit Tagen in der ganzen Stadt.")
    real, calls = parts.write, iter(range(100))

    def full(*arguments: Any) -> Any:
        if next(calls) == 6:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(parts, "write", full)
        outcome = mill.ingest(**SMALL)
    assert len(outcome.failures) == 1
    assert outcome.counts["pending"] == 1
    assert mill.one("SELECT count(*) FROM documents WHERE external_id IS NULL") == 1
    assert len(commits(mill)) == 4
    mill.ingest(**SMALL)
    assert mill.one("SELECT count(DISTINCT external_id) FROM documents") == 400
    assert mill.problems(deep=True) == []


def test_a_file_that_changes_while_it_is_read_is_put_off(
    mill: Any, lines: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks import ingest_batch

    monkeypatch.setattr(ingest_batch, "WHOLE_BYTES", 1_000)
    path = mill.put("a.jsonl", lines(200))
    stages = Interrupted(1_000, AssertionError())
    process = stages.process

    def touched(*arguments: Any) -> Iterator[Any]:
        for number, receipt in enumerate(process(*arguments)):
            if not number:
                time.sleep(0.02)
                with open(path, "ab") as stream:
                    stream.write(lines(1))
            yield receipt

    stages.process = touched
    outcome = run.ingest(mill.settings(**SMALL), stages, [os.fsencode(mill.raw)])
    assert outcome.counts["deferred"] == 1
    assert len(commits(mill)) == 1
    assert mill.problems() == []
    mill.ingest(**SMALL)
    assert mill.one("SELECT count(*) FROM v_documents") == 200
    assert mill.one("SELECT count(*) FROM files WHERE status = 'ingested' AND document_count = 201") == 1


def test_a_replay_with_other_cuts_has_every_record_once(mill: Any, lines: Callable[[int], bytes]) -> None:
    mill.put("a.jsonl", lines(200))
    mill.ingest(**SMALL)
    (file_id,) = mill.column("SELECT DISTINCT file_id FROM documents")
    run.replay(mill.settings(batch_bytes=33_000, encoding="utf-8"), direct, file_ids=[file_id])
    assert ids(mill) == list(range(200))
    assert mill.problems(deep=True) == []


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as zipped:
        for name, data in members.items():
            zipped.writestr(name.replace("_", "."), data)
    return stream.getvalue()


def test_members_of_an_archive_have_a_uri_each(mill: Any, lines: Callable[[int], bytes]) -> None:
    text = "Es regnet seit Tagen in der ganzen Stadt, und kein Ende ist in Sicht."
    mill.put("wire/2019.zip", archive(a_txt=text.encode(), b_jsonl=lines(2), photo_jpg=b"\xff\xd8\xff", c_txt=b""))
    outcome = mill.ingest()
    assert outcome.counts["documents"] == 3
    assert mill.rows("SELECT ordinal, uri FROM documents ORDER BY ordinal") == [
        {"ordinal": 0, "uri": "wire/2019.zip!/a.txt"},
        {"ordinal": 1, "uri": "wire/2019.zip!/b.jsonl"},
        {"ordinal": 2, "uri": "wire/2019.zip!/b.jsonl"},
    ]
    assert mill.rows("SELECT ordinal, uri, reason FROM rejects ORDER BY ordinal") == [
        {"ordinal": 3, "uri": "wire/2019.zip!/photo.jpg", "reason": "unknown_format"},
        {"ordinal": 4, "uri": "wire/2019.zip!/c.txt", "reason": "empty"},
    ]
    assert mill.problems(deep=True) == []
    assert mill.cli("replay", "wire/2019.zip!/photo.jpg", "--direct").code == 0
    assert mill.cli("replay", "--reason", "unknown_format", "--direct").code == 0


def test_a_replay_after_a_fix_takes_what_was_refused(mill: Any) -> None:
    mill.put("a.csv", "nr,artikel_text\n1,Es regnet seit Tagen in der ganzen Stadt.\n")
    mill.ingest()
    assert mill.column("SELECT reason FROM rejects") == ["no_text"]
    answer = mill.cli(
        "replay", "--reason", "no_text", "--direct", "--set", 'fields={"default": {"text": "artikel_text"}}'
    )
    assert answer.code == 0, answer.err
    assert mill.column("SELECT text FROM documents") == ["Es regnet seit Tagen in der ganzen Stadt."]
    assert mill.column("SELECT reason FROM rejects") == []


def test_fields_are_named_for_a_source(mill: Any) -> None:
    row = {"x": "Es regnet seit Tagen in der ganzen Stadt.", "meta": {"t": "Regen", "day": "2019-04"}, "more": [1]}
    mill.put("wire/a.jsonl", json.dumps(row))
    mill.put("b.jsonl", json.dumps(row | {"x": "Der Regen hat aufgehört, und die Sonne scheint wieder."}))
    fields = {"wire": {"text": "x", "title": "meta.t", "date": "meta.day"}}
    mill.ingest(mill.raw / "wire", source="wire", fields=fields)
    mill.ingest(mill.raw / "b.jsonl", fields=fields)
    query = """
        SELECT title, published_on::VARCHAR AS day, published_precision, published_source,
            source_metadata->'more' AS more
        FROM documents"""
    (found,) = mill.rows(query)
    assert list(found.values()) == ["Regen", "2019-04-01", "month", "metadata", "[1]"]
    assert mill.column("SELECT reason FROM rejects") == ["no_text"]


def test_settings_that_change_rows_change_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Settings().fingerprint()
    assert Settings(batch_bytes=5, batch_records=7, max_stream_bytes=9).fingerprint() == plain
    for change in ({"max_ratio": 5}, {"max_depth": 3}, {"max_record_bytes": 9}, {"fields": {"a": {"text": "b"}}}):
        assert Settings(**change).fingerprint() != plain
    monkeypatch.setenv("NEWSMILL_FIELDS", '{"wire": {"text": "body"}}')
    assert load().settings.fields == {"wire": {"text": "body"}}


def test_records_stand_in_a_list_of_an_object(mill: Any) -> None:
    """As in answers of interfaces: refused with a word of the list, and all there once it is named."""
    articles = [{"title": f"News {number}", "content": f"The council met {number} times."} for number in range(3)]
    mill.put("wire/page.json", json.dumps({"status": "ok", "articles": [*articles, 7]}, indent=1))
    mill.put("wire/lines.jsonl", "\n".join(json.dumps({"response": {"docs": articles[:2]}}) for _ in range(2)))
    mill.ingest()
    assert mill.one("SELECT count(*) FROM documents") == 0
    assert "records may stand in articles" in " ".join(mill.column("SELECT detail FROM rejects"))
    for name, uri, ordinals in (("articles", "page.json", [0, 1, 2]), ("response.docs", "lines.jsonl", [0, 1, 2, 3])):
        fields = json.dumps({"default": {"records": name}})
        answer = mill.cli("replay", "--stale", "--direct", "--set", f"fields={fields}")
        assert answer.code == 0, answer.err
        found = mill.column("SELECT ordinal FROM documents WHERE ends_with(uri, $uri) ORDER BY ordinal", uri=uri)
        assert found == ordinals
        if name == "articles":
            assert "a JSON number, not an object" in " ".join(mill.column("SELECT detail FROM rejects"))
        assert mill.problems(deep=True) == []


@pytest.mark.parametrize("value", ["no json", '{"wire": {"headline": "x"}}', "[1]"])
def test_fields_that_say_nothing_are_a_clear_error(mill: Any, value: str) -> None:
    answer = mill.cli("status", "--set", f"fields={value}")
    assert answer.code == 2
    assert "fields" in answer.err
    assert answer.err.count("\n") == 1


def test_every_golden_file_is_accounted_for(mill: Any) -> None:
    files = [path for path in sorted(GOLDEN.glob("*/*")) if path.name != "cases.json"]
    records = 0
    for path in files:
        mill.put(f"{path.parent.name}/{path.name}", path.read_bytes())
        records += max(len(json.loads((path.parent / "cases.json").read_text("utf-8"))[path.name]), 1)
    outcome = mill.ingest()
    # Files without a byte are copies of one another.
    empty = sum(not path.stat().st_size for path in files) - 1
    assert outcome.counts["duplicate"] == empty
    found = mill.one("SELECT (SELECT count(*) FROM documents) + (SELECT count(*) FROM rejects)")
    assert found == records - empty
    assert mill.problems(deep=True) == []


def test_what_goes_through_in_pieces_has_a_bound_of_its_own(mill: Any, lines: Callable[[int], bytes]) -> None:
    mill.put("a.jsonl", lines(20))
    mill.put("b.txt", "x" * 3_000)
    mill.put("c", b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 3000\r\n\r\n" + b"a" * 3_000)
    mill.put("d.jsonl", lines(200))
    mill.ingest(max_file_bytes=2_000, max_stream_bytes=30_000)
    assert mill.rows("SELECT uri, reason, detail FROM rejects WHERE stage = 'discover' ORDER BY uri") == [
        {"uri": "b.txt", "reason": "too_large", "detail": "3000 bytes; max_file_bytes is 2000"},
        {
            "uri": "d.jsonl", "reason": "too_large",
            "detail": f"{len(lines(200))} bytes; max_stream_bytes is 30000",
        },
    ]  # fmt: skip
    assert mill.one("SELECT count(*) FROM documents") == 20


def test_a_file_with_holes_is_refused_unread(mill: Any) -> None:
    path = mill.put("a.jsonl", b'{"text": "a"}\n')
    os.truncate(path, 3_000_000_000)
    started = time.process_time()
    mill.ingest()
    assert mill.column("SELECT reason FROM rejects") == ["sparse"]
    assert time.process_time() - started < 5


def test_inspect_shows_every_record_of_any_format(mill: Any) -> None:
    path = GOLDEN / "json_lines" / "torn.jsonl"
    answer = mill.cli("inspect", path, "--format", "jsonl")
    found = [json.loads(line) for line in answer.out.splitlines()]
    assert sorted(row["reject"]["ordinal"] if "reject" in row else row["ordinal"] for row in found) == [0, 1, 2, 3]
    assert {row["reader"] for row in found} == {"json_lines"}
    zipped = mill.put("a.zip", archive(a_txt=b"It rained all day.", b_md=b"# Rain\n\nIt *rained* all day."))
    (first, second) = mill.cli("inspect", os.fsdecode(zipped), "--format", "json").json()
    assert (first["uri"], second["uri"]) == ("a.zip!/a.txt", "a.zip!/b.md")
    assert second["text"] == "Rain\n\nIt rained all day."
    (forced,) = mill.cli("inspect", path, "--reader", "plain", "--format", "json").json()
    assert forced["decoded"] == path.read_text("utf-8")
    assert mill.cli("inspect", path).code == 0


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here: memory cannot be asked for")
def test_memory_does_not_grow_with_the_file_and_a_kill_loses_nothing(
    new_mill: Callable[..., Any], write_news: Callable[..., str]
) -> None:
    """2 GB (BIG_MB in the environment for another size) against 50 MB; the big one is killed midway and begun again."""
    size = int(os.environ.get("BIG_MB", "2000")) * 1_000_000
    block = [json.dumps({"text": write_news(n, paragraphs=12)[14:]}) for n in range(2_000)]
    peaks = {}
    for name, most in (("small", 50_000_000), ("big", size)):
        mill = new_mill(name)
        count, written = 0, 0
        with open(mill.raw / "a.jsonl", "wb") as stream:
            while written < most:
                row = json.loads(block[count % len(block)])
                row |= {"id": str(count), "text": f"Nr. {count}: {row['text']}"}
                written += stream.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
                count += 1
        peaks[name] = 0
        if name == "big":
            peaks[name], code = watched(mill, kill_at=most // 60_000_000)
            assert code == -signal.SIGKILL
            assert 0 < len(commits(mill)) < most // 6_000_000
        most_memory, code = watched(mill)
        assert code == 0
        peaks[name] = max(peaks[name], most_memory)
        assert mill.one("SELECT count(*) FROM documents") == count
        assert mill.one("SELECT count(DISTINCT external_id) FROM documents") == count
    print(f"peak memory in KB: {peaks}")
    assert peaks["big"] - peaks["small"] < 100_000


def watched(mill: Any, kill_at: int | None = None) -> tuple[int, int]:
    """Peak memory in KB of all processes of an ingest, and its exit code; killed when it has so many parts."""
    process = subprocess.Popen(
        mill.command("ingest", mill.raw, "--direct"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    most = 0
    while process.poll() is None:
        most = max(most, memory_of(process.pid))
        if kill_at is not None and len(list(mill.home.glob("lake/documents/*.parquet"))) > kill_at:
            os.killpg(process.pid, signal.SIGKILL)
            break
        time.sleep(0.1)
    return most, process.wait()


def memory_of(session: int) -> int:
    total = 0
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == session:
                status = (entry / "status").read_text()
                total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))
        except OSError:
            continue
    return total


def test_a_packed_big_file_is_cut_too(mill: Any, lines: Callable[[int], bytes]) -> None:
    mill.put("a.jsonl.gz", gzip.compress(lines(300)))
    mill.put("b.txt", "Es regnet seit Tagen in der ganzen Stadt.")
    mill.ingest(**SMALL)
    assert len(commits(mill)) > 4
    assert mill.one("SELECT count(*) FROM documents") == 301
    assert mill.problems(deep=True) == []
