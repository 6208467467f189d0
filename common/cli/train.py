"""`recipes train`: reads the command and the data, trains in a run folder, writes its report."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from common.basics import agreement, backend, hosts, streams
from common.basics.errors import RecipeError
from common.cli.arguments import names_recipe
from common.runs import command_line, headline, recorded, registry, trackers
from common.runs.types import Config
from common.training import budget

if TYPE_CHECKING:
    from common.data.types import Splits
    from common.runs.run import Run
    from common.tasks.task import Task


def train_command(words: list[str]) -> int:
    """Runs `recipes train`; returns the exit code."""
    if not names_recipe("train", words):
        return 0
    from common.runs.run import Run
    from common.studies import series

    name, words = registry.check(words[0]), words[1:]
    module = registry.load(name)
    options, config = command_line.parse_recipe(
        module,
        words,
        series.TrainOptions,
        prog=f"recipes train {name}",
        description=(module.__doc__ or "").strip(),
    )
    trackers.check_installed(options.trackers)
    if options.seeds > 1:
        backend.check()
        hosts.refuse("--seeds above 1")
        return series.train(name, config, options, preset_name(module, config), words)
    run = Run(name, config, options, preset=preset_name(module, config))
    return train(module, run, command_line.given_fields(module.Config, words))


def preset_name(module: ModuleType, config: Config) -> str:
    """Returns the name of the preset that a Config equals, except for the seed; else "custom"."""
    for name, value in module.PRESETS.items():
        if dataclasses.replace(value, seed=config.seed) == config:
            return name
    return "custom"


def train(module: ModuleType, run: Run, given: Collection[str] = ()) -> int:
    """Trains a recipe in a run folder, prints the result and writes the report.

    Args:
        module: The recipe's `train` module.
        run: The run, not opened yet.
        given: Names of the Config fields that the user chose; the others may be fitted to own data.

    Returns:
        The exit code.
    """
    # The folder is changed last: with --overwrite the old run in it is deleted, and a mistyped path or a
    # backend that does not start must not cost it. The data comes before the backend, which is slow.
    backend.check()
    backend.check_devices(run.options.devices)
    streams.goes_on("the training")
    if backend.on_hosts():
        # What is wrong with the command must end all processes, so they meet before all else.
        backend.start_or_interrupt()
        backend.check_devices(run.options.devices)
        from common.training import together

        own = together.begin(run)
        if own is None:
            return 0
        run = own
    else:
        run.check()
    if hasattr(module, "check") and not run.finished:
        # What it finds absent must not be told after minutes of reading.
        backend.start_or_interrupt()
        module.check(run.config)
    if run.options.callbacks and not run.finished:
        # They import Keras. What is wrong with them must not be told after minutes of reading either.
        backend.start_or_interrupt()
        from common.training import own_callbacks

        own_callbacks.of(run)
    with streams.doing("Reading the data"):
        splits = run.load(module.load_data)
    agreement.same("the data", f"{splits.info.label}, fingerprint {splits.info.fingerprint}")
    from common.data import remarks

    remarks.show(splits.info)
    run.fit_to_data(module, given)
    # An earlier process ended while it wrote the report: only the report is left to do.
    trained = run.lacks_report and not run.options.overwrite
    if trained:
        results = finished_on(run, splits)
    backend.start_or_interrupt()
    backend.check_devices(run.options.devices)
    from common.training import tracking

    try:
        if trained:
            print(f"{run.directory} is trained; its report is missing: writing it", flush=True)
        else:
            run.open()
            remark = run.options.config and recorded.remark(
                run.options.config, splits.info, run.options.data
            )
            if remark:
                print(remark)
            print(f"Training {run.recipe}, preset {run.preset}, in {run.directory}", flush=True)
            print(budget.describe(run, splits), flush=True)
            results = module.train(run.config, run)
            # The report is the leader's alone.
            hosts.end()
            if not hosts.leads():
                return 0
        if run.options.report:
            write_run_report(run, module, run.load(module.load_data))
        logged = tracking.complete(run)
    except Exception as error:
        tracking.interrupt(run, error)
        raise
    except KeyboardInterrupt as error:
        tracking.interrupt(run, error)
        if run.finished:
            hint = f"The training is finished; for its report: {_report_command(run)}"
        else:
            hint = f"Finished epochs are kept; the same command continues, or: {run.command}"
        print(f"\nInterrupted. {hint}", file=sys.stderr)
        return 130
    print("\n".join([finish_line(module.TASK, results, run), *logged]))
    return 0


def finish_line(task: Task, results: dict[str, Any], run: Run) -> str:
    """Returns the lines that a training prints at its end.

    Args:
        task: The recipe's TASK.
        results: Content of metrics.json.
        run: The finished run.
    """
    found, data = headline.of(results), results["data"]
    interval = ""
    if found.interval:
        low, high = (found.shown(end) for end in found.interval)
        interval = f"95 % interval {low} to {high}, "
    last = getattr(run.config, "monitor", None) == "epoch"
    validation = found.shown(found.validation)
    how = f"the last (validation {validation})" if last else f"chosen on validation ({validation})"
    lines = [
        f"Test {found.name} {found.shown(found.value)} ({interval}{found.count:,} examples) on "
        f"{data['label']}, from epoch {results['best_epoch']} of {results['epochs']}, {how}."
    ]
    for row in map(headline.baseline, results["baselines"]):
        lines.append(f"Beside it, {row.name}: {found.shown(row.value)}.")
    lines += [f"Verdict: {task.verdict(results)}", *task.remarks(results)]
    if data["source"] == "sample":
        lines.append("This is sample data: the figure says nothing about the real data set.")
    if run.path("report.html").exists():
        lines.append(f"Report: {run.path('report.html').resolve()}")
    return "\n".join(lines)


def finished_on(run: Run, splits: Splits) -> dict[str, Any]:
    """Returns the content of metrics.json of a finished run.

    Raises:
        RecipeError: The file is damaged, or `splits` is not the data that the run was trained on.
    """
    from common.runs.finished import read_metrics

    metrics, trained = read_metrics(run.directory), run.data_info()["fingerprint"]
    if splits.info.fingerprint != trained:
        raise RecipeError(
            f"{splits.info.label} is not the data that {run.directory} was trained on (fingerprint "
            f"{trained} -> {splits.info.fingerprint}); give the data of the run with --data or "
            "--data-dir, or score the run on this data with `recipes evaluate`"
        )
    return metrics


def _report_command(run):
    return shlex.join(["recipes", "report", str(run.directory)])


def write_run_report(run: Run, module: ModuleType, splits: Splits) -> Path:
    """Writes the report of a finished run; returns its path."""
    from common.report.page import write_report
    from common.tasks import attacked

    task, explanations = module.TASK, None
    if task.explains:
        held = task.read(run.path("predictions.npz"))
        explanations = task.explain.explain_examples(run, encoder(module, run), splits, *held)
    more = attacked.sections(run.directory)
    return write_report(task, run.directory, splits, explanations=explanations, more=more)


def encoder(module: ModuleType, run: Run) -> Callable[[Any], Any]:
    """Returns the recipe's function from raw inputs to model inputs: `encode`, else the identity."""
    encode = getattr(module, "encode", None)
    return (lambda x: encode(run, x)) if encode else (lambda x: x)
