"""A point of a search space as a Config: what the function `search_space(hp, base)` makes of it."""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import keras_tuner
from keras_tuner.errors import FailedTrialError

from common.basics.errors import RecipeError, UsageError
from common.runs import config as configuration
from common.runs.types import Config
from common.tuning import space as spaces
from common.tuning.space import Point

SearchSpace = Callable[[keras_tuner.HyperParameters, Config], Config]
"""The function `search_space(hp, base)` of a recipe's tune.py."""


class Declared(keras_tuner.HyperModel):
    """Lets KerasTuner find out the space, conditions included, by calling the function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def build(self, hp: keras_tuner.HyperParameters) -> Any:
        return self.function(hp)


class UndeclaredError(UsageError):
    """A hyperparameter that the search does not know of."""


def check_declared(
    search_space: SearchSpace, base: Config, space: spaces.Space, points: Iterable[Point]
) -> None:
    """Raises an UndeclaredError where points make the function ask for what the space has not.

    Such a hyperparameter would have its default in all trials, and nobody would know.

    Args:
        search_space: Function `(hp, base) -> Config`.
        base: Config that the search starts from.
        space: The Space found when the search began.
        points: Dicts of values.
    """
    known = space.to_list()
    for point in points:
        hyperparameters = keras_tuner.HyperParameters()
        hyperparameters.values = dict(point)
        with contextlib.suppress(Exception):
            # What the function refuses or cannot do is found out by a trial, and told by it.
            search_space(hyperparameters, base)
        for entry in spaces.Space(hyperparameters).to_list():
            if entry not in known:
                name = entry["config"]["name"]
                where = ", ".join(f"{key} {spaces.show(value)}" for key, value in point.items())
                other = "other values of " if name in space.names else ""
                raise UndeclaredError(
                    f"search_space asks for {other}the hyperparameter {name} only in some points, e.g. "
                    f"{where}, so that no search would vary it. Say under which condition: `with "
                    'hp.conditional_scope("PARENT", [VALUES]):` around its `if`'
                )


def make_config(
    search_space: SearchSpace, hyperparameters: keras_tuner.HyperParameters, base: Config
) -> Config:
    """Returns the Config of a point; what the recipe refuses is a failed trial, not retried."""
    try:
        config = search_space(hyperparameters, base)
        # Checks types too: a float where the recipe needs a whole number would train something else.
        return configuration.from_dict(type(base), configuration.to_dict(config))
    except RecipeError as error:
        raise FailedTrialError(str(error)) from error
