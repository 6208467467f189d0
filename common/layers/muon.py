"""Muon for convolutions: Keras' own has it for matrices only and trains everything else by AdamW.

Muon (Jordan 2024, github.com/KellerJordan/Muon) replaces the momentum of a matrix by the nearest
orthogonal one, so that directions with small gradients are learnt as fast as those with large ones. A
kernel `(height, width, inputs, outputs)` is taken as the matrix `(height * width * inputs, outputs)`.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_recipe_box")
class Muon(keras.optimizers.Muon):
    """`keras.optimizers.Muon`, with the same arguments, for convolutional networks.

    Kernels of convolutions take Muon's step. All other variables (the last layer, batch normalisation,
    biases) take Adam's, at `adam_lr_ratio` times the learning rate. Weights of a kernel change by
    `learning_rate * rms_rate` per step in the root mean square, as in Liu et al. 2025.
    """

    def _should_use_adamw(self, variable):
        return len(variable.shape) != 4

    def _muon_update_step(self, gradient, variable, lr, m):
        self.assign(m, self.momentum * m + gradient)
        update = gradient + self.momentum * m if self.nesterov else m
        matrix = ops.reshape(update, (-1, variable.shape[-1]))
        matrix = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, ops.reshape(matrix, variable.shape))

    def zeropower_via_newtonschulz5(self, x, steps):
        """Returns what Keras' own does, to rounding, in less than half of the time.

        A step multiplies X by a polynomial p of G = X X'. All that the next one needs is its own G,
        which is p G p: so the steps run on the smaller square, and X is touched once, at the end. The
        matrix of a 3 x 3 kernel has up to nine times as many rows as columns.
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
