"""The public texts that everything is measured on, read in place.

Belongs here: finding and reading them.  Does not belong here: what is measured.  ``SOURCES.md`` beside the texts says
where they are from and how labels are to be folded.
"""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BESIDE = ROOT.parent / "shared" / "data"
GOLDEN = ROOT / "tests" / "golden" / "text"
PARTS = ("articles_de.jsonl", "encodings", "mojibake", "languages")


@dataclass(frozen=True)
class Material:
    """One folder of material; ``quick`` asks for samples where a row is long."""

    folder: Path
    quick: bool = False

    def missing(self) -> list[str]:
        """The parts that are not there."""
        return [name for name in PARTS if not (self.folder / name).exists()]

    @cached_property
    def articles(self) -> list[str]:
        """German newspaper articles."""
        lines = (self.folder / "articles_de.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line)["text"] for line in lines if line.strip()]

    @cached_property
    def sentences(self) -> list[tuple[str, str]]:
        """Language code and sentence."""
        return [
            (file.stem, line)
            for file in sorted((self.folder / "languages").glob("*.txt"))
            for line in file.read_text("utf-8").splitlines()
            if line.strip()
        ]

    @cached_property
    def labelled(self) -> list[tuple[str, str, bytes]]:
        """Label, name and bytes of the files in known encodings."""
        return [
            (folder.name, file.name, file.read_bytes())
            for folder in sorted((self.folder / "encodings").iterdir())
            if folder.is_dir()
            for file in sorted(folder.iterdir())
        ]

    @cached_property
    def mojibake(self) -> list[dict[str, Any]]:
        """Cases with label, original, fixed and expect."""
        files = sorted((self.folder / "mojibake").glob("*.json"))
        return [case for file in files for case in json.loads(file.read_text("utf-8"))]

    @cached_property
    def ordinary(self) -> list[tuple[str, bytes]]:
        """Sample files without a planted defect: the project's own, and those beside the material."""
        page = (ROOT / "seeds" / "raw.md").read_text("utf-8")
        planted = set(re.findall(r"^\| `([^`]+)` \|[^|]*\| Defect", page, re.MULTILINE))
        own = [file for file in sorted((ROOT / "seeds" / "raw").glob("*.txt")) if file.name not in planted]
        return [(file.name, file.read_bytes()) for file in (*own, *sorted(self.folder.parent.glob("seeds/*.txt")))]

    @cached_property
    def samples(self) -> list[bytes]:
        """Every sample file of the project, with its defects."""
        return [file.read_bytes() for file in sorted((ROOT / "seeds" / "raw").iterdir())]

    @cached_property
    def gold(self) -> list[dict[str, Any]]:
        """The hard sentences with language, half and segments."""
        cases: list[dict[str, Any]] = json.loads((GOLDEN / "sentences.json").read_text("utf-8"))
        return cases
