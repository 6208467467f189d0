"""What a search gained: its winner trained with new seeds, beside the configuration it started from.

The score of a winner is a maximum over noisy trials, often of short trainings. What it is worth shows
only in trainings that the search has not seen, and in what the start is worth in the same ones.
"""

import dataclasses
import statistics

from common import child
from common import config as configuration
from common.errors import RecipeError
from common.files import read_json, write_json_atomic
from common.tuning.space import show

MEASURES = ("val_accuracy", "val_loss", "test_accuracy")


def retrain(sweep, winner):
    """Trains the winner of a sweep, and where asked the start, with the same new seeds.

    Args:
        sweep: The Sweep; its options say how often and how long.
        winner: Config found.

    Returns:
        Dict of "retrained" and "start": lists of a dict for each seed with the seed and MEASURES. A
        winner that is the start stands in both.
    """
    options, base = sweep.options, sweep.base
    seeds = [base.seed + 1 + index for index in range(options.retrain)]
    planned = [("retrained", winner, seed) for seed in seeds]
    if options.retrain_start:
        planned += [("start", _long(base, options), seed) for seed in seeds]
    rows = {"retrained": [], "start": []}
    for index, (role, config, seed) in enumerate(planned):
        config = dataclasses.replace(config, seed=seed)
        words = "the winner" if role == "retrained" else "what the search started from"
        line = f"Training {words}, seed {seed} ({index + 1} of {len(planned)})"
        metrics = _train(sweep, config, line)
        rows[role].append(
            {
                "seed": seed,
                "val_accuracy": metrics["validation"]["accuracy"],
                "val_loss": metrics["validation"]["loss"],
                "test_accuracy": metrics["test"]["accuracy"],
            }
        )
    return rows


def _long(config, options):
    if options.retrain_epochs is None:
        return config
    return dataclasses.replace(config, epochs=options.retrain_epochs)


def winner_config(sweep, trial):
    """Returns the Config of a trial, with the epochs that it is to be trained for in the end."""
    import keras_tuner

    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.values = dict(trial.values)
    return _long(sweep.search_space()(hyperparameters, sweep.base), sweep.options)


def _train(sweep, config, line):
    """Trains a Config in a process of its own, unless that was done; returns its metrics."""
    values = configuration.to_dict(config)
    # Named by what it trains: a longer or another winner is another run, an equal one is reused.
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
        words += configuration.flags(sweep.definition.reading)
        code = child.run(words, indent="  ")
        if code:
            raise RecipeError(f"the training in {directory} failed; the lines above say why")
    return read_json(directory / "metrics.json", "metrics")


def spread(values):
    """Returns `0.8552 ± 0.0012`: mean and sample deviation, which one value does not have."""
    deviation = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.4f}{deviation}"


def gains(summary, name):
    """Returns how much larger a measure is for the winner than for the start, a list over seeds."""
    pairs = zip(summary["retrained"], summary["start"], strict=True)
    return [winner[name] - start[name] for winner, start in pairs]


def summary_text(summary, directory):
    """Returns what a sweep prints at its end."""
    objective = summary["objective"]
    values = ", ".join(f"{name} {show(value)}" for name, value in summary["values"].items())
    lines = [
        f"Best of {summary['trials']} trials: trial {summary['trial']}, {objective} "
        f"{summary['search_score']:.4f} (a maximum over trials, so it flatters): {values}"
    ]
    rows = summary["retrained"]
    if rows:
        seeds = f"{len(rows)} new seed{'s' * (len(rows) > 1)}"
        epochs = summary["retrain_epochs"]
        lines.append(f"Trained with {seeds}, {epochs} epoch{'s' * (epochs > 1)}:")
        heads = {"retrained": "the winner", "start": "what it started from"}
        lines += [
            f"  {head}: {objective} {_spread_of(summary[role], objective)}, "
            f"test accuracy {_spread_of(summary[role], 'test_accuracy')}"
            for role, head in heads.items()
            if summary[role]
        ]
        if summary["start"]:
            lines.append(
                f"  difference, seed by seed: {objective} {spread(gains(summary, objective))}, "
                f"test accuracy {spread(gains(summary, 'test_accuracy'))}"
            )
    lines.append(f"Train it: recipes train {summary['recipe']} --config {directory / 'best.json'}")
    lines.append(f"Report: {(directory / 'sweep.html').resolve()}")
    return "\n".join(lines)


def _spread_of(rows, name):
    return spread([row[name] for row in rows])
