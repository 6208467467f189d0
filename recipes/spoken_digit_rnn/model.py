"""Recurrent layers over the log-mel frames of a clip; the frames are computed inside the model."""

import keras
from keras import layers, ops

RATE = 8000
"""Samples per second."""
SAMPLES = 8000
"""Length of every clip: one second."""
FRAME = 256
"""Samples in a frame, 32 ms."""
LOWEST_HZ = 60.0
FLOOR = 1e-2
"""Power added before the logarithm, of clips whose loudest sample is 1: silence and hiss look alike."""
VOICED = 6.0
"""A frame counts in the mean over time if its level is at most so far below the loudest, in nats."""

CELLS = {"rnn": layers.SimpleRNN, "gru": layers.GRU, "lstm": layers.LSTM}


@keras.saving.register_keras_serializable(package="spoken_digit_rnn")
class LogMel(layers.Layer):
    """Log-mel frames of waveforms, `(n, samples)` to `(n, frames, bands)`, as loud whatever the gain.

    The Fourier transform is Keras' as a convolution, not `keras.layers.MelSpectrogram`: that one's
    cannot be exported to ONNX, and its `top_db` is relative to the loudest clip of a *batch*, so that
    an answer would depend on what is asked beside it. The mel filters are that layer's.

    Args:
        bands: Mel bands, from LOWEST_HZ to half the sampling rate.
        step: Samples from one frame to the next, at most FRAME.
    """

    def __init__(self, bands=40, step=128, **kwargs):
        super().__init__(trainable=False, **kwargs)
        self.bands, self.step = bands, step
        self.fourier = layers.STFTSpectrogram(
            "psd", FRAME, step, FRAME, scaling=None, trainable=False, name="fourier"
        )

    def build(self, shape):
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

    def call(self, waves):
        loudest = ops.max(ops.abs(waves), axis=1, keepdims=True)
        waves = waves / ops.maximum(loudest, 1e-4)
        power = self.fourier(ops.expand_dims(waves, -1))
        return ops.log(ops.matmul(power, self.filters) + FLOOR)

    def compute_output_shape(self, shape):
        return shape[0], (shape[1] - FRAME) // self.step + 1, self.bands

    def get_config(self):
        config = super().get_config()
        config.pop("trainable")
        return {**config, "bands": self.bands, "step": self.step}


def normalised(frames):
    """Returns frames without what is the same in the whole clip: the voice's colour, the microphone's.

    The mean of each band over the voiced frames is taken off (cepstral mean normalisation).

    Args:
        frames: Log-mel frames `(n, frames, bands)`.
    """
    level = ops.max(frames, axis=2, keepdims=True)
    voiced = ops.cast(level > ops.max(level, axis=1, keepdims=True) - VOICED, frames.dtype)
    count = ops.sum(voiced, axis=1, keepdims=True)
    return frames - ops.sum(frames * voiced, axis=1, keepdims=True) / count


def build_model(config, num_classes=10):
    """Builds the network, uncompiled.

    Args:
        config: The recipe's Config.
        num_classes: Size of the softmax.

    Returns:
        keras.Model from float32 waveforms `(n, 8000)`, 8,000 samples a second, in [-1, 1], to
        probabilities `(n, num_classes)`. A clip's gain changes nothing.
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
        x = layers.Bidirectional(cell)(x) if config.bidirectional else cell(x)
    x = pooled(x, config)
    x = layers.Dropout(config.dropout_rate)(x)
    outputs = layers.Dense(num_classes, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="spoken_digit_rnn")


def pooled(x, config):
    """Returns one vector for each sequence of states `(n, frames, units)`."""
    if config.pooling == "last":
        if not config.bidirectional:
            return x[:, -1]
        # The backward half has read everything at the first frame.
        half = config.units
        return ops.concatenate([x[:, -1, :half], x[:, 0, half:]], axis=-1)
    mean = ops.mean(x, axis=1)
    return (
        mean if config.pooling == "mean" else ops.concatenate([mean, ops.max(x, axis=1)], axis=-1)
    )
