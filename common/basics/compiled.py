"""A function of arrays that the backend compiles: what a search over answers is run with."""

from collections.abc import Callable, Iterable


def compiled(function: Callable, variables: Iterable = ()) -> Callable:
    """Returns a function with the same results, compiled; JAX compiles for each new shape.

    Args:
        function: Takes tensors, nested or not, and returns tensors, nested or not; made of
            `keras.ops` and of layers. It is run without gradients.
        variables: Keras variables that it reads: their values at each call count, not those at the
            first one. JAX would build values that it is not given into the program.

    Returns:
        Function of NumPy arrays that returns NumPy arrays, nested as `function`'s results are.
    """
    import keras

    run = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()](
        function, list(variables)
    )

    def call(*arguments):
        arguments = keras.tree.map_structure(keras.ops.convert_to_tensor, arguments)
        return keras.tree.map_structure(keras.ops.convert_to_numpy, run(*arguments))

    return call


def _tensorflow(function, variables):
    import keras
    import tensorflow as tf

    programs = []

    def run(*arguments):
        if not programs:
            # One program for arguments of every size.
            specs = keras.tree.map_structure(
                lambda part: tf.TensorSpec([None] * part.shape.rank, part.dtype), arguments
            )
            programs.append(tf.function(function, input_signature=specs).get_concrete_function())
        return programs[0](*arguments)

    return run


def _jax(function, variables):
    import jax
    import keras

    @jax.jit
    def run(values, *arguments):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(*arguments)

    return lambda *arguments: run([variable.value for variable in variables], *arguments)


def _torch(function, variables):
    from common.basics.backend import no_gradients

    def run(*arguments):
        with no_gradients():
            return function(*arguments)

    return run
