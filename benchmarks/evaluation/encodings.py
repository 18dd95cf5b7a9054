"""Decoding: labelled files, against the labelled codec.

Belongs here: comparing decoded texts.  Does not belong here: repairs of text (``mending``).
"""

import re
from collections.abc import Iterator

from benchmarks.evaluation.material import Material
from benchmarks.evaluation.row import Row, percent
from tasks.text.encoding import decode
from warehouse.errors import Refusal

LEAST = 0.985
# Some labels are families: the codec of the largest member, which reads the others.
FAMILIES = {"GB2312": "gb18030", "SHIFT_JIS": "cp932", "TIS-620": "cp874", "MacCyrillic": "mac-cyrillic"}
LEFT_OUT = {"EUC-TW"}  # Python has no codec for it
# One byte pair, two readings: each of these has two characters in published tables.
ALIKE = {0x2015: 0x2014, 0x2225: 0x2016, 0xFF0D: 0x2212, 0x301C: 0xFF5E, 0x30FB: 0x00B7}


def codec_of(label: str) -> str:
    """The codec that a folder is named by; some names have a language behind a dash.

    >>> codec_of("iso-8859-2-czech"), codec_of("SHIFT_JIS"), codec_of("EUC-JP")
    ('iso-8859-2', 'cp932', 'EUC-JP')
    """
    named = re.match(r"(iso-8859-\d+|windows-\d+)(?:-[a-z]+)?\Z", label)
    return named[1] if named else FAMILIES.get(label, label)


def folded(text: str) -> list[str]:
    """What has to be equal: lines, with dashes and dots alike and without a byte order mark."""
    return text.removeprefix("\ufeff").translate(ALIKE).splitlines()


def found_in(data: bytes) -> list[str] | None:
    """Our reading, or None where the file is refused."""
    try:
        return folded(decode(data).text)
    except Refusal:
        return None


def rows(material: Material) -> Iterator[Row]:
    """One row."""
    wrong: list[str] = []
    total = 0
    for label, name, data in material.labelled:
        if label in LEFT_OUT:
            continue
        try:
            expected = folded(data.decode(codec_of(label)))
        except UnicodeError:
            continue
        total += 1
        if found_in(data) != expected:
            wrong.append(f"{label}/{name}")
    right = total - len(wrong)
    yield Row(
        what="encodings: same text as the labelled codec's",
        least="98.5 %",
        found=percent(right, total),
        holds=total > 0 and right >= LEAST * total,
        how="decode() against the label; line ends ignored, dashes and dots folded, EUC-TW left out",
        details={"wrong": wrong},
    )
