"""Arms of which one field is tuned before they are compared: at equal cost, on the validation split."""

from collections.abc import Sequence
from typing import Any

from common.basics.errors import RecipeError
from common.runs import headline
from common.runs.finished import read_metrics
from common.studies.differences import SAME
from common.studies.study import Study
from common.studies.study_plan import TUNING_SEED, Planned

NEAR = 0.005
"""Values of the field are good whose score is at most this below the best: half a point."""

Tuned = dict[str, Any]
"""What study.json holds of the tuning, as `choose` returns it."""


def choose(planned: Sequence[Planned], study: Study) -> Tuned:
    """Returns what was tried and what was chosen.

    Args:
        planned: The trainings that tune, ended. One without a finished run has diverged.
        study: It has the field that is tuned.

    Returns:
        "field", "values", "seed", and "arms": for each arm its validation "scores" in the order of the
        values (None: diverged) and the "value" that is best.

    Raises:
        RecipeError: Every training of an arm has diverged.
    """
    ((field, values),) = study.tuned.items()
    scores: dict[str, dict[Any, float | None]] = {}
    better = max
    for one in planned:
        assert one.tried is not None
        figure = headline.of(read_metrics(one.run.directory)) if one.finished() else None
        if figure and not figure.higher:
            better = min
        scores.setdefault(one.arm, {})[one.tried[1]] = figure.validation if figure else None
    arms = {}
    for arm, found in scores.items():
        kept = {value: score for value, score in found.items() if score is not None}
        if not kept:
            raise RecipeError(
                f"{arm} diverged with every {field} ({', '.join(map(str, values))}): add smaller values "
                "to the study"
            )
        value = better(kept, key=kept.__getitem__)
        arms[arm] = {"value": value, "scores": [found[each] for each in values]}
    return {"field": field, "values": list(values), "seed": TUNING_SEED, "arms": arms}


def chosen(tuned: Tuned | None) -> dict[str, dict[str, Any]]:
    """Returns the Config field of each arm that was tuned, as `study_plan.plan` takes it."""
    if not tuned:
        return {}
    return {arm: {tuned["field"]: found["value"]} for arm, found in tuned["arms"].items()}


def good(tuned: Tuned, arm: str) -> tuple[Any, Any]:
    """Returns the ends of the values around the chosen one that score within NEAR of it, without a gap.

    Args:
        tuned: As `choose` returns it, of a figure that is a share.
        arm: Name of an arm.
    """
    values, found = tuned["values"], tuned["arms"][arm]
    order = sorted(range(len(values)), key=values.__getitem__)
    best = found["scores"][values.index(found["value"])]
    near = [
        found["scores"][index] is not None and abs(found["scores"][index] - best) < NEAR + SAME
        for index in order
    ]
    low = high = next(place for place, index in enumerate(order) if values[index] == found["value"])
    while low > 0 and near[low - 1]:
        low -= 1
    while high < len(order) - 1 and near[high + 1]:
        high += 1
    return values[order[low]], values[order[high]]


def edge(tuned: Tuned, arm: str) -> str:
    """Returns a remark where the best value is the last that was tried: a further one may be better.

    Args:
        tuned: As `choose` returns it.
        arm: Name of an arm.
    """
    value, tried = tuned["arms"][arm]["value"], tuned["values"]
    if value in (min(tried), max(tried)):
        return f" (the {'smallest' if value == min(tried) else 'largest'} tried)"
    return ""
