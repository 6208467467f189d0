"""adult_mlp: bins and slices by hand, reweighing, columns left out, and every command on a table."""

import csv
import dataclasses
import gzip
import json
import runpy
import subprocess
import sys

import keras
import numpy as np
import pytest

from common.basics.errors import UsageError
from common.basics.files import read_json
from common.basics.statistics import wilson_interval
from common.cli import main
from common.data import Source
from common.data.columns import Column, infer
from common.data.number_form import NumberForm
from common.data.table_encoder import Layout, TableEncoder, one_hot
from common.data.table_rows import read as read_rows
from common.data.table_rows import read_cells
from common.export import conversion as exporting
from common.export import package as export_package
from common.tasks import slices
from recipes.adult_mlp import fairness
from recipes.adult_mlp.model import build_model, in_bins
from recipes.adult_mlp.pictures import group_accuracies
from recipes.adult_mlp.train import Config, load_data, weights_of
from tests.helpers import train_tiny


def test_ranks_in_bins_by_hand():
    found = keras.ops.convert_to_numpy(in_bins(np.array([[0.6, 0.0], [1.0, 0.25]], "float32"), 4))
    expected = [[1, 1, 0.4, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("units", [0, 4])
@pytest.mark.parametrize("bins", [0, 3])
def test_ids_out_of_range_are_unknown(units, bins):
    layout = Layout(numbers=2, missing=1, categories=(3, 5))
    model = build_model(Config(bins=bins, embedding_units=units), 2, layout)
    rows = np.array([[0.5, 0.2, 1, 0, 0], [0.5, 0.2, 1, 3, -1], [0.5, 0.2, 1, 99, 0]], "float32")
    answers = keras.ops.convert_to_numpy(model(rows))
    np.testing.assert_allclose(answers, answers[:1].repeat(3, axis=0))
    known = keras.ops.convert_to_numpy(model(np.array([[0.5, 0.2, 1, 2, 4]], "float32")))
    assert known[0, 0] != answers[0, 0]


@pytest.mark.parametrize("layout", [Layout(0, 0, (4,)), Layout(3, 0, ()), Layout(1, 1, ())])
def test_tables_of_one_type_of_columns_will_do(layout):
    model = build_model(Config(bins=2), 3, layout)
    assert model(np.ones((2, layout.width), "float32")).shape == (2, 3)


LABELS = np.array([0, 0, 0, 1, 1, 0, 1, 1])
POSITIVE = np.array([0.1, 0.7, 0.2, 0.9, 0.3, 0.4, 0.6, 0.8])
GROUPS = np.array(list("aaaaabbb"))


def test_slices_by_hand(monkeypatch):
    monkeypatch.setattr(slices, "FEW", 1)
    first, second = slices.by_group(LABELS, np.stack([1 - POSITIVE, POSITIVE], 1), GROUPS)
    # a: of 0 0 0 1 1 the answers are 0 1 0 1 0; b: all three are right.
    assert (first.group, first.count, second.group, second.count) == ("a", 5, "b", 3)
    assert first.accuracy == 3 / 5
    assert first.accuracy_interval == wilson_interval(3, 5)
    assert first.false_positives == 1 / 3
    assert first.false_positives_interval == wilson_interval(1, 3)
    assert first.false_negatives == 1 / 2
    assert first.selected == 2 / 5
    assert first.positives == 2 / 5
    assert first.bias == pytest.approx(2.2 / 5 - 2 / 5)
    gap = np.array([0.1, 0.7, 0.2, -0.1, -0.7])
    half = 1.96 * gap.std(ddof=1) / np.sqrt(5)
    np.testing.assert_allclose(first.bias_interval, [0.04 - half, 0.04 + half])
    assert (second.accuracy, second.false_positives, second.false_negatives) == (1, 0, 0)
    # Confidences of b are 0.6, 0.6 and 0.8, and all is right.
    assert second.calibration_error == pytest.approx(1 - 2 / 3)
    gaps = slices.gaps([first, second])
    assert gaps == pytest.approx(
        {"accuracy": 0.4, "false_positives": 1 / 3, "false_negatives": 0.5, "selected": 4 / 15}
    )


def test_small_groups_stand_last_and_have_no_part_in_differences():
    labels = np.r_[np.zeros(60, int), 1]
    positive = np.r_[np.full(40, 0.2), np.full(20, 0.8), 0.1]
    groups = np.r_[np.repeat(["a"], 30), np.repeat(["b"], 30), ["c"]]
    found = slices.by_group(labels, np.stack([1 - positive, positive], 1), groups)
    assert [each.group for each in found] == ["b", "a", "c"]
    assert slices.gaps(found)["accuracy"] == pytest.approx(2 / 3)
    assert found[2].accuracy == 0
    assert found[2].false_positives is None
    assert "1 with fewer than 30" in " ".join(slices.remarks(found))


def test_small_and_hidden_groups_are_counted():
    assert slices.small_and_hidden([40] * slices.SHOWN) == []
    said = ["2 with fewer than 30 examples stand last.", "3 more are not shown."]
    assert slices.small_and_hidden([30] * (slices.SHOWN + 1) + [29, 1]) == said


def test_of_several_classes_there_are_no_false_positives():
    probabilities = np.eye(3)[[0, 1, 1, 2]] * 0.7 + 0.1
    (only,) = slices.by_group(np.array([0, 1, 2, 2]), probabilities, ["x"] * 4)
    assert only.false_positives is None
    assert only.bias == pytest.approx(0.8 - 0.75)
    head, rows = slices.table([only], ["a", "b", "c"])
    assert len(head) == len(rows[0]) == 5


def test_groups_of_numbers_are_quarters():
    cells = [str(number) for number in range(1, 13)] + [""]
    found = slices.groups_of(cells, Column("n", "number"))
    assert found.tolist() == ["1 to 3"] * 3 + ["4 to 6"] * 3 + ["7 to 9"] * 3 + ["10 to 12"] * 3 + [
        "(missing)"
    ]
    few = slices.groups_of(["1", "2", "1"], Column("n", "number"))
    assert few.tolist() == ["1", "2", "1"]
    # Most are 0: two quarters are one.
    cells = ["0"] * 30 + [str(number) for number in range(1, 21)]
    assert slices.groups_of(cells, Column("n", "number")).tolist()[:31] == ["0"] * 30 + ["1 to 8"]


def test_reweighing_by_hand():
    """Kamiran & Calders 2012: P(y) P(g) / P(y, g)."""
    weights = slices.reweighing(LABELS, GROUPS)
    # a: 5 of 8, of them 3 of class 0; b: 3 of 8, of them 1 of class 0; classes: 4 of 8 each.
    a0, a1, b0, b1 = (4 * 5 / 8) / 3, (4 * 5 / 8) / 2, (4 * 3 / 8) / 1, (4 * 3 / 8) / 2
    np.testing.assert_allclose(weights, [a0, a0, a0, a1, a1, b0, b1, b1], rtol=1e-6)
    for group in "ab":
        mine = group == GROUPS
        assert weights[mine & (LABELS == 1)].sum() / weights[mine].sum() == pytest.approx(0.5)
        assert weights[mine].sum() == pytest.approx(mine.sum())


def test_weights_reach_the_loss():
    splits = load_data(Config(), Source("sample"))
    assert weights_of(Config(class_weights="balanced"), splits) == {"class_weights": "balanced"}
    weights = weights_of(Config(reweigh_column="region"), splits)["weights"]
    region = splits.train.x[:, 6]
    shares = [
        np.average(splits.train.y[region == name], weights=weights[region == name])
        for name in np.unique(region)
    ]
    np.testing.assert_allclose(shares, splits.train.y.mean(), rtol=1e-5)
    both = weights_of(Config(reweigh_column="region", class_weights="balanced"), splits)["weights"]
    assert np.average(splits.train.y, weights=both) == pytest.approx(0.5, abs=1e-3)
    with pytest.raises(UsageError, match="no column 'regions'"):
        weights_of(Config(reweigh_column="regions"), splits)


def test_baselines_see_what_the_network_sees():
    layout = Layout(numbers=1, missing=1, categories=(3,))
    x = np.array([[0.5, 1, 0], [-1, 0, 2]], "float32")
    assert one_hot(x, layout).tolist() == [[0.5, 1, 1, 0, 0], [-1, 0, 0, 0, 1]]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Returns a run on the sample without the column of regions, and its metrics."""
    folder = tmp_path_factory.mktemp("adult") / "run"
    return train_tiny("adult_mlp", "sample", folder, drop_columns="region", bins=8, epochs=4,
                      learning_rate=3e-3)  # fmt: skip


def test_the_network_learns_and_stands_beside_both_models(run):
    run, metrics = run
    majority, linear, boosting = metrics["baselines"]
    assert "logistic regression" in linear["name"]
    assert "gradient boosting" in boosting["name"]
    assert min(linear["accuracy"], boosting["accuracy"]) > majority["accuracy"] + 0.1
    assert metrics["test"]["accuracy"] > majority["accuracy"] + 0.1
    held = read_json(run.path("columns.json"))
    assert "region" not in [each["name"] for each in held["categories"]]
    assert [each["name"] for each in held["numbers"]] == ["age", "spent", "visits"]


def test_a_column_that_the_model_does_not_see_is_a_slice(run, capsys):
    assert main(["evaluate", str(run[0].directory), "--slice", "region"]) == 0
    said = capsys.readouterr().out
    assert "Test split by region" in said
    assert {"islands", "north", "south", "west"} <= set(said.split())
    assert main(["evaluate", str(run[0].directory), "--slice", "age", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["slices"]
    assert sum(group["count"] for group in found["groups"]) == 500
    assert len(found["groups"]) == 5
    assert main(["evaluate", str(run[0].directory), "--slice", "ages"]) != 0
    assert "no column 'ages'; did you mean 'age'" in capsys.readouterr().err


def table_of(path, count=30, head="plan;visits;channel;spent;age;region;label"):
    """Writes rows of the sample with their labels, other columns and another delimiter."""
    splits = load_data(Config(), Source("sample"))
    names = [column["name"] for column in splits.info.reading["columns"]]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(head.split(";"))
        for row, label in zip(splits.test.x[:count], splits.test.y[:count], strict=True):
            cells = {**dict(zip(names, row, strict=True)), "label": splits.info.class_names[label]}
            writer.writerow([cells[name] or "?" for name in head.split(";")])
    return path


def test_rows_are_predicted_as_in_the_run(run, tmp_path, capsys):
    run = run[0]
    file = table_of(tmp_path / "new.csv")
    output = tmp_path / "answers.csv"
    assert main(["predict", str(run.directory), str(file), "--output", str(output)]) == 0
    with output.open() as stream:
        rows = list(csv.DictReader(stream))
    with np.load(run.path("predictions.npz")) as held:
        expected = held["test_probabilities"][:30, 1]
    found = [float(row["probability_returns"]) for row in rows]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert rows[4]["name"] == f"{file}:5"
    capsys.readouterr()
    file.write_text("plan;visits\nplus;3\n")
    assert main(["predict", str(run.directory), str(file)]) == 1
    assert "the model needs the column" in capsys.readouterr().err
    file.write_text("plan,visits,channel,spent,age\nplus,3,web,many,30\nplus,3,web,20,30\n")
    assert main(["predict", str(run.directory), str(file)]) == 1
    said = capsys.readouterr()
    assert "line 2: the column 'spent' holds numbers, got 'many'" in said.err
    assert "returns" in said.out


def test_another_table_is_scored_by_the_names_of_its_columns(run, tmp_path, capsys):
    file = table_of(tmp_path / "new.csv", 400)
    command = ["evaluate", str(run[0].directory), "--data", str(file), "--slice", "region"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "Test split by region" in said
    accuracy = float(said.split("test        accuracy ")[1].split(" %")[0])
    assert accuracy > 60


def test_the_report_has_groups_and_rows(run, capsys):
    assert main(["report", str(run[0].directory)]) == 0
    page = run[0].path("report.html").read_text(encoding="utf-8")
    assert "Which groups does it serve worst?" in page
    assert "The lowest accuracy has" in page
    assert "<h3>region</h3>" in page
    assert "age " in page
    assert main(["explain", str(run[0].directory), "x.csv"]) == 1
    assert "no explanation" in capsys.readouterr().err


@pytest.mark.parametrize(
    "format",
    ["onnx", *(pytest.param(each, marks=pytest.mark.slow) for each in ("savedmodel", "litert"))],
)
def test_an_export_answers_alone(run, format, tmp_path, capsys):
    if not exporting._backends(format, "tensorflow")[0]:
        pytest.skip(f"{format} export needs packages that are not installed")
    file = table_of(tmp_path / "new.csv", 12)
    output = tmp_path / "out" / exporting._DEFAULT_NAMES[format]
    output.parent.mkdir()
    words = ["export", str(run[0].directory), "--format", format, "--output", str(output)]
    assert main(words) == 0
    script = output.parent / "predict.py"
    done = subprocess.run(
        [sys.executable, script, output, file], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    capsys.readouterr()
    assert main(["predict", str(run[0].directory), str(file), "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["file"] for each in answers] == [each["file"] for each in expected]
    for one, other in zip(answers, expected, strict=True):
        assert one["class"] == other["class"]
        for name, value in other["probabilities"].items():
            assert one["probabilities"][name] == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("kind", ["number", "time"])
@pytest.mark.parametrize(("bins", "mark", "order"), [(0, ".", "day.month"), (5, "/", "day/month")])
def test_the_script_prepares_rows_as_training_does(bins, mark, order, kind, tmp_path):
    path = tmp_path / "t.csv"
    numbers = ["" if i % 7 == 0 else f"{1.5 * i % 11}".replace(".", ",") for i in range(60)]
    words = ["NA" if i % 5 == 0 else "uvw"[i % 3] for i in range(60)]
    times = [
        "" if i % 9 == 0 else f"{i % 28 + 1}{mark}2{mark}2026 {i % 24:02}:30" for i in range(60)
    ]
    prices = ["" if i % 8 == 0 else f"-$1,{100 + i}.5" if i % 2 else f"$ {i}" for i in range(60)]
    loans = [f"{i}.{900 - i},5\u00a0€" if i else "-,5 €" for i in range(60)]
    numbers[30:33] = ["1.234,5", "-1.234.567", "95.5"]
    lines = [";".join(cells) for cells in zip(numbers, words, loans, prices, times, strict=True)]
    encoding = "utf-8-sig" if bins else "utf-16"
    path.write_text("\n".join(["size;sort;loan;price;day", *lines]), encoding=encoding)
    if kind == "time":
        packed = path.with_name("t.csv.gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    columns = [infer(name, [line.split(";")[at] for line in lines])
               for at, name in enumerate(("size", "sort", "loan", "price", "day"))]  # fmt: skip
    assert columns[0].decimal == ","
    assert (str(columns[2].form), str(columns[3].form)) == (
        "€, dots between thousands, decimal comma",
        "$, commas between thousands",
    )
    assert columns[4].date == order
    columns[4] = dataclasses.replace(columns[4], type=kind)
    reading = {"columns": [column.to_dict() for column in columns]}
    x = np.stack([read_cells(row) for row in read_rows(str(path), reading)])
    encoder = TableEncoder.fit(x[:40], columns, bins=bins, rare=2)
    encoder.save(tmp_path / "columns.json")
    script = tmp_path / "predict.py"
    script.write_text(
        export_package._script("table", "onnx", True).replace("import onnxruntime", "")
    )
    how = export_package._row_preparation(tmp_path / "columns.json", reading)
    found = list(runpy.run_path(str(script))["rows"]([path], how))
    assert [name for name, _ in found] == [f"{path}:{number}" for number in range(1, 61)]
    np.testing.assert_allclose([row for _, row in found], encoder.encode(x), atol=1e-6)
    last = [len(np.unique(column)) for column in encoder.encode(x).T]
    # Words, weekdays and hours: some hours come once.
    assert last[-3:] == [4, 8, 14]


CELLS = (
    *(
        "5",
        "-5",
        "0.125",
        "0,125",
        "1.234",
        "1,234",
        "12,5",
        "12.5",
        "1234.5",
        "1234,5",
        ".5",
        ",5",
    ),
    *("1.234,5", "1,234.5", "1.234.567", "1,234,567", "1,23,456", "1 234", "1\u202f234,5", "1'234"),
    *("-$5", "$-5.5", "5 €", "1.234 €", "7 kg", "\u22123", "big", "12 12", "1e3", "$"),
)


@pytest.mark.parametrize(
    "form",
    [
        NumberForm(),
        NumberForm(","),
        NumberForm(".", ",", "$"),
        NumberForm(",", ".", "€"),
        NumberForm(".", " "),
        NumberForm(",", "'", "kg"),
    ],
)
def test_the_script_refuses_the_numbers_that_training_refuses(form, tmp_path):
    """0,125 is no number of thousands, and with a decimal comma 1.234 may be either."""
    script = tmp_path / "predict.py"
    script.write_text(
        export_package._script("table", "onnx", True).replace("import onnxruntime", "")
    )
    plain = runpy.run_path(str(script))["plain"]
    column = {"name": "size", **dataclasses.asdict(form)}
    for cell in CELLS:
        expected = form.plain(cell)
        if expected is None:
            with pytest.raises(ValueError):
                float(plain(cell, column))
        else:
            assert float(plain(cell, column)) == float(expected)


def test_texts_are_sliced_by_a_column_of_their_file(tmp_path, capsys):
    path = tmp_path / "texts.csv"
    lines = [
        f"{'good' if i % 2 else 'bad'} film {i},{['neg', 'pos'][i % 2]},{'ab'[i % 3 == 0]}"
        for i in range(200)
    ]
    path.write_text("\n".join(["text,label,source", *lines]))
    run, _ = train_tiny("imdb_bilstm", path, tmp_path / "run", epochs=1)
    assert main(["evaluate", str(run.directory), "--slice", "source"]) == 0
    assert "Test split by source" in capsys.readouterr().out
    assert main(["evaluate", str(run.directory), "--slice", "where"]) == 1
    assert "where" in capsys.readouterr().err


def test_images_have_no_slices(tiny_data, tmp_path, capsys):
    run, _ = train_tiny("mnist_cnn", tiny_data["image"], tmp_path / "run", epochs=1)
    assert main(["evaluate", str(run.directory), "--slice", "source"]) == 2
    assert "give one with paths, labels and that column" in capsys.readouterr().err


def test_the_table_of_fairness_is_over_seeds():
    differences = {
        "accuracy": 0.1,
        "selected": 0.2,
        "false_positives": 0.05,
        "false_negatives": 0.0,
    }
    runs = [{"accuracy": value, "differences": differences} for value in (0.86, 0.88)]
    found = fairness.table({"plain": runs, "other": runs[:1]}).splitlines()
    assert (
        found[2]
        == "| plain | 87.00 ± 1.41 | 10.00 ± 0.00 | 20.00 ± 0.00 | 5.00 ± 0.00 | 0.00 ± 0.00 | 2 |"
    )
    assert found[3].startswith("| other | 86.00 | 10.00 |")


def test_the_picture_of_groups_has_a_row_for_each_in_their_order():
    labels, groups = np.array([0, 1] * 40), np.repeat(["small", "large"], [32, 48])
    probabilities = np.eye(2)[np.where(groups == "small", 0, labels)]
    found = slices.by_group(labels, probabilities, groups)
    axes = group_accuracies(found, "small: 50 % right").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["small (32)", "large (48)"]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [(dot.get_xdata()[0], dot.get_ydata()[0]) for dot in dots] == [(50, 0), (100, 1)]
    low, high = axes.lines[0].get_xdata()
    assert low < 50 < high
    assert axes.yaxis_inverted()
