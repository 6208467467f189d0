"""How a search ends: what its winner is worth beside its start, and what to do then."""

import pytest

from common.basics.files import read_json, write_json_atomic
from common.tuning import report, verdict
from common.tuning.definition import Definition
from tests.test_tuning_report import finished


def rows(values, measure="val_accuracy"):
    return [
        {"seed": seed, "val_accuracy": 0.5, "val_loss": 1.0, "test_accuracy": 0.9, measure: value}
        for seed, value in enumerate(values, 1)
    ]


def summary_of(winner, start, objective="val_accuracy", **more):
    return {
        "objective": objective,
        "trials": 9,
        "trial": 4,
        "values": {"units": 8},
        "search_score": 0.973,
        "retrain_epochs": 8,
        "retrained": rows(winner, objective),
        "start": rows(start, objective),
        **more,
    }


def definition_of(**changes):
    return Definition("toy", "random", {"epochs": 8}, "best", **changes)


# As it was seen: 0.885 +- 0.051 after a search score of 0.973, beside 0.921 +- 0.009.
SEEN = ([0.836, 0.881, 0.938], [0.921, 0.930, 0.912])
BETTER = ([0.95, 0.96, 0.961], [0.90, 0.911, 0.909])


@pytest.mark.parametrize(
    ("winner", "start", "objective", "case", "advice"),
    [
        (*BETTER, "val_accuracy", "better", "Train the winner."),
        (*BETTER[::-1], "val_accuracy", "worse", "Keep what you started from."),
        (
            *SEEN,
            "val_accuracy",
            "no difference shown",
            "Keep what you started from, or look closer",
        ),
        (*BETTER, "val_loss", "worse", "Keep what you started from."),
        (*BETTER[::-1], "val_loss", "better", "Train the winner."),
        ([0.9, 0.9], [0.9, 0.9], "val_accuracy", "no difference shown", "--retrain 5"),
        ([0.9], [0.5], "val_accuracy", "not tested", "--retrain 5 --retrain-start"),
        ([0.9, 0.8], [], "val_accuracy", "not tested", "--retrain 5 --retrain-start"),
        ([], [], "val_accuracy", "not tested", "--retrain 5 --retrain-start"),
    ],
)
def test_cases(winner, start, objective, case, advice):
    summary = summary_of(winner, start, objective)
    found = verdict.judge(summary)
    assert found["case"] == case
    assert found["n"] == len(winner)
    sentence, what_to_do = verdict.sentences(summary)
    assert advice in what_to_do
    if case != "not tested":
        assert f"n = {len(winner)} seeds, paired" in sentence
    if case == "better":
        low, high = found["interval"]
        assert low <= found["difference"] <= high
        assert low > 0 or high < 0


def test_a_winner_that_is_not_better_is_told_last(tmp_path):
    text = verdict.summary_text(summary_of(*SEEN), definition_of(data="sample"), tmp_path)
    assert "the winner: val_accuracy 0.8850 ± 0.0511" in text
    assert "what it started from: val_accuracy 0.9210 ± 0.0090" in text
    assert "No difference is shown between the winner and what the search started from" in text
    command = f"recipes train toy --config {tmp_path}"
    assert f"Train it: {command}/start.json --data sample\n" in text
    assert f"Or the winner: {command}/best.json --data sample\n" in text
    text = verdict.summary_text(summary_of(*BETTER), definition_of(data="sample"), tmp_path)
    assert f"Train it: {command}/best.json --data sample\n" in text


def test_a_contest_of_methods_has_no_verdict(tmp_path):
    summary = summary_of([0.9, 0.8], [])
    assert "is not known" in verdict.summary_text(summary, definition_of(), tmp_path)
    assert "not known" not in verdict.summary_text(summary, definition_of(), tmp_path, False)


def test_the_command_names_the_data_and_how_it_is_read():
    definition = definition_of(
        data="/my data/x.csv", data_dir="/sets", reading={"text_column": "body"}
    )
    assert verdict.train_command(definition, "s/best.json") == (
        "recipes train toy --config s/best.json --data '/my data/x.csv' --data-dir /sets "
        "--text-column body"
    )


def test_epochs_are_told_apart_where_they_differ():
    summary = summary_of(*BETTER)
    assert verdict.trained_for(summary) == "3 new seeds, 8 epochs"
    summary["winner_epochs"] = 16
    assert verdict.trained_for(summary) == "3 new seeds, 16 epochs (the start 8)"
    summary = summary_of([0.9], [0.8], retrain_epochs=1)
    assert verdict.trained_for(summary) == "1 new seed, 1 epoch"


def test_the_page_leads_with_what_new_seeds_say(tmp_path):
    directory = tmp_path / "s"
    finished(directory, trials=3)
    summary = read_json(directory / "summary.json")
    summary |= {"retrained": rows(SEEN[0]), "start": rows(SEEN[1])}
    write_json_atomic(directory / "summary.json", summary)
    page = report.write_report(directory).read_text()
    assert '<span class="big">0.8850</span>' in page
    assert "random search: 0.8850 ± 0.0511</title>" in page
    assert "± 0.0511 val_accuracy, the winner trained with 3 new seeds, 9 epochs" in page
    assert "What the search started from: 0.9210 ± 0.0090" in page
    assert "No difference is shown between the winner" in page
    assert "Keep what you started from" in page
    assert page.index("start.json") < page.index("best.json")
    # Without new seeds there is nothing but the maximum, and the page says so.
    (directory / "summary.json").unlink()
    page = report.write_report(directory).read_text()
    best = max(trial.score for trial in _trials(directory))
    assert f'<span class="big">{best:.4f}</span>' in page
    assert "was not trained again with new seeds" in page
    assert "is not known: both have to be trained" in page


def _trials(directory):
    from common.tuning.store import Store

    return Store(directory).read()
