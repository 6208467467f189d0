"""Attacks on a trained classifier of images, by gradients (FGSM, PGD) and without.

Images are float32 in [0, 1], 0 black and 1 white; epsilon is in that unit, in
the maximum or the L2 norm. An attack returns which of its
images are still answered rightly: all that it tried counts, not only where it ended.
"""

from collections.abc import Callable, Iterable, Iterator

import keras
import numpy as np
from keras import ops

from common.basics.compiled import compiled
from common.training.adversarial import WHITE, Norm, climb, cross_entropy, margin
from common.training.logits import logit_model

CHUNK, LEAST = 256, 32
"""Most and fewest images attacked at a time: LEAST doubled, so that JAX compiles for few sizes."""
FIRST_SQUARE = 0.8
"""Share of the image that the first squares cover (Andriushchenko et al. 2020)."""
HALVED_AT = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Of 10,000 queries, those after which squares cover half as much."""

Progress = Callable[[range, str], Iterable[int]]
"""Yields the numbers of a range, and shows how far it is."""


def unit(images: np.ndarray) -> np.ndarray:
    """Returns uint8 images as float32 in [0, 1]."""
    return images.astype("float32") / np.float32(WHITE)


class Target:
    """A classifier of uint8 images under attack.

    Args:
        model: As for `logit_model`.
        norm: In which epsilon and the size of a step are measured.
    """

    def __init__(self, model: keras.Model, norm: Norm = "linf") -> None:
        self.norm = norm
        network = logit_model(model)
        shape, self.classes = network.input_shape[1:], network.output_shape[-1]

        def logits(images):
            # Compiled programs know the number of axes only.
            return network(ops.reshape(images, (-1, *shape)) * WHITE, training=False)

        def margins(images, y):
            return margin(logits(images), ops.reshape(y, (-1, self.classes)))

        def step_by(loss):
            def step(moved, x, y, epsilon, size):
                y = ops.reshape(y, (-1, self.classes))
                moved, x = (ops.reshape(each, (-1, *shape)) for each in (moved, x))
                found = climb(lambda images: loss(logits(images), y), x, moved, epsilon, size, norm)
                return found, margins(found, y)

            return compiled(step, network.variables)

        self._margins = compiled(margins, network.variables)
        self._steps = {"cross-entropy": step_by(cross_entropy), "margin": step_by(margin)}

    def margins(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns by how much the best wrong class beats the right one, float32 `(n,)`.

        Args:
            images: float32 `(n, h, w, c)` in [0, 1].
            labels: Integers `(n,)`.
        """
        found = np.zeros(len(images), "float32")
        for rows in _chunks(len(images)):
            found[rows] = self._margins(*_filled(images[rows], self._targets(labels[rows])))[
                : len(rows)
            ]
        return found

    def right(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns which images are answered rightly, bool `(n,)`; arguments as of `margins`."""
        return self.margins(images, labels) < 0

    def pgd(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        epsilon: float,
        steps: int,
        size: float,
        random: np.random.Generator | None = None,
        loss: str = "cross-entropy",
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Attacks by projected gradient descent; with one step and no random start it is FGSM.

        Args:
            images: float32 `(n, h, w, c)` in [0, 1].
            labels: Integers `(n,)`.
            epsilon: Most that an image changes, in the norm.
            steps: Number of steps.
            size: Of a step, in the norm.
            random: Draws where the attack starts; None: at the images.
            loss: What the attack climbs: "cross-entropy" or "margin".
            progress: Shows how far it is, in chunks of images.

        Returns:
            Which images withstood it at every step, bool `(n,)`.
        """
        held = np.zeros(len(images), bool)
        chunks, step = list(_chunks(len(images))), self._steps[loss]
        places = range(len(chunks))
        for place in progress(places, f"{steps} steps") if progress else places:
            rows = chunks[place]
            x, y = _filled(images[rows], self._targets(labels[rows]))
            moved = x
            if random is not None:
                start = np.zeros_like(x)
                start[: len(rows)] = _start(random, images[rows].shape, epsilon, self.norm)
                moved = np.clip(x + start, 0, 1)
            standing = self._margins(moved, y) < 0
            for _ in range(steps):
                moved, margins = step(moved, x, y, np.float32(epsilon), np.float32(size))
                standing &= margins < 0
                if not standing[: len(rows)].any():
                    break
            held[rows] = standing[: len(rows)]
        return held

    def moved(
        self, images: np.ndarray, labels: np.ndarray, *, epsilon: float, steps: int, size: float
    ) -> np.ndarray:
        """Returns what PGD from the images makes of them, float32 `(n, h, w, c)`: to look at.

        Args:
            images: float32 `(n, h, w, c)` in [0, 1], at most CHUNK.
            labels: Integers `(n,)`.
            epsilon: Most that an image changes, in the norm.
            steps: Number of steps.
            size: Of a step, in the norm.
        """
        x, y = _filled(images, self._targets(labels))
        moved = x
        for _ in range(steps):
            moved, _ = self._steps["cross-entropy"](
                moved, x, y, np.float32(epsilon), np.float32(size)
            )
        return moved[: len(images)]

    def square(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        epsilon: float,
        queries: int,
        random: np.random.Generator,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Attacks without gradients: random squares that stay where they lower the right class.

        The Square attack of Andriushchenko et al. 2020. In the L2 norm it is simpler than theirs: a
        square gets as much of the change as all else, and the whole is brought back to length epsilon.

        Args:
            images: float32 `(n, h, w, c)` in [0, 1].
            labels: Integers `(n,)`.
            epsilon: Most that an image changes, in the norm.
            queries: Answers of the network per image, 1 or more.
            random: Draws the squares.
            progress: Shows how far it is, in queries.

        Returns:
            Which images withstood it, bool `(n,)`.
        """
        n, height, width, channels = images.shape
        stripes = random.choice([-epsilon, epsilon], (n, 1, width, channels))
        stripes = np.broadcast_to(stripes, images.shape)
        best = self._within(images, stripes, epsilon)
        lead = self.margins(best, labels)
        numbers = range(1, queries)
        for query in progress(numbers, "squares") if progress else numbers:
            live = np.flatnonzero(lead < 0)
            if not len(live):
                break
            side = square_side(query, queries, height, width)
            inner = _squares(random, len(live), height, width, side)
            size = epsilon if self.norm == "linf" else epsilon / (side * channels**0.5)
            signs = random.choice([-size, size], (len(live), 1, 1, channels))
            x = images[live]
            tried = self._within(x, np.where(inner, signs, best[live] - x), epsilon)
            found = self.margins(tried, labels[live])
            better = found > lead[live]
            best[live[better]], lead[live[better]] = tried[better], found[better]
        return lead < 0

    def _within(self, x, change, epsilon):
        """Returns images changed by epsilon at most; in L2 by all of it, but for clips."""
        if self.norm == "l2":
            change = epsilon * _directions(change)
        return np.clip(x + change, 0, 1).astype("float32")

    def _targets(self, labels):
        return np.eye(self.classes, dtype="float32")[labels]


def square_side(query: int, queries: int, height: int, width: int) -> int:
    """Returns the side of the squares at a query, in pixels: the later, the smaller.

    Args:
        query: From 0.
        queries: Their number, to which the schedule of 10,000 is stretched.
        height: Of the image, pixels.
        width: Likewise.
    """
    halvings = sum(query / queries * 10_000 > place for place in HALVED_AT)
    side = round((FIRST_SQUARE * 0.5**halvings * height * width) ** 0.5)
    return min(max(side, 1), height, width)


def _start(random, shape, epsilon, norm):
    """Returns random changes: every pixel uniform in its bounds, or a direction and a length for each."""
    if norm == "linf":
        return random.uniform(-epsilon, epsilon, shape)
    return epsilon * random.random((shape[0], 1, 1, 1)) * _directions(random.normal(size=shape))


def _directions(changes):
    """Returns changes `(n, h, w, c)` scaled to length 1 each."""
    return changes / np.maximum(np.sqrt((changes**2).sum(axis=(1, 2, 3), keepdims=True)), 1e-12)


def _squares(random, count, height, width, side):
    """Returns a mask `(count, height, width, 1)` of a square at a random place in each image."""
    top = random.integers(0, height - side + 1, (count, 1))
    left = random.integers(0, width - side + 1, (count, 1))
    rows, columns = np.arange(height) - top, np.arange(width) - left
    rows, columns = ((each >= 0) & (each < side) for each in (rows, columns))
    return (rows[:, :, None] & columns[:, None, :])[..., None]


def _chunks(count: int) -> Iterator[np.ndarray]:
    """Yields the rows of each chunk."""
    for start in range(0, count, CHUNK):
        yield np.arange(start, min(start + CHUNK, count))


def _filled(*arrays):
    """Returns arrays of at least LEAST rows, or twice, four times as many: the last row fills them up."""
    count, size = len(arrays[0]), LEAST
    while size < count:
        size *= 2
    rows = np.minimum(np.arange(size), count - 1)
    return [array[rows] for array in arrays]
