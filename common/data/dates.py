"""Dates in tables: how they may be written, their days since 1970, and the parts that come again."""

import datetime
import re
from collections.abc import Collection, Sequence

ORDERS = ("iso", "day.month", "day/month", "month/day")
"""How dates may be written: 2026-11-29, 29.11.2026, 29/11/2026, 11/29/2026."""
_YEAR, _MONTH, _DAY = r"(?P<year>\d{4})", r"(?P<month>\d{1,2})", r"(?P<day>\d{1,2})"
_TIME = r"(?P<time>[ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?"
_DATES = {
    "iso": re.compile(f"{_YEAR}-{_MONTH}-{_DAY}{_TIME}"),
    "day.month": re.compile(rf"{_DAY}\.{_MONTH}\.{_YEAR}{_TIME}"),
    "day/month": re.compile(f"{_DAY}/{_MONTH}/{_YEAR}{_TIME}"),
    "month/day": re.compile(f"{_MONTH}/{_DAY}/{_YEAR}{_TIME}"),
}
EXAMPLES = dict(zip(ORDERS, ("2026-12-31", "31.12.2026", "31/12/2026", "12/31/2026"), strict=True))
"""A date in each of them."""
PARTS = {"month": 365, "weekday": 7, "hour": 1}
"""What a model sees of a date beside its day, and after how many days it begins anew. Of the dates by
which a table is split it does not see the day: all that are asked about lie behind those learnt from."""
_EPOCH = datetime.datetime(1970, 1, 1)


def date_of(day: float) -> str:
    """Returns the date of a day since 1970, e.g. "2026-12-31"."""
    return (_EPOCH + datetime.timedelta(day)).date().isoformat()


def days(cell: str, order: str = "iso") -> float | None:
    """Returns the days since 1970 of a date, with its time as a fraction; None if it is no such date.

    Args:
        cell: A date, with or without a time: "2026-11-29 14:30".
        order: How dates are written, one of ORDERS.
    """
    found = _DATES[order].fullmatch(cell)
    if found is None:
        return None
    parts = found.groupdict()
    iso = f"{parts['year']}-{int(parts['month']):02}-{int(parts['day']):02}{parts['time'] or ''}"
    try:
        moment = datetime.datetime.fromisoformat(iso)
    except ValueError:  # There is no such day.
        return None
    if moment.tzinfo:
        moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    return (moment - _EPOCH) / datetime.timedelta(1)


def part_of(cell: str, part: str) -> str:
    """Returns a part of a date, one of PARTS, e.g. "12" of a day in December; '' for ''.

    Args:
        cell: Days since 1970, as a table has them.
        part: "month" (from 1), "weekday" (0: Monday) or "hour".
    """
    if not cell:
        return ""
    moment = _EPOCH + datetime.timedelta(seconds=round(float(cell) * 86_400))
    return str(moment.weekday() if part == "weekday" else getattr(moment, part))


def parts_among(cells: Sequence[str]) -> list[str]:
    """Returns the PARTS in which dates differ, and of which they hold more than one round.

    Args:
        cells: Days since 1970, '' for a missing value.
    """
    held = set(cells) - {""}
    span = max(map(float, held)) - min(map(float, held)) if held else 0
    return [
        part
        for part, round_ in PARTS.items()
        if span > round_ and len({part_of(cell, part) for cell in held}) > 1
    ]


def orders_of(values: Collection[str]) -> list[str]:
    """Returns those of ORDERS in which all values are dates; several if no value tells."""
    return [each for each in ORDERS if all(days(value, each) is not None for value in values)]
