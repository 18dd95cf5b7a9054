"""Ask a public list of known vulnerabilities (OSV) for every package of the locks.

    python requirements/osv.py [core postgres search] [--service URL]

Ends with 0 if the list was asked for every package and knows nothing, 1 if it knows something, 2 if it could not be
asked: what was not looked up has not passed.

Belongs here: asking, and telling the three ends apart.  Does not belong here: reading locks (``sbom.py``), choosing
other versions (``lock.py``).
"""

import argparse
import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sbom import bill

SERVICE = "https://api.osv.dev/v1/querybatch"
# The most that the service takes at a time.
_AT_ONCE = 1000


class CouldNotAskError(Exception):
    """The list gave no answer, or one that does not speak of every package."""


def _answers(service: str, queries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    body = json.dumps({"queries": queries}).encode()
    request = urllib.request.Request(service, body, {"Content-Type": "application/json"})  # noqa: S310 - as it was given
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            results = json.load(answer)["results"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CouldNotAskError(f"{service} gave no answer ({error})") from error
    if not isinstance(results, list) or len(results) != len(queries):
        raise CouldNotAskError(f"{service} did not answer for every package")
    return [result or {} for result in results]


def known(service: str, purls: list[str]) -> Iterator[tuple[str, str]]:
    """Each package that the list knows something about, with the id of what it knows; an answer may have more pages."""
    queries: list[dict[str, Any]] = [{"package": {"purl": purl}} for purl in purls]
    while queries:
        asked, queries = queries[:_AT_ONCE], queries[_AT_ONCE:]
        for query, result in zip(asked, _answers(service, asked), strict=True):
            for vulnerability in result.get("vulns", ()):
                yield query["package"]["purl"], vulnerability["id"]
            if token := result.get("next_page_token"):
                queries.append({**query, "page_token": token})


def main() -> int:
    """Look up the packages of the locks, print what is known; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("locks", nargs="*", default=["core", "postgres", "search"])
    parser.add_argument("--service", default=SERVICE)
    chosen = parser.parse_args()
    purls = [component["purl"] for component in bill(chosen.locks)["components"]]
    locks = ", ".join(f"{Path(lock).stem}.txt" for lock in chosen.locks)
    try:
        found = sorted(set(known(chosen.service, purls)))
    except CouldNotAskError as error:
        sys.stderr.write(f"not audited: {error}; none of the {len(purls)} packages of {locks} was looked up\n")
        return 2
    for purl, vulnerability in found:
        sys.stdout.write(f"{purl}\t{vulnerability}\n")
    sys.stdout.write(f"{len(purls)} packages of {locks} looked up, {len(found)} known vulnerabilities\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
