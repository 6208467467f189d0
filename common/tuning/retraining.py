"""What a search gained: its winner and the configuration it started from, trained with new seeds.

The score of a winner is a maximum over noisy trials, often of short trainings, so it flatters. How good
the winner is shows only in new trainings, beside trainings of the start with the same seeds.
"""

import dataclasses
from typing import Any

from common.basics import child
from common.basics.errors import RecipeError
from common.basics.files import read_json, write_json_atomic
from common.basics.flags import flags
from common.runs import config as configuration
from common.runs.types import Config
from common.tuning import measures
from common.tuning.trial import Trial
from common.tuning.types import Search


def retrain(sweep: Search, winner: Config) -> dict[str, list[measures.Row]]:
    """Trains the winner of a sweep, and the start if asked to, with the same new seeds.

    A winner that equals the start is trained once and is in both results.

    Args:
        sweep: Its options say how often and how long to train.
        winner: Config of the best trial.

    Returns:
        A row for each seed (common.tuning.measures): "retrained" of the winner, "start" of the start.

    Raises:
        RecipeError: A training failed.
    """
    options, base = sweep.options, sweep.base
    seeds = [base.seed + 1 + index for index in range(options.retrain)]
    planned = [("retrained", winner, seed) for seed in seeds]
    if options.retrain_start:
        planned += [("start", start_config(sweep), seed) for seed in seeds]
    rows: dict[str, list[measures.Row]] = {"retrained": [], "start": []}
    for index, (role, config, seed) in enumerate(planned):
        config = dataclasses.replace(config, seed=seed)
        words = "the winner" if role == "retrained" else "what the search started from"
        line = f"Training {words}, seed {seed} ({index + 1} of {len(planned)})"
        metrics = _train(sweep, config, line)
        rows[role].append(measures.row(seed, metrics, sweep.definition.objective))
    return rows


def _long(config, options):
    if options.retrain_epochs is None:
        return config
    return dataclasses.replace(config, epochs=options.retrain_epochs)


def start_config(sweep: Search) -> Config:
    """Returns the Config that a search started from, with the epochs for the trainings at the end."""
    return _long(sweep.base, sweep.options)


def winner_config(sweep: Search, trial: Trial) -> Config:
    """Returns the Config of a trial, with the epochs for the trainings at the end.

    Without `--retrain-epochs` these are the trial's own: a search may have chosen them.
    """
    import keras_tuner

    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.values = dict(trial.values)
    return _long(sweep.search_space()(hyperparameters, sweep.base), sweep.options)


def _train(sweep, config, line):
    """Trains a Config in a process of its own, unless it has been trained; returns its metrics."""
    values = configuration.to_dict(config)
    # The folder is named by the Config: a finished run of an equal Config is reused.
    directory = sweep.directory / "retrain" / configuration.short_hash(values)
    if not (directory / "metrics.json").exists():
        print(line)
        file = sweep.directory / "retrain" / f"{directory.name}.json"
        file.parent.mkdir(exist_ok=True)
        write_json_atomic(file, {"recipe": sweep.recipe, "config": values})
        words = ["train", sweep.recipe, "--config", str(file), "--run-dir", str(directory)]
        words += ["--data", sweep.definition.data]
        if sweep.definition.data_dir:
            words += ["--data-dir", sweep.definition.data_dir]
        words += flags(sweep.definition.reading)
        code = child.run(words, indent="  ")
        if code:
            raise RecipeError(f"the training in {directory} failed; the lines above say why")
    return read_json(directory / "metrics.json", "metrics")


def write_config(sweep: Search, name: str, config: Config, **more: Any) -> None:
    """Writes a Config file into the sweep folder, for `recipes train --config`.

    The file names the data of the search as well.

    Args:
        sweep: The search.
        name: Name of the file.
        config: The Config.
        **more: What else the file is to hold.
    """
    definition = sweep.definition
    data = read_json(sweep.directory / "environment.json", "environment")["data"]
    write_json_atomic(
        sweep.directory / name,
        {
            "recipe": sweep.recipe,
            "config": configuration.to_dict(config),
            # common.runs.recorded reads these.
            **{key: getattr(definition, key) for key in ("data", "data_dir", "reading")},
            **{key: data.get(key) for key in ("label", "fingerprint")},
            **more,
        },
    )
