"""results.json: the recorded runs of a recipe's presets. The tables of the READMEs are made from it."""

import dataclasses
import math
from pathlib import Path
from typing import Any

from common.basics.errors import RecipeError
from common.basics.files import locked, read_json, write_json_atomic
from common.runs import config as configuration
from common.runs import headline, registry

CLASSIFIER = ("loss", "ece", "ece_calibrated")
"""Figures of a classifier on test that results.json keeps beside the headline."""


@dataclasses.dataclass(frozen=True)
class Figures:
    """What the tables show about the quality of a run."""

    headline: headline.Headline
    training: float | None
    """The same figure on the training split in the last epoch; None where the history has none."""
    ece: tuple[float, float] | None
    """Expected calibration error, raw and calibrated; None where the task has none."""


def figures(run: dict[str, Any]) -> Figures:
    """Returns the figures of a run in results.json. A run without a headline is an older classifier's."""
    if "headline" in run:
        shown, training = headline.of(run), run["training"]
    else:
        shown = headline.Headline(
            "accuracy",
            "%",
            value=run["test_accuracy"],
            count=run["test_count"],
            validation=run["validation_accuracy"],
        )
        training = run["train_accuracy"]
    ece = None
    if run.get("test_ece") is not None:
        ece = run["test_ece"], run["test_ece_calibrated"]
    return Figures(shown, training, ece)


def file(name: str) -> Path:
    """Returns the path of a recipe's results.json."""
    return registry.recipes_folder() / name / "results.json"


def read(name: str) -> list[dict[str, Any]]:
    """Returns the runs in a recipe's results.json, or an empty list where there is no such file.

    Raises:
        RecipeError: The file is damaged.
    """
    path = file(name)
    if not path.exists():
        return []
    runs = read_json(path, "results").get("runs")
    if not isinstance(runs, list):
        raise RecipeError(f"{path} is damaged: it lacks 'runs'; take it from the last commit")
    return runs


def diverged(name: str) -> list[dict[str, Any]]:
    """Returns the runs that ended because their loss was not finite: preset, seed, accelerators, config.

    They have no score. Leaving them out of the table would make a preset look better than it is.
    """
    path = file(name)
    return read_json(path, "results").get("diverged", []) if path.exists() else []


def record_diverged(name: str, directory: Path | str) -> None:
    """Adds a run whose loss was not finite to the recipe's results.json.

    Args:
        name: Name of the recipe.
        directory: The run folder.

    Raises:
        RecipeError: A file of the run is absent or damaged.
    """
    held = read_json(Path(directory) / "config.json", "run configuration")
    environment = read_json(Path(directory) / "environment.json", "environment")
    run = {
        "preset": held["preset"],
        "seed": held["config"]["seed"],
        "accelerators": environment["accelerators"],
        "config": held["config"],
    }
    defaults = defaults_of(name)
    with locked(file(name).parent):
        runs = [old for old in read(name) if not _replaced(old, run, defaults)]
        lost = [old for old in diverged(name) if not _replaced(old, run, defaults)]
        _write(name, runs, [*lost, run])


def _key(run):
    return run["preset"], tuple(run["accelerators"]), run["seed"]


def _write(name, runs, lost):
    held = {"recipe": name, "runs": sorted(runs, key=_key)}
    if lost:
        held["diverged"] = sorted(lost, key=_key)
    write_json_atomic(file(name), held)


def _replaced(old, run, defaults):
    """Returns whether a run takes the place of an older one: equal seed, or a preset changed since."""
    if _key(old)[:2] != _key(run)[:2]:
        return False
    return old["seed"] == run["seed"] or changed(old["config"], run["config"], defaults)


def record(name: str, directory: Path | str) -> None:
    """Adds a finished run to the recipe's results.json.

    Of the runs of its preset on the same kind of device it replaces three kinds: one with its seed,
    those trained before the preset changed, and those judged by another figure. Other runs stay.

    Args:
        name: Name of the recipe.
        directory: The run folder.

    Raises:
        RecipeError: It was not trained on a real data set, or a file of it is absent or damaged.
    """
    directory = Path(directory)
    metrics = read_json(directory / "metrics.json", "metrics")
    environment = read_json(directory / "environment.json", "environment")
    timing = read_json(directory / "timing.json", "timing")
    if metrics["data"]["source"] != "full":
        raise RecipeError(f"{directory} was not trained on a real data set; it is not recorded")
    shown = headline.of(metrics)
    run = {
        "preset": metrics["preset"],
        "seed": metrics["seed"],
        "headline": shown.to_dict(),
        "training": _last(directory / "history.csv", shown.name.replace(" ", "_")),
        **{
            f"test_{key}": metrics["test"][key]
            for key in CLASSIFIER
            if metrics["test"].get(key) is not None
        },
        "baselines": metrics["baselines"],
        **({"figures": metrics["figures"]} if metrics.get("figures") else {}),
        **_attack(directory / "attack.json"),
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

    defaults = defaults_of(name)

    def kept(old):
        if _replaced(old, run, defaults):
            return False
        # Rows are of one figure: of a task that is judged by another by now, older runs go.
        return _key(old)[:2] != _key(run)[:2] or figures(old).headline.name == shown.name

    # Another process may record a run at the same time.
    with locked(file(name).parent):
        lost = [old for old in diverged(name) if not _replaced(old, run, defaults)]
        _write(name, [*filter(kept, read(name)), run], lost)


def _attack(path):
    """Returns what results.json keeps of the ladder of attacks on a run, if it was attacked."""
    if not path.is_file():
        return {}
    found = read_json(path, "attacks")
    shares = [{key: rung[key] for key in ("name", "accuracy")} for rung in found["rungs"]]
    return {"attack": {**found, "rungs": shares}}


def _last(path, column):
    """Returns the last epoch's value of a column of history.csv, or None."""
    # Not at the top: it imports matplotlib, and `recipes list` reads results.
    from common.report.facts import read_history

    history, _ = read_history(path)
    if history is None or column not in history:
        return None
    value = float(history[column][-1])
    return value if math.isfinite(value) else None


def defaults_of(name: str) -> dict[str, Any]:
    """Returns the fields of a recipe's default Config and their values."""
    return configuration.to_dict(registry.load(name).Config())


def changed(config: dict[str, Any], now: dict[str, Any], defaults: dict[str, Any]) -> bool:
    """Returns whether two configurations differ in a field other than the seed.

    A field that one of them lacks has its default there: a new field keeps the old behaviour.

    Args:
        config: Fields of a recorded run.
        now: Fields of the preset as it is now.
        defaults: As `defaults_of` returns them.
    """
    config, now = defaults | config, defaults | now
    return any(now.get(key) != value for key, value in config.items() if key != "seed")


Row = tuple[str, bool, str]
"""What the runs of a row of the tables share: the preset, whether it has changed since, the device."""


def by_row(name: str) -> dict[Row, list[dict[str, Any]]]:
    """Returns the runs of each row of a recipe's table.

    The rows are in the order of the recipe's PRESETS. Those of presets that have changed since the run
    come after the others. The device is "" for the CPU, which comes first.
    """
    return _grouped(name, read(name))


def diverged_by_row(name: str) -> dict[Row, list[dict[str, Any]]]:
    """Returns the runs that diverged, grouped and ordered as by `by_row`."""
    return _grouped(name, diverged(name))


def _grouped(name, runs):
    presets, defaults = registry.load(name).PRESETS, defaults_of(name)
    groups: dict[Row, list[dict[str, Any]]] = {}
    for run in runs:
        preset = run["preset"]
        earlier = preset not in presets or changed(
            run["config"], configuration.to_dict(presets[preset]), defaults
        )
        key = (preset, earlier, ", ".join(run["accelerators"]))
        groups.setdefault(key, []).append(run)
    order = [*presets, *(preset for preset, *_ in groups)]
    return dict(sorted(groups.items(), key=lambda item: (order.index(item[0][0]), *item[0][1:])))
