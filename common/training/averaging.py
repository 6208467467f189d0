"""The moving average of a network's weights: validated and saved in place of the weights themselves.

The optimizers of Keras keep it (`use_ema=True`), but it lacks two things. It starts at the weights of the
first step: with a momentum of 0.95 a quarter of them is left after 28 steps, so a short training would
validate mostly its first weights. And batch normalisation holds the statistics of the raw weights: the
average needs statistics of its own.
"""

import contextlib
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from common.basics.compiled import compiled
from common.training.batches import ArrayBatches
from common.training.gradients import values

STATISTICS_EXAMPLES = 2048
"""Number of training examples that the statistics of an average are computed from."""

_held: weakref.WeakKeyDictionary[keras.Model, list[np.ndarray]] = weakref.WeakKeyDictionary()
"""For each model, the statistics that it does not hold at the moment: those of its average while it has
the raw weights, and those of the raw weights while it has the average."""


def warm_up(optimizer: keras.optimizers.Optimizer) -> None:
    """Lets the average forget the first weights: step t (from 0) has at most the momentum t / (t + 9).

    With it the average covers the last tenth of the steps, until the optimizer's momentum is smaller.

    Args:
        optimizer: Without `use_ema=True` nothing changes.
    """
    if not optimizer.use_ema:
        return

    def update(trainable_variables):
        step = ops.cast(optimizer.iterations, "float32")
        momentum = ops.minimum(step / (step + 9.0), optimizer.ema_momentum)
        # They have no public name; the callback of Keras reads them this way too.
        averages = optimizer._model_variables_moving_average
        for variable, average in zip(trainable_variables, averages, strict=True):
            average.assign(momentum * average + (1.0 - momentum) * variable)

    # The one place where Keras updates the average, on every backend.
    optimizer._update_model_variables_moving_average = update


@contextlib.contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Within the context, the model has the moving average of its weights, if its optimizer keeps one.

    SwapEMAWeights of Keras exchanges them by additions, which rounds. Here they are copied, so that
    training continues from exactly the same weights.
    """
    swap_average(model)
    yield
    swap_average(model)


def swap_average(model: keras.Model) -> None:
    """Exchanges weights and moving average in place; does nothing without `use_ema=True`."""
    optimizer = model.optimizer
    if not optimizer.use_ema:
        return
    averages = optimizer._model_variables_moving_average
    for weight, average in zip(optimizer._trainable_variables, averages, strict=True):
        held = ops.convert_to_numpy(weight.value).copy()
        weight.assign(average)
        average.assign(held)
    if model in _held:
        _held[model] = _exchange(_statistics(model), _held[model])


def fit_statistics(
    model: keras.Model, batches: ArrayBatches, epoch: int, of_batch: Callable | None = None
) -> None:
    """Recomputes the statistics of batch normalisation for the present weights of a model.

    The mean and the variance of each batch are averaged over batches of the training data (Izmailov et
    al. 2018, section 3.2). Training instead keeps moving averages of them.

    Args:
        model: Network whose batch normalisations are changed.
        batches: Batches of the training split.
        epoch: 0-based; determines the order and the augmentation of the batches.
        of_batch: What `statistics_of_batch` returned for this model, which need not be compiled again.
    """
    if not _normalisations(model):
        return
    of_batch = of_batch or statistics_of_batch(model)
    batches = batches.at_epoch(epoch)
    found, counts = [], []
    for index in range(batches.num_batches):
        x, *_ = batches[index]
        found.append(of_batch(x))
        counts.append(len(keras.tree.flatten(x)[0]))
        if sum(counts) >= STATISTICS_EXAMPLES:
            break
    for variable, arrays in zip(_statistics(model), zip(*found, strict=True), strict=True):
        variable.assign(np.average(arrays, axis=0, weights=counts).astype(variable.dtype))


def statistics_of_batch(model: keras.Model) -> Callable[[Any], list[np.ndarray]]:
    """Returns a compiled function of the inputs of a batch: its mean and variance at each normalisation.

    Uncompiled, a small network takes longer for the statistics of 2,048 images than for an epoch of them.
    The function changes nothing of the model, and follows its weights.
    """
    layers = _normalisations(model)
    trainable, others = model.trainable_variables, model.non_trainable_variables
    places = [next(i for i, v in enumerate(others) if v is each) for each in _statistics(model)]

    def of_batch(x):
        # The shape of an input is told to a compiler that knows none.
        parts = [
            part if None in one.shape[1:] else ops.reshape(part, (-1, *one.shape[1:]))
            for part, one in zip(keras.tree.flatten(x), model.inputs, strict=True)
        ]
        x = keras.tree.pack_sequence_as(x, parts)
        momenta = [layer.momentum for layer in layers]
        # With momentum 0, the moving averages are the statistics of the last batch.
        for layer in layers:
            layer.momentum = 0.0
        try:
            _, after = model.stateless_call(values(trainable), values(others), x, training=True)
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum
        return [after[place] for place in places]

    return compiled(of_batch, model.variables)


class EvaluateAverage(keras.callbacks.Callback):
    """Validates the moving average of the weights, with statistics that fit it (`use_ema=True`).

    Args:
        batches: Batches of the training split.
    """

    def __init__(self, batches: ArrayBatches) -> None:
        super().__init__()
        self.batches, self.epoch = batches, 0
        self._of_batch: Callable | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch = epoch

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self.model.optimizer.use_ema:
            return
        # The statistics of the raw weights come back when the weights are exchanged again.
        statistics = [ops.convert_to_numpy(v.value).copy() for v in _statistics(self.model)]
        _held.pop(self.model, None)
        swap_average(self.model)
        if self._of_batch is None:
            self._of_batch = statistics_of_batch(self.model)
        fit_statistics(self.model, self.batches, self.epoch, self._of_batch)
        _held[self.model] = statistics

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        swap_average(self.model)


def end(model: keras.Model, batches: ArrayBatches, epoch: int) -> None:
    """Gives the model the average of its weights, with statistics: the result of a training.

    Keras does so at the end of its `fit`, but without the statistics. It also must be done for a run
    that was killed after its last epoch, which has only the backup.

    Args:
        model: Trained network; without `use_ema=True` nothing changes.
        batches: Batches of the training split.
        epoch: The last one, 0-based.
    """
    if not model.optimizer.use_ema:
        return
    model.optimizer.finalize_variable_values(model.trainable_variables)
    fit_statistics(model, batches, epoch)
    _held.pop(model, None)


def _exchange(variables, arrays):
    before = [ops.convert_to_numpy(variable.value).copy() for variable in variables]
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    return before


def _statistics(model):
    return [v for each in _normalisations(model) for v in (each.moving_mean, each.moving_variance)]


def _normalisations(model):
    """Returns the batch normalisations that training updates, those of nested models among them."""
    found = []
    for layer in model.layers:
        if not layer.trainable:
            continue
        if isinstance(layer, keras.Model):
            found += _normalisations(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            found.append(layer)
    return found
