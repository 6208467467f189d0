"""A small convolutional network for 28 x 28 grey images of digits."""

import keras
from keras import layers, ops


def build_model(config, num_classes=10):
    """Builds the network, uncompiled.

    Args:
        config: The recipe's Config.
        num_classes: Size of the softmax.

    Returns:
        keras.Model from uint8 images `(n, 28, 28, 1)`, values 0 to 255, to probabilities
        `(n, num_classes)`.
    """
    inputs = keras.Input((28, 28, 1), dtype="uint8", name="image")
    # Scaled inside the model: whoever loads it passes plain pixels.
    x = ops.cast(inputs, "float32") / 255.0
    for block, filters in enumerate(config.filters):
        if block:
            x = layers.MaxPooling2D(2)(x)
        for _ in range(config.convolutions_per_block):
            x = layers.Conv2D(
                filters,
                3,
                padding=config.padding,
                # Batch normalisation has its own offset.
                use_bias=not config.batch_normalization,
                activation=None if config.batch_normalization else "relu",
            )(x)
            if config.batch_normalization:
                x = layers.BatchNormalization(momentum=0.9)(x)
                x = layers.Activation("relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(config.dropout_rate)(x)
    outputs = layers.Dense(num_classes, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="mnist_cnn")
