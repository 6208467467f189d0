"""The moving average of a network's weights: kept by the optimizer, validated and saved in their place.

Keras' own (`use_ema=True`) needs two things more. It starts at the weights of the first step, and with a
momentum of 0.95 a quarter of them is left after 28 steps: a short training validates what it began with.
And the statistics of batch normalisation are those of the raw weights: the average needs its own.
"""

import contextlib
import weakref

import keras
import numpy as np

from common.basics import backend

STATISTICS_EXAMPLES = 2048
"""Training examples that the statistics of an average are taken from: 4 % of those of CIFAR-10."""

_held = weakref.WeakKeyDictionary()
"""Model -> the statistics of its average while it has its own, and the other way round: arrays."""


def warm_up(optimizer):
    """Lets the average forget the first weights: step t (from 0) has the momentum t / (t + 9) at most.

    That average covers the last tenth of the steps, until the optimizer's own momentum is smaller.

    Args:
        optimizer: A keras optimizer; without `use_ema=True` nothing changes.
    """
    if not optimizer.use_ema:
        return

    def update(trainable_variables):
        step = keras.ops.cast(optimizer.iterations, "float32")
        momentum = keras.ops.minimum(step / (step + 9.0), optimizer.ema_momentum)
        # They have no public name; Keras' own callback reads them this way too.
        averages = optimizer._model_variables_moving_average
        for variable, average in zip(trainable_variables, averages, strict=True):
            average.assign(momentum * average + (1.0 - momentum) * variable)

    # The one place where Keras updates the average, on every backend.
    optimizer._update_model_variables_moving_average = update


@contextlib.contextmanager
def averaged_weights(model):
    """Exchanges a model's weights for their moving average, where its optimizer keeps one.

    Keras' SwapEMAWeights exchanges them by additions, which rounds; here they are copied, so that
    training goes on from exactly the weights it had.
    """
    swap_average(model)
    yield
    swap_average(model)


def swap_average(model):
    """Exchanges weights and moving average in place; does nothing without `use_ema=True`."""
    optimizer = model.optimizer
    if not optimizer.use_ema:
        return
    averages = optimizer._model_variables_moving_average
    for weight, average in zip(optimizer._trainable_variables, averages, strict=True):
        held = keras.ops.convert_to_numpy(weight.value).copy()
        weight.assign(average)
        average.assign(held)
    if model in _held:
        _held[model] = _exchange(_statistics(model), _held[model])


def fit_statistics(model, batches, epoch):
    """Gives batch normalisation the statistics that fit the weights which the model has now.

    They are the means over batches of the training data, augmented as in that epoch, of each batch's mean
    and variance (Izmailov et al. 2018, section 3.2), which training itself forgets exponentially.

    Args:
        model: keras.Model.
        batches: ArrayBatches of the training split.
        epoch: 0-based; another epoch has other batches.
    """
    layers = _normalisations(model)
    if not layers:
        return
    batches = batches.at_epoch(epoch)
    momenta = [layer.momentum for layer in layers]
    # A batch's own statistics are what is left where nothing is kept of those before.
    for layer in layers:
        layer.momentum = 0.0
    found, counts = [], []
    try:
        with backend.no_gradients():
            for index in range(batches.num_batches):
                x, *_ = batches[index]
                model(x, training=True)
                found.append([keras.ops.convert_to_numpy(v.value) for v in _statistics(model)])
                counts.append(len(keras.tree.flatten(x)[0]))
                if sum(counts) >= STATISTICS_EXAMPLES:
                    break
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
    for variable, arrays in zip(_statistics(model), zip(*found, strict=True), strict=True):
        variable.assign(np.average(arrays, axis=0, weights=counts).astype(variable.dtype))


class EvaluateAverage(keras.callbacks.Callback):
    """Validates the moving average of the weights, with statistics that fit it (`use_ema=True`).

    Args:
        batches: ArrayBatches of the training split.
    """

    def __init__(self, batches):
        super().__init__()
        self.batches, self.epoch = batches, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_test_begin(self, logs=None):
        if not self.model.optimizer.use_ema:
            return
        # The raw weights' own, which the average gives back when they are exchanged again.
        statistics = [keras.ops.convert_to_numpy(v.value).copy() for v in _statistics(self.model)]
        _held.pop(self.model, None)
        swap_average(self.model)
        fit_statistics(self.model, self.batches, self.epoch)
        _held[self.model] = statistics

    def on_test_end(self, logs=None):
        swap_average(self.model)


def end(model, batches, epoch):
    """Leaves the model with its average, which is the result of a training.

    Keras' fit ends so too, without the statistics; a run that was killed after its last epoch has only
    the backup.

    Args:
        model: keras.Model, trained.
        batches: ArrayBatches of the training split.
        epoch: The last one, 0-based.
    """
    if not model.optimizer.use_ema:
        return
    model.optimizer.finalize_variable_values(model.trainable_variables)
    fit_statistics(model, batches, epoch)
    _held.pop(model, None)


def _exchange(variables, arrays):
    before = [keras.ops.convert_to_numpy(variable.value).copy() for variable in variables]
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
