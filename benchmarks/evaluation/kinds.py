"""Texts of many kinds to compare labels on: from the public sentences and articles, and made by a seeded generator.

Belongs here: making texts.  Does not belong here: comparing labels (``equality``).
"""

import random
from collections.abc import Callable, Iterator

from benchmarks.evaluation.material import Material

SEED = 20191125
# Different texts of each kind, and how often more are drawn to find so many.
COUNTS = {
    "words": 60_000, "pairs": 50_000, "prefixes": 50_000, "pieces of articles": 6_000, "URLs": 6_000,
    "e-mails": 6_000, "digits": 6_000, "emoji": 6_000, "mixed scripts": 9_000, "malformed": 8_000, "empty": 100,
}  # fmt: skip
TRIES = 4
SCRIPTS = (
    (0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x1EA0, 0x1EF9), (0x386, 0x3CE), (0x410, 0x4FF), (0x531, 0x587),
    (0x5D0, 0x5EA), (0x620, 0x6D3), (0x905, 0x939), (0x985, 0x9B9), (0xA05, 0xA39), (0xA85, 0xAB9), (0xB85, 0xBB9),
    (0xC05, 0xC39), (0xC85, 0xCB9), (0xD05, 0xD39), (0xE01, 0xE4E), (0x10D0, 0x10F0), (0x1100, 0x11FF),
    (0x3041, 0x3096), (0x30A1, 0x30FA), (0x3105, 0x312F), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFF21, 0xFF9D),
    (0x1F00, 0x1FFF), (0x300, 0x36F), (0x20000, 0x2A6DF),
)  # fmt: skip
EMOJI = ((0x1F300, 0x1F64F), (0x1F680, 0x1F6FF), (0x1F900, 0x1F9FF), (0x2600, 0x27BF), (0x1F1E6, 0x1F1FF))
BLANKS = (" ", " ", " ", "\n", "\t", "  ", "\u00a0", "\u3000", "\u200b", "")
WORD_OF_ADDRESS = "abcdefghijklmnopqrstuvwxyz0123456789-_.~"


def _run(rng: random.Random, ranges: tuple[tuple[int, int], ...], most: int) -> str:
    low, high = rng.choice(ranges)
    return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, most)))


def _address(rng: random.Random, least: int, most: int) -> str:
    return "".join(rng.choices(WORD_OF_ADDRESS, k=rng.randint(least, most)))


def _url(rng: random.Random, around: str) -> str:
    path = "".join(f"/{_address(rng, 1, 14)}" for _ in range(rng.randint(0, 5)))
    query = f"?{_address(rng, 1, 6)}={_address(rng, 1, 20)}&x;{rng.random()}" if rng.random() < 0.4 else ""
    url = f"{rng.choice(('http', 'https', 'HTTP', 'ftp'))}://{_address(rng, 3, 20)}{path}{query}"
    return rng.choice((url, f"{url} {around}", f"{around}{url}", f"{around[:20]} <{url}> {around[20:]}"))


def _mail(rng: random.Random, around: str) -> str:
    mail = f"{_address(rng, 1, 30)}@{_address(rng, 1, 20)}.{_address(rng, 2, 6)}"
    return rng.choice((mail, f"{around} {mail}", f"{mail}, {mail}", f"({mail}){around}", f"@{around}", f"{around}@"))


def _digits(rng: random.Random, around: str) -> str:
    number = rng.choice(
        (f"{rng.randrange(10**9):,}", f"{rng.random():.7f}", f"{rng.randrange(32)}.{rng.randrange(13)}.")
    )
    return rng.choice(
        (number, f"{number} % {rng.randrange(2100)}", f"{number} {around[:12]}", f"({number}) – {number}")
    )


def _emoji(rng: random.Random, around: str) -> str:
    signs = "".join(_run(rng, EMOJI, 3) + rng.choice(("", "\u200d", "\ufe0f", " ")) for _ in range(rng.randint(1, 6)))
    return rng.choice((signs, f"{around} {signs}", f"{signs}{around[:30]}"))


def _mixed(rng: random.Random, around: str) -> str:
    runs = "".join(_run(rng, SCRIPTS, 12) + rng.choice(BLANKS) for _ in range(rng.randint(1, 9)))
    return rng.choice((runs, runs + around, around[:40] + runs, runs.upper()))


def _malformed(rng: random.Random, around: str) -> str:
    anything = "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randint(1, 30)))
    data = around.encode("utf-8", "surrogatepass")
    cut = data[rng.randrange(4) :].decode("utf-8", "surrogateescape")
    return rng.choice((
        data.decode("latin-1"), data.decode("cp1252", "replace"), cut,
        data.decode("utf-16-le", "replace"), anything, f"{around[:25]}\ud83d{around[25:]}\udc00", around[::-1],
        f"\x00{around}\x00", f"<p>{around}</p>&nbsp;", around.swapcase(), around.replace(" ", ""), " ".join(around),
    ))  # fmt: skip


def _empty(rng: random.Random, _around: str) -> str:
    return "".join(rng.choices(BLANKS, k=rng.randrange(40)))


MADE: dict[str, Callable[[random.Random, str], str]] = {
    "URLs": _url, "e-mails": _mail, "digits": _digits, "emoji": _emoji, "mixed scripts": _mixed,
    "malformed": _malformed, "empty": _empty,
}  # fmt: skip


def _cut(rng: random.Random, kind: str, lines: list[str], articles: list[str]) -> str:
    if kind == "pieces of articles":
        article = rng.choice(articles)
        start = rng.randrange(len(article))
        return article[start : start + rng.randint(20, 1_500)]
    line = rng.choice(lines)
    if kind == "prefixes":
        return line[: rng.randint(5, max(5, min(200, len(line) - 1)))]
    words = line.split()
    at = rng.randrange(len(words))
    return " ".join(words[at : at + (2 if kind == "pairs" else 1)])


def _all(material: Material, share: float) -> Iterator[tuple[str, str]]:
    rng = random.Random(SEED)
    lines = [line for _, line in material.sentences]
    every = max(1, round(1 / share))
    yield from (("sentences", line) for line in lines[::every])
    yield from (("articles", article) for article in material.articles[::every])
    yield "articles", "\n\n".join(material.articles[:12])  # langdetect looks at 10,000 characters
    for kind, count in COUNTS.items():
        for _ in range(TRIES * round(count * share)):
            if kind in MADE:
                yield kind, MADE[kind](rng, rng.choice(lines)[: rng.randint(5, 90)])
            else:
                yield kind, _cut(rng, kind, lines, material.articles)


def texts_of(material: Material, share: float) -> dict[str, str]:
    """Different texts with their kind; the same in every run over the same material."""
    kinds: dict[str, str] = {}
    left = {kind: round(count * share) for kind, count in COUNTS.items()}
    for kind, text in _all(material, share):
        if text in kinds or left.get(kind) == 0:
            continue
        kinds[text] = kind
        if kind in left:
            left[kind] -= 1
    return kinds
