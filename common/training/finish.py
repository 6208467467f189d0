"""`finish`: scores the chosen model on the test split, once, and writes what the run came to."""

import time

import numpy as np

from common.basics.files import atomic_path, write_json_atomic
from common.training.precision import in_float32


def parameter_count(model):
    """Returns the number of trainable parameters, as papers count them."""
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def finish(task, model, run, splits, keeper, *, encode=None, baselines=None, more=None):
    """Scores the chosen model on validation and test, and writes the run's results.

    The test split is used here, once, after everything has been chosen. A trial of a search has not
    chosen everything: it leaves its history only.

    Args:
        task: The recipe's TASK (common/tasks): it says what an answer is and how it is scored.
        model: Model with the weights that the run is to be judged by.
        run: The Run.
        splits: The Splits trained on.
        keeper: What `fit` returned.
        encode: Turns the x of a split into model inputs, e.g. texts into token ids; None where the
            model takes x as it is.
        baselines: Function `(model, outputs)` that returns dicts for metrics.json, e.g. of a linear
            model on the same data; `outputs` is what predictions.npz holds, `model` computes in float32.
        more: Dict of what else metrics.json is to hold.

    Returns:
        The content of metrics.json.
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
        np.savez_compressed(temporary, **outputs)
    history = keeper.history
    write_json_atomic(run.path("timing.json"), _timing(history, evaluate_seconds, precision))
    info = splits.info.to_dict()
    scores = task.score(outputs, splits.test_seen)
    # While it was trained: augmented, with dropout, the weights changing.
    column = task.objective.removeprefix("val_")
    row = history[keeper.best_epoch - 1]
    for name in ("loss", column):
        # What a search judged by is among the figures, where the task has none of that name.
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
