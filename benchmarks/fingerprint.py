"""What the text core makes of the golden cases and the samples, as hashes: shows when an outcome changed.

    python -m benchmarks.fingerprint [--write]

Without ``--write`` it says how the outcome compares with ``tests/golden/fingerprint.json``.  With it the file is
renewed, which is refused while an outcome changed and ``tasks.version.NUMBER`` did not.

Belongs here: running the cases and hashing their rows.  Does not belong here: whether an outcome is right, which the
golden tests say.
"""

import argparse
import dataclasses
import hashlib
import importlib.metadata
import json
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tasks import version
from tasks.document import documents_of
from tasks.options import DocumentOptions
from tasks.readers import ReadOptions
from tasks.text import language
from warehouse.records import FileResult, RawFile, Stamp

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
RECORD = GOLDEN / "fingerprint.json"
RENEW = "python -m benchmarks.fingerprint --write"
_STAMP = Stamp(size_bytes=0, mtime_ns=0, ctime_ns=0, inode=0)
# Below this a probability depends on the C library's sine.
_DIGITS = 9


class Case(NamedTuple):
    """One raw file with what a person set for it."""

    label: str
    name: str
    data: bytes
    options: DocumentOptions

    @property
    def key(self) -> str:
        """Names the input, whatever the case is called."""
        return hashlib.sha256(repr((self.name, self.data, self.options)).encode()).hexdigest()[:16]


def _written(value: Any) -> str:
    """The text of a case: as it stands, with Python's escapes, or of repeated pieces."""
    if isinstance(value, str):
        return value
    if "escaped" in value:
        return str(value["escaped"]).encode().decode("unicode_escape")
    pieces = value["repeat"]
    return "".join(piece * number for piece, number in zip(pieces[::2], pieces[1::2], strict=True))


def _bytes(case: dict[str, Any]) -> bytes:
    if "hex" in case:
        return bytes.fromhex(case["hex"])
    if "blocks" in case:
        return "\n\n".join(block["text"] for block in case["blocks"]).encode()
    if "segments" in case:
        return str(case.get("join", " ")).join(case["segments"]).encode()
    return _written(case["text"]).encode(case.get("codec", "utf-8"), "surrogatepass")


def cases() -> Iterator[Case]:
    """Every golden case of the text core and every sample, in a fixed order."""
    for file in sorted(GOLDEN.joinpath("text").glob("*.json")):
        for number, case in enumerate(json.loads(file.read_text("utf-8"))):
            options = DocumentOptions(read=ReadOptions(encoding=case.get("hint")), language=case.get("language"))
            label = f"{file.stem}: {case.get('label', number)}"
            yield Case(label, str(case.get("name", "000_case.txt")), _bytes(case), options)
    for line in GOLDEN.joinpath("language", "decisions.jsonl").read_text("utf-8").splitlines():
        found = json.loads(line)
        data = found["text"].encode("utf-8", "surrogatepass")
        yield Case(f"decisions: {found['case']}", "000_case.txt", data, DocumentOptions())
    for file in sorted(ROOT.joinpath("seeds", "raw").iterdir()):
        yield Case(f"samples: {file.name}", file.name, file.read_bytes(), DocumentOptions())


def _plain(value: Any) -> Any:
    """Rows as JSON knows them; a tuple is a list, a date and a flag are their text."""
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, dict):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return value if value is None or isinstance(value, bool | int) else str(value)


def _outcome(result: FileResult) -> str:
    rows = dataclasses.asdict(result)
    del rows["file"]
    # Where in an archive it stood: none of these does.
    for row in (*rows["documents"], *rows["rejects"]):
        del row["member"]
    for document in rows["documents"]:
        for name in ("paragraphs", "segments"):  # tuples with names
            document[name] = [row._asdict() for row in document[name]]
    return json.dumps(_plain(rows), sort_keys=True)


@cache
def outcomes() -> dict[Case, str]:
    """The hash of what each case became."""
    wanted = list(cases())
    found: dict[Case, str] = {}
    for options in dict.fromkeys(case.options for case in wanted):
        own = [case for case in wanted if case.options == options]
        files = [
            (RawFile(root="golden", uri=case.name, source="golden", path=b"", stamp=_STAMP, file_id=""), case.data)
            for case in own
        ]
        for case, result in zip(own, documents_of(files, options), strict=True):
            found[case] = hashlib.sha256(_outcome(result).encode()).hexdigest()
    return {case: found[case] for case in wanted}


def versions() -> dict[str, str]:
    """What an outcome depends on besides our own code: comparisons need all of it to be equal."""
    libraries = {name: importlib.metadata.version(name) for name in version.LIBRARIES}
    ours, _, theirs = language.fingerprint().partition(";")
    assert ours.startswith("rules="), "the first part of the language's fingerprint is our own number"
    python = ".".join(map(str, sys.version_info[:2]))
    return libraries | {"language": theirs, "python": python, "unicode": unicodedata.unidata_version}


def current() -> dict[str, Any]:
    """The record as it would be written now."""
    found = outcomes()
    return {
        "number": version.NUMBER,
        "language_rules": int(language.fingerprint().partition(";")[0].removeprefix("rules=")),
        "versions": versions(),
        "sha256": hashlib.sha256("".join(found.values()).encode()).hexdigest(),
        # The first digits of the input's hash, and of the hash of what it became: a new case is no changed outcome.
        "cases": {case.key: outcome[:16] for case, outcome in found.items()},
    }


def recorded() -> dict[str, Any]:
    """The record in the repository."""
    record: dict[str, Any] = json.loads(RECORD.read_text("utf-8"))
    return record


def complaint(record: dict[str, Any]) -> str | None:
    """What somebody has to do, or None: assumes that the versions are equal."""
    now = current()
    before = record["cases"]
    changed = [case.label for case, outcome in outcomes().items() if before.get(case.key, outcome[:16]) != outcome[:16]]
    is_same_number = (record["number"], record["language_rules"]) == (now["number"], now["language_rules"])
    if changed and is_same_number:
        return (
            f"the outcome of {len(changed)} cases changed, the first: {'; '.join(changed[:5])}. "
            f"If that is wanted, raise NUMBER in tasks/version.py (or RULES of the language package), then "
            f"renew the record: {RENEW}"
        )
    if record != now:
        return f"there are new cases, other cases or another number: renew the record: {RENEW}"
    return None


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="renew the record")
    options = parser.parse_args()
    found = complaint(recorded()) if RECORD.exists() and recorded()["versions"] == versions() else RENEW
    if not options.write:
        print(found or "nothing changed")
        return int(found is not None)
    if found is not None and "raise NUMBER" in found:
        print(f"refused: {found}")
        return 1
    RECORD.write_text(json.dumps(current(), indent=1) + "\n", encoding="utf-8")
    print(f"{RECORD.relative_to(ROOT)}: {len(outcomes())} cases, number {version.NUMBER}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
