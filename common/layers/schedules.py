"""Learning-rate schedules of Keras, with the arguments that recipes have.

The position in a schedule is the optimizer's count of steps, so a resumed run goes on at the right place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras.optimizers.schedules import LearningRateSchedule


def one_cycle(peak: float, steps: int, warmup_fraction: float = 0.1) -> LearningRateSchedule:
    """Linear warm-up to the peak, then a cosine down to 0 (after Smith & Topin 2018).

    Args:
        peak: Largest learning rate.
        steps: Optimizer steps of the whole training.
        warmup_fraction: Share of the steps that warm up, 0 to 1.
    """
    import keras

    warmup = max(round(steps * warmup_fraction), 1)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=peak / 25,
        warmup_target=peak,
        warmup_steps=warmup,
        decay_steps=max(steps - warmup, 1),
    )


def drops(
    initial: float, epochs: Sequence[int], steps_per_epoch: int, warmup_steps: int = 0
) -> LearningRateSchedule:
    """Constant, divided by 10 at the start of each of `epochs` (He et al. 2015).

    Args:
        initial: Learning rate of the first epoch.
        epochs: 0-based epochs at which it drops, ascending.
        steps_per_epoch: Optimizer steps per epoch.
        warmup_steps: Steps at a tenth of the initial rate at the very start.
    """
    import keras

    # Keras counts steps from 0 and still uses the old value on the boundary step.
    boundaries = [epoch * steps_per_epoch - 1 for epoch in epochs]
    values = [initial * 0.1**index for index in range(len(epochs) + 1)]
    if warmup_steps:
        boundaries, values = [warmup_steps - 1, *boundaries], [initial / 10, *values]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)
