"""When a problem counts as solved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Solved:
    """A problem counts as solved after the first epoch in which a column of the history passes a bar."""

    column: str
    bar: float
    higher: bool
    """Whether values above the bar count, not those below."""
    words: str
    """The rule in words, for the report."""


SOLVED = {
    "adding": Solved("val_loss", 0.01, False, "mean squared error on validation below 0.01"),
    "order": Solved("val_sequences_solved", 0.99, True, "99 % of the validation sequences right"),
    "copy": Solved("val_sequences_solved", 0.99, True, "99 % of the validation sequences right"),
}


def solved_at(history: Sequence[Mapping[str, Any]], task: str, steps: int) -> int | None:
    """Returns the training step after which a problem was solved, or None.

    Args:
        history: A row for each epoch.
        task: Name of the problem.
        steps: Training steps per epoch.
    """
    rule = SOLVED[task]
    for epoch, row in enumerate(history, start=1):
        value = row[rule.column]
        if value >= rule.bar if rule.higher else value < rule.bar:
            return epoch * steps
    return None
