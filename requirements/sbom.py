"""The software bill of materials, CycloneDX 1.5 as JSON, made of the locks alone: no network, no clock.

    python requirements/sbom.py [core postgres search] > newsmill.cdx.json

Belongs here: reading locks and writing components.  Does not belong here: resolving (``lock.py``), judging packages.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)\s*(?:;\s*([^\\]+))?")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def components(lock: str) -> list[dict[str, Any]]:
    """One component a pinned package, with the hashes of its archives and the condition under which it is needed."""
    found: list[dict[str, Any]] = []
    for line in lock.splitlines():
        if pin := _PIN.match(line):
            name, version, marker = pin[1].lower(), pin[2], (pin[3] or "").strip()
            found.append(
                {
                    "type": "library",
                    "bom-ref": f"pkg:pypi/{name}@{version}",
                    "name": name,
                    "version": version,
                    "purl": f"pkg:pypi/{name}@{version}",
                    "properties": [{"name": "marker", "value": marker}] if marker else [],
                    "hashes": [],
                }
            )
        found_hash = _HASH.search(line)
        if found_hash and found:
            found[-1]["hashes"].append({"alg": "SHA-256", "content": found_hash[1]})
    return found


def bill(names: list[str]) -> dict[str, Any]:
    """The whole document over some locks; a package that stands in several is one component."""
    every = {
        component["bom-ref"]: component
        for name in names
        for component in components((HERE / f"{name}.txt").read_text(encoding="utf-8"))
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "newsmill", "bom-ref": "newsmill"}},
        "components": [every[ref] for ref in sorted(every)],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(bill(sys.argv[1:] or ["core", "postgres", "search"]), indent=1) + "\n")
