"""The three problems: sequences in which what counts lies far back. Pure NumPy.

Each problem is a function that makes `count` sequences of `length` steps: their x and y.
"""

from __future__ import annotations

import numpy as np

TOLERANCE = 0.04
"""A sum is right if its error is below this: the rule of Hochreiter & Schmidhuber 1997."""
SYMBOLS, COPIED = 8, 10
"""Of the copy problem: kinds of symbols, and number of symbols to copy."""
ORDERS = ("XX", "XY", "YX", "YY")
"""Classes of the order problem."""
CHANNELS = {"adding": 2, "order": 8, "copy": SYMBOLS + 2}
"""Numbers in a step of each problem."""


def adding(count: int, length: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers are marked, one in each half of the sequence; their sum is the answer.

    Returns:
        x: float32 `(count, length, 2)`: numbers in [0, 1), and marks, 1 at two steps, else 0.
        y: float32 `(count, 1)`, the sum of the marked numbers.
    """
    rows, half = np.arange(count), length // 2
    x = np.zeros((count, length, 2), "float32")
    x[..., 0] = random.random((count, length), "float32")
    places = random.integers(0, half, count), random.integers(half, length, count)
    for place in places:
        x[rows, place, 1] = 1.0
    first, second = (x[rows, place, 0] for place in places)
    return x, (first + second)[:, None]


def order(count: int, length: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two of the symbols are X or Y, all others distract; which two, in order, is one of four classes.

    The first lies between a tenth and a fifth of the sequence, the second between a half and three
    fifths, as in task 6a of Hochreiter & Schmidhuber 1997 with 100 steps.

    Returns:
        x: float32 `(count, length, 8)`, one-hot: X, Y, a start, an end, and four that distract.
        y: int32 `(count,)`, indices into ORDERS; all four equally often, as far as `count` allows.
    """
    rows = np.arange(count)
    y = random.permutation(count).astype("int32") % len(ORDERS)
    symbols = random.integers(4, 8, (count, length))
    symbols[:, 0], symbols[:, -1] = 2, 3
    for symbol, low, high in ((y // 2, 0.1, 0.2), (y % 2, 0.5, 0.6)):
        first, last = int(low * length), int(high * length)
        symbols[rows, random.integers(first, max(last, first + 1), count)] = symbol
    return np.eye(8, dtype="float32")[symbols], y


def copy(count: int, length: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Ten symbols are to be repeated after a long pause (Arjovsky et al. 2016).

    Returns:
        x: float32 `(count, length, 10)`, one-hot: a blank, eight symbols, and the sign to answer. The
            symbols come first; the sign stands eleven steps before the end.
        y: int32 `(count, 10)`, the symbol to answer, 0 to 7, at each of the last ten steps.
    """
    y = random.integers(0, SYMBOLS, (count, COPIED)).astype("int32")
    symbols = np.zeros((count, length), int)
    symbols[:, :COPIED] = y + 1
    symbols[:, -COPIED - 1] = SYMBOLS + 1
    return np.eye(SYMBOLS + 2, dtype="float32")[symbols], y


PROBLEMS = {"adding": adding, "order": order, "copy": copy}


def right(truth: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Returns which answers are right, bool `(n,)`.

    A sum is right within TOLERANCE; an order if it is the likeliest; a copy if all its symbols are.

    Args:
        truth: y of a problem, `(n, ...)`; it shows which problem it is.
        answers: Of a network: sums `(n, 1)`, or probabilities `(n, 4)` or `(n, 10, 8)`.
    """
    if truth.dtype.kind == "f":
        found = np.abs(answers - truth) < TOLERANCE
    else:
        found = answers.argmax(axis=-1) == truth
    return found.reshape(len(truth), -1).all(axis=1)


def losses(truth: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Returns the loss of each answer, float64 `(n,)`; arguments as of `right`.

    Of sums it is the squared error, otherwise the cross-entropy in nats, the mean over the symbols.
    """
    if truth.dtype.kind == "f":
        found = (answers.astype("float64") - truth) ** 2
    else:
        likely = np.take_along_axis(answers, truth[..., None], axis=-1)
        found = -np.log(np.clip(likely.astype("float64"), 1e-7, 1))
    return found.reshape(len(truth), -1).mean(axis=1)
