"""How long to train on a data set of another size than a preset is made for: budgets in steps.

A preset counts epochs. Seven epochs of 50,000 images are 5,000 steps; of 300 images they are 28, and the
network answers as it did at the start.
"""

import dataclasses

from common.basics.wording import examples as examples_of
from common.runs.run import needs_fit


@dataclasses.dataclass(frozen=True)
class Budget:
    """The least that a recipe's network needs; each recipe has its own in train.py."""

    steps: int
    """Optimizer steps of a training, at least."""
    smallest_batch: int
    """Batches shrink with the data down to this many examples."""
    most_epochs: int
    """No more passes than this over the same examples, whatever the steps."""

    def fit(self, config, examples, given=()):
        """Returns a Config with batches and epochs for so few examples, or the one it was given.

        Batches shrink, by halves, to a sixteenth of the examples; epochs make up the missing steps.

        Args:
            config: Config with `batch_size` and `epochs`.
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


def fit_to_data(module, config, given, source):
    """Returns the Config that a search starts from, fitted to its data as a run's is.

    Args:
        module: The recipe's `train` module.
        config: Config.
        given: Names of the fields that the user chose.
        source: Source.
    """
    if not needs_fit(module, config, source):
        return config
    return module.fit_to(config, len(module.load_data(config, source).train), given)


def describe(run, splits):
    """Returns what a run prints: "300 images: 38 epochs in batches of 16, 722 steps".

    Args:
        run: Run, whose Config has been fitted.
        splits: Its Splits.
    """
    config, asked, examples = run.config, run.asked, len(splits.train)
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
