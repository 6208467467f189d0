"""The layers of a network by names that say what they are, and what each of them costs."""

from __future__ import annotations

import collections
import dataclasses
import math
import re

import keras
from keras import layers

KINDS = {
    layers.Conv2D: "conv",
    layers.DepthwiseConv2D: "depthwise conv",
    layers.Dense: "dense",
    layers.MaxPooling2D: "max pool",
    layers.AveragePooling2D: "mean pool",
    layers.GlobalMaxPooling2D: "global max",
    layers.GlobalAveragePooling2D: "global mean",
    layers.BatchNormalization: "batch norm",
    layers.Dropout: "dropout",
}


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """What a layer with a kernel costs."""

    layer: str
    """Name, as of `readable_names`."""
    parameters: int
    """Weights and biases."""
    products: int
    """Multiplications by a weight, each with an addition, for one example."""


def readable_names(model: keras.Model) -> dict[str, str]:
    """Returns a name to show for each layer, by its name in Keras.

    Keras counts layers through the whole process: the first convolution of a second network is called
    conv2d_4, say. Here it is "conv 1". Layers of an activation are called as the function, e.g. "relu 2".
    Names that a recipe has given, and those of layers of other kinds, stay.

    Args:
        model: A network; the layers of one inside another have no name of their own.
    """
    found = {layer.name: _kind(layer) for layer in model.layers}
    counts = collections.Counter(found.values())
    seen: collections.Counter[str | None] = collections.Counter()
    names = {}
    for name, kind in found.items():
        seen[kind] += 1
        number = f" {seen[kind]}" if counts[kind] > 1 else ""
        names[name] = name if kind is None else f"{kind}{number}"
    return names


def layer_costs(model: keras.Model) -> list[LayerCost]:
    """Returns what each convolution and dense layer costs, from the input to the output.

    Args:
        model: Its inputs have a fixed size.
    """
    names = readable_names(model)
    costs = []
    for layer in model.layers:
        if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)):
            # The whole kernel is used at each place of the result; a vector is a single place.
            places = math.prod(layer.output.shape[1:-1])
            products = places * math.prod(layer.kernel.shape)
            costs.append(LayerCost(names[layer.name], layer.count_params(), products))
    return costs


def _kind(layer):
    """Returns the word for a layer that Keras has named; None: its name stays."""
    base = next(
        (kind for kind in type(layer).__mro__ if kind.__module__.startswith("keras.")), None
    )
    automatic = re.sub(r"_\d+$", "", layer.name).replace("_", "")
    if automatic not in (type(layer).__name__.lower(), getattr(base, "__name__", "").lower()):
        return None
    if isinstance(layer, layers.Activation):
        return layer.activation.__name__
    return KINDS.get(base)
