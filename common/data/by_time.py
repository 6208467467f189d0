"""Splits by time: the latest examples are held out, as those that a model meets in use are later."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.basics.errors import RecipeError
from common.basics.wording import significant
from common.data.csv_table import Table
from common.data.dates import days, orders_of
from common.data.number_form import form_of
from common.data.split import strata, stratified_cut
from common.data.types import Split


def times_of(path: Path, table: Table) -> np.ndarray | None:
    """Returns the time of each row of a CSV file, datetime64 `(n,)` of dates, float64 of numbers.

    None: it has no column of times.

    Raises:
        RecipeError: The column holds neither dates nor numbers, or dates that may be two days.
    """
    if "time" not in table.values:
        return None
    cells = table.values["time"]
    orders, form = orders_of(set(cells)), form_of(set(cells))
    if len(orders) == 1:
        seconds = [round((days(cell, orders[0]) or 0) * 86_400) for cell in cells]
        return np.array(seconds, "datetime64[s]")
    if form is not None:
        return np.array([form.plain(cell) for cell in cells], "float64")
    name = table.names["time"]
    if orders:
        raise RecipeError(
            f"{path}: no date in the column '{name}' tells whether '{cells[0]}' begins with its day or "
            "its month; write dates as 2026-12-31"
        )
    odd = next((cell for cell in cells if not orders_of({cell})), cells[0])
    line = table.lines[cells.index(odd)]
    raise RecipeError(
        f"{path}, line {line}: expected a date or a number in the column '{name}', written in one way, "
        f"got '{odd}'; name another column by --time-column"
    )


def cut(
    split: Split, fraction: float, seed: int, class_names: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Holds out a share of the examples: the latest ones if they have times, else random ones.

    Args:
        split: Examples, perhaps with groups, which stay on one side.
        fraction: Share to hold out, in (0, 1).
        seed: Of the choice, where it is random.
        class_names: Names of the classes, for messages.

    Returns:
        Two sorted index arrays, `(kept, held out)`.

    Raises:
        RecipeError: There are too few examples or groups, or a class is absent before the cut.
    """
    if split.times is None:
        return stratified_cut(strata(split.y), fraction, seed, split.groups)
    kept, held = latest_cut(split.times, fraction, split.groups)
    new = np.setdiff1d(strata(split.y), strata(split.y)[kept])
    if len(new):
        raise RecipeError(
            f"class '{class_names[new[0]]}' has no example before {shown(split.times[held].min())}, "
            "where the examples held out by time begin: nothing earlier teaches it; leave --time-column "
            "out, or drop the class"
        )
    return kept, held


def latest_cut(
    times: np.ndarray, fraction: float, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Holds out the latest examples, as nearly as equal times allow.

    Args:
        times: Time of each example, `(n,)`, of any type that NumPy sorts.
        fraction: Share to hold out, in (0, 1).
        groups: Integers `(n,)`. A group is as late as its latest example. None: there are none.

    Returns:
        Two sorted index arrays, `(kept, held out)`.

    Raises:
        RecipeError: All times are equal.
    """
    if groups is not None:
        order = np.argsort(times, kind="stable")
        _, units = np.unique(groups, return_inverse=True)
        last = np.empty(units.max() + 1, int)
        last[units[order]] = order  # Of several rows of a group, the last one stays.
        times = times[last[units]]
    distinct, counts = np.unique(times, return_counts=True)
    if len(distinct) < 2:
        raise RecipeError(
            "all times are equal, so nothing can be held out by time; leave --time-column out"
        )
    # Examples from each time on, but for the first one: something must be kept.
    later = counts[::-1].cumsum()[::-1][1:]
    begin = distinct[1:][np.abs(later - fraction * len(times)).argmin()]
    return np.flatnonzero(times < begin), np.flatnonzero(times >= begin)


def shown(time: np.datetime64 | np.floating) -> str:
    """Returns a time as text: "2026-12-31", with the time of day unless that is midnight; or a number."""
    if not isinstance(time, np.datetime64):
        return significant(float(time))
    day = time.astype("datetime64[D]")
    return str(day) if day == time else str(time).replace("T", " ")


def test_line(train: Split, test: Split, given: bool) -> list[str]:
    """Returns a line for a person on when the test split begins; none without times.

    Args:
        train: Examples to train and validate on.
        test: The test split.
        given: Whether it was given; otherwise it was cut from the same data.
    """
    if train.times is None or test.times is None:
        return []
    begins, ends = test.times.min(), train.times.max()
    if given and begins <= ends:
        return [
            f"the given test split begins with {shown(begins)}, and the training data ends with "
            f"{shown(ends)}: its scores are not those of later examples"
        ]
    return [f"split by time: the test split begins with {shown(begins)}"]
