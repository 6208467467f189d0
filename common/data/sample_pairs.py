"""Generated pairs of texts: dates as people write them, and sums. Fixed for ever by their seeds."""

import datetime
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

Pairs: TypeAlias = tuple[list[str], list[str]]
"""The sources and the targets of a split, equally many."""

FIRST_DAY, DAYS = datetime.date(1950, 1, 1), 36_524
"""The first date, and how many days follow one another from there, to the end of 2049."""
LARGEST = 999
"""The largest number that is added."""

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def dates(counts: Sequence[int]) -> list[Pairs]:
    """Returns dates, written in one of ten ways as sources, and as in ISO 8601 as targets.

    No day occurs twice, neither in one split nor in two.

    Args:
        counts: Pairs of each split; together at most DAYS.

    Returns:
        The pairs of each split.
    """
    random = np.random.default_rng(0)
    days = random.permutation(DAYS)[: sum(counts)].tolist()
    ways = random.integers(0, 10, len(days)).tolist()
    found = [FIRST_DAY + datetime.timedelta(day) for day in days]
    sources = [written(day, way) for day, way in zip(found, ways, strict=True)]
    return _parts(sources, [day.isoformat() for day in found], counts)


def written(day: datetime.date, way: int) -> str:
    """Returns a date as text in one of ten ways, 0 to 9."""
    month, weekday = MONTHS[day.month - 1], WEEKDAYS[day.weekday()]
    ends = {1: "st", 2: "nd", 3: "rd"}
    end = "th" if day.day in (11, 12, 13) else ends.get(day.day % 10, "th")
    century = "20th" if day.year < 2000 else "21st"
    return [
        f"{day.day} {month} {day.year}",
        f"{month} {day.day}, {day.year}",
        f"{weekday}, {day.day} {month} {day.year}",
        f"{day.day}{end} of {month}, {day.year}",
        f"{month[:3]} {day.day} {day.year}",
        f"{day.day:02d}/{day.month:02d}/{day.year}",
        f"{day.month}/{day.day}/{day.year} (US)",
        f"{day.year}.{day.month:02d}.{day.day:02d}",
        f"{weekday[:3]} {month[:3]} {day.day}{end} '{day.year % 100:02d} ({century} c.)",
        f"the {day.day}{end} day of {month.lower()} in {day.year}",
    ][way]


def addition(counts: Sequence[int]) -> list[Pairs]:
    """Returns sums of two numbers from 0 to LARGEST, e.g. "57+804" as source and "861" as target.

    Two numbers occur together once, in one order: if 57+804 is in a split, 804+57 is in none.

    Args:
        counts: Pairs of each split; together at most 500,500, the pairs that there are.

    Returns:
        The pairs of each split.
    """
    random = np.random.default_rng(0)
    low, high = np.triu_indices(LARGEST + 1)
    chosen = random.permutation(len(low))[: sum(counts)]
    pairs = np.stack([low[chosen], high[chosen]], axis=1)
    swapped = random.random(len(pairs)) < 0.5
    pairs[swapped] = pairs[swapped, ::-1]
    rows = pairs.tolist()
    return _parts([f"{a}+{b}" for a, b in rows], [str(a + b) for a, b in rows], counts)


def _parts(sources, targets, counts):
    ends = np.cumsum(counts).tolist()
    starts = [0, *ends[:-1]]
    return [
        (sources[start:end], targets[start:end]) for start, end in zip(starts, ends, strict=True)
    ]
