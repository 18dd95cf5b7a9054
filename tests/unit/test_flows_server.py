"""A Prefect server that comes and goes: what it missed it is told once, later."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

from flows import server
from flows.summary import Outcome

PASSWORD = "Basic YWRtaW46c2VjcmV0"


class Fake(HTTPServer):
    """Answers every request with ``code``, and keeps what was posted."""

    code = 200
    # What the next request that changes something must bear, besides the password; and how often it was given out.
    token: str | None = None
    given = 0
    posted: list[tuple[str, Any]]


class _Handler(BaseHTTPRequestHandler):
    server: Fake

    def _answer(self) -> None:
        body = b'{"home": "/srv/news/prefect"}' if self.path == "/api/admin/settings" else b""
        code = self.server.code
        if self.server.token is not None:
            if self.headers["Authorization"] != PASSWORD:
                code = 401
            elif self.path.startswith("/api/csrf-token?client="):
                self.server.given += 1
                body = json.dumps({"token": self.server.token}).encode()
            elif self.command == "POST" and self.headers["Prefect-Csrf-Token"] != self.server.token:
                code = 403
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = _answer  # noqa: N815 - the library's name

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.posted.append((self.path, body))
        self._answer()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    monkeypatch.setattr(server, "_UNTOLD", {})
    monkeypatch.setattr(server, "_UNTOLD_EVENTS", [])
    listening = Fake(("127.0.0.1", 0), _Handler)
    listening.posted = []
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield listening
    listening.shutdown()
    thread.join()
    listening.server_close()


def address(fake: Fake) -> str:
    return f"http://127.0.0.1:{fake.server_port}/api"


def test_a_server_answers_or_does_not(fake: Fake) -> None:
    assert server.answers(address(fake))
    fake.code = 503
    assert not server.answers(address(fake))
    assert not server.answers("http://127.0.0.1:9/api")


def test_another_homes_server_at_the_same_port_is_told_apart(fake: Fake) -> None:
    assert server.is_of(address(fake), "/srv/news/prefect")
    assert not server.is_of(address(fake), "/srv/other/prefect")
    fake.code = 503
    assert not server.is_of(address(fake), "/srv/news/prefect")
    assert not server.is_of("http://127.0.0.1:9/api", "/srv/news/prefect")


def test_the_end_that_a_server_missed_is_told_once(fake: Fake) -> None:
    server.keep("one", Outcome("r", counts={"ingested": 1, "documents": 1, "segments": 2}, published="x"))
    server.keep("two", Outcome("r", failures=["batch 0 (1 files): the disk is full"]))
    server.keep("three", None)
    fake.code = 503
    server.tell(address(fake))
    assert [path for path, _ in fake.posted] == ["/api/flow_runs/one/set_state"], "it stops at the first that fails"
    fake.code, fake.posted = 200, []
    server.tell(address(fake))
    told = {path.split("/")[3]: (body["state"]["type"], body["state"]["message"]) for path, body in fake.posted}
    assert told["one"] == ("COMPLETED", "1 file became 1 document with 2 segments. (told late)")
    assert told["two"] == ("FAILED", "Failed in part: batch 0 (1 files): the disk is full")
    assert told["three"][0] == "CRASHED"
    assert all(body["force"] for _, body in fake.posted)
    fake.posted = []
    server.tell(address(fake))
    assert fake.posted == []


def test_of_events_that_a_server_missed_it_is_told_the_newest(fake: Fake) -> None:
    server.keep_events([{"event": "older"}])
    server.keep_events([{"event": "newer"}, {"event": "asset"}])
    fake.code = 503
    server.tell(address(fake))
    fake.code, fake.posted = 200, []
    server.tell(address(fake))
    server.tell(address(fake))
    assert fake.posted == [("/api/events", [{"event": "newer"}, {"event": "asset"}])]


def test_a_process_that_ends_tells_a_busy_server_more_than_once(fake: Fake) -> None:
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        fake.code = 503 if len(waited) < 3 else 200

    server.tell_at_last(address(fake), pause=pause)
    assert (waited, fake.posted) == ([], []), "there is nothing to tell"
    server.keep_events([{"event": "x"}])
    fake.code = 503
    server.tell_at_last(address(fake), pause=pause)
    assert waited == [1, 2, 4]
    assert len(fake.posted) == 4
    server.keep_events([{"event": "y"}])
    server.tell_at_last(None, pause=pause)
    server.tell_at_last("http://127.0.0.1:9/api", pause=waited.append)
    assert waited == [1, 2, 4, 1, 2, 4, 8], "it ends all the same"


def test_a_run_that_a_new_database_does_not_know_is_forgotten(fake: Fake) -> None:
    server.keep("one", None)
    fake.code = 404
    server.tell(address(fake))
    fake.posted = []
    server.tell(address(fake))
    assert fake.posted == []


def test_only_a_refused_password_is_taken_for_one() -> None:
    def answered(code: int) -> httpx.HTTPStatusError:
        request = httpx.Request("GET", "http://someone:secret@127.0.0.1:1/api")
        return httpx.HTTPStatusError("", request=request, response=httpx.Response(code, request=request))

    refused = server.refusal(answered(401), "http://someone:secret@127.0.0.1:1/api")
    assert refused is not None
    assert str(refused).startswith("the Prefect server at http://127.0.0.1:1/api asks for another password")
    assert server.refusal(answered(403), "http://127.0.0.1:1/api") is None
    assert server.refusal(httpx.ConnectError(""), "http://127.0.0.1:1/api") is None


def test_a_password_and_tokens_are_brought_along(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.token = "first"
    monkeypatch.setattr(server, "prefect_password", lambda: None)
    assert server.client(address(fake)).get("/health").status_code == 401
    server.client.cache_clear()
    monkeypatch.setattr(server, "prefect_password", lambda: "admin:secret")
    client = server.client(address(fake))
    assert client.get("/health").status_code == 200
    assert client.post("/flow_runs/filter", json={}).status_code == 200
    assert client.post("/flow_runs/filter", json={}).status_code == 200
    assert fake.given == 1
    # Another server at the same address, or a token that has run out.
    fake.token = "second"
    assert client.post("/flow_runs/filter", json={}).status_code == 200
    assert fake.given == 2
