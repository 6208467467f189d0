"""Learning-rate schedules: thin names for those Keras has, in the terms recipes use."""


def one_cycle(peak, steps, warmup_fraction=0.1):
    """Linear warm-up to the peak, then a cosine down to 0 (after Smith & Topin 2018).

    Args:
        peak: Largest learning rate.
        steps: Optimizer steps of the whole training.
        warmup_fraction: Share of the steps that warm up, 0 to 1.

    Returns:
        A keras LearningRateSchedule; its position is the optimizer's step count, so it survives a
        resumed run.
    """
    import keras

    warmup = max(round(steps * warmup_fraction), 1)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=peak / 25,
        warmup_target=peak,
        warmup_steps=warmup,
        decay_steps=max(steps - warmup, 1),
    )


def drops(initial, epochs, steps_per_epoch, warmup_steps=0):
    """Constant, divided by 10 at the start of each of `epochs` (He et al. 2015).

    Args:
        initial: Learning rate of the first epoch.
        epochs: 0-based epochs at which it drops, ascending.
        steps_per_epoch: Optimizer steps per epoch.
        warmup_steps: Steps at a tenth of the initial rate before all else.

    Returns:
        A keras LearningRateSchedule.
    """
    import keras

    # Keras keeps the old value on a boundary step itself, and counts steps from 0.
    boundaries = [epoch * steps_per_epoch - 1 for epoch in epochs]
    values = [initial * 0.1**index for index in range(len(epochs) + 1)]
    if warmup_steps:
        boundaries, values = [warmup_steps - 1, *boundaries], [initial / 10, *values]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)
