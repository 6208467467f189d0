"""Recurrent layers over the log-mel frames of a clip; the frames are computed inside the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import layers, ops

from common.layers import fast_rnn

if TYPE_CHECKING:
    from .train import Config

RATE = 8000
"""Samples per second."""
SAMPLES = 8000
"""Samples in a clip: one second."""
FRAME = 256
"""Samples in a frame: 32 ms."""
LOWEST_HZ = 60.0
"""Lower end of the lowest mel band."""
FLOOR = 1e-2
"""Power added before the logarithm, so that silence and hiss look alike. The loudest sample is 1."""
VOICED = 6.0
"""Frames that are more than this below the loudest do not count in the mean over time, in nats."""

CELLS: dict[str, type[Any]] = {
    "rnn": fast_rnn.SimpleRNN,
    "gru": fast_rnn.GRU,
    "lstm": fast_rnn.LSTM,
}


@keras.saving.register_keras_serializable(package="spoken_digit_rnn")
class LogMel(layers.Layer):
    """Turns waveforms `(n, samples)` into log-mel frames `(n, frames, bands)`, whatever their gain.

    `keras.layers.MelSpectrogram` has two faults here. Its Fourier transform cannot be exported to ONNX.
    Its `top_db` is relative to the loudest clip of a *batch*, so that the answer for a clip would
    depend on the others. So only its mel filters are used, after a transform by convolution.

    Args:
        bands: Mel bands, from LOWEST_HZ to half the sampling rate.
        step: Samples from one frame to the next, at most FRAME.
    """

    def __init__(self, bands: int = 40, step: int = 128, **kwargs: Any) -> None:
        super().__init__(trainable=False, **kwargs)
        self.bands, self.step = bands, step
        self.fourier = layers.STFTSpectrogram(
            "psd", FRAME, step, FRAME, scaling=None, trainable=False, name="fourier"
        )

    def build(self, shape: tuple[int | None, int]) -> None:
        """Makes the weights, which are constants: the transform's kernels and the mel filters."""
        self.fourier.build((*shape, 1))
        filters = layers.MelSpectrogram(FRAME).linear_to_mel_weight_matrix(
            self.bands, FRAME // 2 + 1, RATE, LOWEST_HZ, RATE / 2
        )
        self.filters = self.add_weight(
            name="filters",
            shape=(FRAME // 2 + 1, self.bands),
            initializer=lambda shape, dtype: ops.cast(filters, dtype),
            trainable=False,
        )

    def call(self, waves: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the frames of waveforms, both floating point."""
        loudest = ops.max(ops.abs(waves), axis=1, keepdims=True)
        waves = waves / ops.maximum(loudest, 1e-4)
        power = self.fourier(ops.expand_dims(waves, -1))
        return ops.log(ops.matmul(power, self.filters) + FLOOR)

    def compute_output_shape(self, shape: tuple[int | None, int]) -> tuple[int | None, int, int]:
        """Returns `(n, frames, bands)` for waveforms `(n, samples)`."""
        return shape[0], (shape[1] - FRAME) // self.step + 1, self.bands

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the layer."""
        config = super().get_config()
        config.pop("trainable")
        return {**config, "bands": self.bands, "step": self.step}


def normalised(frames: keras.KerasTensor) -> keras.KerasTensor:
    """Subtracts the mean of each band over the voiced frames of a clip (cepstral mean normalisation).

    This removes what is constant in a clip: the colour of the voice and of the microphone.

    Args:
        frames: Log-mel frames `(n, frames, bands)`.
    """
    level = ops.max(frames, axis=2, keepdims=True)
    voiced = ops.cast(level > ops.max(level, axis=1, keepdims=True) - VOICED, frames.dtype)
    count = ops.sum(voiced, axis=1, keepdims=True)
    return frames - ops.sum(frames * voiced, axis=1, keepdims=True) / count


def build_model(config: Config, num_classes: int = 10) -> keras.Model:
    """Builds the network, uncompiled.

    Args:
        config: Hyperparameters.
        num_classes: Size of the softmax.

    Returns:
        Model from float32 waveforms `(n, 8000)`, 8,000 samples a second, in [-1, 1], to probabilities
        `(n, num_classes)`. The gain of a clip does not change its answer.
    """
    inputs = keras.Input((SAMPLES,), dtype="float32", name="waveform")
    x = LogMel(config.mel_bands, config.frame_step, name="log_mel")(inputs)
    if config.normalise == "mean":
        x = normalised(x)
    for depth in range(config.layers):
        if depth:
            x = layers.Dropout(config.dropout_rate)(x)
        cell = CELLS[config.cell](
            config.units, return_sequences=True, name=f"{config.cell}_{depth + 1}"
        )
        x = fast_rnn.Bidirectional(cell)(x) if config.bidirectional else cell(x)
    x = _pooled(x, config)
    x = layers.Dropout(config.dropout_rate)(x)
    outputs = layers.Dense(num_classes, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="spoken_digit_rnn")


def _pooled(x, config):
    """Returns one vector `(n, ...)` for each sequence of states `(n, frames, units)`."""
    if config.pooling == "last":
        if not config.bidirectional:
            return x[:, -1]
        # The backward half has read the whole clip when it reaches the first frame.
        half = config.units
        return ops.concatenate([x[:, -1, :half], x[:, 0, half:]], axis=-1)
    mean = ops.mean(x, axis=1)
    if config.pooling == "mean":
        return mean
    return ops.concatenate([mean, ops.max(x, axis=1)], axis=-1)
