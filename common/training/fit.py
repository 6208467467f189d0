"""`fit`: Keras' own fit with what every run needs around it: resume, best model, progress, NaN stop.

`keep` does the same for a model that a solver has fitted.
"""

import functools

import keras

from common.basics.errors import RecipeError
from common.basics.files import atomic_path
from common.training import averaging, feeding, whole_epochs
from common.training import callbacks as cb
from common.training.keeper import RunKeeper
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
    keeper = RunKeeper(run, monitor=monitor, patience=patience)
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


def keep(model, run, row, *, monitor="val_loss"):
    """Makes a model that was fitted in another way the result of a run, as a training of one epoch.

    Args:
        model: Compiled keras.Model with the weights to keep.
        run: The Run, opened.
        row: What the history tells of it: `loss`, `val_loss`, the task's figures, `seconds`,
            `cpu_seconds` and `examples_per_second`.
        monitor: As for `fit`.

    Returns:
        The RunKeeper, as `fit` does.

    Raises:
        RecipeError: Files cannot be written or read.
    """
    keeper = RunKeeper(run, monitor=monitor)
    keeper.restore(model)
    if not keeper.epochs_done:
        keeper.on_epoch_end(0, row)
    if not run.is_trial:
        with atomic_path(run.path("final.keras")) as temporary:
            model.save(temporary)
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
