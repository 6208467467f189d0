"""A convolution that sees a token and the one before it."""

import keras


def build_model(config, num_classes=3):
    """Returns the network, uncompiled: `(n, tokens)` numbers to `(n, tokens, num_classes)`."""
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(10, 8)(tokens)
    x = keras.layers.Conv1D(config.units, 2, padding="causal", activation="relu")(x)
    return keras.Model(tokens, keras.layers.Dense(num_classes, activation="softmax")(x))
