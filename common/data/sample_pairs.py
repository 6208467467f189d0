"""Generated pairs of texts: dates as people write them, and sums. Fixed for ever by their seeds."""

import datetime

import numpy as np

FIRST_DAY, DAYS = datetime.date(1950, 1, 1), 36_524
"""To the end of 2049."""
LARGEST = 999
"""Of the numbers that are added up."""

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


def dates(counts):
    """Returns dates in ten ways of writing and in that of ISO 8601.

    Each split has days of its own: none occurs in two of them, nor twice in one.

    Args:
        counts: Pairs of each split, a list; together at most DAYS.

    Returns:
        A list of pairs (list of sources, list of targets), of each split.
    """
    random = np.random.default_rng(0)
    days = random.permutation(DAYS)[: sum(counts)].tolist()
    ways = random.integers(0, 10, len(days)).tolist()
    found = [FIRST_DAY + datetime.timedelta(day) for day in days]
    sources = [written(day, way) for day, way in zip(found, ways, strict=True)]
    return _parts(sources, [day.isoformat() for day in found], counts)


def written(day, way):
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


def addition(counts):
    """Returns sums of two numbers from 0 to LARGEST, e.g. ("57+804", "861").

    A pair of numbers occurs once, in one order: 804+57 is not in any split where 57+804 is.

    Args:
        counts: Pairs of each split, a list.

    Returns:
        As of `dates`.
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
