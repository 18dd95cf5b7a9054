"""Write docs/data-dictionary.md with what every example says on the samples: ``make docs``.

Belongs here: the answers on that page.  Does not belong here: the rest of it (``warehouse.dictionary``).  A test asks
each example again.
"""

import contextlib
import io
import sys
import tempfile
from pathlib import Path

from flows.cli.main import run
from warehouse import dictionary

PAGE = Path(__file__).with_name("data-dictionary.md")
SAMPLES = PAGE.parents[1] / "seeds" / "raw"


def _said(*arguments: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run(arguments)
    if code:
        raise SystemExit(f"newsmill {' '.join(arguments)} ended with {code}")
    return "\n".join(line.rstrip() for line in out.getvalue().strip("\n").splitlines()) + "\n"


def main() -> int:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder:
        _said("ingest", "--direct", str(SAMPLES), "--home", folder)
        shown = {example: _said("sql", example, "--home", folder) for example in dictionary.examples()}
    PAGE.write_text(dictionary.page(shown), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
