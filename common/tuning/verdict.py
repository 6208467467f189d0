"""What a search gained, in words: whether its winner is better than its start, and what to do."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common.basics.flags import flags
from common.studies.differences import BETTER, NONE_SHOWN, WORSE, Difference, paired
from common.tuning import measures
from common.tuning.definition import Definition
from common.tuning.ranges import show
from common.tuning.score import digits, direction, extreme, shown, spread

# The case where winner and start were not both trained with new seeds, or with one seed only.
NOT_TESTED = "not tested"
ROLES = ("retrained", "start")

Summary = Mapping[str, Any]
"""What summary.json or an entry of tuning.json holds."""


def values(
    summary: Summary, role: str, read: Callable[[measures.Row], float] | None = None
) -> list[float]:
    """Returns a figure of the runs of winner or start, one value for each seed.

    Args:
        summary: The result of the search.
        role: "retrained" for the winner, or "start".
        read: Takes the figure from a row. None: the objective of the search.
    """
    read = read or (lambda row: measures.judged(row, summary["objective"]))
    return [read(row) for row in summary[role]]


def gains(summary: Summary, read: Callable[[measures.Row], float] | None = None) -> list[float]:
    """Returns how much larger a figure is for the winner than for the start, for each seed."""
    pairs = zip(values(summary, "retrained", read), values(summary, "start", read), strict=True)
    return [winner - start for winner, start in pairs]


def score_digits(summary: Summary) -> int:
    """Returns with how many digits after the point the scores of winner and start are written."""
    scores = [abs(score) for role in ROLES for score in values(summary, role)]
    return digits(max(scores, default=0))


def difference(summary: Summary) -> Difference | None:
    """Returns the difference between winner and start in the objective of the search; None without both.

    The objective is a validation score. Test scores are only reported: a choice by them would be a choice
    on the test set.
    """
    if not summary["retrained"] or not summary["start"]:
        return None
    return paired(values(summary, "retrained"), values(summary, "start"))


def judge(summary: Summary) -> dict[str, Any]:
    """Returns the verdict on a winner.

    Args:
        summary: Used are "objective", and the rows (common.tuning.measures) in "retrained" and "start".

    Returns:
        "case" (BETTER, WORSE, NONE_SHOWN or NOT_TESTED), the number of seeds "n", and if they are known
        "difference" (winner minus start), its 95 % "interval" and "p", both of a paired t test.
    """
    found = difference(summary)
    verdict: dict[str, Any] = {"case": NOT_TESTED, "n": len(summary["retrained"])}
    if found is None:
        return verdict
    if verdict["n"] > 1:
        verdict["case"] = found.verdict(direction(summary["objective"]) == "max")
    return verdict | {"difference": found.mean, "interval": found.interval, "p": found.p}


def sentences(summary: Summary) -> tuple[str, str]:
    """Returns the verdict in one sentence, and what to do in another."""
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
    """Returns the command that trains a configuration file of a search on the data of the search.

    Args:
        definition: The search.
        file: Its best.json or start.json.
    """
    words = ["recipes", "train", definition.recipe, "--config", file, "--data", definition.data]
    if definition.data_dir:
        words += ["--data-dir", definition.data_dir]
    words += flags(definition.reading)
    return shlex.join(map(str, words))


def commands(summary: Summary, definition: Definition, directory: Path) -> dict[str, str]:
    """Returns the commands that train winner and start, by what they train. The advised one is first."""
    found = {"the winner": train_command(definition, directory / "best.json")}
    start = {"what you started from": train_command(definition, directory / "start.json")}
    return start | found if keeps_start(summary) else found | start


def epochs_of(summary: Summary) -> dict[str, int]:
    """Returns the epochs of the trainings with new seeds, of "retrained" and of "start"."""
    start = summary["retrain_epochs"]
    # Older searches did not vary the epochs: winner and start have the same.
    return {"retrained": summary.get("winner_epochs", start), "start": start}


def trained_for(summary: Summary) -> str:
    """Returns e.g. `3 new seeds, 8 epochs`; with both numbers of epochs where they differ."""
    seeds = len(summary["retrained"])
    epochs = epochs_of(summary)
    text = f"{epochs['retrained']} epoch{'s' * (epochs['retrained'] > 1)}"
    if epochs["start"] != epochs["retrained"] and summary["start"]:
        text += f" (the start {epochs['start']})"
    return f"{seeds} new seed{'s' * (seeds > 1)}, {text}"


def summary_text(
    summary: Summary, definition: Definition, directory: Path, compared: bool = True
) -> str:
    """Returns the text that a search prints at its end.

    Args:
        summary: The result of the search.
        definition: What was searched.
        directory: The sweep folder.
        compared: Whether to give a verdict. A comparison of methods gives none.
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
