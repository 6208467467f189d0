"""What the transformer does to the same images after every epoch: noted while it trains, drawn later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from common.basics.backend import no_gradients
from common.basics.files import read_json, write_json_atomic

if TYPE_CHECKING:
    from common.data.types import Split
    from common.runs.run import Run

IMAGES = 10
"""Validation images that are followed: the first of each class, of the first classes."""


class Film(keras.callbacks.Callback):
    """Notes the transforms of a few validation images before training and after every epoch.

    They are kept in film.json of the run folder, so that a run that is resumed goes on with it.

    Args:
        run: The run, opened.
        validation: Its validation split.
    """

    def __init__(self, run: Run, validation: Split) -> None:
        super().__init__()
        self.path = run.path("film.json")
        labels = np.asarray(validation.y)
        firsts = np.unique(labels, return_index=True)[1][:IMAGES]
        self.images = np.asarray(validation.x[firsts])
        self.content: dict[str, Any] = {"rows": firsts.tolist(), "transforms": []}
        if self.path.exists():
            self.content = read_json(self.path, "film")

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # Its weights are those of the seed, unless the run is resumed: then the file has this row.
        if not self.content["transforms"]:
            self._note(0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._note(epoch + 1)

    def _note(self, index):
        found = transforms_of(self.model, self.images)
        # A run that was killed between this and the storing of the epoch trains that epoch again.
        rows = [*self.content["transforms"][:index], np.round(found, 4).tolist()]
        self.content = {**self.content, "transforms": rows}
        write_json_atomic(self.path, self.content)


def transforms_of(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Returns the transforms that a network with a transformer applies to images, `(n, 6)`.

    Args:
        model: The network.
        images: uint8 `(n, size, size, 1)`, as many as memory holds at once.
    """
    located = keras.Model(model.input, model.get_layer("transform").output)
    with no_gradients():
        found = located(images)
    return keras.ops.convert_to_numpy(found).astype("float64")
