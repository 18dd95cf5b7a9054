"""Runs the fuzz targets one after the other and says what was found.

    python tests/fuzz/run.py [--seconds 600] [--only decode] [--folder FOLDER]

Each target begins with the samples of the project, the golden texts, and what earlier runs kept in ``corpus`` of the
folder, ``tests/fuzz`` where none is named; an input that breaks a property is written to ``findings`` beside it.  Exit
status 1 if any is.

Belongs here: seeds and running.  Does not belong here: targets (``fuzz_*.py``) and properties.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parents[1] / "seeds" / "raw"
GOLDEN = HERE.parents[0] / "golden" / "text"
TARGETS = {file.stem.removeprefix("fuzz_"): file for file in sorted(HERE.glob("fuzz_*.py"))}
LONGEST = 4096
SLOWEST_SECONDS = 20


def fill(corpus: Path) -> None:
    """Short inputs to begin with, which say more in a second than whole documents do."""
    corpus.mkdir(parents=True, exist_ok=True)
    for name in ("repairs", "encodings", "header", "metadata", "sentences"):
        for case in json.loads((GOLDEN / f"{name}.json").read_text("utf-8")):
            text = case.get("text", " ".join(case.get("segments", [])))
            if "hex" in case:
                data = bytes.fromhex(case["hex"])
            elif isinstance(text, str):
                data = text.encode(case.get("codec", "utf-8"), "ignore")
            else:
                data = "".join(text.get("repeat", [text.get("escaped", "")])[:1]).encode()
            (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    for file in sorted(GOLDEN.with_name("readers").glob("*/*")):
        # Two bytes before the content choose name and reader: these give the content every choice.
        data = b"\0\0" + file.read_bytes()[: LONGEST - 2]
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def run(target: str, seconds: int, folder: Path) -> int:
    """Fuzzes one target; the number of inputs that broke a property."""
    corpus, findings = folder / "corpus" / target, folder / "findings"
    fill(corpus)
    findings.mkdir(exist_ok=True)
    # Another target may run beside this one.
    before = set(findings.glob(f"{target}-*"))
    command = [
        sys.executable, TARGETS[target], corpus, SAMPLES, f"-max_total_time={seconds}", f"-max_len={LONGEST}",
        f"-timeout={SLOWEST_SECONDS}", f"-artifact_prefix={findings}/{target}-", "-rss_limit_mb=4096",
        "-print_final_stats=1",
    ]  # fmt: skip
    done = subprocess.run(command, stderr=subprocess.PIPE, errors="replace", check=False)
    found = sorted(set(findings.glob(f"{target}-*")) - before)
    said = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    inputs = sum(1 for _ in corpus.iterdir())
    print(f"{target}: {said[1] if said else '?'} inputs tried, {inputs} kept, {len(found)} findings", flush=True)
    if found or done.returncode != 0:
        print(done.stderr[-4000:], *found, sep="\n")
    return len(found) or int(done.returncode != 0)


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--only", choices=TARGETS, action="append")
    parser.add_argument("--folder", type=Path, default=HERE, help="where corpus and findings are kept")
    options = parser.parse_args()
    return int(sum([run(target, options.seconds, options.folder) for target in options.only or TARGETS]) > 0)


if __name__ == "__main__":
    raise SystemExit(main())
