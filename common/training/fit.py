"""`fit`: Keras' own fit, with resuming, the best model, progress, and a stop at a loss of NaN.

`keep` does the same for a model that a solver has fitted.
"""

import functools
from collections.abc import Sequence
from typing import Any

import keras

from common.basics import agreement
from common.basics.files import atomic_path
from common.runs.run import Run
from common.training import (
    averaging,
    devices,
    feeding,
    own_callbacks,
    tracking,
    whole_epochs,
)
from common.training import callbacks as cb
from common.training.batches import ArrayBatches
from common.training.generated import GeneratedBatches
from common.training.keeper import RunKeeper
from common.training.progress import Progress


def fit(
    model: keras.Model,
    run: Run,
    train: ArrayBatches | GeneratedBatches,
    validation: ArrayBatches,
    *,
    epochs: int,
    monitor: str = "val_loss",
    patience: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> RunKeeper:
    """Trains a compiled model, and resumes from the backup in the run folder if there is one.

    Args:
        model: Compiled, and built the same way on every start.
        run: Opened.
        train: Training batches, with a seed.
        validation: Validation batches, without a seed.
        epochs: Epochs in total, including those of earlier sessions.
        monitor: History column that chooses the best epoch: the highest or the lowest, as
            `common.runs.headline.higher_is_better` says (an accuracy, a loss).
        patience: Epochs without improvement before stopping; None trains to the end.
        callbacks: More callbacks, called before the epoch's state is stored.

    An optimizer with `use_ema=True` is validated and saved with the average of its weights.

    Returns:
        Its `history` and `best_epoch` describe the training. The model holds the weights of the best
        epoch; `final.keras` holds those of the last one.

    Raises:
        NonFiniteLoss: The loss became NaN or infinite.
        RecipeError: Files cannot be written or read.
    """
    keeper = RunKeeper(run, monitor=monitor, patience=patience)
    keeper.restore(model)
    # A process that trained more epochs than the others would wait for them for ever.
    agreement.same("the number of finished epochs", str(keeper.epochs_done))
    averaging.warm_up(model.optimizer)
    build_metrics(model, train)
    if keeper.epochs_done and not run.is_trial:
        print(f"Resuming {run.directory} after epoch {keeper.epochs_done} of {epochs}.", flush=True)
    followed = tracking.follow(run, keeper)
    count = devices.number(run.options.devices)
    if keeper.epochs_done < epochs and not keeper.exhausted:
        progress = [] if run.is_trial else [Progress(epochs, train.num_batches)]
        if whole_epochs.suit(train):
            data = train
            train_epochs = functools.partial(whole_epochs.fit, model, devices=count)
        else:
            # The batches come in random order already. Keras would shuffle them by Python's global random
            # state, which is not restored when a run resumes.
            train_epochs = functools.partial(model.fit, shuffle=False, verbose=0)
            data = devices.spread(feeding.feed(train), count)
            model.steps_per_execution = feeding.per_call(train)
        try:
            train_epochs(
                data,
                validation_data=devices.spread(feeding.feed(validation), count),
                epochs=epochs,
                initial_epoch=keeper.epochs_done,
                callbacks=[
                    cb.SetEpoch(train, run.config.seed),
                    devices.Replicate(count),
                    cb.StopOnNonFinite(run, train.num_batches),
                    cb.Meter(train.count),
                    averaging.EvaluateAverage(train),
                    *callbacks,
                    devices.Agree(),
                    *own_callbacks.of(run),
                    keeper,
                    *followed,
                    *progress,
                    devices.Agree(),
                ],
            )
        finally:
            for bar in progress:
                bar.close()
        devices.gather(model, count)
    if run.is_trial:
        return keeper
    averaging.end(model, train, keeper.epochs_done - 1)
    with atomic_path(run.path("final.keras")) as temporary:
        model.save(temporary)
    if keeper.best_epoch != keeper.epochs_done:
        from common.training.loading import load_model

        # Only the weights are replaced, so the model keeps its own objects, e.g. custom layers.
        model.set_weights(load_model(run.path("best.keras")).get_weights())
    return keeper


def keep(
    model: keras.Model, run: Run, row: dict[str, Any], *, monitor: str = "val_loss"
) -> RunKeeper:
    """Makes a model that was not trained by `fit` the result of a run, as if trained for one epoch.

    Args:
        model: Compiled, with the weights to keep.
        run: Opened.
        row: The numbers for history.csv: `loss`, `val_loss`, the task's figures, `seconds`,
            `cpu_seconds` and `examples_per_second`.
        monitor: As for `fit`.

    Returns:
        As of `fit`.

    Raises:
        RecipeError: Files cannot be written or read.
    """
    keeper = RunKeeper(run, monitor=monitor)
    keeper.restore(model)
    if not keeper.epochs_done:
        keeper.on_epoch_end(0, row)
    tracking.follow(run, keeper)
    if not run.is_trial:
        with atomic_path(run.path("final.keras")) as temporary:
            model.save(temporary)
    return keeper


def build_metrics(model: keras.Model, batches: keras.utils.PyDataset) -> None:
    """Makes the variables of the compiled metrics and losses.

    Otherwise the first step would make them: TensorFlow would then trace that step twice, and the other
    backends would trace the whole network once more, and take the third part of a batch for weights.

    Args:
        model: Compiled.
        batches: What it is trained on.
    """
    # What a third part is (weights, or draws for a step of one's own) makes no difference here.
    x, targets = keras.tree.map_structure(
        lambda part: keras.ops.convert_to_tensor(part[:1]), tuple(batches[0][:2])
    )
    output = model.outputs[0] if isinstance(model, keras.Sequential) else model.output
    answers, outputs = keras.tree.flatten(targets), keras.tree.flatten(output)
    if len(answers) != len(outputs):
        answers = [None] * len(outputs)
    zeros = keras.tree.pack_sequence_as(output, list(map(_zeros, outputs, answers)))
    model.compute_metrics(x, targets, zeros)
    if model.loss is not None:
        model.compute_loss(x, targets, zeros)
    model.reset_metrics()


def _zeros(output, target):
    """Returns zeros of an output's shape for one example; unknown lengths are taken from its target."""
    shape = [1]
    for axis, length in enumerate(output.shape[1:], start=1):
        if length is None:
            known = target is not None and axis < len(target.shape)
            length = target.shape[axis] if known else 1
        shape.append(length)
    return keras.ops.zeros(shape)
