"""What a text and its file name say about themselves: dates, authors, identifiers, datelines, credits.

Belongs here: facts that stand there in so many words.  Does not belong here: guesses; a plain text has no title.
"""

import re
from dataclasses import dataclass
from datetime import date

from tasks.text.header import Header
from tasks.text.rules import Rules, compile_pattern, load
from warehouse.vocabulary import Precision, PublishedSource

_EXTERNAL_ID = re.compile(r"(?:\A|(?<=[_-]))(?P<id>[0-9a-f]{16,64})(?=\.|\Z)")
_SEQUENCE = re.compile(r"\A(?P<number>[0-9]{1,7})_")
_FILENAME_DATE = re.compile(
    r"(?<![0-9A-Za-z])(?P<year>(?:19|20)[0-9]{2})(?P<mark>[-_.]?)(?P<month>[0-9]{2})(?P=mark)(?P<day>[0-9]{2})"
    r"(?![0-9A-Za-z])|(?<![0-9A-Za-z])(?P<tyear>20[0-9]{2})(?P<tmonth>[0-9]{2})(?P<tday>[0-9]{2})(?=T[0-9]{4})"
)

# How far from either end datelines, bylines and credits are looked for.
_HEAD = 300
_TAIL = 200
_BYLINE = 1500

_PLACE = r"\p{Lu}[\p{L}'’.-]*(?:[ /,]+(?:\p{L}{1,3}[ ])?\p{Lu}[\p{L}'’-]*){0,4}"
_DATELINE = compile_pattern(
    rf"\A(?P<place>{_PLACE}),?(?:\s?\((?P<agency>[\p{{L}}\d /,.+&-]{{2,40}})\)\s?(?:\.?[-–—]{{1,2}}|:)\s"
    rf"|\.[-–—]{{1,2}}\s|\s[–—-]{{1,2}}\s(?=[\p{{Lu}}„“«\"\u0022]))"
)
_CREDIT = compile_pattern(
    r"[(\[](?P<names>[^()\[\]\n]{2,60}?)(?:,\s(?P<day>\d{1,2})\.\s?(?P<month>\d{1,2})\.\s?(?P<year>(?:19|20)\d{2}))?"
    r"[)\]]\.?\Z"
)
_BETWEEN_NAMES = compile_pattern(r",\s|\s(?:und|and|et|y|e)\s(?=\p{Lu})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What is known about a document beside its text; ``source_metadata`` holds JSON values under sorted keys."""

    title: str | None
    authors: tuple[str, ...]
    external_id: str | None
    published_on: date | None
    published_precision: Precision | None
    published_source: PublishedSource
    source_metadata: dict[str, object]


def extract(text: str, header: Header, name: str, language: str) -> Metadata:
    """The metadata of a repaired text, its header and the last component of its path.

    >>> from tasks.text.header import parse
    >>> found = extract("Berlin (dpa) - Es regnet.", parse(""), "000_ad13c6fc177309bb.txt", "de")
    >>> found.external_id, found.source_metadata
    ('ad13c6fc177309bb', {'dateline': {'agency': 'dpa', 'place': 'Berlin'}, 'sequence': 0})
    """
    rules = load(language)
    notes: dict[str, object] = {}
    if header.status == "invalid":
        notes["header_status"] = "invalid"
    published_on, precision, source = header.published_on, header.precision, PublishedSource.HEADER
    if published_on is None:
        published_on = _date_of_name(name)
        precision = None if published_on is None else Precision.DAY
        source = PublishedSource.NONE if published_on is None else PublishedSource.FILENAME
    if (sequence := _SEQUENCE.match(name)) is not None:
        notes["sequence"] = int(sequence["number"])
    if (dateline := _dateline(text)) is not None:
        notes["dateline"] = dateline
    notes.update(_credit(text, rules))
    external_id = _EXTERNAL_ID.search(name)
    return Metadata(
        title=None,
        authors=_authors(text, rules),
        external_id=None if external_id is None else external_id["id"],
        published_on=published_on,
        published_precision=precision,
        published_source=source,
        source_metadata=dict(sorted(notes.items())),
    )


def _date_of_name(name: str) -> date | None:
    """The one whole date in a file name; two different ones are none.

    >>> _date_of_name("kim-2019-04-25.txt"), _date_of_name("20191325.txt")
    (datetime.date(2019, 4, 25), None)
    """
    found: set[date] = set()
    for match in _FILENAME_DATE.finditer(name):
        year, month, day = (match["year"], match["month"], match["day"]) if match["year"] else match.group(5, 6, 7)
        try:
            found.add(date(int(year), int(month), int(day)))
        except ValueError:
            continue
    return found.pop() if len(found) == 1 else None


def _dateline(text: str) -> dict[str, str] | None:
    found = _DATELINE.match(text[:_HEAD])
    if found is None:
        return None
    parts = {"place": found["place"].rstrip(" ,.")}
    if found["agency"] is not None:
        parts["agency"] = found["agency"]
    return dict(sorted(parts.items()))


def _credit(text: str, rules: Rules) -> dict[str, object]:
    """The agencies that sign a text at its end, with the day if they give it."""
    found = _CREDIT.search(text[-_TAIL:]) if text[-2:].rstrip(".")[-1:] in {")", "]"} else None
    if found is None or rules.agency is None:
        return {}
    names = [part.strip() for part in re.split(r"[/,]| und | and ", found["names"]) if part.strip()]
    agencies = [part for part in names if rules.agency.fullmatch(part) or rules.agency.match(part.split(" ")[0])]
    if not agencies:
        return {}
    notes: dict[str, object] = {"agencies": agencies}
    if found["year"] is not None:
        try:
            day = date(int(found["year"]), int(found["month"]), int(found["day"]))
        except ValueError:
            return notes
        notes["credited_on"] = day.isoformat()
    return notes


def _authors(text: str, rules: Rules) -> tuple[str, ...]:
    if rules.byline is None:
        return ()
    # Behind a title and a teaser, or at the very end.
    lines = [*text[:_BYLINE].split("\n")[:8], *text[-_TAIL:].split("\n")[-1:]]
    for line in lines:
        if len(line) <= _HEAD and (found := rules.byline.match(line)) is not None:
            return tuple(dict.fromkeys(_BETWEEN_NAMES.split(found["names"])))
    return ()
