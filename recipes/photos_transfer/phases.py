"""The two phases of a transfer: a head on cached features, then one ordinary training of the whole."""

import time
from dataclasses import dataclass

import keras
import numpy as np

from common.basics.backend import jit_compile
from common.data.augment import random_crop, random_flip
from common.layers.schedules import one_cycle
from common.tasks.baselines import beside
from common.training.batches import ArrayBatches, balanced_weights
from common.training.callbacks import cpu_seconds
from common.training.features import features

from . import pretrained
from .head import Head, fit_head
from .model import HEAD, backbone_of


@dataclass(frozen=True, eq=False)
class Start:
    """What the first phase comes to."""

    backbone: keras.Model
    """From images to features, with its pretrained weights."""
    name: str
    """The backbone in words."""
    head: Head
    row: dict
    """Its scores and its cost, as a row of a history."""
    facts: dict
    """What metrics.json holds of it."""

    def put_into(self, model):
        """Gives a network of the same Config these weights."""
        backbone_of(model).set_weights(self.backbone.get_weights())
        model.get_layer(HEAD).set_weights([self.head.kernel, self.head.bias])

    def beside(self, splits, outputs):
        """Returns what metrics.json tells of this head beside the network that was trained on."""
        found = self.head.probabilities(features(self.backbone, splits.test.x, self.name))
        name = "the head on frozen features"
        return beside(name, outputs["test_labels"], found, outputs["test_probabilities"])


def begin(config, run, splits):
    """Returns the Start: features of the training and validation images, and a head on them."""
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


def settle(config, run, splits, model, start):
    """Keeps the head as the run's result: there is nothing more to train; returns the RunKeeper."""
    from common.training.fit import keep

    model.compile(optimizer=keras.optimizers.SGD(1.0), loss="categorical_crossentropy")
    return keep(model, run, start.row, monitor=config.monitor)


def fine_tune(config, run, splits, model, start):
    """Trains the whole network as `trainable` says; returns the RunKeeper.

    Args:
        start: Start, whose cost is added to that of the first epoch; None: there was no first phase.
    """
    from common.training.fit import fit

    classes = len(splits.info.class_names)
    weights = (
        balanced_weights(splits.train.y, classes) if config.class_weights == "balanced" else None
    )

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
        class_weights=weights,
        augment=augment,
    )
    validation = ArrayBatches(splits.val.x, splits.val.y, batch_size=64, num_classes=classes)
    rate = one_cycle(config.learning_rate, config.epochs * batches.num_batches)
    optimizer = keras.optimizers.Adam(rate, weight_decay=config.weight_decay or None)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    # After `trainable` has been set: what it says counts from here on.
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
    """Adds the seconds of the first phase to those of the first epoch: a person waits for both."""

    def __init__(self, row):
        super().__init__()
        self.row = row

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            for name in ("seconds", "cpu_seconds"):
                logs[name] = round(logs[name] + self.row[name], 3)
