"""Prefect's own pages show deployments, runs and artifacts as meant, and hostile texts as text: in a real browser."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from docs import screenshots

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(screenshots.browser() is None, reason="no Chromium on this machine"),
]
NEWSMILL = Path(sys.executable).with_name("newsmill")
HOSTILE = (
    "<script>document.title='taken'</script>",
    "[Ein Titel](javascript:alert(1)) ![i](http://evil.invalid/x.png) | **fett** `code`",
    "<img src=x onerror=document.title='taken'>",
)


@pytest.fixture(scope="module")
def pages(prefect_server, new_mill, write_news):
    """The pages of a server on which one run of the deployment has met hostile content: HTML by name."""
    mill = new_mill("pages")
    inbox = mill.home / "inbox" / "agency"
    inbox.mkdir(parents=True)
    rows = [{"id": n, "title": title, "text": write_news(n)} for n, title in enumerate(HOSTILE)]
    (inbox / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n{broken\n")
    (inbox / "<img src=x>.txt").write_bytes(b"\xff\xd8\xff\x00\x01" * 40)
    command = [NEWSMILL, "deploy", "--home", mill.home]
    subprocess.run(command, env=prefect_server.env(), check=True, timeout=120, capture_output=True)
    identity = prefect_server.get("deployments/name/ingest/newsmill")["id"]
    prefect_server.work()
    prefect_server.ask(f"deployments/{identity}/create_flow_run", body={})
    (run,) = prefect_server.until(lambda: [one for one in prefect_server.runs() if one["end_time"]])
    assert run["state_type"] == "COMPLETED", prefect_server.output()
    with screenshots.opened() as browser:
        return {name: browser.show(url) for name, url in screenshots.pages(prefect_server.url).items()}


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("deployments", ["newsmill", "ingest", "maintain", "Every hour"]),
        ("parameters", ["paths", "source", "settings", "Who the files come from", "Validate parameters"]),
        ("run", ["1 ingested, 1 rejected, 3 documents", "Completed", "Artifacts", "committed: 2 files, 3 documents"]),
        ("summary", ["1 file became 3 documents", "In the warehouse now", "Among the new documents"]),
        ("rejects", ["malformed", "binary", "for example"]),
    ],
)
def test_a_page_shows_what_it_should(pages, name, texts):
    for text in texts:
        assert text in pages[name], name


def test_a_run_has_a_graph(pages):
    assert "<canvas" in pages["run"]


def test_hostile_texts_are_shown_and_do_nothing(pages):
    summary = pages["summary"]
    assert "&lt;script&gt;document.title='taken'&lt;/script&gt;" in summary
    assert "[Ein Titel](javascript:alert(1)) ![i](http://evil.invalid/x.png) | **fett** `code`" in summary
    assert "&lt;img src=x onerror=document.title='taken'&gt;" in summary
    for name, page in pages.items():
        assert "<title>taken" not in page, name
        assert 'href="javascript:' not in page, name
        assert 'src="x"' not in page, name
        assert 'evil.invalid/x.png"' not in page, name
