"""The commands on a finished run as a whole: evaluate, export, report."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Literal

from common.basics import backend
from common.basics.errors import RecipeError, UsageError, near_match
from common.basics.wording import DASH, significant
from common.cli.arguments import arguments_of
from common.cli.opened import DATA_FLAGS, open_run, source_of, splits_of
from common.cli.train import encoder, finished_on, write_run_report


def evaluate_command(words: list[str]) -> int:
    """Runs `recipes evaluate`; returns the exit code."""
    arguments = arguments_of(
        "evaluate",
        "Scores a run's best model on the validation and test split of its data, or on your own.",
        words,
        run=(Path, ..., "Run folder."),
        data=(str | None, None, "Other data with the same classes: a path (default: the run's)."),
        data_dir=DATA_FLAGS["data_dir"],
        corruptions=(
            bool,
            False,
            "Of images: also score up to 1,000 test images made worse in fifteen ways. On the run's own "
            "data its metrics.json and report get the result.",
        ),
        severity=(Literal[1, 2, 3, 4, 5], 3, "How much worse, 1 (hardly visible) to 5."),
        slice=(
            str | None,
            None,
            "Column of the table, or of the CSV file of texts: also scores each of its groups, the worst "
            "first.",
        ),
        json=(bool, False, "Print JSON."),
    )
    run, module = open_run(arguments.run)
    from common.cli import slicing

    if arguments.slice:
        slicing.check(module.TASK, run.data_info()["kind"])
    splits = splits_of(run, module, arguments)
    trained = tuple(run.data_info().get("class_names") or ())
    if splits.info.class_names != trained:
        raise RecipeError(
            f"the model knows the classes {', '.join(trained)}; "
            f"the data has {', '.join(splits.info.class_names)}"
        )
    groups = None
    if arguments.slice:
        groups = slicing.groups(splits, source_of(run, arguments), arguments.slice)
    backend.start_or_interrupt()
    from common.training.loading import load_model

    model, encode = load_model(run.path("best.keras")), encoder(module, run)
    task = module.TASK
    # Before the test split is scored: it refuses what it cannot do.
    corrupted = arguments.corruptions and task.corrupted(model, splits, encode, arguments.severity)
    outputs = task.outputs(model, splits, encode)
    scores, sliced = task.score(outputs), None
    if corrupted:
        _keep(corrupted, run, module, splits)
        scores["corruptions"] = corrupted
    if groups is not None:
        names = splits.info.class_names
        sliced = slicing.of_outputs(task, outputs, groups, arguments.slice, names)
    if arguments.json:
        more = {} if sliced is None else {"slices": sliced[1]}
        print(json.dumps({"data": splits.info.to_dict(), **scores, **more}, indent=2))
        return 0
    print(f"{run.directory} ({run.recipe}, {run.preset}) on {splits.info.label}")
    if splits.info.note:
        print(splits.info.note)
    found = task.headline_of(scores)
    low, high = (found.shown(end) for end in found.interval or (None, None))
    for name in ("validation", "test"):
        score = scores[name]
        words = [f"{name:<11} {found.name} {found.shown(score[task.figure])}"]
        words += [f"(95 % {low} to {high})"] * (name == "test" and found.interval is not None)
        words += [_figure(label, score[key]) for key, label in task.also.items()]
        print("  ".join([*words, f"{score['count']:,} examples"]))
    if corrupted:
        from common.tasks.corrupted_images import lines

        print("\n".join(lines(corrupted)))
    if sliced is not None:
        print(sliced[0])
    return 0


def _figure(label, value):
    """Returns one of the figures that a task shows beside its headline, with its name."""
    if value is None:  # E.g. R² where all true numbers are equal.
        return f"{label} {DASH}"
    return f"{label} {value:.4f}" if abs(value) < 10 else f"{label} {significant(value)}"


def _keep(corrupted, run, module, splits):
    """Adds scores under corruption to metrics.json and to the report, if they are of the run's data."""
    if not run.finished or splits.info.fingerprint != run.data_info()["fingerprint"]:
        return
    from common.basics.files import write_json_atomic
    from common.runs.finished import read_metrics

    metrics = read_metrics(run.directory)
    write_json_atomic(run.path("metrics.json"), {**metrics, "corruptions": corrupted})
    write_run_report(run, module, splits)


def export_command(words: list[str]) -> int:
    """Runs `recipes export`; returns the exit code."""
    arguments = arguments_of(
        "export",
        "Exports a run's best model and checks it against the model on 100 test inputs.",
        words,
        run=(Path, ..., "Run folder."),
        format=(str, "savedmodel", "savedmodel, onnx, litert or keras."),
        output=(Path | None, None, "Where to write (default: in the run folder)."),
        overwrite=(bool, False, "Replace an existing export."),
        **DATA_FLAGS,
    )
    from common.export.conversion import FORMATS, check_output, default_output, export

    if arguments.format not in FORMATS:
        raise UsageError(
            f"unknown format '{arguments.format}'{near_match(arguments.format, FORMATS)} "
            f"(there are: {', '.join(FORMATS)})"
        )
    run, module = open_run(arguments.run)
    output = arguments.output or default_output(run.directory, arguments.format)
    check_output(output, arguments.format, arguments.overwrite)
    splits = splits_of(run, module, arguments)
    backend.start_or_interrupt()
    import numpy as np

    from common.export.package import describe

    some = splits.test.take(np.arange(min(len(splits.test), 100)))
    inputs = module.TASK.probes(encoder(module, run)(some.x))

    result = export(
        run.path("best.keras"),
        arguments.format,
        output,
        inputs,
        overwrite=arguments.overwrite,
        describe=lambda model: describe(run, model, arguments.format),
    )
    names = ", ".join(path.name for path in result.beside)
    script = next((path for path in result.beside if path.suffix == ".py"), None)
    what, use = "an output", "It takes arrays: labels.json names its inputs and outputs."
    if script:
        what = "a probability" if run.data_info()["class_names"] else "an answer"
        command = shlex.join(["python", str(script), str(result.path)])
        use = f"To use it without this project: {command} FILE..."
    print(
        f"Wrote {result.path} ({result.format}, {result.bytes / 1e6:.2f} MB, exported by "
        f"{result.backend}). Largest difference of {what} from the model's on {result.count} test "
        f"inputs: {result.max_difference:.2e}. Beside it: {names}. {use}"
    )
    return 0


def report_command(words: list[str]) -> int:
    """Runs `recipes report`; returns the exit code."""
    arguments = arguments_of(
        "report",
        "Writes a run's report.html again.",
        words,
        run=(Path, ..., "Run folder."),
        **DATA_FLAGS,
    )
    from common.runs.finished import read_metrics

    run, module = open_run(arguments.run)
    if not run.finished:
        raise RecipeError(
            f"{run.directory} is not finished (no metrics.json): finish it with `{run.command}`"
        )
    read_metrics(run.directory)
    splits = splits_of(run, module, arguments)
    finished_on(run, splits)
    backend.start_or_interrupt()
    path = write_run_report(run, module, splits)
    print(f"Report: {Path(path).resolve()}")
    return 0
