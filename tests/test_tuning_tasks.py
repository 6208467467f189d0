"""Searches of what is no classifier: an objective that is better the lower it is, and its figures."""

import dataclasses
import types

import numpy as np
import pytest

from common.basics.errors import RecipeError, UsageError
from common.basics.files import read_json
from common.cli import main
from common.data.types import DataInfo, Split, Splits
from common.runs.headline import Headline
from common.tuning import contest, evidence, measures, options, report, verdict
from common.tuning.choice import METHODS
from common.tuning.definition import Definition
from common.tuning.folds import cut
from common.tuning.score import direction, shown
from common.tuning.trial import COMPLETED, FAILED, PRUNED, best_trial
from common.tuning.trial_run import read_history
from tests import toy_sweep
from tests.test_tuning_report import finished

ERROR = Headline("mean absolute error", "°C", "lower")


def searched(method, directory, objective, **more):
    tuner = toy_sweep.make_tuner(method, directory, objective=objective, **more)
    tuner.search()
    return tuner.oracle.store.read()


@pytest.mark.parametrize("method", METHODS)
def test_an_error_is_searched_as_what_it_lacks_to_an_accuracy(method, tmp_path):
    if method == "tpe":
        pytest.importorskip("optuna", reason="tpe needs the extra [optuna]")
    errors = searched(method, tmp_path / "e", "val_mae", trials=20)
    best = best_trial(errors, "val_mae")
    assert best.score == min(t.score for t in errors if t.status == COMPLETED)
    assert {COMPLETED, PRUNED} <= {t.status for t in errors} | (
        {PRUNED} if method == "grid" else set()
    )
    accuracies = searched(method, tmp_path / "a", "val_accuracy", trials=20)
    if method == "bayesian":
        # Its process sees other numbers: after the random trials it may go other ways.
        errors, accuracies = errors[:8], accuracies[:8]
    assert [(t.values, t.status, t.epochs, t.best_epoch) for t in errors] == [
        (t.values, t.status, t.epochs, t.best_epoch) for t in accuracies
    ]
    for one, other in zip(errors, accuracies, strict=True):
        assert (one.score is None) == (other.score is None)
        assert one.score is None or one.score == pytest.approx(1 - other.score, abs=2e-6)


def test_folds_of_errors_are_averaged_before_the_epoch_is_chosen(tmp_path):
    for trial in searched("random", tmp_path / "s", "val_mae", trials=4, folds=3, prune=False):
        if trial.status != FAILED:
            assert trial.score == pytest.approx(sum(c["val_mae"][-1] for c in trial.curves) / 3)
            assert list(trial.curves[0]) == ["loss", "val_loss", "mae", "val_mae", "seconds"]
            assert trial.epochs == 27


def test_a_trial_without_the_figure_fails_and_says_what_there_is(tmp_path):
    tuner = toy_sweep.make_tuner(
        "random", tmp_path / "s", trials=2, objective="val_mae", prune=False,
        module={"train": toy_sweep.train, "load_data": toy_sweep.load_data},
    )  # fmt: skip
    tuner._rule = lambda *args: _Never("val_mae")
    tuner.search()
    for trial in tuner.oracle.store.read():
        assert trial.status == FAILED
        assert "history.csv has no finite val_mae; it has loss, accuracy" in trial.message


class _Never:
    """A rule that stops nothing."""

    def __init__(self, objective):
        self.objective = objective

    def __call__(self, history):
        return False


def test_every_column_of_finite_numbers_is_a_curve(tmp_path):
    run = types.SimpleNamespace(path=tmp_path.joinpath)
    assert read_history(run) == {}
    (tmp_path / "history.csv").write_text("loss,chrf,name,norm,late\n1,0.5,a,1,\n2,0.25,b,inf,3\n")
    assert read_history(run) == {"loss": [1.0, 2.0], "chrf": [0.5, 0.25]}


def test_which_way_is_better_follows_from_the_name():
    names = ("val_accuracy", "val_auc", "val_loss", "val_mae", "val_mse")
    assert [direction(name) for name in names] == ["max", "max", "min", "min", "min"]


def test_small_scores_are_told_apart():
    assert [shown(value) for value in (0.0, 0.98765, 12.34567, -0.5)] == [
        "0.0000", "0.9877", "12.3457", "-0.5000",
    ]  # fmt: skip
    assert [shown(value) for value in (0.0123456, 0.00123456, 0.00001)] == [
        "0.0123", "0.001235", "0.00001000",
    ]  # fmt: skip


def test_the_objective_is_the_tasks_or_the_loss(in_tmp, capsys):
    task = types.SimpleNamespace(objective="val_mae")
    module = types.SimpleNamespace(TASK=task)
    assert options.objective_of(module, None) == options.default_objective(module) == "val_mae"
    assert options.objective_of(module, "val_loss") == "val_loss"
    with pytest.raises(UsageError, match=r"'val_accuracy'.*there are: val_mae, val_loss"):
        options.objective_of(module, "val_accuracy")
    task.objective = "val_loss"
    with pytest.raises(UsageError, match=r"\(there are: val_loss\)"):
        options.objective_of(module, "val_mae")
    for command in ("tune", "sweep"):
        assert main([command, "mnist_cnn", "--objective", "val_mae"]) == 2
        assert "(there are: val_accuracy, val_loss)" in capsys.readouterr().err


def metrics_of(value, validation, **more):
    headline = dataclasses.replace(ERROR, value=value, validation=validation)
    return {"headline": headline.to_dict(), "validation": more, "test": {}}


def test_a_row_holds_the_headline_and_what_was_judged():
    metrics = metrics_of(2.5, 2.0, mae=2.0, loss=7.0)
    assert measures.row(3, metrics, "val_mae") == {
        "seed": 3, "judged": 2.0, "validation": 2.0, "test": 2.5, "val_loss": 7.0,
    }  # fmt: skip
    assert measures.row(3, metrics, "val_loss")["judged"] == 7.0
    # A figure of the history that metrics.json does not name is the headline.
    assert measures.row(3, metrics_of(2.5, 2.0), "val_mae")["judged"] == 2.0
    with pytest.raises(RecipeError, match="no loss"):
        measures.row(3, metrics_of(2.5, 2.0), "val_loss")
    older = {"validation": {"accuracy": 0.9, "loss": 0.3}, "test": {"accuracy": 0.8, "count": 9}}
    row = measures.row(1, older, "val_accuracy")
    assert (row["judged"], row["validation"], row["test"]) == (0.9, 0.9, 0.8)


def test_rows_of_before_are_read_as_they_are():
    row = {"seed": 1, "val_accuracy": 0.9, "val_loss": 0.3, "test_accuracy": 0.8}
    assert (measures.validation(row), measures.test(row)) == (0.9, 0.8)
    assert [measures.judged(row, name) for name in ("val_accuracy", "val_loss")] == [0.9, 0.3]
    # Its value is not a number, which is equal to nothing.
    assert repr(measures.headline_of({})) == repr(Headline("accuracy", "%"))
    assert measures.columns({"objective": "val_accuracy"}, [row]) == {
        "validation accuracy": ["0.9000"], "validation loss": ["0.3000"], "test accuracy": ["0.8000"],
    }  # fmt: skip


def rows(judged, test):
    return [
        {"seed": seed, "judged": one, "validation": one, "test": other, "val_loss": None}
        for seed, (one, other) in enumerate(zip(judged, test, strict=True), 1)
    ]


SUMMARY = {
    "objective": "val_mae", "headline": measures.named(ERROR), "trials": 3, "trial": 1, "values": {},
    "search_score": 0.0012, "retrain_epochs": 9,
    "retrained": rows([1.0, 1.2, 1.1], [2.0, 2.5, 2.1]), "start": rows([3.0, 3.1, 3.5], [4.0, 4.0, 4.5]),
}  # fmt: skip


def test_the_end_of_a_search_names_the_figure(tmp_path):
    definition = Definition("toy", "random", {"epochs": 9}, "best", objective="val_mae")
    text = verdict.summary_text(SUMMARY, definition, tmp_path)
    assert "val_mae 0.001200 (a minimum over trials, so it flatters)" in text
    # By hand: test 2.2 with deviation sqrt(0.14 / 2); differences -2, -1.5, -2.4.
    assert "the winner: val_mae 1.1000 ± 0.1000, test mean absolute error 2.2 ± 0.26 °C\n" in text
    assert "val_mae -2.1000 ± 0.2646, test mean absolute error -1.967 ± 0.45 °C\n" in text
    assert "The winner is better than what the search started from: val_mae -2.1000 (95 %" in text
    # What is lower is better: the other way round it is worse.
    swapped = SUMMARY | {"retrained": SUMMARY["start"], "start": SUMMARY["retrained"]}
    assert verdict.judge(swapped)["case"] == "worse"


def test_the_pages_name_the_figure(tmp_path):
    def rows_of(score):
        return {"headline": measures.named(ERROR), "retrained": rows([score], [score + 1])}

    for method in ("random", "grid"):
        directory = tmp_path / f"{method}-seed0"
        found = finished(directory, method, objective="val_mae", rows_of=rows_of)
        page = report.write_report(directory).read_text()
        best = min(t.score for t in found if t.status == COMPLETED)
        assert '<th scope="col" class="n">validation mean absolute error</th>' in page
        assert f'<td class="n">{best + 1:.4g} °C</td>' in page
        assert "validation loss" not in page
        assert "accuracy" not in page
        assert "the minimum of" in page
    page = contest.write_report(tmp_path, ["random", "grid"], 1).read_text()
    result = read_json(tmp_path / "contest.json")
    assert "test mean absolute error, winners retrained" in page
    assert "accuracy" not in page
    scores = [row["scores"][0] for row in result["rows"]]
    assert scores == sorted(scores)
    assert f"{scores[0] + 1:.4g} °C (n = 1)" in contest.table_text(result)


def test_the_recorded_table_names_the_figure(tmp_path, monkeypatch):
    search = SUMMARY | {
        "command": "x", "changes": {}, "seconds": 60.0, "trial_epochs": 9, "label": "WEATHER",
        "cpu_count": 2, "cpu": "x", "versions": {"keras": "3"}, "backend": "x", "commit": "x",
    }  # fmt: skip
    monkeypatch.setattr(evidence, "read", lambda name: [search])
    text = evidence.section("toy")
    assert (
        "| validation mean absolute error, °C: winner / start | test mean absolute error, °C: winner / "
        "start | difference in test, mean absolute error (lower is better) |\n"
    ) in text
    assert "| 1.1 ± 0.1 / 3.2 ± 0.26 | 2.2 ± 0.26 / 4.167 ± 0.29 | -1.967 ± 0.45 |" in text


def test_folds_of_numbers_are_not_stratified():
    info = DataInfo("n", "", "own", "f", "table", (), "N", "", {})
    y = np.linspace(0, 1, 14).astype("float32")
    x = np.arange(14)

    def parts(groups, folds):
        part = [None if groups is None else groups[rows] for rows in (x[:9], x[9:])]
        splits = Splits(Split(x[:9], y[:9], part[0]), Split(x[9:], y[9:], part[1]), None, info)
        return [cut(splits, fold, folds) for fold in range(folds)]

    found = parts(None, 4)
    assert sorted(row for part in found for row in part.val.x) == list(range(14))
    assert sorted(len(part.val) for part in found) == [3, 3, 4, 4]
    groups = np.repeat(np.arange(5), [2, 3, 4, 1, 4])
    found = parts(groups, 3)
    assert sorted(row for part in found for row in part.val.x) == list(range(14))
    assert not any(set(part.train.groups) & set(part.val.groups) for part in found)
    with pytest.raises(RecipeError, match=r"as many groups .*; there are 5"):
        parts(groups, 6)


def test_what_has_no_one_form_cannot_be_cut_into_folds():
    train = Split(np.zeros((9, 2)), np.arange(9))
    tasks = Split(np.zeros((3, 4, 2)), np.zeros((3, 4), int))
    splits = types.SimpleNamespace(train=train, val=tasks)
    with pytest.raises(RecipeError, match="not of one form .*: leave --folds out"):
        cut(splits, 0, 2)
