"""A backbone that is trained on the spot, on the built-in digits 0 to 4: for trials, and for tests."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import keras

from common import data
from common.layers.schedules import one_cycle
from common.training.batches import ArrayBatches
from common.training.feeding import feed

from .model import backbone_of, build_model

if TYPE_CHECKING:
    import numpy as np

    from .train import Config

EPOCHS = 12
BATCH_SIZE = 32
PEAK_RATE = 5e-3


def train_backbone(config: Config) -> list[np.ndarray]:
    """Returns the weights of a backbone after seconds of training on digits 0 to 4.

    Args:
        config: Its `seed`, `image_size`, `backbone` and `width` count.

    Returns:
        The weights for `set_weights` of a backbone of this Config.
    """
    fields = ("seed", "image_size", "backbone", "width")
    chosen = {name: getattr(config, name) for name in fields}
    # Copies: a backend may share memory with what it is given.
    return [weight.copy() for weight in _trained(type(config)(transfer="scratch", **chosen))]


@functools.lru_cache(maxsize=4)
def _trained(config):
    """Trains once for all trials of a search in this process."""
    size = config.image_size
    source = data.ImageSet(
        "digits", "digits 0 to 4", image_size=(size, size), channels=3, sample="digits 0 to 4"
    )
    train = data.load_images(source, data.Source("sample"), 0.05).train
    keras.utils.set_random_seed(config.seed)
    model = build_model(config, 5)
    batches = ArrayBatches(train.x, train.y, batch_size=BATCH_SIZE, num_classes=5, seed=config.seed)
    rate = one_cycle(PEAK_RATE, EPOCHS * batches.num_batches)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="categorical_crossentropy")
    for epoch in range(EPOCHS):
        batches.set_epoch(epoch)
        model.fit(feed(batches), epochs=1, shuffle=False, verbose=0)
    return backbone_of(model).get_weights()
