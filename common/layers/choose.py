"""`choose`: one of several branches, by an integer tensor, within one compiled graph."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops


def choose(index: Any, branches: Sequence[Callable[[Any], Any]], x: Any) -> Any:
    """Returns `branches[index](x)`; the gradient of what the other branches use is 0.

    TensorFlow and PyTorch compute the chosen branch only. JAX computes all of them and multiplies by 0
    and 1: on a CPU, convolutions inside a branch took three times as long as all branches outside of one.
    So a branch must not change a variable, and all must be finite.

    Args:
        index: Integer tensor without axes, 0 to len(branches) - 1.
        branches: Functions of a tensor that return tensors of one shape and dtype.
        x: Their argument.
    """
    if keras.backend.backend() != "jax":
        return ops.switch(index, branches, x)
    chosen = ops.one_hot(index, len(branches), dtype=x.dtype)
    return sum(chosen[place] * branch(x) for place, branch in enumerate(branches))
