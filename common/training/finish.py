"""`finish`: scores the chosen model on the test split, once, and writes the results of the run."""

import time
from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np

from common.basics.files import atomic_path, write_json_atomic
from common.data.types import Arrays, Splits
from common.runs.headline import Headline
from common.runs.run import Run
from common.training.keeper import RunKeeper
from common.training.precision import in_float32


class ScoredTask(Protocol):
    """The methods of a recipe's TASK (`common.tasks.task.Task`) that `finish` calls."""

    objective: str

    def outputs(
        self, model: keras.Model, splits: Splits, encode: Callable[[Any], Arrays]
    ) -> dict[str, np.ndarray]:
        """As of Task."""

    def score(
        self, outputs: dict[str, np.ndarray], seen: np.ndarray | None = None
    ) -> dict[str, dict[str, Any]]:
        """As of Task."""

    def example_scores(self, outputs: dict[str, np.ndarray]) -> np.ndarray:
        """As of Task."""

    def headline_of(self, scores: dict[str, dict[str, Any]]) -> Headline:
        """As of Task."""

    def baselines(self, splits: Splits, outputs: dict[str, np.ndarray]) -> list[dict[str, Any]]:
        """As of Task."""


def parameter_count(model: keras.Model) -> int:
    """Returns the number of trainable parameters, as papers count them."""
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def finish(
    task: ScoredTask,
    model: keras.Model,
    run: Run,
    splits: Splits,
    keeper: RunKeeper,
    *,
    encode: Callable[[Any], Arrays] | None = None,
    baselines: Callable[[keras.Model, dict[str, np.ndarray]], list[dict[str, Any]]] | None = None,
    more: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Scores the chosen model on validation and test, and writes the run's results.

    The test split is used here, once, after everything has been chosen. In a trial of a search not
    everything has been chosen, so it leaves only its history.

    Args:
        task: The recipe's TASK, which scores the answers.
        model: Network with the weights to score.
        run: Its results are written into its folder.
        splits: The data trained on.
        keeper: The result of `fit`.
        encode: Turns the x of a split into model inputs, e.g. texts into token ids; None if the model
            takes x as it is.
        baselines: Returns more rows for metrics.json, e.g. of a linear model on the same data. It gets
            the model, which computes in float32, and the content of predictions.npz.
        more: More entries for metrics.json.

    Returns:
        The content of metrics.json; of a trial only its parameters and epochs.
    """
    if run.is_trial:
        return {"parameters": parameter_count(model), "epochs": keeper.epochs_done}
    precision = model.dtype_policy.name
    model = in_float32(model)
    start = time.perf_counter()
    outputs = task.outputs(model, splits, encode or (lambda x: x))
    evaluate_seconds = time.perf_counter() - start
    outputs["test_scores"] = task.example_scores(outputs)
    rows = task.baselines(splits, outputs)
    rows += baselines(model, outputs) if baselines else []
    with atomic_path(run.path("predictions.npz")) as temporary:
        np.savez_compressed(temporary, allow_pickle=True, **outputs)
    history = keeper.history
    write_json_atomic(run.path("timing.json"), _timing(history, evaluate_seconds, precision))
    info = splits.info.to_dict()
    scores = task.score(outputs, splits.test_seen)
    # Figures measured during training: with augmentation, dropout and changing weights.
    column = task.objective.removeprefix("val_")
    assert keeper.best_epoch is not None  # There is one after `fit`.
    row = history[keeper.best_epoch - 1]
    for name in ("loss", column):
        # The column that a search compares is added, unless the task has a figure of that name.
        if f"val_{name}" in row:
            scores["validation"].setdefault(name, round(row[f"val_{name}"], 6))
    results = {
        "recipe": run.recipe,
        "preset": run.preset,
        "data": {
            name: info[name]
            for name in ("source", "label", "name", "version", "fingerprint", "note")
        },
        "seed": run.config.seed,
        "parameters": parameter_count(model),
        "epochs": keeper.epochs_done,
        "best_epoch": keeper.best_epoch,
        "training": {column: round(row[column], 6)} if column in row else {},
        "headline": task.headline_of(scores).to_dict(),
        **scores,
        "baselines": rows,
        **(more or {}),
    }
    write_json_atomic(run.path("metrics.json"), results)
    return results


def _timing(history, evaluate_seconds, precision):
    """Returns what timing.json holds."""
    speed = np.median([row["examples_per_second"] for row in history])
    return {
        "train_wall_seconds": round(sum(row["seconds"] for row in history), 1),
        "train_cpu_seconds": round(sum(row["cpu_seconds"] for row in history), 1),
        "evaluate_wall_seconds": round(evaluate_seconds, 1),
        "examples_per_second": round(float(speed), 1),
        "precision": precision,
    }
