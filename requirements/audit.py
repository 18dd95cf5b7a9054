"""Holds the locks against a list of known holes; ends with 0 where there is none, 1 where there is, 2 if it is blind.

    python requirements/audit.py ADVISORIES [--not-before 2026-11-01] [--lock core …]

ADVISORIES is a folder or a zip of advisories in the OSV format, one JSON file each, as the projects that collect them
offer for download.  A list that does not know a hole that is known for long (``CANARY``), or whose newest entry is
older than asked, a month where nothing is asked, proves nothing, and neither does a lock without pins: that is 2, never
0.  What only benchmarks install is asked about by name (``--lock peer-dlt``).

Belongs here: reading advisories and judging versions.  Does not belong here: fetching them, reading a lock
(``sbom.py``).
"""

import argparse
import datetime as dt
import json
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

sys.path.insert(0, str(Path(__file__).parent))
from sbom import HERE, components

from warehouse.clock import now_us

CANARY = ("jinja2", "2.4.1")
LOCKS = ("core", "postgres", "search", "build", "dev", "fuzz", "duckdb2")
OLDEST = dt.timedelta(days=30)


@dataclass(frozen=True)
class Hole:
    """One advisory about one pinned version."""

    name: str
    version: str
    advisory: str
    summary: str


def advisories(place: Path) -> Iterator[dict[str, Any]]:
    """Every advisory of a folder or a zip."""
    if place.is_dir():
        for path in sorted(place.rglob("*.json")):
            yield json.loads(path.read_bytes())
    else:
        with zipfile.ZipFile(place) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".json"):
                    yield json.loads(archive.read(name))


def _parsed(event: dict[str, str]) -> tuple[Version | None, str]:
    """The version of an event, None where it has no order, and whether versions are affected from there on."""
    ((word, bound),) = event.items()
    try:
        return Version(bound), word
    except InvalidVersion:
        return None, word


def _is_in(found: Version, events: Sequence[dict[str, str]]) -> bool:
    """Whether a version lies in a range of the OSV format; what cannot be compared counts as affected.

    Events come in any order and are looked at in that of their versions, as the format's own algorithm does.
    """
    parsed = [_parsed(event) for event in events]
    is_in = any(bound is None and word == "introduced" for bound, word in parsed)
    for bound, word in sorted((bound, word) for bound, word in parsed if bound is not None):
        if word == "introduced":
            is_in |= found >= bound
        elif (word == "fixed" and found >= bound) or (word == "last_affected" and found > bound):
            is_in = False
    return is_in


def is_affected(affected: dict[str, Any], version: str) -> bool:
    """Whether an advisory's entry for a package means this version."""
    if version in affected.get("versions", ()):
        return True
    ranges = [bounds["events"] for bounds in affected.get("ranges", ()) if bounds.get("type") == "ECOSYSTEM"]
    return any(_is_in(Version(version), events) for events in ranges)


def holes(place: Path, pins: set[tuple[str, str]]) -> tuple[list[Hole], str]:
    """What is known against the pins, and when the newest advisory was changed."""
    by_name: dict[str, set[str]] = {}
    for name, version in pins:
        by_name.setdefault(canonicalize_name(name), set()).add(version)
    found, newest = [], ""
    for advisory in advisories(place):
        newest = max(newest, advisory.get("modified", ""))
        if advisory.get("withdrawn"):
            continue
        for affected in advisory.get("affected", ()):
            package = affected.get("package", {})
            if package.get("ecosystem") != "PyPI":
                continue
            name = canonicalize_name(package.get("name", ""))
            found += [
                Hole(name, version, advisory["id"], advisory.get("summary", ""))
                for version in sorted(by_name.get(name, ()))
                if is_affected(affected, version)
            ]
    return found, newest


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("advisories", type=Path)
    month_ago = str((dt.datetime.fromtimestamp(now_us() / 1e6, dt.UTC) - OLDEST).date())
    parser.add_argument("--not-before", default=month_ago, help="date that the newest advisory must reach")
    parser.add_argument("--lock", action="append", help=f"names of locks; default {' '.join(LOCKS)}")
    options = parser.parse_args()
    pins = {
        (component["name"], component["version"])
        for lock in options.lock or LOCKS
        for component in components((HERE / f"{lock}.txt").read_text(encoding="utf-8"))
    }
    if not options.advisories.exists():
        print(f"blind: there is no list at {options.advisories}")
        return 2
    found, newest = holes(options.advisories, {*pins, CANARY})
    known = [hole for hole in found if (hole.name, hole.version) != CANARY]
    if len(known) == len(found):
        print(f"blind: the list does not know the holes of {CANARY[0]} {CANARY[1]}")
        return 2
    if not pins or newest < options.not_before:
        print(f"blind: {len(pins)} pins, the newest advisory is of {newest or 'never'}")
        return 2
    for hole in known:
        print(f"{hole.name} {hole.version}: {hole.advisory} {hole.summary}")
    print(f"{len(pins)} pins, {len(known)} known holes; the newest advisory is of {newest}")
    return 1 if known else 0


if __name__ == "__main__":
    raise SystemExit(main())
