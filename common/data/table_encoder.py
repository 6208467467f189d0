"""Turns rows of a table into numbers for a network; what it needs for that is learnt from train only."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.basics.errors import RecipeError, UsageError
from common.basics.files import read_json, write_json_atomic
from common.data.columns import Column, check_name, common_values
from common.data.dates import part_of, parts_among

UNKNOWN = 0
"""Id of every category that is rare or absent in the training data."""
KNOTS = 256
"""Largest number of points that describe the distribution of a column of numbers."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """What stands where in an encoded row: numbers, then marks of missing numbers, then ids."""

    numbers: int
    """Columns of numbers."""
    missing: int
    """Columns of numbers that lack values in the training data: for each a mark, 0 or 1."""
    categories: tuple[int, ...]
    """Number of ids of each column of categories; id 0 is unknown."""

    @property
    def width(self) -> int:
        """Length of an encoded row."""
        return self.numbers + self.missing + len(self.categories)


class TableEncoder:
    """Turns rows of strings into float32 rows, laid out as `layout` says.

    Args:
        columns: Names of all columns of a raw row, in their order.
        numbers: For each column of numbers that is used: "name", "median" (which stands for a missing
            value), "mean" and "scale" (the standard deviation), "missing" (whether a mark is added), and
            "values" with "ranks", from 0 to 1, between which ranks are interpolated.
        categories: For each column of categories that is used: "name" and "values", in the order of
            their ids, from id 1. A missing value is the value "". With "part" they are those of a part of
            the dates of a column: `common.data.columns.part_of`.
        ranks: Whether numbers become their ranks in the training data, 0 to 1; else standardised.
    """

    def __init__(
        self,
        columns: Sequence[str],
        numbers: Sequence[dict[str, Any]],
        categories: Sequence[dict[str, Any]],
        ranks: bool,
    ) -> None:
        self.columns, self.numbers, self.categories = list(columns), list(numbers), list(categories)
        self.ranks = ranks
        self._ids = [
            {value: index for index, value in enumerate(each["values"], UNKNOWN + 1)}
            for each in self.categories
        ]

    @classmethod
    def fit(
        cls,
        x: np.ndarray,
        columns: Sequence[Column],
        *,
        bins: int = 0,
        rare: int = 10,
        drop: Collection[str] = (),
    ) -> TableEncoder:
        """Returns an encoder of the training rows.

        Args:
            x: Object array of str `(n, columns)`, '' for a missing value.
            columns: The columns.
            bins: Numbers become ranks, and no value takes more than one of so many bins of them; 0:
                numbers are standardised.
            rare: A category in fewer rows than this is unknown.
            drop: Names of columns that the model must not see.

        Raises:
            UsageError: `drop` names a column that is not there, or leaves none.
        """
        for name in drop:
            check_name(name, columns)
        numbers, categories = [], []
        for place, column in enumerate(columns):
            if column.name in drop or not column.used:
                continue
            cells = x[:, place].tolist()
            if column.type == "number":
                numbers.append({"name": column.name, **_distribution(_values(cells), bins)})
            elif column.type == "category":
                categories.append({"name": column.name, "values": common_values(cells, rare)})
            for part in parts_among(cells) if column.date else ():
                values = common_values([part_of(cell, part) for cell in cells], rare)
                categories.append({"name": column.name, "part": part, "values": values})
        if not numbers and not categories:
            raise UsageError(
                f"no column is left to learn from; there are: {', '.join(c.name for c in columns)}"
            )
        return cls([column.name for column in columns], numbers, categories, bins > 0)

    @property
    def layout(self) -> Layout:
        """What stands where in an encoded row."""
        return Layout(
            len(self.numbers),
            sum(each["missing"] for each in self.numbers),
            tuple(len(each["values"]) + 1 for each in self.categories),
        )

    @property
    def used(self) -> list[str]:
        """Names of the columns that the model sees."""
        return [*dict.fromkeys(each["name"] for each in (*self.numbers, *self.categories))]

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Returns float32 `(n, layout.width)` of rows.

        Args:
            x: Object array of str `(n, columns)`, '' for a missing value. Cells of columns that the model
                does not see may be None.

        Raises:
            RecipeError: A cell that the model needs is None.
        """
        x = np.asarray(x, object)
        place = {name: index for index, name in enumerate(self.columns)}
        for name in self.used:
            if any(cell is None for cell in x[:, place[name]]):
                raise RecipeError(
                    f"the model needs the column '{name}', which the table does not have (it reads: "
                    f"{', '.join(self.used)})"
                )
        numbers, marks, ids = [], [], []
        for each in self.numbers:
            values = _values(x[:, place[each["name"]]].tolist())
            absent = np.isnan(values)
            if each["missing"]:
                marks.append(absent)
            values = np.where(absent, each["median"], values)
            if self.ranks:
                numbers.append(np.interp(values, each["values"], each["ranks"]))
            else:
                numbers.append((values - each["mean"]) / each["scale"])
        for each, known in zip(self.categories, self._ids, strict=True):
            cells = x[:, place[each["name"]]].tolist()
            if "part" in each:
                cells = [part_of(cell, each["part"]) for cell in cells]
            ids.append([known.get(cell, UNKNOWN) for cell in cells])
        return np.array([*numbers, *marks, *ids], "float32").reshape(-1, len(x)).T.copy()

    def save(self, path: Path) -> None:
        """Writes the encoder as JSON, usually `columns.json`."""
        held = {"columns": self.columns, "numbers": self.numbers, "categories": self.categories}
        write_json_atomic(path, {**held, "ranks": self.ranks})

    @classmethod
    def load(cls, path: Path) -> TableEncoder:
        """Reads an encoder that `save` wrote.

        Raises:
            RecipeError: The file is absent or describes no columns.
        """
        held = read_json(path, "description of columns")
        try:
            encoder = cls(held["columns"], held["numbers"], held["categories"], held["ranks"])
            encoder.encode(np.full((1, len(encoder.columns)), "", object))
            return encoder
        except (KeyError, TypeError, ValueError) as error:
            raise RecipeError(f"{path} does not describe columns: {error!r}") from error


def one_hot(x: np.ndarray, layout: Layout) -> np.ndarray:
    """Returns encoded rows with a column 0 or 1 for each category, float32, for a linear model.

    Args:
        x: Encoded rows, float32 `(n, layout.width)`.
        layout: What stands where in a row.
    """
    first = layout.numbers + layout.missing
    parts = [x[:, :first]]
    for place, size in enumerate(layout.categories):
        parts.append(np.eye(size, dtype="float32")[x[:, first + place].astype(int)])
    return np.concatenate(parts, axis=1)


def _values(cells):
    """Returns float64 `(n,)`, NaN for ''."""
    return np.array([float(cell) if cell else np.nan for cell in cells], "float64")


def _distribution(values, bins):
    """Returns what an encoder needs to know of a column of numbers, a dict for JSON."""
    held = values[~np.isnan(values)]
    if not len(held):  # The subset trained on may lack what the file has.
        held = np.zeros(1)
    distinct, counts = np.unique(held, return_counts=True)
    # Where most values are 0, as sums of money often are, the others would share a few bins.
    counts = np.minimum(counts, max(len(held) / bins, 1)) if bins else counts
    # The rank of equal values is the middle of theirs.
    ranks = (np.cumsum(counts) - counts / 2) / counts.sum()
    if len(distinct) > KNOTS:
        # As many points in each stretch of ranks, not of values.
        spread = np.searchsorted(ranks, np.linspace(0, 1, KNOTS)).clip(0, len(distinct) - 1)
        chosen = np.unique([0, *spread, len(distinct) - 1])
        distinct, ranks = distinct[chosen], ranks[chosen]
    return {
        "median": float(np.median(held)),
        "mean": float(held.mean()),
        "scale": float(held.std()) or 1.0,
        "missing": bool(np.isnan(values).any()),
        "values": distinct.tolist(),
        "ranks": ranks.round(6).tolist(),
    }
