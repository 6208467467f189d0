"""diabetes_mlp: its loss and slices by hand, tables with a number to predict, every command on one."""

import csv
import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

from common.basics.errors import RecipeError, UsageError
from common.basics.files import read_json
from common.cli import main
from common.data import NumberTable, Source
from common.data.source import Reading
from common.data.table_encoder import Layout
from common.export import conversion as exporting
from common.export import package
from common.runs.finished import open_finished
from common.tasks import number_slices, slices
from common.tasks.prediction_interval import widths_at
from recipes.diabetes_mlp.model import ScaledError, build_model, in_bins
from recipes.diabetes_mlp.train import PRESETS, Config, fit_to, load_data
from tests.helpers import train_tiny


def read(path, **reading):
    return load_data(Config(), Source(str(path), None, Reading(**reading)))


def write(path, head, rows, delimiter=","):
    path.write_text("\n".join(delimiter.join(cells) for cells in (head, *rows)) + "\n")
    return path


def priced(path, count=40, label="price", **cells):
    """Writes a table in which price is ten times area; `cells` replaces prices by their row number."""
    rows = []
    for row in range(count):
        price = cells.get(f"row{row}", f"{10 * row + 0.5}")
        rows.append([str(row + 0.1), "ab"[row % 2], price])
    return write(path, ["area", "town", label], rows)


def test_the_loss_by_hand():
    truth, found = np.array([[1.0], [5.0], [-2.0]]), np.array([[3.0], [5.0], [2.0]], "float32")
    # Errors 2, 0, 4 in units of 2: 1, 0, 2.
    squared, absolute = (
        float(ScaledError(kind, 2.0)(truth, found)) for kind in ("squared", "absolute")
    )
    assert (squared, absolute) == pytest.approx((5 / 3, 1.0))
    loss = ScaledError("absolute", 2.0)
    again = ScaledError.from_config(loss.get_config())
    assert (again.kind, again.scale) == ("absolute", 2.0)


def test_ranks_in_bins_by_hand():
    found = keras.ops.convert_to_numpy(in_bins(np.array([[0.6, 0.0]], "float32"), 4))
    np.testing.assert_allclose(found, [[1, 1, 0.4, 0, 0, 0, 0, 0]], atol=1e-6)


@pytest.mark.parametrize("layout", [Layout(0, 0, (4,)), Layout(3, 0, ()), Layout(1, 1, (3, 5))])
def test_tables_of_any_columns_will_do(layout):
    rows = np.ones((2, layout.width), "float32")
    assert build_model(Config(bins=2), layout)(rows).shape == (2, 1)
    if layout.categories:
        # An id that is out of range is answered as the unknown one.
        rows[:, -1] = [0, 99]
        first, second = keras.ops.convert_to_numpy(build_model(Config(), layout)(rows))
        np.testing.assert_array_equal(first, second)


def test_the_network_answers_in_the_units_of_the_table():
    model = build_model(Config(), Layout(2, 0, (3,)), mean=1000.0, scale=50.0)
    rows = np.array([[0.5, -1, 2], [0, 0, 0]], "float32")
    inner = keras.Model(model.input, model.get_layer("standardised").output)
    expected = 1000 + 50 * keras.ops.convert_to_numpy(inner(rows))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(rows)), expected, rtol=1e-6)


def test_the_diabetes_table():
    """Efron et al. 2004: 442 patients, ten columns, progression 25 to 346."""
    splits = load_data(Config(), Source("full"))
    assert splits.info.counts == {"train": 282, "validation": 50, "test": 110}
    every = np.concatenate([part.y for part in (splits.train, splits.val, splits.test)])
    assert (len(every), every.min(), every.max()) == (442, 25, 346)
    assert every.sum() == pytest.approx(442 * 152.13348)
    assert splits.train.x.shape[1] == 10
    assert splits.info.class_names == ()
    again = load_data(Config(), Source("full"))
    np.testing.assert_array_equal(splits.test.x, again.test.x)


def test_a_subset_of_numbers_is_nested():
    small, large = (
        load_data(Config(train_examples=count), Source("full")).train for count in (9, 50)
    )
    assert (len(small), len(large)) == (9, 50)
    held = {tuple(row) for row in large.x}
    assert all(tuple(row) in held for row in small.x)


def test_own_numbers_with_decimal_commas(tmp_path):
    rows = [[f"{row},5", "ab"[row % 2], f"{row + 1},25"] for row in range(40)]
    path = write(tmp_path / "t.csv", ["area", "town", "Preis"], rows, ";")
    splits = read(path, label_column="Preis")
    every = np.concatenate([part.y for part in (splits.train, splits.val, splits.test)])
    assert every.dtype == np.float64
    np.testing.assert_array_equal(np.sort(every), np.arange(40) + 1.25)
    for row, target in zip(splits.train.x, splits.train.y, strict=True):
        assert float(row[0]) + 0.75 == target
    said = " ".join(splits.info.remarks)
    assert "40 examples; the number to predict is 1.25 to 40.25, 20.75 in the median" in said
    assert splits.info.reading["label_column"] == "Preis"


def test_rows_without_a_number_are_left_out(tmp_path):
    splits = read(priced(tmp_path / "t.csv", row3="NA", row7=""), label_column="price")
    assert sum(splits.info.counts.values()) == 38
    assert "2 without a label" in " ".join(splits.info.remarks)


def test_copies_of_a_row_stay_together(tmp_path):
    rows = [[str(row // 2), "ab"[row // 2 % 2], str(row)] for row in range(80)]
    splits = read(write(tmp_path / "t.csv", ["size", "town", "label"], rows))
    parts = [{tuple(row) for row in part.x} for part in (splits.train, splits.val, splits.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 40
    said = " ".join(splits.info.remarks)
    assert "duplicates with different labels: 40, e.g. line 2 (0) and line 3 (1)" in said


def test_groups_stay_together_and_copies_join_them(tmp_path):
    def grouped(size):
        rows = [[f"s{row % 20}", size(row), str(row)] for row in range(100)]
        path = write(tmp_path / "t.csv", ["street", "size", "label"], rows)
        return read(path, group_column="street")

    splits = grouped(lambda row: f"{row}.5")
    streets = [{row % 20 for row in part.y} for part in (splits.train, splits.val, splits.test)]
    assert sum(map(len, streets)) == 20
    with pytest.raises(RecipeError, match=r"too few groups \(1\).*tell them apart"):
        grouped(lambda row: f"{row % 3}.5")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (
            {"row5": "dear"},
            "line 7: expected a number to predict in the column 'price', got 'dear'",
        ),
        ({f"row{row}": "3" for row in range(40)}, "the number to predict is 3 in every row"),
        ({"count": 12}, "expected at least 20 rows with a number to predict, found 12"),
    ],
)
def test_what_cannot_be_learnt_is_refused(cells, said, tmp_path):
    path = priced(tmp_path / "t.csv", **cells)
    with pytest.raises(RecipeError) as caught:
        read(path, label_column="price")
    assert said in str(caught.value)


def test_a_test_file_is_read_as_train_is(tmp_path):
    priced(tmp_path / "train.csv", 60, label="label")
    priced(tmp_path / "test.csv", 25, label="label")
    splits = read(tmp_path)
    assert splits.info.counts["test"] == 25
    assert splits.test.y[3] == 30.5
    # Rows of the test file stand in train too.
    assert splits.test_seen.all()


def test_each_recipe_names_the_other_kind(tmp_path, capsys):
    path = priced(tmp_path / "t.csv")
    words = ["--data", str(path), "--run-dir", str(tmp_path / "run"), "--label-column"]
    assert main(["train", "adult_mlp", *words, "price"]) == 1
    said = capsys.readouterr().err
    assert "Is it a number to predict? `recipes list` shows which recipes predict numbers" in said
    assert "--text-column" not in said
    assert main(["train", "diabetes_mlp", *words, "town"]) == 1
    assert "`recipes list` shows which recipes predict classes" in capsys.readouterr().err
    assert main(["list"]) == 0
    assert "diabetes_mlp" in capsys.readouterr().out


def test_the_sample_must_be_one_of_numbers():
    with pytest.raises(
        UsageError, match="unknown table with a number to predict sample 'customers'"
    ):
        NumberTable("d", "D", target="t", sample="customers", test_fraction=0.2)


def test_large_tables_get_large_batches():
    best = PRESETS["best"]
    large = fit_to(best, 40_000, ())
    assert (large.batch_size, large.epochs) == (256, 20)
    assert large.learning_rate == pytest.approx(best.learning_rate * 4)
    small = fit_to(best, 300, ())
    assert (small.batch_size, small.learning_rate) == (16, best.learning_rate)
    assert small.epochs * -(-300 // 16) >= 700
    given = fit_to(best, 40_000, ("batch_size", "epochs", "learning_rate"))
    assert given == best


def test_slices_of_numbers_by_hand(monkeypatch):
    for module in (number_slices, slices):
        monkeypatch.setattr(module, "FEW", 2)
    truth = np.array([1.0, 2.0, 3.0, 10.0, 20.0, 5.0])
    answers = np.array([[2.0], [4.0], [6.0], [9.0], [22.0], [50.0]])
    first, second, last = number_slices.by_group(truth, answers, list("aaabbc"))
    # a: +1, +2, +3; b: -1, +2; c: one row only.
    assert [each.group for each in (first, second, last)] == ["a", "b", "c"]
    assert (first.error, first.bias, second.error, second.bias) == (2, 2, 1.5, 0.5)
    half = 4.302653 / 3**0.5
    np.testing.assert_allclose(first.bias_interval, [2 - half, 2 + half], rtol=1e-6)
    assert (last.count, last.error, last.error_interval) == (1, 45, None)
    _, rows = number_slices.table([first, second, last])
    assert rows[0] == ["a", "3", "2 (-0.4841 to 4.484)", "+2 (-0.4841 to +4.484)"]
    assert rows[2][2] == "45 (– to –)"  # noqa: RUF001
    assert "1 with fewer than 2 examples stand last." in number_slices.remarks(
        [first, second, last]
    )
    assert number_slices.gap([first, second, last]) == 0.5
    assert number_slices.gap([first, last]) is None
    sure = number_slices.by_group(truth[:3], truth[:3] - [4, 4, 5], list("aaa"))
    assert number_slices.remarks(sure) == ["Given too little, by its interval: a."]
    with pytest.raises(UsageError, match="no examples"):
        number_slices.table([])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Returns a run on the sample without the column of towns, and its metrics."""
    folder = tmp_path_factory.mktemp("houses") / "run"
    return train_tiny("diabetes_mlp", "sample", folder, drop_columns="town", epochs=6)


def test_the_network_learns_and_stands_beside_both_models(run):
    run, metrics = run
    constant, linear, boosting = metrics["baselines"]
    assert linear["name"] == "ridge regression on the same columns"
    assert boosting["name"] == "gradient boosting on the same columns"
    assert max(linear["value"], boosting["value"]) < 0.8 * constant["value"]
    assert metrics["test"]["mae"] < 0.8 * constant["value"]
    assert metrics["headline"]["name"] == "mean absolute error"
    held = read_json(run.path("columns.json"))
    assert [each["name"] for each in held["categories"]] == ["energy"]


def table_of(path, count=30, head="energy;area;garden;rooms;year;town;price"):
    """Writes rows of the sample with their prices, in another order and with another delimiter."""
    splits = load_data(Config(), Source("sample"))
    names = [column["name"] for column in splits.info.reading["columns"]]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(head.split(";"))
        for row, price in zip(splits.test.x[:count], splits.test.y[:count], strict=True):
            cells = {**dict(zip(names, row, strict=True)), "price": f"{price:.0f}"}
            writer.writerow([cells[name] or "?" for name in head.split(";")])
    return path


def test_rows_are_predicted_as_in_the_run(run, tmp_path, capsys):
    run, file = run[0], table_of(tmp_path / "new.csv")
    output = tmp_path / "answers.csv"
    assert main(["predict", str(run.directory), str(file), "--output", str(output)]) == 0
    with output.open() as stream:
        rows = list(csv.DictReader(stream))
    with np.load(run.path("predictions.npz")) as held:
        expected = held["test_outputs"][:30, 0]
    np.testing.assert_allclose([float(row["price"]) for row in rows], expected, rtol=1e-5)
    found = read_json(run.path("metrics.json"))["test"]["prediction_interval"]
    assert len(found["half_widths"]) > 2
    width = widths_at(expected.astype("float64"), found)
    for name, ends in (("price_low", expected - width), ("price_high", expected + width)):
        np.testing.assert_allclose([float(row[name]) for row in rows], ends, rtol=1e-4, atol=1)
    assert rows[4]["name"] == f"{file}:5"


def test_another_table_is_scored_and_sliced(run, tmp_path, capsys):
    file = table_of(tmp_path / "new.csv", 400)
    words = ["evaluate", str(run[0].directory), "--slice", "town", "--data", str(file)]
    # The column of the prices is not called label.
    assert main(words) == 1
    assert "column label is missing" in capsys.readouterr().err
    assert main(["evaluate", str(run[0].directory), "--slice", "town"]) == 0
    said = capsys.readouterr().out
    assert "root mean squared error" in said
    assert "Test split by town (95 % intervals), the largest error first:" in said
    # Without the town the model gives the dearest too little.
    low, high = said.split("Given too ")[1:]
    assert low.startswith("much")
    assert "Ostheim" in low
    assert high.startswith("little")
    assert "Seeburg" in high
    assert main(["evaluate", str(run[0].directory), "--slice", "area", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["slices"]
    assert sum(group["count"] for group in found["groups"]) == 500


def test_the_report_has_answers_and_rows(run, capsys):
    assert main(["report", str(run[0].directory)]) == 0
    page = run[0].path("report.html").read_text(encoding="utf-8")
    assert "Answers and their errors" in page
    assert "house_id h" in page
    assert "Which groups does it serve worst?" in page
    assert "The largest error has" in page
    assert "<h3>town</h3>" in page
    assert "False positives" not in page
    assert main(["card", str(run[0].directory)]) == 0
    assert "mean absolute error" in run[0].path("README.md").read_text(encoding="utf-8")


def test_an_export_answers_alone(run, tmp_path, capsys):
    if not exporting._backends("onnx", "tensorflow")[0]:
        pytest.skip("onnx export needs packages that are not installed")
    file = table_of(tmp_path / "new.csv", 12)
    output = tmp_path / "out" / "model.onnx"
    output.parent.mkdir()
    words = ["export", str(run[0].directory), "--format", "onnx", "--output", str(output)]
    assert main(words) == 0
    assert "Largest difference of an answer" in capsys.readouterr().out
    script = output.parent / "predict.py"
    done = subprocess.run(
        [sys.executable, script, output, file], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    capsys.readouterr()
    assert main(["predict", str(run[0].directory), str(file), "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    (tmp_path / "bad.csv").write_bytes(b"area\n\xff\xff\n")
    for name in ("bad.csv", "gone.csv"):
        words = [sys.executable, script, output, tmp_path / name]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: {tmp_path / name}: ")
    for one, other in zip(answers, expected, strict=True):
        assert (one["file"], one["price"]) == (
            other["file"],
            pytest.approx(other["answer"], rel=1e-5),
        )
        assert one["high"] - one["low"] == pytest.approx(other["high"] - other["low"], rel=1e-5)
        assert one["low"] == pytest.approx(other["low"], rel=1e-4, abs=1)


def test_the_script_of_a_run_without_metrics_gives_no_intervals(run, tmp_path):
    found = package._intervals(run[0])
    assert len(found["half_widths"]) == len(found["edges"]) + 1
    for file in run[0].directory.iterdir():
        if file.is_file() and file.name != "metrics.json":
            shutil.copy(file, tmp_path)
    killed, _ = open_finished(tmp_path)  # While it was scored.
    found = package._intervals(killed)
    assert (found["edges"], found["half_widths"]) == ([], [])
