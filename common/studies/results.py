"""results.json: the runs of a recipe's presets over seeds. The tables of READMEs are made from it."""

from pathlib import Path

from common.basics.errors import RecipeError
from common.basics.files import locked, read_json, write_json_atomic
from common.runs import config as configuration
from common.runs import registry


def file(name):
    return registry.recipes_folder() / name / "results.json"


def read(name):
    """Returns the runs in a recipe's results.json, or an empty list."""
    path = file(name)
    if not path.exists():
        return []
    runs = read_json(path, "results").get("runs")
    if not isinstance(runs, list):
        raise RecipeError(f"{path} is damaged: it lacks 'runs'; take it from the last commit")
    return runs


def record(name, directory):
    """Adds a finished run to the recipe's results.json.

    It replaces the one of its preset and seed on the same kind of device (a GPU's times are no
    processor's), and those of the preset as it was before: some of their seeds would be a poor sample.
    """
    # Not at the top: it imports matplotlib, and `recipes list` reads results.
    from common.report.facts import read_history

    directory = Path(directory)
    metrics = read_json(directory / "metrics.json", "metrics")
    environment = read_json(directory / "environment.json", "environment")
    timing = read_json(directory / "timing.json", "timing")
    if metrics["data"]["source"] != "full":
        raise RecipeError(f"{directory} was not trained on a real data set; it is not recorded")
    history, _ = read_history(directory / "history.csv")
    run = {
        "preset": metrics["preset"],
        "seed": metrics["seed"],
        # Of the last epoch, as it was trained: augmented, with dropout, while weights changed.
        "train_accuracy": float(history["accuracy"][-1]),
        "validation_accuracy": metrics["validation"]["accuracy"],
        "test_accuracy": metrics["test"]["accuracy"],
        "test_count": metrics["test"]["count"],
        "test_loss": metrics["test"]["loss"],
        "test_ece": metrics["test"]["ece"],
        "test_ece_calibrated": metrics["test"]["ece_calibrated"],
        "baselines": metrics["baselines"],
        "parameters": metrics["parameters"],
        "epochs": metrics["epochs"],
        "best_epoch": metrics["best_epoch"],
        **{
            key: timing[key]
            for key in ("train_wall_seconds", "train_cpu_seconds", "examples_per_second")
        },
        "precision": timing.get("precision", "float32"),
        "data": metrics["data"],
        **{
            key: environment[key]
            for key in ("backend", "cpu", "cpu_count", "accelerators", "platform", "python")
        },
        "versions": environment["versions"],
        "commit": environment["commit"],
        "started": environment["started"],
        "command": f"recipes train {name} --preset {metrics['preset']} --seed {metrics['seed']}",
        "config": read_json(directory / "config.json", "run configuration")["config"],
    }

    def key(run):
        return run["preset"], run["accelerators"], run["seed"]

    def replaced(old):
        same_row = key(old)[:2] == key(run)[:2]
        return same_row and (old["seed"] == run["seed"] or changed(old["config"], run["config"]))

    # Another process may record a run at the same moment.
    with locked(file(name).parent):
        runs = sorted([*(old for old in read(name) if not replaced(old)), run], key=key)
        write_json_atomic(file(name), {"recipe": name, "runs": runs})


def changed(config, now):
    """Returns whether a run's hyperparameters are others than those now, whatever the seed."""
    # One that the run does not know yet has come with a default that changes nothing.
    return any(now.get(key) != value for key, value in config.items() if key != "seed")


def by_row(name):
    """Returns what the rows of a recipe's table hold: (preset, earlier, device) -> runs.

    In the order of the recipe's PRESETS. `earlier` says that the preset has changed since the run; those
    come after the others. The device is "" for the processor, which comes first.
    """
    presets, groups = registry.load(name).PRESETS, {}
    for run in read(name):
        now = configuration.to_dict(presets[run["preset"]]) if run["preset"] in presets else {}
        key = (run["preset"], changed(run["config"], now), ", ".join(run["accelerators"]))
        groups.setdefault(key, []).append(run)
    order = [*presets, *(preset for preset, *_ in groups)]
    return dict(sorted(groups.items(), key=lambda item: (order.index(item[0][0]), *item[0][1:])))
