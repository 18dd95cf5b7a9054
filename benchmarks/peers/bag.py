"""A dask bag with two processes, and no language work.  ``python bag.py SOURCE FOLDER``."""

import re
import sys
from pathlib import Path

import duckdb
from dask import bag


def row(path):
    """One row a file."""
    text = Path(path).read_text(encoding="utf-8")
    head = re.match(r"\s*date (\d{4}-\d\d) ", text)
    return {"path": str(path), "month": head[1] if head else "", "language": "de", "text": text}


def main() -> None:
    """Run the bag, then load DuckDB."""
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    paths = sorted(map(str, source.glob("**/*.txt")))
    meta = dict.fromkeys(("path", "month", "language", "text"), str)
    frame = bag.from_sequence(paths, npartitions=20).map(row).to_dataframe(meta=meta)
    frame.to_parquet(str(folder / "parts"), compute_kwargs={"scheduler": "processes", "num_workers": 2})
    with duckdb.connect(str(folder / "warehouse.duckdb")) as database:
        database.execute(f"CREATE TABLE documents AS SELECT * FROM '{folder}/parts/*.parquet'")
        print(database.execute("SELECT count(*) FROM documents").fetchone()[0])


if __name__ == "__main__":
    main()
