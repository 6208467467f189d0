"""Accuracy on parts of the test images: the dark and the bright, the flat and the detailed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from common.basics.statistics import wilson_interval
from common.basics.wording import DASH, percent
from common.tasks.task import Section

EXAMPLES = 10_000
"""Test images that are looked at, so that large photographs take seconds too."""
FEWEST = 30
"""Test images below which thirds say nothing."""
THIRDS = ("lowest third", "middle third", "highest third")


def properties(images: np.ndarray) -> dict[str, np.ndarray]:
    """Returns properties of images, each float64 `(n,)`.

    Args:
        images: uint8 `(n, height, width, channels)`.

    Returns:
        "brightness", the mean, and "contrast", the standard deviation, of all values; "detail", the mean
        absolute difference of neighbours side by side and one above the other. All in levels of 255.
    """
    found: dict[str, list[float]] = {"brightness": [], "contrast": [], "detail": []}
    # One at a time: a memory map of photographs need not fit into memory.
    for image in images:
        image = np.asarray(image, "float32")
        found["brightness"].append(image.mean())
        found["contrast"].append(image.std())
        steps = [np.abs(np.diff(image, axis=axis)).ravel() for axis in (0, 1)]
        together = np.concatenate(steps)
        found["detail"].append(together.mean() if together.size else 0.0)
    return {name: np.array(values, "float64") for name, values in found.items()}


def thirds(values: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """Returns how many answers are right in each third of the examples, by rising value.

    Args:
        values: Property of each example `(n,)`.
        right: Which answers are right, bool `(n,)`.

    Returns:
        Three dicts with "count", "accuracy", "interval" (Wilson's, 95 %), "low" and "high" (the range of
        values). Equal values may be in two thirds, in the order of the examples.
    """
    parts = np.array_split(np.argsort(values, kind="stable"), 3)
    return [
        {
            "count": len(part),
            "accuracy": float(right[part].mean()),
            "interval": wilson_interval(int(right[part].sum()), len(part)),
            "low": float(values[part[0]]),
            "high": float(values[part[-1]]),
        }
        for part in parts
    ]


def sections(outputs: Mapping[str, np.ndarray], images: np.ndarray) -> list[Section]:
    """Returns the section of a report in a list; an empty one if images are too few, or all alike.

    Args:
        outputs: Content of predictions.npz.
        images: The test images, uint8 `(n, height, width, channels)`.
    """
    from common.report.rendering import render

    right = outputs["test_probabilities"].argmax(axis=1) == outputs["test_labels"]
    if len(right) < FEWEST:
        return []
    right = right[:EXAMPLES]
    overall = float(right.mean())
    groups: list[dict[str, Any]] = []
    weakest: tuple[float, str] | None = None
    for name, values in properties(images[:EXAMPLES]).items():
        if np.ptp(values) == 0:
            continue
        rows = thirds(values, right)
        for third, row in zip(THIRDS, rows, strict=True):
            row["name"] = third
            if row["interval"][1] < overall and (weakest is None or row["accuracy"] < weakest[0]):
                weakest = row["accuracy"], f"the {third} of {name}, {percent(row['accuracy'])}"
        groups.append({"name": name, "rows": [_cells(row) for row in rows]})
    if not groups:
        return []
    page: dict[str, Any] = {
        "groups": groups,
        "overall": percent(overall),
        "weakest": weakest and weakest[1],
        "first": EXAMPLES if len(images) > EXAMPLES else None,
        "figures": {},
    }
    html = render("image_slices.html", page, package="common.tasks")
    return [Section("slices", "Dark and bright, flat and detailed images", html, "Slices")]


def _cells(row):
    low, high = (f"{100 * end:.1f}" for end in row["interval"])
    return {
        "name": row["name"],
        "range": f"{row['low']:.0f}{DASH}{row['high']:.0f}",
        "count": f"{row['count']:,}",
        "accuracy": percent(row["accuracy"]),
        "interval": f"{low}{DASH}{high}",
    }
