"""What the training needs beside the network: the loss of tokens, and the rate of scheduled sampling."""

from typing import Any

import keras
from keras import ops

from .encoder import Tensor


class TokenCrossentropy(keras.losses.Loss):
    """Cross-entropy of tokens in nats, from logits. Padding has weight 0 and is left out of the mean.

    Args:
        smoothing: Probability that is spread over all tokens.
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        super().__init__(reduction="mean_with_sample_weight", name="token_crossentropy")
        self.smoothing = smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns the loss of each token, `(n, target)`, from ids and logits."""
        # In rows of logits: PyTorch would move the axis of a longer array first, a tenth of the step.
        logits, ids = ops.reshape(y_pred, (-1, y_pred.shape[-1])), ops.reshape(y_true, (-1,))
        loss = ops.sparse_categorical_crossentropy(ids, logits, from_logits=True)
        if self.smoothing:
            # Over all tokens, -log p is in the mean that of the right one and its logit above the mean.
            right = ops.take_along_axis(logits, ops.cast(ids, "int32")[:, None], axis=-1)[:, 0]
            loss = loss + self.smoothing * (right - ops.mean(logits, axis=-1))
        return ops.reshape(loss, ops.shape(y_true))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, as Keras saves them."""
        return {"smoothing": self.smoothing}


class RaiseSampling(keras.callbacks.Callback):
    """Raises the share of sampled tokens in equal steps, from 0 in the first epoch.

    Args:
        last: Share in the last epoch.
        epochs: Epochs in all.
    """

    def __init__(self, last: float, epochs: int) -> None:
        super().__init__()
        self.last, self.epochs = last, epochs

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        rate = self.last * epoch / max(self.epochs - 1, 1)
        self.model.get_layer("decoder").sampling_rate.assign(rate)
