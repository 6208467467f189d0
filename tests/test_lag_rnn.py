"""lag_rnn: its sequences, its initialiser, what counts as solved, and how far back a gradient reaches."""

import dataclasses

import keras
import numpy as np
import pytest

from common.basics.backend import no_gradients
from common.basics.errors import RecipeError, UsageError
from common.basics.files import read_json, write_json_atomic
from common.basics.wording import DASH
from common.data import Source
from common.explain.lags import gradient_by_lag
from common.layers import fast_rnn
from common.runs import registry
from common.studies.study import arm_config
from common.training.generated import GeneratedBatches
from recipes.lag_rnn import baselines, lengths, picture, problems
from recipes.lag_rnn.model import Chrono, build_model, recurrent_layer, sequences_solved
from recipes.lag_rnn.solved import SOLVED, solved_at
from recipes.lag_rnn.studies import STUDIES
from recipes.lag_rnn.task import Lag
from recipes.lag_rnn.train import Config, load_data


def random(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("length", [4, 7, 200])
def test_a_sum_has_two_marks_one_in_each_half(length):
    x, y = problems.adding(2000, length, random())
    assert (x.shape, y.shape) == ((2000, length, 2), (2000, 1))
    assert x.dtype == y.dtype == np.float32
    marks = x[..., 1]
    assert set(np.unique(marks)) == {0.0, 1.0}
    half = length // 2
    np.testing.assert_array_equal(marks[:, :half].sum(axis=1), 1)
    np.testing.assert_array_equal(marks[:, half:].sum(axis=1), 1)
    np.testing.assert_allclose((x[..., 0] * marks).sum(axis=1), y[:, 0], rtol=1e-6)
    # Every place is marked some time, and numbers fill [0, 1).
    assert marks.any(axis=0).all()
    assert x[..., 0].min() < 0.01
    assert 0.99 < x[..., 0].max() < 1


@pytest.mark.parametrize("length", [10, 33, 100])
def test_orders_are_balanced_and_say_which_symbols_came(length):
    x, y = problems.order(402, length, random())
    assert x.shape == (402, length, 8)
    np.testing.assert_array_equal(x.sum(axis=2), 1)
    assert sorted(np.bincount(y)) == [100, 100, 101, 101]
    symbols = x.argmax(axis=2)
    for row, label in zip(symbols, y, strict=True):
        places = np.flatnonzero(row < 2)
        assert len(places) == 2
        assert "".join("XY"[row[place]] for place in places) == problems.ORDERS[label]
        assert places[0] < length // 3 < places[1] < 0.6 * length + 1
    assert (symbols[:, 0] == 2).all()
    assert (symbols[:, -1] == 3).all()


def test_a_copy_is_asked_for_at_the_end():
    x, y = problems.copy(50, 31, random())
    assert (x.shape, y.shape) == ((50, 31, 10), (50, 10))
    symbols = x.argmax(axis=2)
    np.testing.assert_array_equal(symbols[:, :10], y + 1)
    np.testing.assert_array_equal(symbols[:, 10:20], 0)
    np.testing.assert_array_equal(symbols[:, 20], 9)
    np.testing.assert_array_equal(symbols[:, 21:], 0)
    assert set(np.unique(y)) == set(range(8))


def test_what_is_right():
    sums = np.array([[1.0], [0.5], [0.2]], "float32")
    found = np.array([[1.039], [0.541], [0.161]], "float32")
    np.testing.assert_array_equal(problems.right(sums, found), [True, False, True])
    assert problems.losses(sums, found)[1] == pytest.approx(0.041**2, rel=1e-4)
    orders = np.array([2, 0], "int32")
    shares = np.array([[0.1, 0.2, 0.6, 0.1], [0.2, 0.5, 0.2, 0.1]], "float32")
    np.testing.assert_array_equal(problems.right(orders, shares), [True, False])
    np.testing.assert_allclose(problems.losses(orders, shares), -np.log([0.6, 0.2]), rtol=1e-6)
    copies = random().integers(0, 8, (3, 10)).astype("int32")
    answers = np.eye(8, dtype="float32")[copies]
    answers[1, 9] = np.roll(answers[1, 9], 1)
    np.testing.assert_array_equal(problems.right(copies, answers), [True, False, True])
    # What Keras is given says the same.
    for truth, given in ((sums, found), (orders, shares), (copies, answers)):
        shown = keras.ops.convert_to_numpy(
            sequences_solved(keras.ops.array(truth), keras.ops.array(given))
        )
        np.testing.assert_array_equal(shown, problems.right(truth, given))


def test_batches_are_a_function_of_seed_epoch_and_index():
    def batches(seed=3):
        return GeneratedBatches(
            lambda count, random: problems.adding(count, 9, random),
            count=50,
            batch_size=16,
            seed=seed,
        )

    first = batches()
    assert first.num_batches == 4
    assert [len(first[index][0]) for index in range(4)] == [16, 16, 16, 2]
    moved = batches()
    moved.set_epoch(2)
    for index in (3, 1):
        for one, other in zip(moved[index], first.at_epoch(2)[index], strict=True):
            np.testing.assert_array_equal(one, other)
    x = first[1][0]
    for other in (first[0], moved[1], batches(4)[1]):
        assert not np.array_equal(x, other[0])


def test_validation_and_test_are_fixed_and_no_training_seed_makes_them():
    config = Config(length=12)
    splits = load_data(config, Source("sample"))
    again = load_data(dataclasses.replace(config, seed=5, units=3), Source())
    np.testing.assert_array_equal(splits.test.x, again.test.x)
    assert splits.info == again.info
    assert splits.info.source == "full"
    assert (len(splits.val), len(splits.test)) == (2000, 2000)
    assert not np.array_equal(splits.val.x, splits.test.x)
    for seed in range(4):
        x, _ = problems.adding(2000, 12, np.random.default_rng([seed, 12, 0]))
        assert not np.array_equal(x, splits.val.x)
        assert not np.array_equal(x, splits.test.x)
    other = load_data(dataclasses.replace(config, length=13), Source())
    assert other.info.fingerprint != splits.info.fingerprint


def test_data_of_ones_own_is_refused(tmp_path):
    with pytest.raises(
        UsageError, match=r"generates its sequences and reads none: leave out --data x"
    ):
        load_data(Config(), Source("x"))


def test_a_problem_needs_some_steps():
    for task, length in (("order", 9), ("copy", 21), ("adding", 3)):
        with pytest.raises(UsageError, match="length must be at least"):
            Config(task=task, length=length)


def test_baselines_are_the_known_ones():
    splits = load_data(Config(length=40), Source())
    truth = splits.test.y
    # The variance of a sum of two uniform numbers is a sixth.
    _, y = problems.adding(200_000, 4, random())
    assert np.mean((y - y.mean()) ** 2) == pytest.approx(1 / 6, abs=0.003)
    outputs = {"test_truth": truth, "test_outputs": truth}
    constant, tail = baselines.rows(splits, outputs)
    assert problems.losses(truth, baselines.constant(splits)).mean() == pytest.approx(
        1 / 6, abs=0.008
    )
    assert constant["name"].startswith("a constant answer (MSE 0.1")
    # 10 of the 20 steps of the second half: the tail holds half of one number.
    assert 0.09 < float(tail["name"].split("MSE ")[1][:-1]) < 0.16
    assert constant["value"] < 0.1
    assert constant["p"] < 1e-6
    splits = load_data(Config(task="order", length=40), Source())
    rows = baselines.rows(
        splits, {"test_truth": splits.test.y, "test_outputs": np.eye(4)[splits.test.y]}
    )
    for row in rows:
        assert row["value"] == pytest.approx(0.25, abs=0.04)
    splits = load_data(Config(task="copy", length=40), Source())
    answers = np.eye(8)[splits.test.y]
    (only,) = baselines.rows(splits, {"test_truth": splits.test.y, "test_outputs": answers})
    assert only["value"] == 0


def test_chrono_biases_lie_in_their_range():
    layer = recurrent_layer(Config(cell="lstm", forget_bias="chrono", length=50, units=300))
    layer.build((None, 50, 2))
    given, forget, *rest = np.split(keras.ops.convert_to_numpy(layer.cell.bias), 4)
    np.testing.assert_array_equal(given, -forget)
    np.testing.assert_array_equal(rest, 0)
    kept = np.exp(forget)
    assert kept.min() >= 1
    assert kept.max() <= 49
    assert kept.mean() == pytest.approx(25, abs=2.5)
    again = Chrono.from_config(Chrono(50, seed=4).get_config())
    np.testing.assert_array_equal(
        *(keras.ops.convert_to_numpy(c((12,))) for c in (again, Chrono(50, 4)))
    )


@pytest.mark.parametrize(("name", "bias"), [("one", 1.0), ("zero", 0.0)])
def test_forget_bias(name, bias):
    layer = recurrent_layer(Config(cell="lstm", forget_bias=name, units=3))
    layer.build((None, 50, 2))
    expected = np.repeat([0.0, bias, 0.0, 0.0], 3)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer.cell.bias), expected)


def test_irnn_adds_up_at_the_start():
    layer = recurrent_layer(Config(cell="irnn", units=5))
    layer.build((None, 50, 2))
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(layer.cell.recurrent_kernel), np.eye(5)
    )
    assert np.abs(keras.ops.convert_to_numpy(layer.cell.kernel)).max() < 0.01
    assert layer.activation is keras.activations.relu


@pytest.mark.parametrize("task", ["adding", "order", "copy"])
@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_every_problem_fits_its_network(task, cell):
    config = Config(task=task, cell=cell, length=25, units=6)
    splits = load_data(config, Source())
    model = build_model(config)
    outputs = {}
    for name, part in (("val", splits.val), ("test", splits.test)):
        outputs[f"{name}_outputs"] = model.predict(part.x[:50], verbose=0)
        outputs[f"{name}_truth"] = part.y[:50]
    lag = Lag()
    lag.check(outputs)
    scores = lag.score(outputs)
    assert scores["test"]["count"] == 50
    assert scores["test"]["sequences_solved"] == lag.example_scores(outputs).mean()
    row = outputs["test_outputs"][0]
    assert lag.line(row, {}, 1)
    assert set(lag.record(row, {})) == (
        {"answer"} if task == "adding" else {"answer", "probabilities"}
    )
    outputs["test_outputs"] = outputs["test_outputs"][:, :, None][:7]
    with pytest.raises(ValueError, match="expected answers"):
        lag.check(outputs)


def test_when_it_is_solved():
    history = [{"val_loss": loss} for loss in (0.2, 0.01, 0.0099, 0.02)]
    assert solved_at(history, "adding", 100) == 300
    assert solved_at(history[:2], "adding", 100) is None
    history = [{"val_sequences_solved": share} for share in (0.5, 0.99)]
    assert solved_at(history, "copy", 7) == 14
    assert set(SOLVED) == set(problems.PROBLEMS)


@pytest.mark.parametrize("cell", ["SimpleRNN", "GRU", "LSTM"])
def test_gradient_by_lag_is_that_of_finite_differences(cell):
    units, steps, count, features = 5, 7, 3, 2
    keras.utils.set_random_seed(1)
    layer = getattr(fast_rnn, cell)(units, bias_initializer="random_normal")
    layer.build((None, steps, features))
    x = random().normal(size=(count, steps, features)).astype("float32")
    signs = random(6).choice([-1.0, 1.0], (count, units))
    size = 1e-2

    # Every input moved up and down, all in one batch.
    moved = np.tile(x[:, None, None, None], (1, steps, features, 2, 1, 1)).astype("float64")
    for step, feature in np.ndindex(steps, features):
        moved[:, step, feature, :, step, feature] += np.array([size, -size])
    with no_gradients():
        states = layer(keras.ops.array(moved.reshape(-1, steps, features), "float32"))
    states = keras.ops.convert_to_numpy(states).reshape(count, steps, features, 2, units)
    slopes = (states[..., 0, :] - states[..., 1, :]).astype("float64") / (2 * size)
    of_signs = (slopes * signs[:, None, None]).sum(axis=-1)
    expected = 0.5 * np.log10(np.square(of_signs).sum(axis=2).mean(axis=0))[::-1]
    for chunk in (3, 7, 100):
        found = gradient_by_lag(layer, x, seed=6, chunk=chunk)
        np.testing.assert_allclose(found, expected, atol=0.01)


def test_a_gradient_below_what_float32_holds_is_still_told():
    keras.utils.set_random_seed(0)
    layer = fast_rnn.SimpleRNN(4, recurrent_initializer="zeros", activation="linear")
    layer.build((None, 60, 2))
    layer.cell.recurrent_kernel.assign(0.1 * np.eye(4))
    lags = gradient_by_lag(layer, np.zeros((3, 60, 2)), chunk=7)
    np.testing.assert_allclose(np.diff(lags), -1, atol=2e-3)
    assert lags[-1] < -55
    assert picture.decades(lags) == pytest.approx(-10, abs=1e-3)
    layer.cell.recurrent_kernel.assign(np.zeros((4, 4)))
    assert gradient_by_lag(layer, np.zeros((3, 5, 2)))[1:] == [None] * 4
    assert picture.decades([0.5, None, None]) == float("-inf")


def test_presets_are_what_the_readme_compares():
    presets = registry.load("lag_rnn").PRESETS
    steps = {name: presets[name].epochs for name in ("best", "article", "lstm", "chrono", "irnn")}
    assert len(set(steps.values())) == 1, "all cells have the same steps"


def test_the_readme_shows_what_lags_json_holds():
    held = read_json(picture.FOLDER / "lags.json")
    text = (picture.FOLDER / "README.md").read_text(encoding="utf-8")
    shown = text.split(picture.BEGIN)[1].split(picture.END)[0]
    assert shown.strip() == picture.section(held)
    assert (picture.FOLDER / "lags.png").is_file()


def test_lags_are_collected_from_finished_runs_of_one_problem(tmp_path):
    def run(name, label="adding problem, 20 steps", solved=200):
        folder = tmp_path / name
        folder.mkdir()
        lags = [-0.1 * lag for lag in range(20)]
        metrics = {
            "data": {"label": label},
            "seed": int(name[-1]),
            "steps": 400,
            "solved_at_step": solved,
            "gradient_by_lag": {"start": lags, "end": [0.0] * 19 + [None]},
        }
        write_json_atomic(folder / "metrics.json", metrics)
        (folder / "history.csv").write_text("epoch,val_loss\n1,0.1\n2,0.005\n")

    with pytest.raises(RecipeError, match="it holds 0"):
        picture.collect(tmp_path)
    run("best-seed0")
    run("best-seed1", solved=300)
    run("article-seed0", solved=None)
    (tmp_path / "best-seed2").mkdir()
    held = picture.collect(tmp_path)
    assert [(each["preset"], each["seed"]) for each in held["runs"]] == [
        ("best", 0),
        ("best", 1),
        ("article", 0),
    ]
    assert held["runs"][0]["start"] == [0.0, -0.5, -1.0, -1.5]
    lines = picture.section(held).splitlines()
    assert lines[2] == "| GRU (`best`) | -1.00 | +0.00 | 2 of 2 | 250 (200 to 300) |"
    assert lines[3].startswith("| tanh RNN (`article`) | -1.00 | +0.00 | 0 of 1 |")
    assert picture.draw(held)[:4] == b"\x89PNG"
    run("article-seed1", label="adding problem, 30 steps")
    with pytest.raises(RecipeError, match="it holds 2"):
        picture.collect(tmp_path)
    (tmp_path / "article-seed1" / "history.csv").unlink()
    with pytest.raises(RecipeError, match=r"article-seed1: .* no history.csv. Train it again"):
        picture.collect(tmp_path)


def test_times_to_a_solution_are_collected_from_the_studies_of_cells(tmp_path):
    def run(length, name, solved):
        folder = tmp_path / f"cells-{length}" / name
        folder.mkdir(parents=True)
        write_json_atomic(folder / "config.json", {"config": {"length": length}})
        write_json_atomic(folder / "timing.json", {"train_cpu_seconds": 60.0})
        metrics = {"seed": int(name[-1]), "steps": 400, "solved_at_step": solved}
        write_json_atomic(folder / "metrics.json", metrics)

    with pytest.raises(RecipeError, match="it holds 0 runs"):
        lengths.collect(tmp_path)
    run(400, "gru-seed0", None)
    run(50, "rnn-seed0", None)
    run(50, "gru-seed0", 100)
    run(50, "gru-seed1", 300)
    run(50, "gru-not-clipped-seed0", 200)
    held = lengths.collect(tmp_path)
    assert lengths.section(held).splitlines()[2:6] == [
        "| 50 | GRU | clipped at 1 | 2 of 2 | 200 (100 to 300) | 30 |",
        "| 50 | GRU | as it is | 1 of 1 | 200 (200 to 200) | 30 |",
        f"| 50 | tanh RNN | clipped at 1 | 0 of 1 | {DASH} | {DASH} |",
        f"| 400 | GRU | clipped at 1 | 0 of 1 | {DASH} | {DASH} |",
    ]
    assert [lengths.seconds_to_solve(each) for each in held["runs"]] == [15, 45, 30, None, None]
    assert lengths.draw(held)[:4] == b"\x89PNG"
    # Of an LSTM there is no run: nothing is said of it.
    assert lengths._finding(held) == "Time to a solution; never solved by tanh RNN"
    run(400, "gru-seed1", 400)
    assert lengths._finding(lengths.collect(tmp_path)) == (
        "A sequence 8 times as long takes a GRU 2.0 times the training steps; never solved by tanh RNN"
    )


def test_the_readme_shows_what_lengths_json_holds():
    held = read_json(lengths.FOLDER / "lengths.json")
    text = (lengths.FOLDER / "README.md").read_text(encoding="utf-8")
    shown = text.split(lengths.BEGIN)[1].split(lengths.END)[0]
    assert shown.strip() == lengths.section(held)


@pytest.mark.parametrize("title", STUDIES)
def test_the_arms_of_every_study_are_configurations(title):
    study = STUDIES[title]
    found = [arm_config("lag_rnn", study, arm) for arm in study.arms]
    assert len(set(found)) == len(found)


def test_a_report_shows_how_far_the_gradient_reaches():
    lags = {"start": [0.0, -0.2, -0.4], "end": [0.0, 0.0, None]}
    outputs = {
        name: np.array([[1.0], [0.5], [0.3]], "float32")
        for name in ("val_truth", "val_outputs", "test_truth", "test_outputs")
    }
    figures = {}
    metrics = {"test": {}, "gradient_by_lag": lags}
    sections = Lag().sections(
        outputs, None, metrics=metrics, info={}, splits=None, encode=None, figures=figures
    )
    assert [section.id for section in sections] == ["answers", "lags"]
    assert "changes by -2.00 decades at first, +0.00 at last" in sections[1].html
    assert set(figures) == {"answers.png", "lags.png"}
