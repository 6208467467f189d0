"""`fit`: Keras' own fit with what every run needs around it: resume, best model, progress, NaN stop."""

import functools

import keras
import numpy as np

from common.basics.errors import RecipeError
from common.basics.files import atomic_path, write_json_atomic
from common.tasks import baselines as other_answers
from common.tasks import verdict
from common.training import averaging, feeding, whole_epochs
from common.training import batches as batching
from common.training import callbacks as cb
from common.training.precision import in_float32
from common.training.progress import Progress


def fit(
    model,
    run,
    train,
    validation,
    *,
    epochs,
    monitor="val_loss",
    patience=None,
    callbacks=(),
):
    """Trains a compiled model, resuming where the run folder's backup left off.

    Args:
        model: Compiled keras.Model, built the same way on every start.
        run: The Run, opened.
        train: ArrayBatches with a seed.
        validation: ArrayBatches without one.
        epochs: Epochs in total, those of earlier sessions included.
        monitor: History column that chooses the best epoch: the highest or the lowest, as
            `common.runs.headline.higher_is_better` says (an accuracy, a loss).
        patience: Epochs without improvement before stopping; None trains to the end.
        callbacks: More keras callbacks, called before the epoch's state is stored.

    An optimizer with `use_ema=True` is validated and saved with the average of its weights.

    Returns:
        The RunKeeper, whose `history` and `best_epoch` describe the training. The model holds the
        weights of the best epoch; `final.keras` those of the last.

    Raises:
        NonFiniteLoss: The loss became NaN or infinite.
        RecipeError: Files cannot be written or read.
    """
    keeper = cb.RunKeeper(run, monitor=monitor, patience=patience)
    keeper.restore(model)
    averaging.warm_up(model.optimizer)
    _build_metrics(model, train)
    if keeper.epochs_done and not run.is_trial:
        print(f"Resuming {run.directory} after epoch {keeper.epochs_done} of {epochs}.", flush=True)
    if keeper.epochs_done < epochs and not keeper.exhausted:
        progress = [] if run.is_trial else [Progress(epochs, train.num_batches)]
        extra = []
        if run.options.tensorboard:
            extra.append(_tensorboard(run))
        if whole_epochs.suit(train):
            data, train_epochs = train, functools.partial(whole_epochs.fit, model)
        else:
            # Keras would shuffle the batches by Python's global random state, which a resumed run does
            # not share; they come in random order already.
            train_epochs = functools.partial(model.fit, shuffle=False, verbose=0)
            data = feeding.feed(train)
            model.steps_per_execution = feeding.per_call(train)
        try:
            train_epochs(
                data,
                validation_data=feeding.feed(validation),
                epochs=epochs,
                initial_epoch=keeper.epochs_done,
                callbacks=[
                    cb.SetEpoch(train, run.config.seed),
                    cb.StopOnNonFinite(run, train.num_batches),
                    cb.Meter(train.count),
                    averaging.EvaluateAverage(train),
                    *callbacks,
                    *extra,
                    keeper,
                    *progress,
                ],
            )
        finally:
            for bar in progress:
                bar.close()
    if run.is_trial:
        return keeper
    averaging.end(model, train, keeper.epochs_done - 1)
    with atomic_path(run.path("final.keras")) as temporary:
        model.save(temporary)
    if keeper.best_epoch != keeper.epochs_done:
        from common.training.loading import load_model

        # Assigned variable by variable: the custom parts of the model stay the objects they are.
        model.set_weights(load_model(run.path("best.keras")).get_weights())
    return keeper


def _build_metrics(model, batches):
    """Makes the variables of the compiled metrics and losses.

    Left to the first step they are made while TensorFlow traces it, which then traces it all again; the
    other backends first trace the whole network for them.
    """
    x, targets, *weights = keras.tree.map_structure(
        lambda part: keras.ops.convert_to_tensor(part[:1]), batches[0]
    )
    output = model.outputs[0] if isinstance(model, keras.Sequential) else model.output
    answers, outputs = keras.tree.flatten(targets), keras.tree.flatten(output)
    if len(answers) != len(outputs):
        answers = [None] * len(outputs)
    zeros = keras.tree.pack_sequence_as(output, list(map(_zeros, outputs, answers)))
    model.compute_metrics(x, targets, zeros, *weights)
    if model.loss is not None:
        model.compute_loss(x, targets, zeros, *weights)
    model.reset_metrics()


def _zeros(output, target):
    """Returns zeros of the shape of an output for one example; an unknown length is its target's."""
    shape = [1]
    for axis, length in enumerate(output.shape[1:], start=1):
        if length is None:
            known = target is not None and axis < len(target.shape)
            length = target.shape[axis] if known else 1
        shape.append(length)
    return keras.ops.zeros(shape)


def _tensorboard(run):
    try:
        return keras.callbacks.TensorBoard(log_dir=str(run.path("tensorboard")))
    except ImportError as error:
        raise RecipeError(
            f"TensorBoard logs need tensorflow and tensorboard, which are not installed ({error}); "
            "install them or leave --tensorboard out"
        ) from error


def parameter_count(model):
    """Returns the number of trainable parameters, as papers count them."""
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def finish(model, run, splits, keeper, *, encode=None, baselines=None, mirror=False, more=None):
    """Scores the chosen model on validation and test, and writes the run's results.

    The test split is used here, once, after everything has been chosen. A trial of a search has not
    chosen everything: it leaves its history only.

    Args:
        model: Model with the weights of the best epoch.
        run: The Run.
        splits: The Splits trained on.
        keeper: What `fit` returned.
        encode: Turns the x of a split into model inputs, e.g. texts into token ids; None where the
            model takes x as it is.
        baselines: Function of the outputs (probabilities and labels of both splits) that returns
            dicts for metrics.json, e.g. of a linear model on the same data.
        mirror: Report the average over each test image and its mirror image beside the plain score
            (test-time augmentation), for networks trained on both.
        more: Dict of what else metrics.json is to hold.

    Returns:
        The content of metrics.json.
    """
    import time

    from common.tasks import metrics

    if run.is_trial:
        return {"parameters": parameter_count(model), "epochs": keeper.epochs_done}
    precision = model.dtype_policy.name
    model = in_float32(model)
    start = time.perf_counter()
    outputs = batching.predict_splits(model, splits, encode or (lambda x: x))
    evaluate_seconds = time.perf_counter() - start
    rows = [other_answers.majority_class(splits, outputs)]
    rows += baselines(outputs) if baselines else []
    if mirror:
        rows.append(_mirrored(model, splits.test.x, outputs))
    with atomic_path(run.path("predictions.npz")) as temporary:
        np.savez_compressed(temporary, **outputs)
    history = keeper.history
    write_json_atomic(
        run.path("timing.json"),
        {
            "train_wall_seconds": round(sum(row["seconds"] for row in history), 1),
            "train_cpu_seconds": round(sum(row["cpu_seconds"] for row in history), 1),
            "evaluate_wall_seconds": round(evaluate_seconds, 1),
            "examples_per_second": round(
                float(np.median([row["examples_per_second"] for row in history])), 1
            ),
            "precision": precision,
        },
    )
    info = splits.info.to_dict()
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
        # While it was trained: augmented, with dropout, the weights changing.
        "training": {"accuracy": round(history[keeper.best_epoch - 1]["accuracy"], 6)},
        **metrics.summarise(**outputs, seen=splits.test_seen),
        "baselines": rows,
        **(more or {}),
    }
    write_json_atomic(run.path("metrics.json"), results)
    return results


def _mirrored(model, images, outputs):
    """Returns the dict for metrics.json of the average over each image and its mirror image."""
    plain = outputs["test_probabilities"]
    other = batching.predict(model, batching.inference_batches(images[:, :, ::-1]))
    name = "average over each image and its mirror image"
    return other_answers.beside(name, outputs["test_labels"], (plain + other) / 2, plain)


def finish_line(results, run):
    """Returns what a training prints at its end."""
    test, data = results["test"], results["data"]
    low, high = test["accuracy_interval"]
    lines = [
        f"Test accuracy {test['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%}, "
        f"{test['count']:,} examples) on {data['label']}, from epoch {results['best_epoch']} "
        f"of {results['epochs']}, chosen on validation ({results['validation']['accuracy']:.2%})."
    ]
    if "balanced_accuracy" in test:
        lines.append(
            f"The classes differ in size: balanced accuracy {test['balanced_accuracy']:.2%}, macro F1 "
            f"{test['macro_f1']:.2%}."
        )
    for baseline in results["baselines"]:
        lines.append(f"Beside it, {baseline['name']}: {baseline['accuracy']:.2%}.")
    lines += [f"Verdict: {verdict.line(results)}", *verdict.remarks(results)]
    if data["source"] == "sample":
        lines.append("This is sample data: the figure says nothing about the real data set.")
    if run.path("report.html").exists():
        lines.append(f"Report: {run.path('report.html').resolve()}")
    return "\n".join(lines)
