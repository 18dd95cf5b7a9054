"""The line that a crawler puts before a text: ``date 2019-04``, with a day or a time in some sources.

Belongs here: the grammar of that header.  Does not belong here: dates found elsewhere (``metadata``).
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal

from warehouse.vocabulary import Precision

# The month is mandatory: "Date 2019 war …" is a sentence.  The time is glued to the day by "T": behind a blank,
# "10:30 Uhr" is the beginning of the text.
_HEADER = re.compile(
    r"""
    \ufeff?\s*
    date[ \t:]+
    (?P<year>[0-9]{4})-(?P<month>[0-9]{2})
    (?:-(?P<day>[0-9]{2})
       (?:T(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})
          (?::(?P<second>[0-9]{2})(?:[.,][0-9]{1,9})?)?
          (?:Z|[+-][0-9]{2}:?(?:[0-9]{2})?)?
       )?
    )?
    (?=\s|\Z)
    [ \t]*
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What stands before the text; ``body_start`` is 0 unless the header is valid."""

    status: Literal["valid", "invalid", "absent"]
    published_on: date | None
    precision: Precision | None
    body_start: int


_ABSENT = Header(status="absent", published_on=None, precision=None, body_start=0)
_INVALID = Header(status="invalid", published_on=None, precision=None, body_start=0)


def parse(text: str) -> Header:
    """The header at the start of a text; an impossible date is invalid and stays in the text.

    >>> parse(" date 2019-04 Text").published_on
    datetime.date(2019, 4, 1)
    >>> parse("date 2019-02-30 Text").status, parse("Date 2019 war").status
    ('invalid', 'absent')
    """
    found = _HEADER.match(text)
    if found is None:
        return _ABSENT
    day = found["day"]
    try:
        published_on = date(int(found["year"]), int(found["month"]), int(day or 1))
    except ValueError:
        return _INVALID
    if int(found["hour"] or 0) > 24 or int(found["minute"] or 0) > 59 or int(found["second"] or 0) > 60:
        return _INVALID
    return Header(
        status="valid",
        published_on=published_on,
        precision=Precision.DAY if day else Precision.MONTH,
        body_start=found.end(),
    )
