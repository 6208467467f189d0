"""The search methods by name. Only the one that is used is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from common.basics.errors import RecipeError, UsageError, near_match

if TYPE_CHECKING:
    from common.tuning.oracle import SweepOracle


Method = Literal["grid", "random", "bayesian", "hyperband", "evolution", "tpe"]
METHODS: tuple[str, ...] = get_args(Method)


def check_method(method: str) -> None:
    """Checks that a method can be used.

    Raises:
        UsageError: There is no such method.
        RecipeError: The method needs a package that is not installed.
    """
    if method not in METHODS:
        raise UsageError(
            f"unknown method '{method}'{near_match(method, METHODS)} "
            f"(there are: {', '.join(METHODS)})"
        )
    if method == "tpe":
        import importlib.util

        if importlib.util.find_spec("optuna") is None:
            raise RecipeError(
                "--method tpe needs Optuna, which is not installed: "
                "`pip install -e .[optuna]` in the clone, or `make setup EXTRAS=optuna`"
            )


def make_oracle(method: str, **options: Any) -> SweepOracle:
    """Returns the oracle of a method.

    Args:
        method: One of METHODS.
        **options: Arguments of SweepOracle.

    Raises:
        UsageError, RecipeError: As `check_method`.
    """
    check_method(method)
    if method == "bayesian":
        from common.tuning.bayesian import BayesianOracle

        return BayesianOracle(**options)
    if method == "hyperband":
        from common.tuning.hyperband import HyperbandOracle

        return HyperbandOracle(**options)
    if method == "tpe":
        from common.tuning.tpe import TPEOracle

        return TPEOracle(**options)
    from common.tuning import methods

    simple = {
        "grid": methods.GridOracle,
        "random": methods.RandomOracle,
        "evolution": methods.EvolutionOracle,
    }
    return simple[method](**options)
