"""Holds the locks against a list of known holes; ends with 0 where there is none, 1 where there is, 2 if it is blind.

    python requirements/audit.py ADVISORIES [--not-before 2026-11-01] [--lock core …]

ADVISORIES is a folder or a zip of advisories in the OSV format, one JSON file each, as the projects that collect them
offer for download.  A list that does not know a hole that is known for long (``CANARY``), or whose newest entry is
older than asked, proves nothing, and neither does a lock without pins: that is 2, never 0.

Belongs here: reading advisories and judging versions.  Does not belong here: fetching them, reading a lock
(``sbom.py``).
"""

import argparse
import json
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

sys.path.insert(0, str(Path(__file__).parent))
from sbom import HERE, components

CANARY = ("jinja2", "2.4.1")
LOCKS = ("core", "postgres", "search", "build", "dev")


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


def _at_or_above(version: Version, bound: str) -> bool:
    try:
        return bound == "0" or version >= Version(bound)
    except InvalidVersion:
        return True  # what cannot be compared counts as affected


def is_affected(affected: dict[str, Any], version: str) -> bool:
    """Whether an advisory's entry for a package means this version."""
    if version in affected.get("versions", ()):
        return True
    found = Version(version)
    for bounds in affected.get("ranges", ()):
        if bounds.get("type") != "ECOSYSTEM":
            continue
        is_in = False
        for event in bounds.get("events", ()):
            if "introduced" in event and _at_or_above(found, event["introduced"]):
                is_in = True
            if "fixed" in event and _at_or_above(found, event["fixed"]):
                is_in = False
            if "last_affected" in event and found > Version(event["last_affected"]):
                is_in = False
        if is_in:
            return True
    return False


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
    parser.add_argument("--not-before", default="", help="date that the newest advisory must reach")
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
