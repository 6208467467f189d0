"""The report of a run: one HTML file a person would rather look at than read logs.

`report.html` holds everything it shows (styles, pictures), needs no script and no network, and can
be mailed or printed. The figures are also written as PNG files beside it.
"""

from pathlib import Path

from common.basics import wording
from common.basics.errors import RecipeError
from common.basics.files import read_json, write_bytes_atomic, write_text_atomic
from common.report import facts
from common.report.rendering import data_uri, render
from common.runs.run import read_metrics


def write_report(task, run_dir, splits=None, encode=None, explanations=None):
    """Writes `report.html` and `figures/*.png` into a run folder.

    What the folder lacks is left out of the report, and the section says why.

    Args:
        task: The recipe's TASK, which brings sections of its own.
        run_dir: Folder of a finished run; `metrics.json` must be there.
        splits: `common.data.Splits` of the run; gives the pictures or texts of the mistakes.
            None: the mistakes are listed without them.
        encode: Function from a batch of raw test examples (as in `splits.test.x`) to what is
            shown in their place: images (n, height, width[, channels]) or n strings, e.g. the
            part of a text that the model reads. Where it returns neither (token ids), and for
            None, the raw examples are shown.
        explanations: What the task's `explain_examples` returns; None: no such section.

    Returns:
        Path of the report.

    Raises:
        RecipeError: The folder holds no finished run, a file in it is damaged, or the report
            cannot be written.
    """
    run_dir = Path(run_dir)
    if not (run_dir / "metrics.json").is_file():
        raise RecipeError(
            f"{run_dir} is not a finished run: it has no metrics.json. "
            "Run the same training command again to finish it, or name another folder."
        )
    summary = read_metrics(run_dir)
    environment = _optional_json(run_dir / "environment.json")
    config = _optional_json(run_dir / "config.json")
    timing = _optional_json(run_dir / "timing.json")
    history, history_problem = facts.read_history(run_dir / "history.csv")
    outputs, problem = task.read(run_dir / "predictions.npz")
    info = environment.get("data") or {}

    figures = {}
    page = {
        "recipe": summary.get("recipe", run_dir.parent.name),
        "preset": summary.get("preset"),
        "run": run_dir.name,
        "data": summary.get("data", {}),
        "headline": facts.headline(task, summary, timing, outputs, info),
        "baselines": facts.baselines(summary),
        "curves": facts.curves(task.curves, history, summary.get("best_epoch"), figures),
        "curves_problem": history_problem,
        "sections": task.sections(
            outputs,
            problem,
            metrics=summary,
            info=info,
            splits=splits,
            encode=encode,
            figures=figures,
        ),
        "last_epoch": (config.get("config") or {}).get("monitor") == "epoch",
        "time": facts.time(timing, history),
        "timed": bool(timing),
        "config": {
            key: wording.plain(value) for key, value in (config.get("config") or {}).items()
        },
        "environment": facts.environment(environment),
        "versions": environment.get("versions") or {},
        "data_rows": facts.data_rows(summary.get("data", {}), info),
        "command": facts.command(environment),
        "started": str(environment.get("started") or "")[:16].replace("T", " "),
    }
    if explanations is not None:
        items, problem = explanations
        for index, item in enumerate(items):
            figures[f"explanation_{index + 1}.png"] = item["picture"]
        page["explanations"] = {"items": items, "problem": problem}

    page["figures"] = {name: data_uri(content) for name, content in figures.items()}
    for name, content in figures.items():
        write_bytes_atomic(run_dir / "figures" / name, content)
    for path in (run_dir / "figures").glob("*.png"):
        if path.name not in figures:
            # A figure of an earlier report of this folder would show something that no longer is.
            path.unlink(missing_ok=True)
    write_text_atomic(run_dir / "report.html", render("report.html", page))
    return run_dir / "report.html"


def _optional_json(path):
    return read_json(path) if path.is_file() else {}
