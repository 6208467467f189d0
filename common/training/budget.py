"""How long to train on a data set that is smaller than a preset's own: a budget of optimizer steps.

A preset counts epochs. Seven epochs of 50,000 images are 5,000 steps, but of 300 images only 28, after
which a network has hardly learnt anything.
"""

import dataclasses
from collections.abc import Container
from types import ModuleType
from typing import TypeVar

from common.basics.wording import examples as examples_of
from common.data.source import Source
from common.data.types import Splits
from common.runs import types
from common.runs.options import needs_fit
from common.runs.run import Run

Config = TypeVar("Config", bound=types.Config)
"""A recipe's Config; what is fitted is of the same type."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """The shortest training that a recipe's network needs; each recipe has its own in train.py."""

    steps: int
    """Least number of optimizer steps of a training."""
    smallest_batch: int
    """Batches shrink with the data down to this many examples."""
    most_epochs: int
    """Largest number of passes over the same examples, whatever the steps."""

    def fit(self, config: Config, examples: int, given: Container[str] = ()) -> Config:
        """Returns the Config with batch size and epochs that suit a small number of examples.

        Batches are halved until they hold at most a sixteenth of the examples; more epochs add the
        missing steps. The Config stays as it is if it has enough steps.

        Args:
            config: The recipe's.
            examples: Number of training examples.
            given: Names of the fields that the user chose, which stay.
        """
        if config.epochs * _steps(examples, config.batch_size) >= self.steps:
            return config
        batch_size, epochs = config.batch_size, config.epochs
        if "batch_size" not in given:
            while batch_size // 2 >= self.smallest_batch and batch_size > examples / 16:
                batch_size //= 2
        if "epochs" not in given:
            wanted = -(-self.steps // _steps(examples, batch_size))
            epochs = max(epochs, min(wanted, self.most_epochs))
        return dataclasses.replace(config, batch_size=batch_size, epochs=epochs)


def _steps(examples, batch_size):
    return -(-examples // batch_size)


def fit_to_data(
    module: ModuleType, config: Config, given: Container[str], source: Source
) -> Config:
    """Returns the Config that a search starts from, fitted to its data as for a run.

    Args:
        module: The recipe's `train` module.
        config: The recipe's.
        given: Names of the fields that the user chose.
        source: Where the data comes from.
    """
    if not needs_fit(module, config, source):
        return config
    return module.fit_to(config, len(module.load_data(config, source).train), given)


def describe(run: Run, splits: Splits) -> str:
    """Returns the line that a run prints on its length, e.g. "300 images to train on: 38 epochs ...".

    Args:
        run: Its Config has been fitted.
        splits: Its data.
    """
    config, asked = run.config, run.asked
    # Where examples are generated, an epoch has as many as the Config says.
    examples = getattr(config, "epoch_examples", len(splits.train))
    steps = config.epochs * _steps(examples, config.batch_size)
    plural = "s" if config.epochs > 1 else ""
    line = (
        f"{examples:,} {examples_of(splits.info.kind)} to train on: {config.epochs} epoch{plural} in "
        f"batches of {config.batch_size}, {steps:,} steps"
    )
    if (config.epochs, config.batch_size) == (asked.epochs, asked.batch_size):
        return line
    data = "the subset" if run.source.built_in else "your data"
    return (
        f"{line} (fitted to {data}; preset {run.preset} has {asked.epochs} in batches of "
        f"{asked.batch_size}; --epochs and --batch-size choose others)"
    )
