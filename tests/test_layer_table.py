"""Names of layers that say what they are, and what layers cost."""

import keras
from keras import layers

from common.explain.layer_table import LayerCost, layer_costs, readable_names
from common.layers.batch_norm import BatchNormalization


def network():
    inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, use_bias=False)(inputs)
    x = layers.Activation("relu")(BatchNormalization()(x))
    x = layers.MaxPooling2D(2)(x)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.Activation("relu")(layers.Conv2D(5, 1)(x))
    outputs = layers.Dense(2, activation="softmax", name="probabilities")(layers.Flatten()(x))
    return keras.Model(inputs, outputs)


def test_names_count_from_one_in_every_network():
    network()  # The next one's layers have higher numbers in Keras.
    second = network()
    assert second.layers[1].name != "conv2d"
    assert list(readable_names(second).values()) == [
        "image",
        "conv 1",
        "batch norm",
        "relu 1",
        "max pool",
        "depthwise conv",
        "conv 2",
        "relu 2",
        second.layers[-2].name,
        "probabilities",
    ]


def test_costs_by_hand():
    assert layer_costs(network()) == [
        # 6 x 6 places are left of 8 x 8, and 3 x 3 of those after the pooling.
        LayerCost("conv 1", 3 * 3 * 3 * 4, 36 * 3 * 3 * 3 * 4),
        LayerCost("depthwise conv", 3 * 3 * 4 + 4, 9 * 3 * 3 * 4),
        LayerCost("conv 2", 4 * 5 + 5, 9 * 4 * 5),
        LayerCost("probabilities", 45 * 2 + 2, 45 * 2),
    ]
