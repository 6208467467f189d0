"""The two phases of a transfer: a head on cached features, then one ordinary training of the whole."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from common.basics.backend import jit_compile
from common.data.augment import random_crop, random_flip
from common.data.types import Splits
from common.layers.schedules import one_cycle
from common.runs.run import Run
from common.tasks.baselines import beside
from common.training.batches import ArrayBatches
from common.training.callbacks import cpu_seconds
from common.training.features import features

from . import pretrained
from .head import Head, fit_head
from .model import HEAD, backbone_of

if TYPE_CHECKING:
    from common.training.keeper import RunKeeper

    from .train import Config


@dataclass(frozen=True, eq=False)
class Start:
    """The result of the first phase."""

    backbone: keras.Model
    """From images to features, with its pretrained weights."""
    name: str
    """The backbone in words."""
    head: Head
    row: dict[str, float]
    """Scores of the head and cost of the phase, as a row of a history."""
    facts: dict[str, Any]
    """The entry `pretrained` of metrics.json."""

    def put_into(self, model: keras.Model) -> None:
        """Gives the weights of backbone and head to a network of the same Config."""
        backbone_of(model).set_weights(self.backbone.get_weights())
        model.get_layer(HEAD).set_weights([self.head.kernel, self.head.bias])

    def beside(self, splits: Splits, outputs: dict[str, np.ndarray]) -> dict[str, Any]:
        """Returns the row for metrics.json that compares this head with the network after fine-tuning.

        Args:
            splits: The data.
            outputs: The network's probabilities and labels, as in predictions.npz.
        """
        found = self.head.probabilities(features(self.backbone, splits.test.x, self.name))
        name = "the head on frozen features"
        return beside(name, outputs["test_labels"], found, outputs["test_probabilities"])


def begin(config: Config, run: Run, splits: Splits) -> Start:
    """The first phase: computes features of the training and validation images, fits a head to them."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    backbone = pretrained.load(config)
    name = f"{config.backbone} {config.width:g} {config.image_size}"
    train = features(backbone, splits.train.x, name), np.asarray(splits.train.y)
    validation = features(backbone, splits.val.x, name), np.asarray(splits.val.y)
    fitting = time.perf_counter()
    head = fit_head(
        train,
        validation,
        len(splits.info.class_names),
        config.head_strength,
        config.class_weights == "balanced",
    )
    row = {
        **head.scores(*train),
        **{f"val_{name}": value for name, value in head.scores(*validation).items()},
        "learning_rate": 0.0,
        "seconds": round(time.perf_counter() - wall, 3),
        "cpu_seconds": round(cpu_seconds() - cpu, 3),
        "examples_per_second": round(len(splits.train) / (time.perf_counter() - wall), 1),
    }
    if not run.is_trial:
        print(
            f"Head on frozen features: validation accuracy {row['val_accuracy']:.1%}, after "
            f"{row['seconds']:.0f} s, of which {time.perf_counter() - fitting:.1f} s for the head",
            flush=True,
        )
    facts = {
        "backbone": config.backbone,
        "weights": config.weights,
        "fingerprint": pretrained.fingerprint(backbone),
        "head_strength": head.strength,
        "head_validation_accuracy": round(row["val_accuracy"], 6),
    }
    return Start(backbone, name, head, row, facts)


def settle(config: Config, run: Run, model: keras.Model, start: Start) -> RunKeeper:
    """Makes a network with the weights of `start` the result of the run: nothing more is trained."""
    from common.training.fit import keep

    model.compile(optimizer=keras.optimizers.SGD(1.0), loss="categorical_crossentropy")
    return keep(model, run, start.row, monitor=config.monitor)


def fine_tune(
    config: Config, run: Run, splits: Splits, model: keras.Model, start: Start | None
) -> RunKeeper:
    """Trains the layers of a network that are `trainable`.

    Args:
        config: Hyperparameters.
        run: The run, opened.
        splits: The data.
        model: From `build_model`, with the weights to start from.
        start: Its cost is added to that of the first epoch; None: there was no first phase.
    """
    from common.training.fit import fit

    classes = len(splits.info.class_names)

    def augment(images, random):
        if config.flip:
            images = random_flip(images, random)
        if config.crop:
            images = random_crop(images, random, 1 - config.crop)
        return images

    batches = ArrayBatches(
        splits.train.x,
        splits.train.y,
        batch_size=config.batch_size,
        num_classes=classes,
        seed=config.seed,
        class_weights=config.class_weights,
        augment=augment,
    )
    validation = ArrayBatches(splits.val.x, splits.val.y, batch_size=64, num_classes=classes)
    rate = one_cycle(config.learning_rate, config.epochs * batches.num_batches)
    optimizer = keras.optimizers.Adam(rate, weight_decay=config.weight_decay or None)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    # `trainable` has been set before: it counts from here on.
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing),
        metrics=["accuracy"],
        jit_compile=jit_compile(),
    )
    return fit(
        model,
        run,
        batches,
        validation,
        epochs=config.epochs,
        monitor=config.monitor,
        callbacks=[] if start is None else [_CostOfTheStart(start.row)],
    )


class _CostOfTheStart(keras.callbacks.Callback):
    """Adds the seconds of the first phase to the first epoch, because a person waits for both."""

    def __init__(self, row):
        super().__init__()
        self.row = row

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            for name in ("seconds", "cpu_seconds"):
                logs[name] = round(logs[name] + self.row[name], 3)
