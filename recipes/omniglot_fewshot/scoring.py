"""What answers to tasks are worth, and intervals over tasks and over alphabets. Pure NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

RESAMPLES = 2_000


def right(outputs: np.ndarray) -> np.ndarray:
    """Returns which queries are answered right, bool `(tasks, way, queries)`.

    Args:
        outputs: Probabilities `(tasks, way * queries, way)`, the queries in the order of the characters.
    """
    count, _, way = outputs.shape
    likeliest = outputs.argmax(axis=-1).reshape(count, way, -1)
    return likeliest == np.arange(way)[:, None]


def losses(outputs: np.ndarray) -> np.ndarray:
    """Returns the mean cross-entropy of each task, nats `(tasks,)`; `outputs` as of `right`."""
    count, _, way = outputs.shape
    outputs = outputs.astype("float64").reshape(count, way, -1, way)
    found = np.take_along_axis(outputs, np.arange(way)[None, :, None, None], axis=-1)
    return -np.log(np.clip(found, 1e-12, 1)).reshape(count, -1).mean(axis=1)


def over_alphabets(
    answered: np.ndarray, characters: np.ndarray, alphabets: np.ndarray
) -> list[float] | None:
    """Returns a 95 % interval of the accuracy if other alphabets had been drawn.

    It is a bootstrap of two stages: alphabets are drawn with replacement, then as many characters of
    each. A character counts by the mean over its queries. Few alphabets make it wide and coarse; it says
    more than the interval over tasks, which draws the same characters again and again.

    Args:
        answered: As `right` returns it.
        characters: Character that each row of queries shows, integers `(tasks, way)`.
        alphabets: Its alphabet, integers `(tasks, way)`.

    Returns:
        [low, high]; None if there is one alphabet only.
    """
    shares = answered.mean(axis=-1).ravel()
    known, place = np.unique(characters.ravel(), return_inverse=True)
    accuracy = np.bincount(place, shares) / np.bincount(place)
    home = np.zeros(len(known), int)
    home[place] = alphabets.ravel()
    members = [accuracy[home == alphabet] for alphabet in np.unique(home)]
    if len(members) < 2:
        return None
    random = np.random.default_rng(0)
    means = []
    for _ in range(RESAMPLES):
        drawn = random.integers(0, len(members), len(members))
        values = [random.choice(members[alphabet], len(members[alphabet])) for alphabet in drawn]
        means.append(np.concatenate(values).mean())
    return [float(end) for end in np.quantile(means, (0.025, 0.975))]


def figures(outputs: np.ndarray, characters: np.ndarray, alphabets: np.ndarray) -> dict[str, Any]:
    """Returns "accuracy", "loss", "count", "accuracy_interval" over tasks and "alphabet_interval".

    Args:
        outputs: As of `right`.
        characters, alphabets: As of `over_alphabets`.
    """
    from common.basics.statistics import mean_interval

    answered = right(outputs)
    scores = answered.mean(axis=(1, 2))
    return {
        "count": len(scores),
        "accuracy": float(scores.mean()),
        "accuracy_interval": mean_interval(scores),
        "alphabet_interval": over_alphabets(answered, characters, alphabets),
        "loss": float(losses(outputs).mean()),
    }
