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
