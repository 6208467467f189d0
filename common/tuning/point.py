"""Makes the Config of a point of the search space, by the function `search_space(hp, base)`."""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import keras_tuner
from keras_tuner.errors import FailedTrialError

from common.basics.errors import RecipeError, UsageError
from common.runs import config as configuration
from common.runs.types import Config
from common.tuning import ranges
from common.tuning import space as spaces
from common.tuning.ranges import Point

SearchSpace = Callable[[keras_tuner.HyperParameters, Config], Config]
"""The function `search_space(hp, base)` of a recipe's tune.py."""


class Declared(keras_tuner.HyperModel):
    """Lets KerasTuner find the search space, conditions included, by calling a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def build(self, hp: keras_tuner.HyperParameters) -> Any:
        return self.function(hp)


class UndeclaredError(UsageError):
    """The search space has a hyperparameter that the search does not know."""


def check_declared(
    search_space: SearchSpace, base: Config, space: spaces.Space, points: Iterable[Point]
) -> None:
    """Checks that the function asks for no hyperparameter that is not in the space.

    Such a hyperparameter would have its default in all trials, without a word.

    Args:
        search_space: The function.
        base: Config that the search starts from.
        space: The space that was found when the search began.
        points: The function is called at each of them.

    Raises:
        UndeclaredError: It asks for one.
    """
    known = space.to_list()
    for point in points:
        hyperparameters = keras_tuner.HyperParameters()
        hyperparameters.values = dict(point)
        with contextlib.suppress(Exception):
            # Errors of the function are reported by the trial that meets them.
            search_space(hyperparameters, base)
        for entry in spaces.Space(hyperparameters).to_list():
            if entry not in known:
                name = entry["config"]["name"]
                where = ", ".join(f"{key} {ranges.show(value)}" for key, value in point.items())
                other = "other values of " if name in space.names else ""
                raise UndeclaredError(
                    f"search_space asks for {other}the hyperparameter {name} only at some points, e.g. "
                    f"{where}, so that no search would vary it. Say under which condition: `with "
                    'hp.conditional_scope("PARENT", [VALUES]):` around its `if`'
                )


def make_config(
    search_space: SearchSpace, hyperparameters: keras_tuner.HyperParameters, base: Config
) -> Config:
    """Returns the Config of a point.

    Raises:
        FailedTrialError: The recipe refuses it. KerasTuner does not retry such a trial.
    """
    try:
        config = search_space(hyperparameters, base)
        # This checks the types as well: a float in place of a whole number would train something else.
        return configuration.from_dict(type(base), configuration.to_dict(config))
    except RecipeError as error:
        raise FailedTrialError(str(error)) from error
