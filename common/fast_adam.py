"""Adam in one pass over each variable: same values, same state as Keras' own.

Keras writes Adam as a dozen operations, each of which reads and writes an array as large as the variable.
For a table of word vectors that is more memory traffic than the network has. TensorFlow and PyTorch have
the whole update as one operation; JAX fuses Keras' while compiling.

One value differs, on purpose. TensorFlow gives the gradient of a table of word vectors as a list with an
entry for each word of the batch, and Keras 3.15 squares the entries before it adds up those of the same
word, unless it clips gradients. Here they are added first, as on the other backends and in the paper.
"""

import keras


@keras.saving.register_keras_serializable(package="keras_recipe_box")
class FusedAdam(keras.optimizers.Adam):
    """`keras.optimizers.Adam` (Kingma & Ba 2015): the same arguments, the same state.

    With `amsgrad`, and for variables that are not float32, it is Keras' own.
    """

    def update_step(self, gradient, variable, learning_rate):
        """Updates a variable, and its moments, from its gradient."""
        backend = keras.backend.backend()
        fused = {"tensorflow": _tensorflow, "torch": _torch}.get(backend)
        float32 = keras.backend.standardize_dtype(variable.dtype) == "float32"
        if fused is None or self.amsgrad or not float32:
            return super().update_step(gradient, variable, learning_rate)
        index = self._get_variable_index(variable)
        moments = self._momentums[index].value, self._velocities[index].value
        # With TensorFlow it is one of TensorFlow's variables already.
        if isinstance(variable, keras.Variable):
            variable = variable.value
        done = keras.ops.convert_to_tensor(self.iterations)
        fused(self, gradient, variable, *moments, learning_rate, done)


def _tensorflow(adam, gradient, variable, momentum, velocity, learning_rate, done):
    import tensorflow as tf

    step = tf.cast(done + 1, tf.float32)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=momentum.handle,
        v=velocity.handle,
        beta1_power=tf.pow(adam.beta_1, step),
        beta2_power=tf.pow(adam.beta_2, step),
        lr=learning_rate,
        beta1=adam.beta_1,
        beta2=adam.beta_2,
        epsilon=adam.epsilon,
        grad=tf.convert_to_tensor(gradient),
    )


def _torch(adam, gradient, variable, momentum, velocity, learning_rate, done):
    import torch

    step = float(done) + 1.0
    torch._fused_adam_(
        [variable],
        [gradient],
        [momentum],
        [velocity],
        [],
        [torch.tensor(step)],
        lr=float(learning_rate),
        beta1=adam.beta_1,
        beta2=adam.beta_2,
        weight_decay=0.0,
        # PyTorch adds epsilon after the second moment is corrected, Keras before.
        eps=adam.epsilon / (1.0 - adam.beta_2**step) ** 0.5,
        amsgrad=False,
        maximize=False,
    )
