"""The verdict on a classifier's run in one line: does it beat the baselines, does it generalise?

It depends on metrics.json only, so that the terminal and the report say the same.
"""

from typing import Any

from common.basics.wording import p_value, percent
from common.data.text import MANY_UNKNOWN

SIGNIFICANT = 0.05
GAP = 0.2
"""With a training accuracy this far above validation, the network has memorised examples."""
FEW_VALIDATION = 50
"""Fewer validation examples than this cause a remark: one of them is 2 points or more."""


def line(metrics: dict[str, Any]) -> str:
    """Returns the verdict on a run as a sentence without a full stop.

    Args:
        metrics: Content of metrics.json; older files lack `training` and some baselines.
    """
    test = metrics["test"]["accuracy"]
    majority, others = _baselines(metrics)
    count = metrics["test"]["count"]
    if majority is not None and not _better(test, majority):
        shown = "not shown to be better" if test > majority["accuracy"] else "no better"
        return (
            f"{shown} than {majority['name']} ({majority['accuracy']:.1%} against {test:.1%} of {count} "
            f"test examples, {p_value(majority['mcnemar_p'])}); look at the labels, and try more epochs "
            "or another --learning-rate"
        )
    best = max(others, key=lambda row: row["accuracy"], default=None)
    if best is not None and best["accuracy"] > test and best["mcnemar_p"] < SIGNIFICANT:
        return (
            f"worse than {best['name']} ({best['accuracy']:.1%} against {test:.1%}, "
            f"{p_value(best['mcnemar_p'])}): use that, or search for better values (recipes tune)"
        )
    memorised = _memorised(metrics)
    if memorised:
        return memorised
    if best is not None and not _better(test, best):
        end = "the simpler model may do"
        if test > best["accuracy"]:
            end = f"{count} test examples are too few to tell; until there are more, {end}"
        return (
            f"no difference shown from {best['name']} ({best['accuracy']:.1%} against {test:.1%}, "
            f"{p_value(best['mcnemar_p'])}): {end}"
        )
    beaten = best or majority
    if beaten is None:
        return f"{test:.1%} on the test split, with no baseline beside it"
    points = 100 * (test - beaten["accuracy"])
    return f"better than {beaten['name']} by {points:.1f} points ({p_value(beaten['mcnemar_p'])})"


def remarks(metrics: dict[str, Any]) -> list[str]:
    """Returns sentences on what makes the figures of a run less certain than they look."""
    found = []
    count = metrics["validation"]["count"]
    if count < FEW_VALIDATION:
        found.append(
            f"Validation holds {count} example{'s' * (count > 1)}: each is {100 / count:.1f} points. The "
            "choice of the epoch is more reliable with a larger --validation-fraction, and a search is "
            "with recipes tune --folds 5."
        )
    if "balanced_accuracy" in metrics["test"]:
        found.append(
            "The rarest class has less than half its share: read balanced accuracy "
            f"({percent(metrics['test']['balanced_accuracy'])}) and macro F1 "
            f"({percent(metrics['test']['macro_f1'])}), not accuracy; --class-weights balanced counts "
            "rare classes more."
        )
    unknown = metrics.get("unknown_words", 0)
    if unknown > MANY_UNKNOWN:
        found.append(
            f"{unknown:.0%} of the words are not in the vocabulary, and the network cannot tell them "
            "apart: raise --vocabulary-size, or train on more texts."
        )
    unseen = metrics["test"].get("unseen")
    if unseen is not None:
        seen = metrics["test"]["count"] - unseen["count"]
        found.append(
            f"{seen} of the {metrics['test']['count']} test examples also occur in the training data: "
            f"the other {unseen['count']} score {percent(unseen['accuracy'])}."
        )
    return found


def _baselines(metrics):
    """Returns the majority class's row, or None, and those of the other models with a paired test."""
    rows = [row for row in metrics["baselines"] if row.get("mcnemar_p") is not None]
    majority = [row for row in rows if row["name"].startswith("always answering")]
    # An average that includes the network is not another model.
    others = [row for row in rows if row not in majority and not row["name"].startswith("average")]
    return (majority[0] if majority else None), others


def _better(accuracy, row):
    return accuracy > row["accuracy"] and row["mcnemar_p"] < SIGNIFICANT


def _memorised(metrics):
    from common.basics.statistics import wilson_interval

    training = metrics.get("training", {}).get("accuracy")
    validation = metrics["validation"]
    if training is None or training - validation["accuracy"] < GAP:
        return None
    count = validation["count"]
    _, high = wilson_interval(round(validation["accuracy"] * count), count)
    if high > training:
        return None
    return (
        f"training {training:.0%}, validation {validation['accuracy']:.0%}: it does not generalise; try "
        "more data, a smaller network, more dropout or augmentation, or fewer epochs"
    )
