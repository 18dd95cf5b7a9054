"""Dates as formats give them, with the precision that they give.

Belongs here: spellings of dates in fields, front matter and pages.  Does not belong here: the header of a plain text
and dates in file names (``tasks.text``).

No day and no month is invented: what is not there is not part of the precision, and a spelling that could mean two
days (04/05/2019) means none.
"""

import re
import unicodedata
from datetime import date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from warehouse.vocabulary import Precision

_YEARS = range(1000, 2200)
_EPOCH = date(1970, 1, 1)
# A number of seconds below the first is a year or a number of something else; above the second it is milliseconds.
_SECONDS = (100_000_000, 100_000_000_000)

_ISO = re.compile(
    r"(?P<year>\d{4})(?:(?P<mark>[-/.])(?P<month>\d{1,2})(?:(?P=mark)(?P<day>\d{1,2}))?)?(?:[T\s].*)?", re.DOTALL
)
_COMPACT = re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?:T?\d{4,6})?(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?")
_DAY_FIRST = re.compile(r"(?P<a>\d{1,2})(?P<mark>[./-])(?P<b>\d{1,2})(?P=mark)(?P<year>\d{4})(?:[,T\s].*)?", re.DOTALL)
_MONTH_YEAR = re.compile(r"(?P<month>\d{1,2})[./](?P<year>\d{4})")
# In English, German, French, Spanish, Italian, Portuguese and Dutch, without accents: no name has two meanings.
_MONTHS = {
    name: number
    for number, names in enumerate(
        ("january jan janv ene januar janner janvier enero gennaio janeiro januari",
         "february feb fevr februar feber fevrier febrero febbraio fevereiro februari",
         "march mar mrt marz mars marzo marco maart", "april apr avr abr avril abril aprile",
         "may mai mayo maggio maio mei",
         "june jun juni juin junio giugno junho", "july jul juil juli juillet julio luglio julho",
         "august aug ago aout agosto augustus", "september sep sept septembre septiembre settembre setembro",
         "october oct okt oktober octobre octubre ottobre outubro", "november nov novembre noviembre novembro",
         "december dec dez dic dezember decembre diciembre dicembre dezembro"), start=1
    )
    for name in names.split()
}  # fmt: skip
_CJK = re.compile(
    r"(?P<year>\d{4})\s?[年년](?:\s?(?P<month>\d{1,2})\s?[月월](?:\s?(?P<day>\d{1,2})\s?[日일])?)?(?:\s.*)?", re.DOTALL
)
_NAMED = re.compile(
    r"(?:[a-z]+,\s+|[a-z]+\s+(?=\d))?(?:(?P<day>\d{1,2})(?:st|nd|rd|th|er|\.)?\s+(?:de\s+)?(?P<month>[a-z]+)\.?|(?P<first>[a-z]+)\.?\s+"
    r"(?P<after>\d{1,2})(?:st|nd|rd|th)?|(?P<alone>[a-z]+)\.?),?\s+(?:de\s+)?(?P<year>\d{4})(?:[,\s].*)?",
    re.IGNORECASE | re.DOTALL,
)


class Published(NamedTuple):
    """A date with how much of it was given."""

    on: date
    precision: Precision


def published(value: object) -> Published | None:
    """The date that a field says, as printed: a time zone moves no day.  None where it says none for certain.

    >>> published("2019-04-25T23:30:00-05:00")
    Published(on=datetime.date(2019, 4, 25), precision=<Precision.DAY: 'day'>)
    >>> published("2019-04").on, published("2019").precision, published("25.4.2019").on
    (datetime.date(2019, 4, 1), <Precision.YEAR: 'year'>, datetime.date(2019, 4, 25))
    >>> published("25 avril 2019").on, published("5. März 2019").on, published("3 de mayo de 2019").on
    (datetime.date(2019, 4, 25), datetime.date(2019, 3, 5), datetime.date(2019, 5, 3))
    >>> published("2019年4月25日").on, published("agosto 2019").precision
    (datetime.date(2019, 4, 25), <Precision.MONTH: 'month'>)
    >>> published("04/05/2019"), published("2019-02-30"), published("soon")
    (None, None, None)
    """
    if isinstance(value, datetime):
        return _made(value.year, value.month, value.day)
    if isinstance(value, date):
        return _made(value.year, value.month, value.day)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if not isinstance(value, str):
        return _number(value)
    text = value.strip()[:100]
    if found := _CJK.fullmatch(text):
        return _made(int(found["year"]), *(int(found[part]) for part in ("month", "day") if found[part]))
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    if not text.isascii() or not any(c.isdigit() for c in text):
        return None
    return _written(text)


def _number(value: float) -> Published | None:
    if isinstance(value, int) and value in _YEARS:
        return _made(value)
    if isinstance(value, int) and 10_000_000 < value < _SECONDS[0]:
        return _made(value // 10_000, value // 100 % 100, value % 100)
    if not _SECONDS[0] <= value < 1000 * _SECONDS[1]:
        return None
    seconds = value if value < _SECONDS[1] else value / 1000
    day = _EPOCH + timedelta(days=int(seconds // 86400))
    return _made(day.year, day.month, day.day)


def _written(text: str) -> Published | None:
    if text.isdigit() and len(text) not in (4, 8, 12, 14):
        return _number(int(text))
    if found := _COMPACT.fullmatch(text):
        return _made(int(found["year"]), int(found["month"]), int(found["day"]))
    if found := _ISO.fullmatch(text):
        return _made(int(found["year"]), *(int(found[part]) for part in ("month", "day") if found[part]))
    if found := _MONTH_YEAR.fullmatch(text):
        return _made(int(found["year"]), int(found["month"]))
    if found := _DAY_FIRST.fullmatch(text):
        return _ambiguous(int(found["a"]), int(found["b"]), int(found["year"]), is_dotted=found["mark"] == ".")
    if found := _NAMED.fullmatch(text):
        name = (found["month"] or found["first"] or found["alone"]).lower()
        day = found["day"] or found["after"]
        if name in _MONTHS:
            return _made(int(found["year"]), _MONTHS[name], *([int(day)] if day else []))
    return _mailed(text)


def _mailed(text: str) -> Published | None:
    # The date of a mail: "Thu, 25 Apr 2019 08:52:00 +0200".
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return _made(moment.year, moment.month, moment.day)


def _ambiguous(a: int, b: int, year: int, *, is_dotted: bool) -> Published | None:
    # Dots put the day first wherever they are used; slashes and hyphens do either.
    if is_dotted or a > 12:
        return _made(year, b, a)
    return _made(year, a, b) if b > 12 or a == b else None


def _made(year: int, month: int | None = None, day: int | None = None) -> Published | None:
    if year not in _YEARS:
        return None
    try:
        on = date(year, 1 if month is None else month, 1 if day is None else day)
    except ValueError:
        return None
    return Published(on, Precision.YEAR if month is None else Precision.MONTH if day is None else Precision.DAY)
