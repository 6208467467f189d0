"""The report of a run: one HTML file a person would rather look at than read logs.

`report.html` holds everything it shows (styles, pictures), needs no script and no network, and can
be mailed or printed. The figures are also written as PNG files beside it.
"""

from pathlib import Path

from common.basics import arrays, wording
from common.basics.errors import RecipeError
from common.basics.files import read_json, write_bytes_atomic, write_text_atomic
from common.report import facts
from common.report.rendering import data_uri, render
from common.runs.run import SCORE_AGAIN, read_metrics
from common.tasks import metrics, sections

FIGURES = (
    "loss.png",
    "accuracy.png",
    "confusion.png",
    "reliability.png",
    "reliability_calibrated.png",
    "mistakes.png",
    *(f"explanation_{index}.png" for index in (1, 2, 3)),
)


def write_report(run_dir, splits=None, encode=None, explanations=None):
    """Writes `report.html` and `figures/*.png` into a run folder.

    What the folder lacks is left out of the report, and the section says why.

    Args:
        run_dir: Folder of a finished run; `metrics.json` must be there.
        splits: `common.data.Splits` of the run; gives the pictures or texts of the mistakes.
            None: the mistakes are listed without them.
        encode: Function from a batch of raw test examples (as in `splits.test.x`) to what is
            shown in their place: images (n, height, width[, channels]) or n strings, e.g. the
            part of a text that the model reads. Where it returns neither (token ids), and for
            None, the raw examples are shown.
        explanations: What `common.explain.explanation.explain_examples` returns; None: no such section.

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
    predictions, predictions_problem = read_predictions(run_dir / "predictions.npz")

    figures = {}
    page = {
        "recipe": summary.get("recipe", run_dir.parent.name),
        "preset": summary.get("preset"),
        "run": run_dir.name,
        "data": summary.get("data", {}),
        "headline": facts.headline(summary, timing),
        "baselines": facts.baselines(summary),
        "curves": facts.curves(history, summary.get("best_epoch"), figures),
        "curves_problem": history_problem,
        "predictions_problem": predictions_problem,
        "time": facts.time(timing, history),
        "timed": bool(timing),
        "config": {
            key: wording.plain(value) for key, value in (config.get("config") or {}).items()
        },
        "environment": facts.environment(environment),
        "versions": environment.get("versions") or {},
        "data_rows": facts.data_rows(summary.get("data", {}), environment.get("data") or {}),
        "command": facts.command(environment),
        "started": str(environment.get("started") or "")[:16].replace("T", " "),
    }
    page |= dict.fromkeys(sections.SECTIONS)
    if predictions is not None:
        page |= sections.from_predictions(
            predictions, summary, environment, splits, encode, figures
        )
    if explanations is not None:
        items, problem = explanations
        for index, item in enumerate(items):
            figures[f"explanation_{index + 1}.png"] = item["picture"]
        page["explanations"] = {"items": items, "problem": problem}

    page["figures"] = {name: data_uri(content) for name, content in figures.items()}
    for name in FIGURES:
        if name in figures:
            write_bytes_atomic(run_dir / "figures" / name, figures[name])
        else:
            # A figure of an earlier report of this folder would show something that no longer is.
            (run_dir / "figures" / name).unlink(missing_ok=True)
    write_text_atomic(run_dir / "report.html", render("report.html", page))
    return run_dir / "report.html"


def read_predictions(path):
    """Reads `predictions.npz`.

    Returns:
        A dict of the four arrays (val_probabilities, val_labels, test_probabilities,
        test_labels) and None; or None and a sentence that says what is wrong with the file.
    """
    names = ("val_probabilities", "val_labels", "test_probabilities", "test_labels")
    if not Path(path).is_file():
        return None, f"The run folder has no predictions.npz; {SCORE_AGAIN}."
    try:
        held = arrays.read(path, names)
        for part in ("val", "test"):
            metrics.check_probabilities(held[f"{part}_probabilities"], held[f"{part}_labels"])
    except (OSError, ValueError, TypeError, RecipeError) as error:
        return None, f"predictions.npz cannot be used ({error}); {SCORE_AGAIN}."
    return held, None


def _optional_json(path):
    return read_json(path) if path.is_file() else {}
