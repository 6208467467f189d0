"""The report of a run, as one HTML file.

`report.html` holds all that it shows (styles, pictures), needs no script and no network, and can be
mailed or printed. The figures are also written as PNG files beside it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common.basics import wording
from common.basics.errors import RecipeError
from common.basics.files import read_json, write_bytes_atomic, write_text_atomic
from common.data.types import Splits
from common.report import facts
from common.report.rendering import data_uri, render
from common.runs.finished import read_metrics


def write_report(
    task: facts.ReportedTask,
    run_dir: str | Path,
    splits: Splits | None = None,
    encode: Callable[[Any], Any] | None = None,
    explanations: tuple[list[dict[str, Any]], str | None] | None = None,
    more: Sequence[Any] = (),
) -> Path:
    """Writes `report.html` and `figures/*.png` into a run folder.

    If a file is absent from the folder, the sections that need it say so.

    Args:
        task: The recipe's TASK, which adds sections of its own.
        run_dir: Folder of a finished run; `metrics.json` must be there.
        splits: Data of the run, for the pictures or texts of the mistakes. None: the mistakes are
            listed without them.
        encode: Turns raw test examples (as in `splits.test.x`) into what is shown for them: images
            (n, height, width[, channels]) or n strings, e.g. the part of a text that the model reads.
            If it is None or returns token ids, the raw examples are shown.
        explanations: The result of the task's `explain_examples`; None: no such section.
        more: Sections (`common.tasks.task.Section`) after those of the task.

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

    figures: dict[str, bytes] = {}
    page: dict[str, Any] = {
        "recipe": summary.get("recipe", run_dir.parent.name),
        "preset": summary.get("preset"),
        "run": run_dir.name,
        "data": summary.get("data", {}),
        "headline": facts.headline(task, summary, timing, outputs, info),
        "baselines": facts.baselines(summary),
        "curves": facts.curves(task.curves, history, summary.get("best_epoch"), figures),
        "curves_problem": history_problem,
        "sections": [
            *task.sections(
                outputs,
                problem,
                metrics=summary,
                info=info,
                splits=splits,
                encode=encode,
                figures=figures,
            ),
            *more,
        ],
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
            # It belongs to an earlier report, and this one does not show it.
            path.unlink(missing_ok=True)
    write_text_atomic(run_dir / "report.html", render("report.html", page))
    return run_dir / "report.html"


def _optional_json(path):
    return read_json(path) if path.is_file() else {}
