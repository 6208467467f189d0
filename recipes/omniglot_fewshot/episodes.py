"""Characters, and the tasks that are drawn from them. Pure NumPy.

A task is a question: here are `shot` drawings of each of `way` characters, whose are these others?
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from .form import QUERIES


@dataclasses.dataclass(frozen=True, eq=False)
class Characters:
    """Drawings of characters.

    Args:
        images: uint8 `(n, 28, 28, 1)`, bright strokes on black.
        labels: Character of each drawing, int32 `(n,)`, 0 to k - 1.
        alphabets: Alphabet of each character, integers `(k,)`.
        names: Names of the alphabets.
    """

    images: np.ndarray
    labels: np.ndarray
    alphabets: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.alphabets)

    @property
    def rows(self) -> list[np.ndarray]:
        """The rows of the drawings of each character."""
        return [np.flatnonzero(self.labels == label) for label in range(len(self))]

    @property
    def fewest(self) -> int:
        """Drawings of the character that has the fewest."""
        return int(np.bincount(self.labels, minlength=len(self)).min())

    def keep(self, wanted: np.ndarray) -> Characters:
        """Returns some characters, numbered anew.

        Args:
            wanted: Which, bool `(k,)`.
        """
        numbers = np.cumsum(wanted) - 1
        drawings = wanted[self.labels]
        return Characters(
            self.images[drawings],
            numbers[self.labels[drawings]].astype("int32"),
            self.alphabets[wanted],
            self.names,
        )


def prepared(images: np.ndarray) -> np.ndarray:
    """Returns images with bright strokes on black: those on a bright ground are inverted.

    Args:
        images: uint8 `(n, height, width, 1)`.
    """
    bright = np.median(images, axis=(1, 2, 3), keepdims=True) > 127
    return np.where(bright, 255 - images, images).astype("uint8")


def turned(characters: Characters) -> Characters:
    """Returns four times as many characters: each one turned by 0, 90, 180 and 270 degrees."""
    count = len(characters)
    return Characters(
        np.concatenate([np.rot90(characters.images, turn, (1, 2)) for turn in range(4)]),
        np.concatenate([characters.labels + turn * count for turn in range(4)]).astype("int32"),
        np.tile(characters.alphabets, 4),
        characters.names,
    )


def draw(
    rows: list[np.ndarray], way: int, drawings: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a task: characters, and drawings of each, none of them twice.

    Args:
        rows: Rows of the drawings of each character, each at least `drawings` long.
        way: Characters to draw, at most as many as there are.
        drawings: Drawings of each; the first ones of a row are its support.
        random: Source of randomness.

    Returns:
        The characters, int32 `(way,)`, and rows of drawings, int32 `(way, drawings)`.
    """
    chosen = random.choice(len(rows), way, replace=False)
    places = [random.permutation(rows[character])[:drawings] for character in chosen]
    return chosen.astype("int32"), np.stack(places).astype("int32")


def labels_of(count: int, way: int, drawings: int) -> np.ndarray:
    """Returns the right answers of tasks, int32 `(count, way * drawings)`: 0, 0, ..., 1, 1, ..."""
    row = np.repeat(np.arange(way, dtype="int32"), drawings)
    return np.tile(row, (count, 1))


@dataclasses.dataclass(frozen=True, eq=False)
class Tasks:
    """Tasks as an array of images `(m, way, shot + queries, 28, 28, 1)` that is made when it is read.

    Args:
        characters: What they are drawn from.
        chosen: Characters of each task, int32 `(m, way)`.
        places: Rows of its drawings, int32 `(m, way, shot + queries)`.
        shot: Drawings of each character that are its support; they come first.
        steps, rate: How a network that adapts its weights does so.
    """

    characters: Characters
    chosen: np.ndarray
    places: np.ndarray
    shot: int
    steps: int = 0
    rate: float = 0.0

    def __len__(self) -> int:
        return len(self.places)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return (*self.places.shape, *self.characters.images.shape[1:])

    @property
    def labels(self) -> np.ndarray:
        """The right answers, int32 `(m, way * queries)`."""
        count, way, drawings = self.places.shape
        return labels_of(count, way, drawings - self.shot)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.characters.images[self.places[rows]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def tasks_of(
    characters: Characters, count: int, way: int, shot: int, seed: int, **adaptation: Any
) -> Tasks:
    """Draws tasks that are always the same for a seed.

    Args:
        characters: What to draw from.
        count: Tasks.
        way, shot: As of Tasks. Queries are 15 of each character, or as many as all have.
        seed: A number for each split.
        **adaptation: `steps` and `rate` of Tasks.
    """
    # A training batch has a seed of three numbers, so one of five is never the same.
    random = np.random.default_rng([seed, way, shot, 0, 2015])
    drawings = shot + min(QUERIES, characters.fewest - shot)
    rows = characters.rows
    drawn = [draw(rows, way, drawings, random) for _ in range(count)]
    chosen, places = (np.stack(part) for part in zip(*drawn, strict=True))
    return Tasks(characters, chosen, places, shot, **adaptation)
