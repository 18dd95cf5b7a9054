"""What a person writes in ten minutes: glob, langdetect, pandas, DuckDB.  ``python naive.py SOURCE FOLDER``."""

import re
import sys
from pathlib import Path

import duckdb
import pandas as pd
from langdetect import DetectorFactory, detect

source, folder = Path(sys.argv[1]), Path(sys.argv[2])
folder.mkdir(parents=True)
DetectorFactory.seed = 0
rows = []
for path in sorted(source.glob("**/*.txt")):
    text = path.read_text(encoding="utf-8")
    head = re.match(r"\s*date (\d{4}-\d\d) ", text)
    body = text[head.end() :] if head else text
    rows.append({"path": str(path), "month": head[1] if head else None, "language": detect(body), "text": body})
pd.DataFrame(rows).to_parquet(folder / "documents.parquet")
with duckdb.connect(str(folder / "warehouse.duckdb")) as database:
    database.execute(f"CREATE TABLE documents AS SELECT * FROM '{folder}/documents.parquet'")
    print(database.execute("SELECT count(*) FROM documents").fetchone()[0])
