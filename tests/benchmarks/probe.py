"""Looking into a training from outside: test accuracy and time after each epoch."""

import contextlib
import functools
import resource
import time

import keras


@contextlib.contextmanager
def watching(callback):
    """While this lasts, `common.training.fit`, which all recipes train with, calls a callback as well."""
    from common.training import fit

    original = fit.fit
    fit.fit = functools.partial(original, callbacks=[callback])
    try:
        yield
    finally:
        fit.fit = original


def clocks():
    """Returns wall and CPU seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), usage.ru_utime + usage.ru_stime


class TestAccuracy(keras.callbacks.Callback):
    """Notes the accuracy on test examples after each epoch, or after the last one only.

    Where the optimizer averages weights, it is the average's accuracy, as in validation.

    `rows` holds a dict for each time: `wall` and `cpu` seconds since the training began (what this
    callback takes is left out) and `accuracy`.

    Args:
        inputs: Model inputs.
        labels: int `(n,)`.
        every_epoch: Whether not to wait for the end.
    """

    __test__ = False  # Its name looks like that of a test.

    def __init__(self, inputs, labels, every_epoch=True):
        super().__init__()
        self.inputs, self.labels, self.every_epoch = inputs, labels, every_epoch
        self.rows = []

    def on_train_begin(self, logs=None):
        self._begun = clocks()

    def on_epoch_end(self, epoch, logs=None):
        if self.every_epoch:
            self._note()

    def on_train_end(self, logs=None):
        if not self.every_epoch:
            self._note()

    def _note(self):
        from common.training.averaging import averaged_weights
        from common.training.outputs import inference_batches, predict

        before = clocks()
        with averaged_weights(self.model):
            answers = predict(self.model, inference_batches(self.inputs)).argmax(axis=1)
        accuracy = float((answers == self.labels).mean())
        wall, cpu = (now - begun for now, begun in zip(before, self._begun, strict=True))
        self.rows.append({"wall": round(wall, 2), "cpu": round(cpu, 2), "accuracy": accuracy})
        spent = [after - start for after, start in zip(clocks(), before, strict=True)]
        self._begun = tuple(b + s for b, s in zip(self._begun, spent, strict=True))
