"""Fuzzes a raw file as a whole: every record ends as a document that holds together, or as a reject.

    python tests/fuzz/fuzz_document.py CORPUS [SEEDS …] [-max_total_time=60]

Belongs here: this target.  Does not belong here: the properties (``properties.py``).
"""

import sys

import atheris

with atheris.instrument_imports(include=["tasks", "ftfy"]):
    import properties

    from tasks.options import DocumentOptions
    from tasks.readers import ReadOptions
    from tasks.text import language
    from tasks.text.language import second_opinion

NAMES = (
    "000_ad13c6fc177309bb.txt",
    "2019-04-25.TXT",
    "folder/a%FF%0A.text",
    "20191325.txt",
    "x" * 300 + ".txt",
    "photo.jpg",
    "",
)
OPTIONS = (
    *(DocumentOptions(),) * 5,
    DocumentOptions(read=ReadOptions(encoding="cp1252")),
    DocumentOptions(reader="plain", language="de"),
)


def one(data: bytes) -> None:
    """One input; its length chooses name and options.  A uri is percent-encoded, whatever the file was called."""
    options = OPTIONS[len(data) // len(NAMES) % len(OPTIONS)]
    properties.document(data, NAMES[len(data) % len(NAMES)], options)


if __name__ == "__main__":
    language.preload()
    second_opinion.preload()  # no single input is to be charged for it
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
