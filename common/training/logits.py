"""The part of a classifier from floats to logits: what explanations and attacks differentiate."""

import keras
from keras import layers, ops

from common.basics.errors import RecipeError


def logit_model(model: keras.Model, start: keras.KerasTensor | None = None) -> keras.Model:
    """Returns the part of a classifier from a tensor of floats to its logits.

    Args:
        model: Functional model that ends in a Dense layer with a softmax or sigmoid, or in a softmax of
            its own after one without: then all weights are shared with the result, which can be trained.
        start: A tensor inside the model. Default: the input. Integer pixels have no gradient, so of
            those it is the tensor after their cast to floats.

    Returns:
        Model whose output is float32 `(n, classes)`. The single logit z of a sigmoid becomes
        (-z / 2, z / 2), which gives the same probabilities by a softmax.

    Raises:
        RecipeError: The model ends otherwise.
        ValueError: A path from the input to the logits bypasses `start`.
    """
    last = model.layers[-1]
    start = pixels(model) if start is None else start
    if isinstance(last, layers.Activation) and last.activation is keras.activations.softmax:
        return keras.Model(start, last.input)
    if not isinstance(last, layers.Dense):
        raise RecipeError(
            "explanations and attacks need a model that ends in a Dense layer, "
            f"{model.name} ends in {type(last).__name__}"
        )
    dense = layers.Dense(last.units, use_bias=last.use_bias, name="logits")
    logits = dense(last.input)
    dense.set_weights(last.get_weights())
    if last.units == 1:
        logits = ops.concatenate([-logits / 2.0, logits / 2.0], axis=-1)
    return keras.Model(start, logits)


def pixels(model: keras.Model) -> keras.KerasTensor:
    """Returns the first float tensor of a model: its input, or integer pixels after their cast.

    Raises:
        RecipeError: The model does not cast its integer input.
    """
    source = model.inputs[0]
    if "int" not in source.dtype:
        return source
    for operation in model.operations:
        # The cast is the operation whose only input is the input of the model.
        if operation.input is source and "float" in operation.output.dtype:
            return operation.output
    raise RecipeError(f"{model.name} does not turn its integer input into floats")
