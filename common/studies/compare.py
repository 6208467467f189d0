"""Runs side by side: a plain-text table, what differs in their configurations, and tests."""

from collections.abc import Sequence
from pathlib import Path

from common.basics.errors import RecipeError, UsageError
from common.basics.files import read_json
from common.runs import headline, scores
from common.runs.finished import SCORE_AGAIN
from common.studies import compare_examples, compare_seeds, plain

VALUE_WIDTH = 28  # longer values of a configuration field are cut, so that the table fits a screen


def compare(run_dirs: Sequence[Path | str]) -> str:
    """Returns a table of finished runs as aligned plain text, with warnings and tests.

    Runs that differ in the seed only are compared as one group. What matters is what a training with
    another seed would give, and a test of two trained networks does not tell that.

    Args:
        run_dirs: Run folders, shown in this order. A single one gives only its row.

    Returns:
        Text of several lines. Each run has a row: the figure on test with its 95 % interval, the figure
        on validation, epochs, parameters, wall and CPU seconds of the training. Below come the
        configuration fields that differ, and a warning where rows cannot be compared. Groups have
        mean and deviation, and a t test for each pair. Single runs have a paired test for each pair
        that was tested on the same examples.

    Raises:
        UsageError: No folder was given, or one is absent.
        RecipeError: A folder is not a finished run.
    """
    if not run_dirs:
        raise UsageError("name at least one run folder to compare, e.g. runs/mnist_cnn/first")
    runs = [_read_run(path) for path in run_dirs]
    for run, name in zip(
        runs, compare_seeds.short_names([run["path"] for run in runs]), strict=True
    ):
        run["name"] = name
    groups = compare_seeds.group(runs)
    singles = [run for group in groups if len(group.runs) == 1 for run in group.runs]
    blocks = [_overview(runs), *_warnings(runs)]
    if len(singles) < len(runs):
        blocks += [*compare_seeds.warnings(groups), *_split_warnings(runs)]
        blocks += [_group_differences(groups), plain.table(compare_seeds.table(groups))]
        blocks.append("\n".join(compare_seeds.verdicts(groups)))
    else:
        blocks.append(_differences(runs))
    blocks.append(compare_examples.paired_tests(singles))
    return "\n\n".join(block for block in blocks if block)


def _read_run(path):
    """Reads what a comparison needs from one run folder."""
    path = Path(path)
    if not path.is_dir():
        raise UsageError(f"no run folder at {path}; `runs/<recipe>/<name>` was expected")
    if not (path / "metrics.json").is_file():
        raise RecipeError(
            f"{path} is not a finished run: it has no metrics.json. "
            "Finish it with its training command, or leave it out."
        )
    summary = read_json(path / "metrics.json", "metrics")
    try:
        row = {
            "recipe": summary["recipe"],
            "data": summary["data"],
            "headline": headline.of(summary),
            "data_key": _data_key(summary["data"]),
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecipeError(
            f"{path / 'metrics.json'} is not the metrics of a run ({error!r}); {SCORE_AGAIN}"
        ) from error
    timing, config, environment = {}, {}, {}
    if (path / "timing.json").is_file():
        timing = read_json(path / "timing.json", "timing")
    if (path / "config.json").is_file():
        config = read_json(path / "config.json", "configuration")
    if (path / "environment.json").is_file():
        environment = read_json(path / "environment.json", "environment")
    return row | {
        "path": path,
        "preset": summary.get("preset"),
        "seed": summary.get("seed"),
        "epochs": summary.get("epochs"),
        "best_epoch": summary.get("best_epoch"),
        "parameters": summary.get("parameters"),
        "wall": timing.get("train_wall_seconds"),
        "cpu": timing.get("train_cpu_seconds"),
        "config": config.get("config") or {},
        "backend": environment.get("backend"),
    }


def _overview(runs):
    test, validation = compare_seeds.heads(runs)
    rows = [
        (
            "run",
            "recipe",
            "data",
            test,
            "95 % interval",
            "examples",
            validation,
            "epochs",
            "parameters",
            "wall s",
            "CPU s",
        )
    ]
    for run in runs:
        shown = run["headline"]
        epochs = plain.grouped(run["epochs"])
        if run["best_epoch"] not in (None, run["epochs"]):
            epochs = f"{run['best_epoch']} of {epochs}"
        rows.append(
            (
                run["name"],
                run["recipe"],
                str(run["data"].get("label") or run["data"].get("name") or plain.ABSENT),
                compare_seeds.tested(shown, shown.text(shown.value), test),
                _interval(shown),
                plain.grouped(shown.count),
                plain.ABSENT if shown.validation is None else shown.text(shown.validation),
                epochs,
                plain.grouped(run["parameters"]),
                plain.grouped(run["wall"]),
                plain.grouped(run["cpu"]),
            )
        )
    return plain.table(rows, left=3)


def _interval(shown):
    if shown.interval is None:
        return plain.ABSENT
    # A hyphen between numbers with signs or exponents could be taken for a minus.
    return ("-" if shown.unit == "%" else " to ").join(map(shown.text, shown.interval))


def _warnings(runs):
    """Returns the warnings, one string each."""
    warnings = []
    samples = [run["name"] for run in runs if run["data"].get("source") == "sample"]
    if samples:
        warnings.append(
            f"WARNING: sample data ({', '.join(samples)}): says nothing about the real task."
        )
    figures = dict.fromkeys(run["headline"].name for run in runs)
    if len(figures) > 1:
        warnings.append(
            f"WARNING: the runs are judged by different figures ({', '.join(figures)}), which cannot be "
            "compared."
        )
    if len({run["data_key"] for run in runs}) > 1:
        warnings.append(
            "WARNING: the runs are on different data, so their figures cannot be compared."
        )
    return warnings


def _data_key(data):
    return (data.get("source"), data.get("name"), data.get("fingerprint"))


def _split_warnings(runs):
    """Returns a warning for each split that differs between runs on the same data."""
    import numpy as np

    warnings, tested, validated = [], {}, {}
    for run in runs:
        held, _ = scores.read(run["path"])
        if held is not None:
            tested.setdefault(run["data_key"], []).append(held.truth)
        truth = scores.validated(run["path"])
        if truth is not None:
            validated.setdefault(run["data_key"], []).append(truth)
    for seen, words in ((tested, "tested"), (validated, "validated")):
        if any(not np.array_equal(same[0], other) for same in seen.values() for other in same[1:]):
            warnings.append(
                f"WARNING: the runs are {words} on different examples of the same data, so those "
                "figures cannot be compared seed by seed."
            )
    return warnings


def _settings(run):
    backend = {"backend": run["backend"]} if run["backend"] else {}
    return {"preset": run["preset"], "seed": run["seed"]} | backend | run["config"]


def _differences(runs):
    """Returns a table of the configuration fields that are not the same in all runs."""
    if len(runs) < 2:
        return ""
    named = [(run["name"], _settings(run)) for run in runs]
    return _different(named) or "The runs have the same configuration, preset and seed."


def _group_differences(groups):
    """Returns the same table as `_differences` for groups, whose runs differ in the seed only."""
    named = [(each.name, _settings(each.runs[0])) for each in groups]
    for _, settings in named:
        del settings["seed"]
    return _different(named)


def _different(named):
    """Returns the table of fields that differ, or an empty string; `named` is (name, settings) pairs."""
    settings = [fields for _, fields in named]
    fields = list(dict.fromkeys(field for setting in settings for field in setting))
    rows = [("setting", *(name for name, _ in named))]
    for field in fields:
        values = [setting.get(field, plain.ABSENT) for setting in settings]
        if any(value != values[0] for value in values):
            rows.append((field, *map(_shown, values)))
    return "What differs in the configuration:\n" + plain.table(rows) if len(rows) > 1 else ""


def _shown(value):
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return text if len(text) <= VALUE_WIDTH else text[: VALUE_WIDTH - 1] + "…"
