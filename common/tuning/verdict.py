"""What a search gained, in words: whether its winner is better than its start, and what to do then."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common.basics.flags import flags
from common.studies.differences import BETTER, NONE_SHOWN, WORSE, Difference, paired
from common.tuning import measures
from common.tuning.definition import Definition
from common.tuning.score import digits, direction, extreme, shown, spread
from common.tuning.space import show

# Where there are no new seeds of both, or one each.
NOT_TESTED = "not tested"
ROLES = ("retrained", "start")

Summary = Mapping[str, Any]
"""What summary.json or an entry of tuning.json holds."""


def values(
    summary: Summary, role: str, read: Callable[[measures.Row], float] | None = None
) -> list[float]:
    """Returns a measure of the winner's or the start's runs, a list over seeds.

    Args:
        summary: What summary.json or an entry of tuning.json holds.
        role: "retrained" or "start".
        read: Function of a row; None: what the search judged by.
    """
    read = read or (lambda row: measures.judged(row, summary["objective"]))
    return [read(row) for row in summary[role]]


def gains(summary: Summary, read: Callable[[measures.Row], float] | None = None) -> list[float]:
    """Returns how much larger a measure is for the winner than for the start, a list over seeds."""
    pairs = zip(values(summary, "retrained", read), values(summary, "start", read), strict=True)
    return [winner - start for winner, start in pairs]


def score_digits(summary: Summary) -> int:
    """Returns how many digits the scores of winner and start are written with."""
    scores = [abs(score) for role in ROLES for score in values(summary, role)]
    return digits(max(scores, default=0))


def difference(summary: Summary) -> Difference | None:
    """Returns the Difference, winner minus start, in what the search judged by; None without both.

    That is a validation score. The test scores are told beside it: a choice by them would be made on the
    test set.
    """
    if not summary["retrained"] or not summary["start"]:
        return None
    return paired(values(summary, "retrained"), values(summary, "start"))


def judge(summary: Summary) -> dict[str, Any]:
    """Returns the verdict on a winner.

    Args:
        summary: Dict with "objective", and for "retrained" and "start" a list of dicts, one for each
            seed, as in common.tuning.measures.

    Returns:
        Dict of "case" (BETTER, WORSE, NONE_SHOWN or NOT_TESTED), "n", and as far as they are known
        "difference" (winner minus start), its "interval" (95 %, of a paired t test) and "p".
    """
    found = difference(summary)
    verdict: dict[str, Any] = {"case": NOT_TESTED, "n": len(summary["retrained"])}
    if found is None:
        return verdict
    if verdict["n"] > 1:
        verdict["case"] = found.verdict(direction(summary["objective"]) == "max")
    return verdict | {"difference": found.mean, "interval": found.interval, "p": found.p}


def sentences(summary: Summary) -> tuple[str, str]:
    """Returns the verdict as a sentence, and what to do as another."""
    verdict, objective = judge(summary), summary["objective"]
    found = difference(summary)
    more = max(5, 2 * verdict["n"])
    if verdict["case"] == NOT_TESTED or found is None:
        why = "one seed tells nothing of chance"
        if not summary["retrained"] or not summary["start"]:
            why = "both have to be trained with new seeds"
        return (
            f"Whether the winner is better than what the search started from is not known: {why}.",
            f"The same search command with --retrain {more} --retrain-start tells; no trial is repeated.",
        )
    words = {
        BETTER: "The winner is better than what the search started from",
        WORSE: "The winner is worse than what the search started from",
        NONE_SHOWN: "No difference is shown between the winner and what the search started from",
    }[verdict["case"]]
    advice = {
        BETTER: "Train the winner.",
        WORSE: "Keep what you started from.",
        NONE_SHOWN: "Keep what you started from, or look closer: the same search command with "
        f"--retrain {more}; no trial is repeated.",
    }[verdict["case"]]
    told = found.describe(digits=score_digits(summary))
    return f"{words}: {objective} {told}.", advice


def keeps_start(summary: Summary) -> bool:
    """Returns whether the verdict is to keep what the search started from."""
    return judge(summary)["case"] in (WORSE, NONE_SHOWN)


def train_command(definition: Definition, file: Path) -> str:
    """Returns the command that trains a configuration file of a search, on the search's data.

    Args:
        definition: Definition of the search.
        file: Its best.json or start.json.
    """
    words = ["recipes", "train", definition.recipe, "--config", file, "--data", definition.data]
    if definition.data_dir:
        words += ["--data-dir", definition.data_dir]
    words += flags(definition.reading)
    return shlex.join(map(str, words))


def commands(summary: Summary, definition: Definition, directory: Path) -> dict[str, str]:
    """Returns what to train, a dict from what it is to its command; what the verdict advises first."""
    found = {"the winner": train_command(definition, directory / "best.json")}
    start = {"what you started from": train_command(definition, directory / "start.json")}
    return start | found if keeps_start(summary) else found | start


def epochs_of(summary: Summary) -> dict[str, int]:
    """Returns the epochs that the winner and the start were trained for with new seeds."""
    start = summary["retrain_epochs"]
    # Searches of before the epochs were searched, too, trained both for as many.
    return {"retrained": summary.get("winner_epochs", start), "start": start}


def trained_for(summary: Summary) -> str:
    """Returns `3 new seeds, 8 epochs`, and where they differ both epochs."""
    seeds = len(summary["retrained"])
    epochs = epochs_of(summary)
    text = f"{epochs['retrained']} epoch{'s' * (epochs['retrained'] > 1)}"
    if epochs["start"] != epochs["retrained"] and summary["start"]:
        text += f" (the start {epochs['start']})"
    return f"{seeds} new seed{'s' * (seeds > 1)}, {text}"


def summary_text(
    summary: Summary, definition: Definition, directory: Path, compared: bool = True
) -> str:
    """Returns what a sweep prints at its end.

    Args:
        summary: What summary.json holds.
        definition: Definition of the search.
        directory: The sweep folder.
        compared: Whether winner and start were to be compared: in a contest of methods they are not.
    """
    objective = summary["objective"]
    point = ", ".join(f"{name} {show(value)}" for name, value in summary["values"].items())
    lines = [
        f"Best of {summary['trials']} trials: trial {summary['trial']}, {objective} "
        f"{shown(summary['search_score'])} (a {extreme(objective)} over trials, so it flatters): {point}"
    ]
    if summary["retrained"]:
        figure, places = measures.headline_of(summary), score_digits(summary)
        lines.append(f"Trained with {trained_for(summary)}:")
        heads = {"retrained": "the winner", "start": "what it started from"}
        lines += [
            f"  {head}: {objective} {spread(values(summary, role), places)}, "
            f"test {figure.name} {measures.spread(figure, values(summary, role, measures.test))}"
            for role, head in heads.items()
            if summary[role]
        ]
        if summary["start"]:
            lines.append(
                f"  difference, seed by seed: {objective} {spread(gains(summary), places)}, "
                f"test {figure.name} {measures.spread(figure, gains(summary, measures.test))}"
            )
    lines += sentences(summary) if compared else []
    for index, (what, command) in enumerate(commands(summary, definition, directory).items()):
        head = "Train it" if index == 0 else f"Or {what}"
        lines.append(f"{head}: {command}")
    lines.append(f"Report: {(directory / 'sweep.html').resolve()}")
    return "\n".join(lines)
