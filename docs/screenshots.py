"""Renew the pictures of Prefect's pages in ``docs/images``: ``python -m docs.screenshots API_URL FOLDER``.

Belongs here: which pages, and how a headless Chromium is asked for them.  Does not belong here: a server with runs to
show, which the test of these pages has (``tests/flows/test_pages.py``).
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Virtual time: what the page waits for passes at once, so that animations have come to their end.
BUDGET_MS = 30_000


def browser() -> str | None:
    """A Chromium on this machine."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def _chromium(url: str, *options: str) -> bytes:
    found = browser()
    if found is None:
        raise SystemExit(f"no browser: install one of {', '.join(NAMES)}")
    with tempfile.TemporaryDirectory() as profile:
        command = [
            found, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,900",
            "--force-prefers-reduced-motion", f"--virtual-time-budget={BUDGET_MS}", f"--user-data-dir={profile}",
            *options, url,
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, timeout=180, check=True).stdout


def page(url: str) -> str:
    """The elements of a page once its scripts have run, as HTML."""
    return _chromium(url, "--dump-dom").decode(errors="replace")


def picture(url: str, path: Path) -> None:
    """A picture of a page."""
    _chromium(url, f"--screenshot={path}")


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
    for name, url in pages(api_url).items():
        picture(url, Path(folder) / f"{name}.png")


if __name__ == "__main__":
    main()
