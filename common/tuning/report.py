"""sweep.html: what a search found, how, and which hyperparameters matter; one file without scripts."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.basics.errors import RecipeError
from common.basics.files import read_json, write_text_atomic
from common.report.rendering import data_uri, render
from common.tuning import figures, measures, ranges
from common.tuning import space as spaces
from common.tuning.definition import Definition
from common.tuning.failures import reason
from common.tuning.score import direction, extreme, spread
from common.tuning.score import shown as score_text
from common.tuning.shared_store import make_store
from common.tuning.trial import FAILED, PRUNED, Trial, best_trial, history
from common.tuning.verdict import ROLES, commands, score_digits, sentences, trained_for, values

if TYPE_CHECKING:
    from keras_tuner.engine.hyperparameters import HyperParameter


SHOWN = 10
NAMES = {"retrained": "the winner", "start": "what the search started from"}
# With fewer trials, a random forest fits noise.
ENOUGH_TRIALS = 12


def write_report(directory: Path | str) -> Path:
    """Writes sweep.html into a sweep folder and returns its path.

    Raises:
        RecipeError: The folder holds no sweep, or no trial that worked.
    """
    directory = Path(directory)
    definition = Definition.read(directory)
    store = make_store(directory, definition.storage, definition.study(directory))
    trials = [trial for trial in store.read() if trial.finished]
    scored = [trial for trial in trials if trial.score is not None and trial.status != FAILED]
    if not scored:
        raise RecipeError(f"{directory} has no finished trial to report")
    entries = spaces.Space.from_list(definition.space).entries
    maximise = direction(definition.objective) == "max"
    summary_file = directory / "summary.json"
    summary = read_json(summary_file) if summary_file.exists() else {"retrained": [], "start": []}
    # Older summaries lack it.
    summary.setdefault("objective", definition.objective)
    ranked = sorted(scored, key=operator.attrgetter("score"), reverse=maximise)
    best = best_trial(trials, definition.objective)
    assert best is not None  # Some trial is scored.
    pictures = {
        "progress": figures.progress(
            trials, definition.objective, maximise, _progress_title(trials, best, definition)
        ),
        "curves": figures.curves(
            scored, definition.objective, best, f"The best trial ({best.number}) among all curves"
        ),
        "parallel": figures.parallel_coordinates(
            scored, entries, definition.objective, maximise, "Each line is a trial; dark is better"
        ),
        "slices": figures.slices(
            scored, entries, definition.objective, "Score against each hyperparameter"
        ),
    }
    importance = importances(scored, entries)
    if importance:
        names, values, _ = importance
        pictures["importance"] = figures.bars(
            names,
            values,
            "loss of explained variance when shuffled",
            f"{names[int(np.argmax(values))]} matters most here",
        )
    trained = [row for role in ROLES for row in summary[role]]
    columns = measures.columns(summary, trained) if trained else {}
    seeds = [(NAMES[role], row["seed"]) for role in ROLES for row in summary[role]]
    cells = zip(*columns.values(), strict=True)
    page = {
        "definition": definition,
        "environment": read_json(directory / "environment.json"),
        "best": best,
        "values": [(name, ranges.show(value)) for name, value in best.values.items()],
        "summary": summary,
        "verdict": sentences(summary),
        "again": _again(summary),
        "columns": list(columns),
        "extreme": extreme(definition.objective),
        "again_rows": [(*head, row) for head, row in zip(seeds, cells, strict=True)],
        "trained_for": trained_for(summary) if summary["retrained"] else None,
        "commands": commands(summary, definition, directory),
        "names": list(dict.fromkeys(entry.name for entry in entries)),
        "ranked": ranked[:SHOWN],
        "failed": [(trial.number, reason(trial)) for trial in trials if trial.status == FAILED],
        "counts": {
            "trials": len(trials),
            "completed": len([t for t in scored if t.status != PRUNED]),
            "stopped early": len([t for t in scored if t.status == PRUNED]),
            "failed": len(trials) - len(scored),
            "epochs": sum(trial.epochs for trial in trials),
        },
        "seconds": sum(trial.seconds for trial in trials),
        "explained": importance[2] if importance else None,
        "enough": ENOUGH_TRIALS,
        "pictures": {name: data_uri(content) for name, content in pictures.items()},
    }
    write_text_atomic(
        directory / "sweep.html", render("sweep.html", page, show=ranges.show, score=score_text)
    )
    return directory / "sweep.html"


def _again(summary):
    """Returns the scores of winner and start with new seeds, as text; None for what was not trained."""
    return {
        role: spread(values(summary, role), score_digits(summary)) if summary[role] else None
        for role in ROLES
    }


def _progress_title(trials, best, definition):
    ends = history(trials)
    spent = next(epochs for trial, score, epochs in ends if trial is best and score == best.score)
    total = ends[-1][-1]
    score = score_text(best.score)
    return f"The best {definition.objective}, {score}, came after {spent} of {total} epochs"


def importances(
    trials: Sequence[Trial], entries: Sequence[HyperParameter]
) -> tuple[list[str], list[float], float] | None:
    """Returns how much each hyperparameter matters: its permutation importance in a random forest.

    That is how much explained variance the forest loses when the values of the hyperparameter are
    shuffled.

    Args:
        trials: Trials with a score.
        entries: The hyperparameters.

    Returns:
        Names, importances, and the out-of-bag R2 of the forest. None where there are fewer than
        ENOUGH_TRIALS trials or the forest explains nothing.
    """
    if len(trials) < ENOUGH_TRIALS:
        return None
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    columns = [
        [
            figures.height(entry, trial.values[entry.name])
            if ranges.present(entry, trial.values)
            else -1.0
            for entry in entries
        ]
        for trial in trials
    ]
    scores = [trial.score for trial in trials]
    forest = RandomForestRegressor(200, min_samples_leaf=2, oob_score=True, random_state=0)
    forest.fit(columns, scores)
    if forest.oob_score_ <= 0:
        return None
    found = permutation_importance(forest, columns, scores, n_repeats=20, random_state=0)
    return ranges.titles(entries), list(found.importances_mean), forest.oob_score_
