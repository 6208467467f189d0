"""The model card: figures are those of the run, and nothing in a name breaks the Markdown."""

import json
import shutil

import pytest

from common.basics.files import read_json, write_json_atomic
from common.cli import main
from common.runs import headline
from tests.helpers import train_tiny


@pytest.fixture(scope="module")
def finished(tiny_data, tmp_path_factory):
    run, _ = train_tiny("mnist_cnn", tiny_data["image"], tmp_path_factory.mktemp("card") / "run")
    return run


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished.directory, tmp_path / "run")


def header_of(text):
    """Returns the metadata of a card. Its values are JSON, which is YAML too."""
    lines = text.split("---\n")[1].splitlines()
    return {line.split(": ", 1)[0]: json.loads(line.split(": ", 1)[1]) for line in lines}


def test_figures_are_those_of_the_run(folder, capsys):
    assert main(["card", str(folder), "--license", "apache-2.0"]) == 0
    assert "README.md" in capsys.readouterr().out
    text = (folder / "README.md").read_text(encoding="utf-8")
    metrics = read_json(folder / "metrics.json")
    found = headline.of(metrics)
    header = header_of(text)
    assert header["license"] == "apache-2.0"
    assert header["library_name"] == "keras"
    (model,) = header["model-index"]
    (result,) = model["results"]
    assert result["metrics"][0]["value"] == found.value
    assert result["task"] == {"type": "image-classification"}
    assert "datasets" not in header  # It is nobody else's data set.
    low, high = (found.shown(end) for end in found.interval)
    assert f"**Test accuracy {found.shown(found.value)}** (95 % interval {low} to {high})" in text
    assert f"{metrics['test']['count']} examples" in text
    for row in metrics["baselines"]:
        assert row["name"].split("\u201c")[0].strip() in text
    for name, value in read_json(folder / "config.json")["config"].items():
        if isinstance(value, (int, float)):
            assert f"| {name.replace('_', chr(92) + '_')} | {value} |" in text
    assert "apache-2.0" in text.split("## Licence")[1]


def test_without_a_licence_the_card_says_so(folder):
    assert main(["card", str(folder)]) == 0
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "license" not in header_of(text)
    assert "None was given." in text.split("## Licence")[1]


def test_sample_data_is_named_as_such(folder):
    metrics = read_json(folder / "metrics.json")
    metrics["data"]["source"] = "sample"
    write_json_atomic(folder / "metrics.json", metrics)
    assert main(["card", str(folder)]) == 0
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "**Trained on built-in sample data.**" in text


def test_names_do_not_break_tables_or_the_header(folder):
    environment = read_json(folder / "environment.json")
    names = ["a|b", "<script>x</script>", "line\nbreak", 'quo"te: [x](y)']
    environment["data"]["class_names"][:4] = names
    environment["data"]["label"] = names[3]
    write_json_atomic(folder / "environment.json", environment)
    metrics = read_json(folder / "metrics.json")
    metrics["data"]["label"] = names[3]
    write_json_atomic(folder / "metrics.json", metrics)
    assert main(["card", str(folder)]) == 0
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert header_of(text)["model-index"][0]["results"][0]["dataset"]["name"] == names[3]
    (row,) = [line for line in text.splitlines() if "classes |" in line]
    assert row.count("|") - row.count("\\|") == 3
    assert "<script>" not in text.split("---\n", 2)[2]
    assert "a\\|b" in row
    assert "line break" in row


def test_a_card_that_is_there_is_kept(folder, capsys):
    (folder / "README.md").write_text("mine")
    assert main(["card", str(folder)]) == 2
    assert "README.md exists" in capsys.readouterr().err
    assert main(["card", str(folder), "--overwrite", "--output", str(folder / "CARD.md")]) == 0
    assert (folder / "README.md").read_text() == "mine"
    (folder / "metrics.json").unlink()
    assert main(["card", str(folder), "--overwrite"]) == 1
    assert "is not finished" in capsys.readouterr().err
