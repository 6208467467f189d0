"""What else is measured on the test characters: other tasks, and answers without a trained network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from common.basics.statistics import paired_test
from common.training.outputs import inference_batches, outputs_of

from .episodes import Tasks, tasks_of
from .form import FURTHER, FURTHER_TASKS
from .learners import has_embeddings
from .scoring import figures, right
from .task import answers_to, by_prototypes

if TYPE_CHECKING:
    from .train import Config

OTHER_SEED = 3
"""Of the further test tasks."""


def tasks(model: keras.Model, test: Tasks) -> list[dict[str, Any]]:
    """Returns the "tasks" of metrics.json: figures of tasks with other numbers of characters.

    Args:
        model: Trained network. One that ends in logits knows tasks of as many characters only.
        test: The test tasks by which the run is judged.
    """
    rows = []
    characters = test.characters
    for way, shot in FURTHER:
        if way > len(characters) or not (has_embeddings(model) or way == model.output_shape[-1]):
            continue
        other = tasks_of(
            characters, FURTHER_TASKS, way, shot, OTHER_SEED, steps=test.steps, rate=test.rate
        )
        found = figures(answers_to(other, model), other.chosen, characters.alphabets[other.chosen])
        rows.append({"way": way, "shot": shot, **found})
    return rows


def baselines(config: Config, test: Tasks, outputs: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Returns rows for metrics.json: the nearest drawing by pixels, and a network before training.

    Args:
        config: Its network is built, with new weights.
        test: The test tasks.
        outputs: The network's answers to them, as in predictions.npz.
    """
    from dataclasses import replace

    from .model import build_model

    images = test.characters.images
    keras.utils.set_random_seed(config.seed)
    untrained = build_model(replace(config, learner="prototypes"))
    named = {
        "nearest drawing by pixels": images.reshape(len(images), -1) / 255.0,
        "embeddings of a network before training": outputs_of(untrained, inference_batches(images)),
    }
    network = right(outputs["test_outputs"]).mean(axis=(1, 2))
    rows = []
    for name, embeddings in named.items():
        scores = right(by_prototypes(test, embeddings)).mean(axis=(1, 2))
        rows.append(
            {
                "name": name,
                "value": round(float(scores.mean()), 6),
                "count": len(test),
                "p": paired_test(scores, network).p,
            }
        )
    return rows
