"""Inputs of a megabyte that are made to be slow, each through the whole text core.

Belongs here: hostile bytes and their limits.  Does not belong here: whether the outcome is right (``stable``).
"""

from collections.abc import Iterator

from benchmarks.evaluation.material import Material
from benchmarks.evaluation.row import Row, cpu, documents
from tasks.text import language
from tasks.text.language import second_opinion

MEGABYTE = 1_000_000
MOST_SECONDS, MOST_FOR_MOJIBAKE = 1.0, 10.0


def filled(piece: str | bytes) -> bytes:
    """A megabyte of one piece."""
    data = piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else piece
    return data * (MEGABYTE // len(data))


PROSE = "In Kaltenbrück stritten „Grüne“ und Übrige – wie 2018 – über 7,5 Mio. € für die Fähre. "


def misread(text: str, codec: str, times: int = 1) -> str:
    """UTF-8 read with another codec."""
    for _ in range(times):
        text = text.encode().decode(codec, "replace")
    return text


HOSTILE: dict[str, bytes] = {
    "100,000 combining marks": ("o" + "\u0308" * 100_000).encode() + filled("wort ")[: MEGABYTE - 200_001],
    "nothing but marks of two classes": filled("\u0316\u0301"),
    "30 marks on every letter": filled("u" + "\u0300\u0324" * 15),
    "one line": filled(PROSE),
    "one word": filled("ö"),
    "nested entities": b"&" + b"amp;" * 249_000 + b"#60;p",
    "entities that appear one by one": b"&" * 300_000 + b"&num;38;" + b"#38;" * 150_000,
    "unfinished entities": filled("&notit&#x"),
    "escaped brackets": filled("&lt;p&gt;"),
    "ampersands": filled("&"),
    "newlines": filled("\n"),
    "blanks and newlines": filled(" \n\t"),
    "odd blanks": filled("a\u00a0\u3000"),
    "NULs": filled("\x00"),
    "NULs in text": filled("Wort und noch ein Wort\x00 "),
    "open terminal escapes": filled("\x1b[0;0;0;0;0"),
    "zero-width characters": filled("a\u200b\u200e\u00ad"),
    "surrogates as bytes": filled(b"\xed\xa0\xbd"),
    "open quotes": filled("„So, »sagte «er ‚und "),
    "full stops": filled("."),
    "titles and ordinals": filled("Dr. St. am 3. "),
    "glued sentences": filled("kam.Dann ging.Er "),
    "short paragraphs": filled("Ja\n\n"),
    "paragraphs that look like captions": filled("Foto: A. B./dpa\n\n"),
    "brackets and names": filled("(Anna Berg/dpa, 2. 3. 2019) [x] "),
    "a header a line": filled("date 2019-04 \n"),
    "addresses": filled("https" + "://a.example/b?c=d&e "),
    "unfinished addresses": filled("x" * 60 + "@" + "y" * 200),
    "blocks in turn of two languages": filled(
        f"{PROSE}\n\nThe ferry stays closed until the council has met again in May. \n\n"
    ),
    "all scripts": filled("Ж中あ한कגΩا"),
    "jamo": filled("\u1112\u1161\u11ab"),
    "Arabic phrases": filled("\ufdfa"),
    "suspected GBK": filled("閲戞銆"),
    "UTF-16 without a mark": filled(PROSE.encode("utf-16-le")),
    "cp1252": filled(PROSE.encode("cp1252")),
    "Shift-JIS": filled("北朝鮮の金正恩委員長が。".encode("cp932")),
    "UTF-8 with stray bytes": filled("schöne Größe über".encode() + b"\x93"),
    "nearly UTF-7": filled(b"+AGE"),
    "nearly HZ": filled(b"~{a"),
    "escape sequences": filled(b"\x1b$B\x1b(B"),
    "bytes of every value": filled(bytes(range(1, 256))),
}  # fmt: skip
MOJIBAKE: dict[str, bytes] = {
    "solid mojibake": filled(misread("äöüß", "latin-1")),
    "prose misread": filled(misread(PROSE, "cp1252")),
    "prose misread twice": filled(misread(PROSE, "latin-1", 2)),
    "Russian misread": filled(misread("Паром не ходит. ", "cp1251")),
    "misread, a line each": filled(misread("Ä „ö“\n", "cp1252")),
    "first halves": filled("Ã"),
    "C1 controls": filled("a\x84 \x93ü"),
}  # fmt: skip


def _row(name: str, inputs: dict[str, bytes], most: float) -> Row:
    seconds = {}
    for case, data in inputs.items():
        spent = cpu(lambda data=data: documents([data]))
        # Near the limit the better of two: what else the machine does is no property of the input.
        is_near = most / 2 < spent < 3 * most
        seconds[case] = min(spent, cpu(lambda data=data: documents([data]))) if is_near else spent
    worst = sorted(seconds, key=lambda case: -seconds[case])
    over = [case for case in worst if seconds[case] > most]
    return Row(
        what=name,
        least=f"≤ {most:.0f} s CPU each",
        found="; ".join(f"{case} {seconds[case]:.2f} s" for case in (over or worst[:2])),
        holds=not over,
        how=f"{len(inputs)} inputs of 1 MB through documents_of; "
        + ("the slowest are shown" if not over else "those over the limit are shown"),
        details={case: round(seconds[case], 4) for case in worst},
    )


def rows(material: Material) -> Iterator[Row]:  # noqa: ARG001 - made here, whatever the material
    """Hostile input, then mojibake."""
    # Loads every source of opinions: what a process pays once is not what an input costs.
    language.preload()
    second_opinion.third(PROSE)
    documents([PROSE.encode() * 20])
    yield _row("hostile input", HOSTILE, MOST_SECONDS)
    yield _row("solid mojibake", MOJIBAKE, MOST_FOR_MOJIBAKE)
