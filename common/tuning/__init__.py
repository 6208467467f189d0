"""Hyperparameter search on KerasTuner, safe against kill -9, over any field of a recipe's Config.

It may import from studies, tasks, explain, report, export, training, runs, layers, data and basics.
Start reading in `sweep.py`, which is `recipes tune` from beginning to end.

space      a KerasTuner space as a set: size, points, random points, neighbours, vectors
store      the trials of a sweep, one file each: the whole state of a search
oracle     SweepOracle: KerasTuner's Oracle over the store; methods, bayesian, hyperband and tpe
           are its subclasses
tuner      RecipeTuner: a trial is a call of the recipe's own train()
shared_store, database: the same in a database, for several machines
worker     a process that runs trials; searching starts such processes and watches them; folder says who
           works on a sweep folder
retraining the end of a sweep: the winner with new seeds, beside what the search started from;
           verdict says what that shows, and what to do then
report     trials.csv and sweep.html; contest compares methods on one budget; evidence keeps what
           searches found in a recipe's tuning.json
"""

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
