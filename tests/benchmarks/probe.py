"""Looking into a recipe's training from outside: a Keras callback added to every fit."""

import contextlib
import functools

import keras


@contextlib.contextmanager
def watching(callback):
    """While this lasts, `common.training.fit`, which all recipes train with, calls a callback as well."""
    from common import training

    original = training.fit
    training.fit = functools.partial(original, callbacks=[callback])
    try:
        yield
    finally:
        training.fit = original


class TestAccuracy(keras.callbacks.Callback):
    """Notes the accuracy on test examples after each epoch, or after the last one only.

    Args:
        inputs: Model inputs.
        labels: int `(n,)`.
        every_epoch: Whether not to wait for the end.
    """

    def __init__(self, inputs, labels, every_epoch=True):
        super().__init__()
        self.inputs, self.labels, self.every_epoch = inputs, labels, every_epoch
        self.accuracies = []

    def on_epoch_end(self, epoch, logs=None):
        if self.every_epoch:
            self._note()

    def on_train_end(self, logs=None):
        if not self.every_epoch:
            self._note()

    def _note(self):
        from common.batches import inference_batches, predict

        answers = predict(self.model, inference_batches(self.inputs)).argmax(axis=1)
        self.accuracies.append(float((answers == self.labels).mean()))
