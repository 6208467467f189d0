"""Muon for convolutions: Keras' own Muon trains matrices only, and everything else by AdamW.

Muon (Jordan 2024, github.com/KellerJordan/Muon) replaces the momentum of a matrix by the nearest
orthogonal matrix. So directions with small gradients are learnt as fast as those with large ones. A
kernel `(height, width, inputs, outputs)` is used as the matrix `(height * width * inputs, outputs)`.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_recipe_box")
class Muon(keras.optimizers.Muon):
    """`keras.optimizers.Muon`, with the same arguments, for convolutional networks.

    Kernels of convolutions get Muon's step. All other variables (the last layer, batch normalisation,
    biases) get Adam's, at `adam_lr_ratio` times the learning rate. The root mean square of a kernel's
    change per step is `learning_rate * rms_rate`, as in Liu et al. 2025.
    """

    def _should_use_adamw(self, variable):
        return len(variable.shape) != 4

    def _muon_update_step(self, gradient, variable, lr, m):
        self.assign(m, self.momentum * m + gradient)
        update = gradient + self.momentum * m if self.nesterov else m
        matrix = ops.reshape(update, (-1, variable.shape[-1]))
        matrix = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, ops.reshape(matrix, variable.shape))

    def zeropower_via_newtonschulz5(self, x: keras.KerasTensor, steps: int) -> keras.KerasTensor:
        """Returns the result of Keras' own method, up to rounding, in less than half the time.

        A step multiplies X by a polynomial p of G = X X'. The next step needs only its own G, which is
        p G p. So all steps work on the smaller square matrix, and X is multiplied once, at the end. The
        matrix of a 3 x 3 kernel has up to nine times as many rows as columns.

        Args:
            x: `(rows, columns)`.
            steps: Number of Newton-Schulz steps.
        """
        tall = x.shape[0] > x.shape[1]
        x = x / (ops.norm(x) + 1e-7)
        square = ops.transpose(x) @ x if tall else x @ ops.transpose(x)
        identity = ops.eye(min(x.shape), dtype=x.dtype)
        factors = identity
        for _ in range(steps):
            factor = self.muon_a * identity + self.muon_b * square + self.muon_c * (square @ square)
            factors = factor @ factors
            square = factor @ square @ factor
        return x @ factors if tall else factors @ x
