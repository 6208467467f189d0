"""Few-shot learning on Omniglot: new characters from one drawing each; ProtoNet, MAML, Reptile.

    recipes train omniglot_fewshot                       prototypical networks on the real data
    recipes train omniglot_fewshot --preset maml         also maml-first-order, reptile
    recipes train omniglot_fewshot --preset sample --data sample      made-up characters, no download
    recipes predict RUN new/ --support known/            known/: a folder of class folders

The network is tested on characters of alphabets that it has never seen. What it has learnt is not
classes but how to tell classes apart. Accuracies and times, with the spread over seeds: README.md.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from common import data
from common.basics.errors import UsageError
from common.runs.bounds import (
    AtLeast,
    AtMost,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Seed,
    check_bounds,
)
from common.runs.run import Run
from recipes.omniglot_fewshot.task import FewShot

TASK = FewShot()


@dataclass(frozen=True)
class Config:
    """Hyperparameters. The defaults are those of the preset `best`."""

    seed: Seed = 0
    """Seed of initial weights and training tasks; validation and test have seeds of their own."""
    learner: Literal["prototypes", "maml", "reptile"] = "prototypes"
    """How a task is learnt: nearest mean of embeddings, or gradient descent from weights made for it."""
    filters: tuple[PositiveInt, ...] = (32, 64, 64, 64)
    """Filters of the convolutions, each of which halves the image; at most 4."""
    pooled: NonNegativeInt = 2
    """How many of them, from the first, halve it by max pooling; the others by strides: faster."""
    normalisation: Literal["batch", "image"] = "batch"
    """Of prototypes: batch normalisation, or each image by itself, as the others have."""
    way: Annotated[int, AtLeast(2)] = 60
    """Characters of a training task of prototypes; maml and reptile have 5, as the test."""
    shot: PositiveInt = 1
    """Known drawings of each character in a training task."""
    query: PositiveInt = 5
    """Drawings asked of each character in a training task."""
    rotations: bool = True
    """Whether training characters turned by 90, 180 and 270 degrees count as further characters."""
    rotation: Annotated[float, AtLeast(0), AtMost(45)] = 15.0
    """Largest rotation of a training drawing either way, degrees."""
    scale: Annotated[float, AtLeast(0), AtMost(0.5)] = 0.2
    """Largest relative change of its size."""
    shift: NonNegativeFloat = 2.0
    """Largest shift of it in either direction, pixels."""
    inner_steps: NonNegativeInt = 1
    """maml: steps on the support of a training task, 0: plain training; reptile: steps on a training
    task, each on another drawing of every character."""
    test_steps: NonNegativeInt = 5
    """maml, reptile: steps on the support of a task of validation, test or `recipes predict`."""
    inner_rate: PositiveFloat = 0.4
    """maml, reptile: learning rate of these steps."""
    first_order: bool = False
    """maml: whether the gradients of these steps count as constants."""
    learning_rate: PositiveFloat = 3e-3
    """Adam's peak: up for a tenth of the steps, then a cosine to 0."""
    batch_size: PositiveInt = 1
    """Tasks per step."""
    epoch_examples: PositiveInt = 100
    """Tasks of an epoch, all new; the network is validated after each epoch."""
    epochs: PositiveInt = 12
    """Number of epochs; no task comes twice."""

    def __post_init__(self):
        check_bounds(self)
        if len(self.filters) > 4:
            raise UsageError(
                f"filters must be at most 4 values, got {len(self.filters)}: the image is used up"
            )


BEST = Config()
MAML = replace(
    BEST,
    learner="maml",
    normalisation="image",
    filters=(32, 32, 32, 32),
    pooled=0,
    inner_steps=4,
    inner_rate=0.1,
    learning_rate=1e-2,
    batch_size=4,
    epoch_examples=800,
    epochs=30,
)
PRESETS = {
    "best": BEST,
    "maml": MAML,
    "maml-first-order": replace(MAML, first_order=True),
    "reptile": replace(MAML, learner="reptile", inner_steps=6, test_steps=20),
    # Of the 60 made-up characters to learn from; small tasks, a few at a time.
    "sample": replace(
        BEST,
        filters=(16, 16, 16, 16),
        pooled=0,
        way=10,
        query=3,
        batch_size=4,
        epoch_examples=160,
        epochs=6,
    ),
}
VALIDATION = ("Early_Aramaic",)
"""Alphabets of small1 that choose the epoch."""
TEST = ("Japanese", "Sanskrit", "Tagalog")
"""Alphabets of small2 that are tested on, by how their names begin: the others are in small1 too."""

DATA = data.ImageSet(
    "omniglot",
    "Omniglot, small splits",
    image_size=(28, 28),
    channels=1,
    sample="shapes",
    splits=("small1", "small2"),
)


def load_data(config: Config, source: data.Source) -> data.Splits:
    """Returns tasks for validation and test, and drawings with their characters to learn from.

    The x of `train` are uint8 drawings `(n, 28, 28, 1)`, those of `val` and `test` are `Tasks`.

    Raises:
        RecipeError: The user's own data has too few classes, or too few images of one.
    """
    from .reading import read
    from .task import adaptation_of

    return read(DATA, source, adaptation_of(config), VALIDATION, TEST)


def train(config: Config, run: Run) -> dict[str, Any]:
    """Trains, and scores the best epoch on the test tasks.

    Args:
        config: Hyperparameters.
        run: The run, opened.

    Returns:
        The content of the run's metrics.json.
    """
    import keras

    from common.basics.backend import jit_compile, seed_everything
    from common.layers.schedules import one_cycle
    from common.training.batches import ArrayBatches
    from common.training.finish import finish
    from common.training.fit import fit
    from common.training.generated import GeneratedBatches
    from common.training.gradients import train_by, validate_by

    from . import learners
    from .further import baselines, tasks
    from .model import build_model
    from .reading import task_maker

    splits = run.load(load_data)
    run.record_environment(splits.info)
    seed_everything(config.seed, run.options.deterministic)
    train_batches = GeneratedBatches(
        task_maker(splits.train, config),
        count=config.epoch_examples,
        batch_size=config.batch_size,
        seed=config.seed,
    )
    validation = ArrayBatches(splits.val.x, splits.val.x.labels, batch_size=10)

    model = build_model(config)
    model.compile(
        optimizer=keras.optimizers.Adam(
            one_cycle(config.learning_rate, config.epochs * train_batches.num_batches)
        ),
        metrics=[learners.accuracy],
        jit_compile=jit_compile(),
    )
    train_by(model, learners.training_step(model, config))
    validate_by(model, learners.validation_step(model, splits.val.x))
    keeper = fit(
        model,
        run,
        train_batches,
        validation,
        epochs=config.epochs,
        monitor="val_accuracy",
    )
    return finish(
        TASK,
        model,
        run,
        splits,
        keeper,
        baselines=lambda model, outputs: baselines(config, splits.test.x, outputs),
        more=None if run.is_trial else {"tasks": tasks(model, splits.test.x)},
    )


if __name__ == "__main__":
    from common.cli import run_script

    raise SystemExit(run_script(__file__))
