"""When a page was published, with the precision that it says.

Belongs here: the places in a page where its date stands: meta elements, JSON-LD, time elements.  Does not belong
here: spellings of dates (``dates``).
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from tasks.readers.dates import Published, published
from warehouse.vocabulary import Precision

# In the order of trust; a date of change is none of publication.
_META = (
    "article:published_time", "og:article:published_time", "article:published", "og:published_time", "datepublished",
    "publishdate", "publish-date", "publish_date", "pubdate", "publication_date", "parsely-pub-date", "sailthru.date",
    "dc.date.issued", "dcterms.issued", "dcterms.created", "dc.date", "dcterms.date", "citation_publication_date",
    "citation_date", "date", "bt:pubdate", "rnews:datepublished", "originalpublicationdate",
)  # fmt: skip
_MOST_SCRIPT = 500_000
_MOST_LEVELS = 6


def published_of(tree: Any) -> Published | None:
    """The date of publication that a parsed page declares."""
    metas: dict[str, str] = {}
    for element in tree.iter("meta"):
        for attribute in ("property", "name", "itemprop"):
            if name := element.get(attribute):
                metas.setdefault(name.strip().lower(), element.get("content") or "")
    found = (published(metas[name]) for name in _META if name in metas)
    declared = next((date for date in found if date is not None), None)
    return declared or _of_scripts(tree) or _of_times(tree)


def _of_scripts(tree: Any) -> Published | None:
    for element in tree.iter("script"):
        if "ld+json" not in (element.get("type") or "").lower() or len(element.text or "") > _MOST_SCRIPT:
            continue
        try:
            values = json.loads(element.text or "")
        except (ValueError, RecursionError):
            continue
        for value in _named(values, "datePublished", 0):
            if (date := published(value)) is not None:
                return date
    return None


def _named(value: object, name: str, level: int) -> Iterator[object]:
    if level > _MOST_LEVELS:
        return
    if isinstance(value, dict):
        if name in value:
            yield value[name]
        for member in value.values():
            yield from _named(member, name, level + 1)
    elif isinstance(value, list):
        for member in value:
            yield from _named(member, name, level + 1)


def _of_times(tree: Any) -> Published | None:
    times = list(tree.iter("time"))
    marked = [time for time in times if time.get("pubdate") is not None or time.get("itemprop") == "datePublished"]
    inside = [time for article in tree.iter("article") for time in article.iter("time")]
    for element in (*marked, *inside, *(times if len(times) == 1 else ())):
        if (date := published(element.get("datetime") or "".join(element.itertext()))) is not None:
            return date
    return None


def confirmed(guess: str | None, page: str) -> Published | None:
    """A date that somebody else found, if the page says that very day in digits: a guess has no precision."""
    found = published(guess) if guess else None
    if found is None or found.precision is not Precision.DAY:
        return None
    year, month, day = found.on.timetuple()[:3]
    spelled = (
        rf"(?<!\d)(?:{year}(?P<a>[-/.]?)0?{month}(?P=a){day:02d}|{year}(?P<b>[-/.])0?{month}(?P=b){day}"
        rf"|0?{day}\s?[./-]\s?0?{month}\s?[./-]\s?{year})(?!\d)"
        rf"|(?<!\d)0?{day}(?:\.|st|nd|rd|th|er)?\s+[^\W\d_]{{3,12}}\.?,?\s+{year}(?!\d)"
        rf"|[^\W\d_]{{3,12}}\.?\s+0?{day}(?:st|nd|rd|th)?,?\s+{year}(?!\d)"
    )
    return found if re.search(spelled, page) else None
