"""dlt with the Parquet loader into DuckDB, and no language work.  ``python load.py SOURCE FOLDER``."""

import os
import re
import sys
from pathlib import Path

os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "WARNING"}

import dlt
from dlt.sources.filesystem import filesystem


@dlt.transformer
def parse(items):
    """One row a file."""
    for item in items:
        text = item.read_bytes().decode("utf-8")
        head = re.match(r"\s*date (\d{4}-\d\d) ", text)
        yield {"path": item["file_url"], "month": head[1] if head else None, "language": "de", "text": text}


source, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
folder.mkdir(parents=True)
pipeline = dlt.pipeline(
    "documents",
    destination=dlt.destinations.duckdb(str(folder / "warehouse.duckdb")),
    dataset_name="news",
    pipelines_dir=str(folder / "state"),
)
files = filesystem(bucket_url=f"file://{source}", file_glob="**/*.txt")
pipeline.run(
    (files | parse).with_name("documents"),
    table_name="documents",
    write_disposition="replace",
    loader_file_format="parquet",
)
with pipeline.sql_client() as client:
    print(client.execute_sql("SELECT count(*) FROM documents")[0][0])
