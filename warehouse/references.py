"""Reference tables: the CSV files of ``seeds/reference`` as rows.

Belongs here: reading them, typed by ``schema.REFERENCES``.  Does not belong here: how DuckDB gets them (``ddl``).
"""

import csv
from importlib import resources

import pyarrow as pa

from warehouse.schema import REFERENCES

_FILES = {"ref_languages": "languages.csv", "ref_stop_words": "stop_words.csv"}


def rows(table: str) -> list[dict[str, str | bool]]:
    """Every row of one reference table.

    >>> [row["name"] for row in rows("ref_languages") if row["language"] == "de"]
    ['German']
    """
    text = resources.files("seeds").joinpath("reference", _FILES[table]).read_text(encoding="utf-8")
    flags = {field.name for field in REFERENCES[table] if pa.types.is_boolean(field.type)}
    return [
        {name: value == "true" if name in flags else value for name, value in row.items()}
        for row in csv.DictReader(text.splitlines())
    ]
