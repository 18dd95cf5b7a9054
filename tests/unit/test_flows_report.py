"""What a run tells: escaped, acknowledged, and never at the cost of the run."""

import json
import uuid

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import events, report, server
from flows.artifacts import Seen, counts_table, rejects_table, summary, without_examples
from flows.escape import html, markdown
from flows.summary import Outcome

HOSTILE = (
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![x](http://evil.invalid/a.png)",
    "<img src=x onerror=alert(1)>",
    "# heading",
    "- item\n- item",
    "    code",
    "1. one",
    "a | b | c\n---|---|---",
    "**b** _i_ ~~s~~ `c`",
    "https://evil.invalid www.evil.invalid a@evil.invalid",
    "&lt;b&gt; &amp;",
    "\x1b[2J\u202e\u0000\r\n",
    "back\\slash \\[x](y)",
)


def _text(rendered):
    """The text between the tags of one paragraph, which is all that there may be."""
    assert rendered.startswith("<p>")
    assert rendered.endswith("</p>\n")
    inner = rendered[3:-5]
    assert "<" not in inner, rendered
    return inner.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_what_is_written(text):
    shown = _text(MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(f"x{markdown(text)}x"))
    assert (
        shown
        == "x" + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text).strip() + "x"
    )


@given(st.text(max_size=150))
def test_markdown_is_text_whatever_it_is(text):
    _text(MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(f"x{markdown(text)}"))


@given(st.text(max_size=150))
def test_a_cell_stays_in_its_cell(text):
    rendered = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(
        f"| a | b |\n| - | - |\n| {markdown(text)} | y |\n"
    )
    assert rendered.count("<td") == 2
    assert rendered.count("<tr") == 2


@given(st.text(max_size=150))
def test_html_holds_no_tag_and_no_quote(text):
    assert not set("<>\"'") & set(html(text))


def test_a_long_text_is_cut_before_it_is_escaped():
    assert markdown("[" * 500, 10) == "\\[" * 9 + "…"


def test_a_summary_says_the_counts_and_shows_hostile_texts_as_text():
    outcome = Outcome(
        "r", counts={"ingested": 2, "documents": 3, "rejected": 1}, failures=["batch 0 (1 files): <b>no</b>"]
    )
    titles = [{"title": text, "language": "de", "published_on": None} for text in HOSTILE]
    seen = Seen(titles=titles, tables={"documents": 1234})
    rendered = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(summary(outcome, seen))
    for tag in ("<script", "<img", "<a ", "<h1", "<ul><li>item", "<code", "<b>"):
        assert tag not in rendered
    assert "1,234" in rendered
    assert [row["count"] for row in counts_table(outcome)] == [2, 1, 3]


def test_a_summary_says_why_files_were_put_off():
    said = summary(Outcome("r", counts={"deferred": 3}, reasons={"stalled": 2, "killed": 1, "permission": 1}), Seen())
    assert "- 2 files were put off because a worker stood still: " in said
    assert "- 1 file was put off because a worker was killed: " in said


@given(st.lists(st.text(max_size=60) | st.sampled_from(HOSTILE), max_size=5), st.text(max_size=60), st.booleans())
def test_what_was_written_outside_can_be_taken_out_again(texts, failure, has_tables):
    outcome = Outcome("r", counts={"ingested": 2, "documents": 3}, failures=[failure], timings={"read": 1.0})
    titles = [{"title": text, "language": "de", "published_on": None} for text in texts]
    seen = Seen(titles=titles, tables={"documents": 3} if has_tables else None)
    bare = summary(outcome, Seen(tables=seen.tables))
    assert without_examples("newsmill-summary", summary(outcome, seen)) == bare
    assert without_examples("newsmill-summary", bare) == bare
    rows = [{"rejects": 1, "stage": "read", "reason": "x", "example": text, "detail": text} for text in texts]
    left = json.loads(without_examples("newsmill-rejects", json.dumps(rejects_table(Seen(rejects=rows)))))
    nothing = [{**row, "example": None, "detail": None} for row in rows]
    assert left == rejects_table(Seen(rejects=nothing))


def test_a_table_of_rejects_has_no_example_where_none_was_asked_for():
    rows = [{"rejects": 2, "stage": "read", "reason": "malformed", "example": None, "detail": None}]
    (row,) = rejects_table(Seen(rejects=rows))
    assert (row["rejects"], row["for example"], row["detail"]) == (2, "", "")


def test_an_event_is_sent_until_it_is_taken_and_stays_the_same(monkeypatch):
    sent, waited = [], []

    def send(_client, given):
        sent.append([dict(one) for one in given])
        if len(sent) < 9:
            raise httpx.ConnectError("refused")

    monkeypatch.setattr(events, "send", send)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        events.deliver([events.settled("newsmill", 3)], pause=waited.append)
    assert len(sent) == 9
    assert all(one == sent[0] for one in sent)
    assert waited == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert sent[0][0]["payload"] == {"files": 3}


def test_an_event_that_led_to_no_run_is_told_again(monkeypatch, caplog):
    sent, came = [], []
    monkeypatch.setattr(events, "deliver", sent.extend)
    monkeypatch.setattr(events, "_has_led_to_run", refusing(came))
    announcer = events.Announcer("newsmill")
    announcer.check()
    announcer.tell(3)
    announcer.check()
    assert len(sent) == 1, "the server is given time to act"
    later = events.now_us() + 31_000_000
    monkeypatch.setattr(events, "now_us", lambda: later)
    came[:] = [httpx.ConnectError("refused")]
    announcer.check()
    assert len(sent) == 1, "nobody knows"
    came[:] = [False]
    announcer.check()
    assert [one["payload"] for one in sent] == [{"files": 3}] * 2
    assert sent[0]["id"] != sent[1]["id"], "the server takes an event that it has seen for nothing new"
    assert "is the deployment there" in caplog.text
    later += 31_000_000
    came[:] = [True]
    announcer.check()
    announcer.check()
    assert (len(sent), came) == (2, []), "it is asked no more"


def refusing(answers):
    """A function that gives one answer after the other, and raises those that are errors."""

    def call(_name, _since):
        answer = answers.pop()
        if isinstance(answer, Exception):
            raise answer
        return answer

    return call


class Gone:
    """A client of a server that is gone."""

    def __init__(self):
        self.calls = 0

    def __getattr__(self, name):
        def call(*arguments, **options):
            self.calls += 1
            raise httpx.ConnectError("All connection attempts failed")

        return call


def test_a_server_that_is_gone_costs_one_line_and_one_attempt(mill, caplog, monkeypatch):
    monkeypatch.setattr(server, "_UNTOLD_EVENTS", [])
    mill.fill(1)
    outcome, gone = mill.ingest(), Gone()
    told = report.Report(gone, uuid.uuid4(), report.Progress())
    told.next_progress = 0.0
    told.step("files", 1, 2)
    told.step("files", 2, 2)
    told.outcome(mill.settings(), outcome)
    assert gone.calls == 1
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "Prefect's server is not told more of this run: ConnectError: All connection attempts failed"
    ]
    kept = server._UNTOLD_EVENTS[0]
    assert (kept["event"], kept["payload"]["counts"]["ingested"]) == ("newsmill.loaded", 1), "it is told later"
