"""tuning.json: what a search found, beside what it started from."""

import dataclasses

import pytest

from common.basics.errors import RecipeError
from common.basics.files import read_json, write_json_atomic
from common.runs import command_line, registry
from common.runs import config as configuration
from common.tuning import evidence
from common.tuning.definition import Definition


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "_file", lambda name: tmp_path / f"{name}.json")
    return tmp_path / "sweep"


def rows(*accuracies):
    return [
        {"seed": seed, "val_accuracy": value, "val_loss": 1.0, "test_accuracy": value - 0.1}
        for seed, value in enumerate(accuracies, 1)
    ]


def finished(directory, data="full", start=(0.8, 0.82, 0.81), batch_size=64, accelerators=()):
    """Writes what a finished search leaves."""
    preset = registry.load("mnist_cnn").PRESETS["best"]
    base = dataclasses.replace(preset, epochs=2, filters=(8, 16), patience=None, shift=1.0)
    definition = Definition(
        recipe="mnist_cnn",
        method="evolution",
        base=configuration.to_dict(base),
        preset="best",
        trials=2,
        folds=3,
        data=data,
        fixed={"width": "1"},
    )
    directory.mkdir(exist_ok=True)
    definition.write(directory)
    winner = dataclasses.replace(base, batch_size=batch_size, epochs=8)
    write_json_atomic(directory / "best.json", {"config": configuration.to_dict(winner)})
    environment = dict.fromkeys(("backend", "cpu", "commit", "started"), "x")
    environment |= {"cpu_count": 2, "versions": {"keras": "3"}, "data": {"label": "MNIST"}}
    environment["accelerators"] = accelerators
    write_json_atomic(directory / "environment.json", environment)
    write_json_atomic(
        directory / "summary.json",
        {
            "trials": 2,
            "epochs": 12,
            "seconds": 180.0,
            "objective": "val_accuracy",
            "search_score": 0.95,
            "retrain_epochs": 8,
            "retrained": rows(0.9, 0.91, 0.95),
            "start": rows(*start),
        },
    )


def test_a_search_is_recorded_once_and_shown_with_what_it_gained(folder):
    finished(folder)
    evidence.record("mnist_cnn", folder)
    evidence.record("mnist_cnn", folder)
    (search,) = evidence.read("mnist_cnn")
    before = registry.load("mnist_cnn").PRESETS["best"].batch_size
    assert search["changes"] == {"batch_size": [before, 64]}
    assert search["command"] == (
        "recipes tune mnist_cnn --method evolution --trials 2 --preset best --filters 8 16 "
        "--shift 1.0 --epochs 2 --folds 3 --fix width=1 --retrain 3 --retrain-epochs 8"
    )
    text = evidence.section("mnist_cnn")
    assert f"| 1 | `batch_size` {before} to 64 | 2 x 6, 3 min | 3 x 8 |" in text
    # By hand: differences 0.10, 0.09, 0.14; mean 0.11, sample deviation sqrt(0.0014 / 2).
    assert "| 92.00 ± 2.65 / 81.00 ± 1.00 | 82.00 ± 2.65 / 71.00 ± 1.00 | 11.00 ± 2.65 |" in text


def test_epochs_that_were_searched_are_told(folder):
    finished(folder)
    best = read_json(folder / "best.json")
    write_json_atomic(folder / "best.json", {"config": best["config"] | {"epochs": 16}})
    summary = read_json(folder / "summary.json")
    write_json_atomic(folder / "summary.json", summary | {"winner_epochs": 16})
    evidence.record("mnist_cnn", folder)
    (search,) = evidence.read("mnist_cnn")
    assert search["changes"]["epochs"] == [8, 16]
    assert search["command"].endswith("--retrain 3 --retrain-epochs 8")
    assert "| 2, 12 epochs in all, 3 min | 3 x 16 / 8 |" in evidence.section("mnist_cnn")


def test_the_machine_is_the_gpu_where_there_was_one(folder):
    finished(folder)
    evidence.record("mnist_cnn", folder)
    assert "MNIST; 2 cores of x, Keras 3 on x" in evidence.section("mnist_cnn")
    finished(folder, accelerators=["NVIDIA H100"])
    evidence.record("mnist_cnn", folder)
    assert "MNIST; NVIDIA H100, Keras 3 on x" in evidence.section("mnist_cnn")


def test_the_recorded_command_is_one_that_parses(folder):
    finished(folder)
    evidence.record("mnist_cnn", folder)
    from common.tuning.options import TuneOptions as Options

    (search,) = evidence.read("mnist_cnn")
    words = search["command"].split()[3:]
    options, config = command_line.parse_recipe(
        registry.load("mnist_cnn"), words, Options, prog="x", description="x"
    )
    assert (options.method, options.folds, options.retrain_epochs) == ("evolution", 3, 8)
    assert options.fix == ("width=1",)
    assert (config.epochs, config.filters, config.shift) == (2, (8, 16), 1.0)


def test_a_winner_that_is_the_start_changes_nothing(folder):
    before = registry.load("mnist_cnn").PRESETS["best"].batch_size
    finished(folder, batch_size=before)
    evidence.record("mnist_cnn", folder)
    assert "| 1 | nothing |" in evidence.section("mnist_cnn")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mnist_cnn", {"data": "sample"}, "not search on a real data set"),
        ("mnist_cnn", {"start": ()}, "--retrain-start"),
        ("imdb_bilstm", {}, "is a search of mnist_cnn"),
    ],
)
def test_what_is_no_evidence_is_refused(folder, name, options, message):
    finished(folder, **options)
    with pytest.raises(RecipeError, match=message):
        evidence.record(name, folder)
    assert evidence.read(name) == []
    assert evidence.section(name) == "Not searched yet."
