"""The commands on finished runs: evaluate, predict, export, report, compare, list."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.basics.errors import RecipeError
from common.basics.files import read_json
from common.cli import main
from tests.helpers import train_tiny


@pytest.fixture(scope="module")
def image_run(tiny_data, tmp_path_factory):
    directory = tmp_path_factory.mktemp("cli") / "image"
    return train_tiny("mnist_cnn", tiny_data["image"], directory)[0]


@pytest.fixture(scope="module")
def text_run(tiny_data, tmp_path_factory):
    directory = tmp_path_factory.mktemp("cli") / "text"
    return train_tiny("imdb_bilstm", tiny_data["text"], directory)[0]


@pytest.fixture
def output(capsys):
    """Returns a function that runs a command, checks that it succeeds, and gives what it prints."""

    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out

    return run


def test_train_prints_accuracy_and_report(output, in_tmp, tiny_data):
    words = ["train", "mnist_cnn", "--preset", "article", "--data", tiny_data["image"]]
    text = output(*words, "--epochs", "1", "--batch-size", "16", "--filters", "4", "8")
    assert "Test accuracy" in text
    assert "37 examples" in text
    report = text.split("Report: ")[1].strip()
    assert report.endswith("report.html")
    assert "runs/mnist_cnn/custom-" in report.replace("\\", "/")


def test_evaluate_gives_the_scores_of_the_run(output, image_run):
    metrics = read_json(image_run.path("metrics.json"))
    scores = json.loads(output("evaluate", image_run.directory, "--json"))
    assert scores["test"]["accuracy"] == metrics["test"]["accuracy"]
    assert scores["validation"]["accuracy"] == metrics["validation"]["accuracy"]
    text = output("evaluate", image_run.directory)
    assert f"{100 * metrics['test']['accuracy']:.2f} %" in text
    assert "37 examples" in text


def test_predict_images(output, image_run, tiny_data, tmp_path):
    with np.load(tiny_data["image"]) as arrays:
        images, labels = arrays["x_test"][:3], arrays["y_test"][:3]
    files = []
    for index, image in enumerate(images):
        files.append(tmp_path / f"{index}.png")
        Image.fromarray(image).save(files[-1])
    rows = json.loads(output("predict", image_run.directory, *files, "--json"))
    assert [row["file"] for row in rows] == [str(file) for file in files]
    with np.load(image_run.path("predictions.npz")) as saved:
        expected = saved["test_probabilities"][:3]
    for row, probabilities in zip(rows, expected, strict=True):
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        for label, value in enumerate(probabilities):
            assert row["probabilities"][str(label)] == pytest.approx(float(value), abs=1e-4)
    assert len(labels) == 3
    lines = output("predict", image_run.directory, files[0], "--top", "1").strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(str(files[0]))


def test_predict_text_from_file_and_standard_input(output, text_run, tmp_path, monkeypatch):
    file = tmp_path / "review.txt"
    file.write_text("the film was superb , moving , great", encoding="utf-8")
    content = io.TextIOWrapper(io.BytesIO(file.read_bytes()))
    monkeypatch.setattr(sys, "stdin", content)
    rows = json.loads(output("predict", text_run.directory, file, "-", "--json"))
    assert [row["file"] for row in rows] == [str(file), "-"]
    assert rows[0]["probabilities"] == pytest.approx(rows[1]["probabilities"])
    assert set(rows[0]["probabilities"]) == {"neg", "pos"}


def test_text_run_has_the_linear_baseline(text_run):
    names = [row["name"] for row in read_json(text_run.path("metrics.json"))["baselines"]]
    assert len(names) == 3
    assert "logistic regression" in names[1]
    assert names[2].startswith("average")


def test_export_prints_the_difference(output, image_run, tmp_path):
    text = output(
        "export", image_run.directory, "--format", "litert", "--output", tmp_path / "m.tflite"
    )
    assert "Largest difference" in text
    assert (tmp_path / "m.tflite").stat().st_size > 1000


def test_report_is_written_again(output, image_run):
    text = output("report", image_run.directory)
    assert image_run.path("report.html").exists()
    assert "report.html" in text


def test_compare(output, image_run, tiny_data, tmp_path):
    other, _ = train_tiny("mnist_cnn", tiny_data["image"], tmp_path / "other", dropout_rate=0.25)
    text = output("compare", image_run.directory, other.directory)
    assert "dropout_rate" in text
    assert "McNemar" in text


@pytest.mark.parametrize("flag", [["--run-dir", "RUN"], ["--run-dir=RUN"], ["--run_dir", "RUN"]])
@pytest.mark.parametrize(
    ("command", "before", "after"),
    [
        ("evaluate", [], ["--json"]),
        ("report", [], []),
        ("export", ["--format", "onnx"], []),
        ("predict", ["a.png"], ["b.png", "--top", "1"]),
        ("explain", ["a.png", "--label", "1"], []),
        ("compare", [], ["OTHER"]),
    ],
)
def test_run_dir_names_the_run_in_every_command(flag, command, before, after, monkeypatch):
    opened = []

    def stop(path, *more):
        opened.append(path)
        raise RecipeError("far enough")

    monkeypatch.setattr("common.runs.finished.open_finished", stop)
    monkeypatch.setattr("common.studies.compare.compare", stop)
    assert main([command, *before, *flag, *after]) == 1
    expected = (Path("RUN"), Path("OTHER")) if command == "compare" else Path("RUN")
    assert opened == [expected]


def test_run_dir_without_a_folder(capsys):
    for words in (
        ["evaluate", "--run-dir"],
        ["predict", "--run-dir", "--json"],
        ["report", "--run-dir="],
    ):
        assert main(words) == 2
        assert "--run-dir needs a value" in capsys.readouterr().err
    assert main(["tune", "mnist_cnn", "--run-dir", "x"]) == 2
    assert "did you mean '--sweep-dir'" in capsys.readouterr().err


def test_list_names_recipes_and_presets(output):
    text = output("list")
    rows = json.loads(output("list", "--json"))
    for row in rows:
        assert row["name"] in text
        assert len(row["presets"]) >= 2
    lines = [line for line in text.splitlines() if "--preset" in line]
    # In one column, however long the names are.
    column = lines[0].index(lines[0].split()[2])
    for line in lines:
        assert line[column - 1] == " " != line[column]
        assert (line.split()[1] == "sample") == line.endswith("for --data sample")
