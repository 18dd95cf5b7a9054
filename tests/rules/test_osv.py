"""The look-up of known vulnerabilities can fail, and does not pass for what it did not look up."""

import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
Answering = Callable[[list[dict[str, Any]]], Any]


def audit(service: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "requirements" / "osv.py", "postgres", "--service", service]
    return subprocess.run(command, capture_output=True, text=True, timeout=90)


@pytest.fixture
def service() -> Iterator[Callable[[Answering], str]]:
    """A list of vulnerabilities on the loopback interface that answers as it is told."""
    servers = []

    def serve(answering: Answering) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                body = json.dumps(answering(asked["queries"])).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/v1/querybatch"

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def knowing(queries: list[dict[str, Any]]) -> Any:
    """Something is known about psycopg, on the second page; nothing about the others."""

    def result(query: dict[str, Any]) -> dict[str, Any]:
        if "pkg:pypi/psycopg@" not in query["package"]["purl"]:
            return {}
        return {"vulns": [{"id": "TEST-2026-1"}]} if query.get("page_token") else {"next_page_token": "2"}

    return {"results": [result(query) for query in queries]}


def test_a_known_vulnerability_fails(service: Any) -> None:
    done = audit(service(knowing))
    assert done.returncode == 1
    assert "TEST-2026-1" in done.stdout
    assert "psycopg@" in done.stdout
    assert "1 known vulnerabilities" in done.stdout


def test_every_package_is_looked_up(service: Any) -> None:
    asked: list[str] = []

    def nothing(queries: list[dict[str, Any]]) -> Any:
        asked.extend(query["package"]["purl"] for query in queries)
        return {"results": [{} for _ in queries]}

    done = audit(service(nothing))
    assert done.returncode == 0, done.stderr
    locked = (ROOT / "requirements" / "postgres.txt").read_text(encoding="utf-8").count("==")
    # A line can ask for a version in its condition, too.
    assert 100 < len(set(asked)) <= locked
    assert f"{len(asked)} packages" in done.stdout


@pytest.mark.parametrize("answer", [{"results": [{}]}, {"results": []}, {}, [], {"results": None}], ids=json.dumps)
def test_half_an_answer_is_none(service: Any, answer: Any) -> None:
    done = audit(service(lambda queries: answer))
    assert done.returncode == 2
    assert done.stderr.startswith("not audited: ")
    assert done.stdout == ""


def test_no_answer_is_said_plainly_and_fails() -> None:
    done = audit("http://127.0.0.1:1/v1/querybatch")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("not audited: ")
    assert "was looked up" in line


def test_it_is_no_part_of_the_checks() -> None:
    """A machine without a network passes them."""
    assert "audit" not in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^audit:.* ## ", makefile, re.MULTILINE)
