"""predictions.npz: a run's answers on the test split, with one score for each example.

Two runs on the same test examples are compared by these scores, whatever their task.
"""

import dataclasses
from pathlib import Path

import numpy as np

from common.basics import arrays
from common.runs.finished import SCORE_AGAIN


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of the test examples.

    Args:
        scores: float64 `(n,)`: 1 for a right answer and 0 for a wrong one, a squared error, ...
        truth: The right answers, `(n, ...)`. Those of two runs differ if other examples were tested.
    """

    scores: np.ndarray
    truth: np.ndarray


def read(directory: Path) -> tuple[Scores, None] | tuple[None, str]:
    """Reads the test scores of a finished run.

    Args:
        directory: The run folder.

    Returns:
        The scores and None; or None and a sentence that says what is wrong with the file.
    """
    path = directory / "predictions.npz"
    if not path.is_file():
        return None, f"The run folder has no predictions.npz; {SCORE_AGAIN}."
    try:
        names = arrays.names(path)
        truth = next(name for name in ("test_truth", "test_labels") if name in names)
        # An old file without scores is that of a classifier.
        wanted = "test_scores" if "test_scores" in names else "test_probabilities"
        held = arrays.read(path, [truth, wanted])
        scores = held[wanted]
        if wanted == "test_probabilities":
            scores = np.argmax(scores, axis=1) == held[truth]
        if len(scores) != len(held[truth]):
            raise ValueError("its parts are of different length")
    except (OSError, ValueError, TypeError, StopIteration) as error:
        return None, f"predictions.npz cannot be used ({error}); {SCORE_AGAIN}."
    return Scores(np.asarray(scores, "float64"), held[truth]), None


def validated(directory: Path) -> np.ndarray | None:
    """Returns the right answers of the validation split, `(n, ...)`.

    Args:
        directory: The run folder.

    Returns:
        None if predictions.npz lacks them or cannot be read.
    """
    path = directory / "predictions.npz"
    try:
        held = [name for name in arrays.names(path) if name in ("val_truth", "val_labels")]
        return arrays.read(path, held)[held[0]] if held else None
    except (OSError, ValueError, TypeError):
        return None
