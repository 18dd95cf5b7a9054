"""Renew the pictures of Prefect's pages in ``docs/images``: ``python -m docs.screenshots API_URL FOLDER``.

Belongs here: which pages, and how a headless Chromium is asked for them.  Does not belong here: a server with runs to
show, which the test of these pages has (``tests/flows/test_pages.py``).
"""

import base64
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect
from websockets.sync.connection import Connection

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Long enough for what a page asks its server, and for its animations.
SETTLE_SECONDS = 6.0


def browser() -> str | None:
    """A Chromium on this machine."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def _port(profile: Path) -> int:
    """The port that a Chromium which has started wrote into its profile."""
    for _ in range(600):
        with contextlib.suppress(OSError, IndexError, ValueError):
            return int((profile / "DevToolsActivePort").read_text().splitlines()[0])
        time.sleep(0.1)
    raise SystemExit("the browser did not start")


class Browser:
    """One page of a headless Chromium, told what to do over its own protocol."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.number = connection, 0

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of one call; events that come meanwhile are of no interest."""
        self.number += 1
        self.connection.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.connection.recv(60))
            if answer.get("id") == self.number:
                found: dict[str, Any] = answer["result"]
                return found

    def show(self, url: str) -> str:
        """Go to a page and let it settle; its elements as HTML."""
        self.call("Page.navigate", url=url)
        time.sleep(SETTLE_SECONDS)
        found = self.call("Runtime.evaluate", expression="document.documentElement.outerHTML", returnByValue=True)
        return str(found["result"]["value"])

    def picture(self) -> bytes:
        """What is shown now, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])


@contextlib.contextmanager
def opened() -> Iterator[Browser]:
    """A browser that ends with the block."""
    found = browser()
    if found is None:
        raise SystemExit(f"no browser: install one of {', '.join(NAMES)}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            found, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1500,900",
            "--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={profile}", "about:blank",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            targets = httpx.get(f"http://127.0.0.1:{_port(Path(profile))}/json/list").json()
            url = next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page")
            with connect(url, max_size=None) as connection:
                yield Browser(connection)
        finally:
            process.terminate()
            process.wait()


def pages(api_url: str) -> dict[str, str]:
    """The pages to show, by the name of their picture; of runs the one with the most to tell."""
    base = api_url.removesuffix("/api")
    deployment = httpx.get(f"{api_url}/deployments/name/ingest/newsmill").raise_for_status().json()["id"]
    found = httpx.post(f"{api_url}/artifacts/filter", json={"sort": "CREATED_DESC"}).raise_for_status().json()
    rejects = next(one for one in found if one["key"] == "newsmill-rejects")
    run = rejects["flow_run_id"]
    summary = next(one for one in found if one["key"] == "newsmill-summary" and one["flow_run_id"] == run)
    return {
        "deployments": f"{base}/deployments",
        "parameters": f"{base}/deployments/deployment/{deployment}/run",
        "run": f"{base}/runs/flow-run/{run}",
        "summary": f"{base}/artifacts/artifact/{summary['id']}",
        "rejects": f"{base}/artifacts/artifact/{rejects['id']}",
    }


def main() -> None:
    """Write a picture of every page."""
    api_url, folder = sys.argv[1:]
    with opened() as browsing:
        for name, url in pages(api_url).items():
            browsing.show(url)
            (Path(folder) / f"{name}.png").write_bytes(browsing.picture())


if __name__ == "__main__":
    main()
