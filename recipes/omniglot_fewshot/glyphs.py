"""Made-up alphabets, drawn by program: what `--data sample` reads, without a network."""

from __future__ import annotations

import numpy as np

from .episodes import Characters
from .form import SIZE

ALPHABETS, LETTERS, DRAWINGS = 9, 12, 20
"""Alphabets, characters of each, and drawings of each character."""
POINTS = 24
"""Places of the pen on a stroke."""
PEN = 0.9
"""Radius of the pen, in pixels."""


def glyphs(seed: int = 0) -> Characters:
    """Returns alphabets of curved strokes. Each drawing has a hand that shakes, turns and scales.

    The alphabets differ in how many strokes a character has and in how much these bend.

    Args:
        seed: Of all random numbers.
    """
    # RandomState, not default_rng: NumPy guarantees its stream for ever.
    random = np.random.RandomState(seed)
    images = []
    for alphabet in range(ALPHABETS):
        strokes, bend = 2 + alphabet % 3, (0.15, 0.5, 0.9)[alphabet // 3]
        for _ in range(LETTERS):
            ends = random.uniform(-1, 1, (strokes, 2, 2))
            middle = ends.mean(axis=1) + bend * random.uniform(-1, 1, (strokes, 2))
            images.append(_drawings(np.stack([ends[:, 0], middle, ends[:, 1]], axis=1), random))
    count = ALPHABETS * LETTERS
    return Characters(
        np.concatenate(images),
        np.repeat(np.arange(count), DRAWINGS).astype("int32"),
        np.repeat(np.arange(ALPHABETS), LETTERS),
        tuple(f"made-up {number + 1}" for number in range(ALPHABETS)),
    )


def _drawings(corners, random):
    """Returns drawings of the strokes between `(strokes, 3, 2)` points in -1 to 1."""
    shaken = corners + random.normal(0, 0.08, (DRAWINGS, *corners.shape))
    angles = random.normal(0, 0.15, DRAWINGS)
    turn = np.stack([np.cos(angles), -np.sin(angles), np.sin(angles), np.cos(angles)], axis=-1)
    turn = turn.reshape(-1, 2, 2) * random.uniform(0.85, 1.15, (DRAWINGS, 1, 1))
    shaken = shaken.reshape(DRAWINGS, -1, 2) @ turn + random.normal(0, 0.06, (DRAWINGS, 1, 2))
    start, middle, end = np.moveaxis(shaken.reshape(DRAWINGS, -1, 3, 2), 2, 0)
    time = np.linspace(0, 1, POINTS)[:, None]
    pen = (1 - time) ** 2 * start[:, :, None] + 2 * time * (1 - time) * middle[:, :, None]
    pen = (pen + time**2 * end[:, :, None]).reshape(DRAWINGS, -1, 2)
    pen = (SIZE - 1) / 2 + pen * (SIZE * 0.36)
    line = np.arange(SIZE)
    across = (line - pen[:, :, 1, None]) ** 2
    down = (line - pen[:, :, 0, None]) ** 2
    distance = np.sqrt((down[:, :, :, None] + across[:, :, None, :]).min(axis=1))
    ink = np.clip(PEN + 0.5 - distance, 0, 1)
    return np.round(255 * ink).astype("uint8")[..., None]
