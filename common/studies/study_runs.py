"""Runs the trainings of a study, each in its own process, and several at a time if asked to."""

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence

from common.basics import child
from common.basics.errors import DIVERGED, RecipeError
from common.basics.files import make_folder, read_json, write_json_atomic
from common.basics.flags import flags
from common.basics.processor import cpu_count
from common.runs import config as configuration
from common.runs import registry
from common.runs.options import needs_fit
from common.studies.study_plan import Planned

GLANCE = 0.1
"""Seconds between two looks at the trainings."""


def fit_to_data(planned: Sequence[Planned]) -> None:
    """Fits the preset to the user's own data or to a subset, as `recipes train` does for one run.

    What the study sets itself stays. The data are read once for each way of cutting them.

    Args:
        planned: All trainings of the study; the Configs of their runs are changed.
    """
    examples: dict[tuple, int] = {}
    for one in planned:
        module, run = registry.load(one.run.recipe), one.run
        if needs_fit(module, run.config, run.source):
            fields = configuration.to_dict(run.config)
            cut = fields.get("train_examples"), fields.get("validation_fraction")
            if cut not in examples:
                examples[cut] = len(module.load_data(run.config, run.source).train)
            # The training is asked for the whole Config: nothing is left to fit.
            run.config = run.asked = module.fit_to(run.config, examples[cut], one.given)


def train(planned: Sequence[Planned], workers: int = 1) -> None:
    """Trains what is not finished yet, and prints what it does and about how long it will take.

    Args:
        planned: All trainings of the study.
        workers: Trainings at a time, 1 or more.

    Raises:
        RecipeError: A training failed. The others are ended; the same command continues them.
        KeyboardInterrupt: This process or one of the trainings was interrupted.
    """
    waiting = list(enumerate(planned, 1))
    # By number: what is trained, its process, and when that was started.
    running: dict[int, tuple[Planned, subprocess.Popen, float]] = {}
    seconds: dict[tuple[str, int | None], list[float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                number, one = waiting.pop(0)
                place = f"[{number} of {len(planned)}] {one.label}"
                if one.finished():
                    print(f"{place}: finished before", flush=True)
                    _note(seconds, one, 0)
                    continue
                left = [other for _, other in waiting if not other.finished()]
                left += [other for other, _, _ in running.values()]
                print(place + _left(remaining([one, *left], seconds, workers)), flush=True)
                running[number] = one, _start(one, workers), time.perf_counter()
            if running:
                time.sleep(GLANCE)
            for number, (one, process, start) in list(running.items()):
                if process.poll() is not None:
                    del running[number]
                    _check(one, process, workers)
                    if process.returncode:
                        continue
                    _note(seconds, one, time.perf_counter() - start)
    finally:
        for _, process, _ in running.values():
            child.stop(process)


def _start(one, workers):
    """Starts a training; returns its process."""
    run, options = one.run, one.run.options
    file = run.directory.with_name(f"{run.directory.name}.json")
    write_json_atomic(file, {"recipe": run.recipe, "config": configuration.to_dict(run.config)})
    words = ["train", run.recipe, "--config", str(file), "--run-dir", str(run.directory)]
    words += ["--data", options.data, "--no-report", *flags(options.reading.to_dict())]
    if options.data_dir:
        words += ["--data-dir", str(options.data_dir)]
    if one.stale():
        words.append("--overwrite")
    if workers == 1:
        return child.start(words)
    threads = str(max(cpu_count() // workers, 1))
    environment = {"PYTHONIOENCODING": "utf-8", **os.environ}
    for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
        environment.setdefault(name, threads)
    make_folder(run.directory.parent)
    with _log(one).open("a") as log:
        return child.start(words, env=environment, stdout=log, stderr=log)


def _log(one):
    return one.run.directory.with_name(f"{one.run.directory.name}.log")


def _check(one, process, workers):
    """Raises an error where a process that has ended failed or was interrupted."""
    if process.returncode == 130:
        raise KeyboardInterrupt
    if process.returncode == 0:
        return
    if one.tried and process.returncode == DIVERGED:
        print(f"{one.label}: diverged, so it is not chosen", flush=True)
        return
    why = "the lines above say why"
    if workers > 1:
        lines = _log(one).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        said = lines[-1].removeprefix("error: ") if lines else "it said nothing"
        why = f"{said} (log: {_log(one)})"
    raise RecipeError(
        f"the training {one.label} failed with exit code {process.returncode}: {why}. "
        "The same command goes on from there; --arms can leave this arm out"
    )


def _note(seconds, one, elapsed):
    """Notes how long a training took: the time in timing.json, or that of the process if longer."""
    timing = read_json(one.run.path("timing.json"), "timing")
    took = max(float(timing.get("train_wall_seconds") or 0), elapsed)
    seconds.setdefault((one.arm, one.size), []).append(took)


def remaining(
    left: Sequence[Planned], seconds: Mapping[tuple[str, int | None], Sequence[float]], workers: int
) -> float | None:
    """Returns about how many seconds the trainings that are left will take; None if it is not known.

    Args:
        left: One training or more.
        seconds: Of the trainings done, by arm and size. An arm of which none of its size is done takes as
            long as the others of that size; or as those of another size, in proportion.
        workers: Trainings at a time.
    """
    if not seconds:
        return None
    of_size: dict[int | None, list[float]] = {}
    for (_, size), took in seconds.items():
        of_size.setdefault(size, []).extend(took)
    each = [_expected(one.arm, one.size, seconds, of_size) for one in left]
    return sum(each) / min(workers, len(each))


def _expected(arm, size, seconds, of_size):
    if (arm, size) in seconds:
        return statistics.fmean(seconds[arm, size])
    if size in of_size:
        return statistics.fmean(of_size[size])
    nearest = min(of_size, key=lambda other: abs(other - size))
    return statistics.fmean(of_size[nearest]) * size / nearest


def _left(seconds):
    if seconds is None:
        return ""
    text = f"{seconds / 3600:.1f} h"
    if seconds < 5400:
        text = f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"
    return f" · about {text} left"
