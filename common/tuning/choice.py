"""The methods of a search by name, without importing those that are not used."""

from common.basics.errors import RecipeError, UsageError, near_match

METHODS = ("grid", "random", "bayesian", "hyperband", "evolution", "tpe")


def check_method(method):
    """Raises a UsageError where there is no such method, or an extra for it is not installed."""
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


def make_oracle(method, **options):
    """Returns the oracle of a method; `options` are those of SweepOracle."""
    check_method(method)
    if method == "bayesian":
        from common.tuning.bayesian import BayesianOracle as cls
    elif method == "hyperband":
        from common.tuning.hyperband import HyperbandOracle as cls
    elif method == "tpe":
        from common.tuning.tpe import TPEOracle as cls
    else:
        from common.tuning import methods

        cls = {
            "grid": methods.GridOracle,
            "random": methods.RandomOracle,
            "evolution": methods.EvolutionOracle,
        }[method]
    return cls(**options)
