"""Tasks: scores by hand, and what every command makes of a task that is no classification."""

import json

import numpy as np
import pytest

from common.basics.statistics import mean_interval
from common.cli import main
from common.data.types import Split, Splits
from common.runs import headline, scores
from common.runs.options import Options
from common.runs.run import Run
from common.tasks import prediction_interval
from common.tasks.classification import Classification
from common.tasks.regression import Regression
from common.tasks.tokens import TokenClassification, ratio_interval
from tests.helpers import tiny_config

OTHERS = ("adding", "tagging")


def numbers(test_truth, test_outputs):
    """Returns outputs of a regression; validation holds two examples with errors 1 and 3."""
    return {
        "val_truth": np.array([1.0, 2.0]),
        "val_outputs": np.array([[2.0], [5.0]], "float32"),
        "test_truth": np.array(test_truth),
        "test_outputs": np.array(test_outputs, "float32"),
    }


def test_regression_by_hand():
    outputs = numbers([0.0, 1.0, 5.0], [[1.0], [1.0], [3.0]])
    task = Regression(unit="m")
    found = task.score(outputs)
    np.testing.assert_array_equal(task.example_scores(outputs), [1, 0, 2])
    assert found["validation"] == {
        **{"count": 2, "rmse": 5**0.5, "mae": 2.0},
        "r2": 1 - 10 / 0.5,
    }
    test = found["test"]
    assert test["rmse"] == pytest.approx((5 / 3) ** 0.5)
    assert test["mae"] == 1.0
    # Errors 1, 0, 2: deviation 1, t of 2 degrees of freedom 4.3027.
    half = 4.302653 / 3**0.5
    np.testing.assert_allclose(test["mae_interval"], [1 - half, 1 + half], rtol=1e-6)
    assert mean_interval([3.0]) is None
    assert mean_interval([3.0, 3.0]) is None
    headline_ = task.headline_of(found)
    assert (headline_.name, headline_.unit, headline_.better) == (
        "mean absolute error",
        "m",
        "lower",
    )
    assert (headline_.value, headline_.validation, headline_.count) == (1.0, 2.0, 3)
    assert task.tiles({"test": test})[0] == ("root mean squared error, m", "1.291")
    assert task.line(np.array([2.5]), {}, 3) == "2.5 m"
    assert task.line(np.array([1234567.0]), {}, 3) == "1,234,570 m"
    assert task.record(np.array([2.5]), {}) == {"answer": 2.5}
    assert (task.columns({}), task.cells(np.array([2.5]), {})) == (["answer"], ["2.5"])
    assert task.columns({"reading": {"label_column": "price"}}) == ["price"]


def test_of_equal_targets_there_is_no_r_squared():
    task, outputs = Regression(), numbers([2.0, 2.0], [[1.0], [3.0]])
    test = task.score(outputs)["test"]
    assert test["r2"] is None
    assert ("R²", "–") in task.tiles({"test": test})  # noqa: RUF001


def test_the_median_stands_beside_a_regression():
    """The constant with the least absolute error on train: of 0, 1, 8 it is 1."""
    outputs = numbers([0.0, 1.0, 5.0], [[1.0], [1.0], [3.0]])
    train = Split(np.zeros((3, 1)), np.array([8.0, 0.0, 1.0]))
    splits = Splits(train, train, train, None)
    (row,) = Regression().baselines(splits, outputs)
    assert row["name"] == "always answering the median of the training targets"
    assert row["value"] == pytest.approx((1 + 0 + 4) / 3, abs=1e-6)


def test_regression_of_several_numbers_is_scored_by_their_mean():
    outputs = numbers([[0.0, 0.0], [1.0, 1.0]], [[1.0, 3.0], [1.0, 1.0]])
    outputs |= {"val_truth": outputs["test_truth"], "val_outputs": outputs["test_outputs"]}
    np.testing.assert_array_equal(Regression().example_scores(outputs), [2, 0])
    assert Regression().score(outputs)["test"]["mae"] == 1.0


def test_regression_refuses_answers_of_another_shape():
    with pytest.raises(ValueError, match=r"expected answers of shape \(2, 1\), got \(2, 2\)"):
        Regression().check(numbers([1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]]))
    with pytest.raises(ValueError, match="not finite"):
        Regression().check(numbers([1.0], [[np.nan]]))


def tokens():
    """Returns outputs of three sequences of lengths 3, 1 and 2 with 2, 0 and 2 right tokens."""
    truth = np.array([[1, 2, 1, 0], [2, 0, 0, 0], [1, 1, 0, 0]])
    answers = np.array([[1, 2, 2, 1], [1, 1, 1, 1], [1, 1, 2, 2]])
    probabilities = np.full((3, 4, 3), 0.1, "float32")
    np.put_along_axis(probabilities, answers[..., None], 0.8, axis=2)
    outputs = {"test_truth": truth, "test_outputs": probabilities}
    return outputs | {"val_truth": truth[:2], "val_outputs": probabilities[:2]}


def test_token_classification_by_hand():
    task = TokenClassification()
    found = task.score(tokens())
    assert found["test"]["accuracy"] == pytest.approx(4 / 6)
    assert found["test"]["exact"] == pytest.approx(1 / 3)
    assert (found["test"]["tokens"], found["test"]["count"]) == (6, 3)
    assert found["validation"]["accuracy"] == 0.5
    assert found["test"]["loss"] == pytest.approx(
        (4 * -np.log(0.8) + 2 * -np.log(0.1)) / 6, rel=1e-6
    )
    np.testing.assert_allclose(task.example_scores(tokens()), [2 / 3, 0, 1])
    # Ratio 2/3; residuals 0, -2/3, 2/3: their mean square over n - 1 is 4/9; mean length 2.
    error = (4 / 9 / 3) ** 0.5 / 2
    low, high = ratio_interval([2, 0, 2], [3, 1, 2])
    assert low == pytest.approx(max(0, 2 / 3 - 4.302653 * error))
    assert high == pytest.approx(1.0)
    assert ratio_interval([5], [6]) is None
    assert ratio_interval([5, 2, 3], [5, 2, 3]) is None


def test_a_narrow_ratio_interval_by_hand():
    # Ratio 0.5; residuals 1, -1, 0, 0: their mean square over n - 1 is 2/3; mean length 25.
    low, high = ratio_interval([11, 9, 10, 20], [20, 20, 20, 40])
    half = 3.182446 * (2 / 3 / 4) ** 0.5 / 25
    np.testing.assert_allclose([low, high], [0.5 - half, 0.5 + half], rtol=1e-6)


def test_classification_scores_are_right_or_wrong():
    outputs = {
        "test_probabilities": np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]], "float32"),
        "test_labels": np.array([0, 0, 1]),
    }
    np.testing.assert_array_equal(Classification("image").example_scores(outputs), [1, 0, 1])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Returns a function from a recipe's name and a seed to its run folder, trained by the command."""
    folder, done = tmp_path_factory.mktemp("others"), {}

    def get(name, seed=0):
        if (name, seed) not in done:
            directory = folder / f"{name}{seed}"
            words = ["train", name, "--data", "sample", "--seed", str(seed), "--epochs", "3"]
            assert main([*words, "--run-dir", str(directory)]) == 0
            done[name, seed] = directory
        return done[name, seed]

    return get


@pytest.mark.parametrize("name", OTHERS)
def test_a_run_leaves_a_headline_and_scores(name, trained):
    directory = trained(name)
    metrics = json.loads((directory / "metrics.json").read_text())
    found = headline.of(metrics)
    assert found.count == 43
    assert found.interval[0] < found.value < found.interval[1]
    held, problem = scores.read(directory)
    assert problem is None
    assert held.scores.shape == (43,)
    assert len(held.truth) == 43
    if name == "adding":
        assert held.scores.mean() == pytest.approx(found.value, rel=1e-5)
    assert metrics["baselines"][0]["name"].startswith("always answering")
    page = (directory / "report.html").read_text()
    assert f"test {found.name}" in page
    assert ('id="answers"' in page) == (name == "adding")
    assert ('id="tokens"' in page) == (name == "tagging")
    assert 'id="confusion"' not in page
    assert (directory / "figures/loss.png").exists()


@pytest.mark.parametrize("name", OTHERS)
def test_every_command_takes_it(name, trained, tmp_path, capsys):
    directory = str(trained(name))
    assert main(["evaluate", directory]) == 0
    assert headline.of(json.loads((trained(name) / "metrics.json").read_text())).name in (
        capsys.readouterr().out
    )
    assert main(["report", directory]) == 0
    assert main(["compare", directory, str(trained(name, 1))]) == 0
    text = capsys.readouterr().out
    assert ("mean absolute error" if name == "adding" else "token accuracy") in text
    assert main(["explain", directory, "x.npy"]) == 1
    assert "has no explanation" in capsys.readouterr().err


def test_predict_reads_arrays(trained, tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.array([[3, 5, 4, 0]], "int32"))
    words = ["predict", str(trained("tagging")), str(tmp_path / "x.npy")]
    assert main(words) == 0
    line = capsys.readouterr().out
    assert line.startswith(f"{tmp_path / 'x.npy'}:0: ")
    assert set(line.split(": ")[1].split()) <= {"padding", "falls", "rises"}
    assert main([*words, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)[0]["classes"]) == 4
    assert main([*words, "--output", str(tmp_path / "out.csv")]) == 0
    assert (tmp_path / "out.csv").read_text().startswith("name,output\n")
    (tmp_path / "y.npy").write_text("no array")
    assert main([*words, str(tmp_path / "y.npy")]) == 1
    assert "expected an .npy file" in capsys.readouterr().err
    assert main(["predict", str(trained("tagging")), str(tmp_path)]) == 2


def test_an_interrupted_run_of_another_task_resumes_to_the_same_result(tmp_path, monkeypatch):
    from recipes.adding import train as module

    from common.training.progress import Progress

    def run_in(folder):
        return Run(
            "adding", tiny_config("adding"), Options(data="sample", run_dir=tmp_path / folder)
        )

    whole = run_in("whole").open()
    expected = module.train(whole.config, whole)
    stopped = run_in("stopped").open()
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "on_epoch_end", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            module.train(stopped.config, stopped)
    again = run_in("stopped").open()
    assert module.train(again.config, again) == expected


def test_what_cannot_be_read_is_said(tmp_path):
    assert "no predictions.npz" in Regression().read(tmp_path / "predictions.npz")[1]
    np.savez(tmp_path / "predictions.npz", **numbers([1.0], [[np.inf]]))
    held, problem = Regression().read(tmp_path / "predictions.npz")
    assert held is None
    assert "not finite" in problem


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("adding", "savedmodel"),
        ("tagging", "litert"),
        pytest.param("tagging", "savedmodel", marks=pytest.mark.slow),
        pytest.param("adding", "litert", marks=pytest.mark.slow),
        ("adding", "onnx"),
        ("tagging", "onnx"),
    ],
)
def test_an_export_gives_what_the_model_gives(name, format, trained, tmp_path, capsys):
    """The adding recipe has two inputs and a layer of its own, the other a length that is free."""
    if format == "onnx":
        pytest.importorskip("tf2onnx", reason="the extra [export]")
    output = tmp_path / {"savedmodel": "m", "onnx": "m.onnx", "litert": "m.tflite"}[format]
    words = ["export", str(trained(name)), "--format", format, "--output", str(output)]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "Largest difference of an output" in text
    described = json.loads((tmp_path / "labels.json").read_text())
    names = ["values", "marks"] if name == "adding" else ["tokens"]
    assert [each["name"] for each in described["inputs"]] == names
    assert len(described["outputs"]) == 1
    assert not (tmp_path / "predict.py").exists()


def test_a_class_of_a_recipe_is_registered_when_a_model_needs_it(
    trained, recipes_command, tmp_path
):
    directory = trained("adding")
    done = recipes_command("evaluate", directory)
    assert done.returncode == 0, done.stderr
    assert "mean absolute error" in done.stdout


def test_a_search_goes_by_the_figure_of_the_task(tmp_path, capsys):
    words = ["tune", "adding", "--method", "random", "--trials", "2", "--epochs", "2"]
    words += ["--data", "sample", "--sweep-dir", str(tmp_path / "sweep"), "--retrain", "1"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "mean absolute error" in text
    best = json.loads((tmp_path / "sweep/best.json").read_text())
    assert best["recipe"] == "adding"
    assert "mean absolute error" in (tmp_path / "sweep/sweep.html").read_text()
    assert main([*words, "--objective", "val_accuracy"]) == 2
    assert "val_loss" in capsys.readouterr().err


def test_half_widths_by_hand():
    errors = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 7.0])
    assert prediction_interval.half_width(errors) == 9  # The ninth of nine: 0.9 * 10.
    assert prediction_interval.half_width(errors[:8]) is None
    assert prediction_interval.half_width(errors, 0.5) == 4  # The fifth.
    many = np.arange(1.0, 70)  # 69 errors: 0.9 * 70 is 63, in floating point a little more.
    assert prediction_interval.half_width(many) == 63


def test_intervals_are_as_wide_as_answers_of_their_size_are_off():
    answers = np.arange(100.0)
    errors = np.where(answers < 50, 1.0, 7.0)
    found = prediction_interval.fitted(answers, errors)
    assert found == {"edges": [49.0], "half_widths": [1.0, 7.0]}
    at = prediction_interval.widths_at(np.array([-5.0, 49.0, 49.5, 500.0]), found)
    assert at.tolist() == [1, 1, 7, 7]
    # Fewer than 50 in each of two parts: one width. Fewer than nine: none.
    one = prediction_interval.fitted(answers[:99], errors[:99])
    assert (one["edges"], len(one["half_widths"])) == ([], 1)
    assert prediction_interval.fitted(answers[:8], errors[:8]) is None
    assert len(prediction_interval.fitted(np.arange(5000.0), np.ones(5000))["edges"]) == 9
    # Equal answers have one width.
    assert prediction_interval.fitted(np.ones(500), np.arange(500.0))["edges"] == []
    rare = np.array([0.0] * 97 + [1.0, 2.0, 3.0])
    assert prediction_interval.fitted(rare, np.ones(100))["edges"] == []
    truth = np.array([0.0, 0.0, 100.0])
    held = prediction_interval.measured(
        (answers - errors, answers), (truth, np.array([1.0, 1.5, 106.0]))
    )
    assert held["held"] == pytest.approx(2 / 3)
    low, high = held["held_interval"]
    assert low < 2 / 3 < high


@pytest.mark.parametrize("count", [40, 200])
def test_intervals_hold_what_they_promise(count):
    random = np.random.default_rng(0)
    held, high = [], []
    for _ in range(400):
        parts = []
        for size in (count, 50):
            answers = random.uniform(1, 10, size)
            parts.append((answers + answers * random.standard_cauchy(size), answers))
        found = prediction_interval.measured(*parts)
        held.append(found["held"])
        truth, answers = (each[parts[1][1] > 8] for each in parts[1])
        width = prediction_interval.widths_at(answers, found)
        high.append(np.mean(np.abs(answers - truth) <= width))
    # At least 0.9, and at most 1 / (n + 1) more in each part (Lei et al. 2018, theorem 2.2).
    error = np.std(held) / 20
    assert 0.9 - 3 * error < np.mean(held) < 0.9 + 1 / min(count + 1, 51) + 3 * error
    # Errors grow with the answer: one width for all holds too few of the large ones.
    assert (np.mean(high) > 0.89) == (count == 200)


def test_answers_have_intervals():
    intervals = {"edges": [1000.0], "half_widths": [1.5, 2.5]}
    task, info = Regression(unit="m"), {"prediction_interval": intervals}
    row = np.array([1200.0])
    assert task.line(row, info, 1) == "1,200 m, nine times in ten 1,197.5 to 1,202.5 m"
    assert task.record(row, info) == {"answer": 1200, "low": 1197.5, "high": 1202.5}
    assert task.record(None, info) == {"answer": None}
    reading = {"reading": {"label_column": "price"}, **info}
    assert task.columns(reading) == ["price", "price_low", "price_high"]
    assert task.cells(row, info) == ["1200", "1197.5", "1202.5"]
    assert task.line(row, {}, 1) == "1,200 m"
    assert task.columns({"prediction_interval": None}) == ["answer"]
    assert task.record(np.array([7.0]), info) == {"answer": 7, "low": 5.5, "high": 8.5}
    found = {**intervals, "held": 0.6, "held_interval": [0.5, 0.7]}
    metrics = {"test": {"prediction_interval": found}}
    assert task.remembered(metrics) == {"prediction_interval": found}
    (said,) = task.remarks(metrics)
    assert said.startswith("Intervals of ± 1.5 to ± 2.5 m, by the size of the answer, should hold")
    assert said.endswith("in 60.0 % (95 % interval 50.0 % to 70.0 %): do not rely on them.")
    found |= {"held_interval": [0.5, 0.95], "edges": [], "half_widths": [2.5]}
    (said,) = task.remarks(metrics)
    assert said.startswith("Intervals of ± 2.5 m should hold the truth nine times in ten")
    assert not said.endswith("rely on them.")
    assert task.remarks({"test": {}}) == []
