"""results.json and the tables: written by the program, equal to each other."""

import pytest

from common.basics import child
from common.basics.errors import RecipeError
from common.basics.files import write_json_atomic
from common.basics.wording import mean_and_deviation
from common.cli import main
from common.cli import results as results_command
from common.runs import config as configuration
from common.runs import registry
from common.studies import results, tables
from tests.helpers import train_tiny


@pytest.mark.parametrize(
    ("path", "section", "begin", "end"), list(results_command.readmes()), ids=lambda value: ""
)
def test_tables_are_what_the_json_files_say(path, section, begin, end):
    text = path.read_text(encoding="utf-8")
    assert tables.replace_section(text, section, begin, end) == text, (
        f"{path} is stale: run `make tables`"
    )


def test_every_recorded_run_is_complete():
    recorded = {name: results.read(name) for name in registry.names()}
    assert any(recorded.values()), "no recipe has a measured result"
    for name, runs in recorded.items():
        for run in runs:
            assert run["data"]["source"] == "full"
            assert len(run["data"]["fingerprint"]) == 64
            assert run["commit"]
            assert run["test_count"] > 5000
            for part in ("train", "validation", "test"):
                assert 0 < run[f"{part}_accuracy"] < 1
            assert run["train_wall_seconds"] > 0
            assert run["train_cpu_seconds"] > 0
            assert 1 <= run["best_epoch"] <= run["epochs"] <= run["config"]["epochs"]
            for field in ("cpu", "platform", "python", "started", "backend"):
                assert run[field], field
            assert run["cpu_count"] >= 1
            assert {"keras", "numpy", run["backend"]} <= set(run["versions"])
            words = [
                "recipes",
                "train",
                name,
                "--preset",
                run["preset"],
                "--seed",
                str(run["seed"]),
            ]
            assert run["command"] == " ".join(words)


def test_help_of_results_is_not_indented(capsys):
    assert main(["results", registry.names()[0], "--help"]) == 0
    text = capsys.readouterr().out
    assert "\nEach run is a process of its own" in text


def test_mean_and_sample_deviation():
    assert mean_and_deviation([0.9]) == "90.00"
    assert mean_and_deviation([0.90, 0.92, 0.97]) == "93.00 ± 3.61"


def test_sample_data_is_never_recorded(tmp_path, tiny_data, monkeypatch):
    monkeypatch.setattr(results, "file", lambda name: tmp_path / "results.json")
    run, _ = train_tiny("mnist_cnn", tiny_data["image"], tmp_path / "run")
    with pytest.raises(RecipeError, match="not trained on a real data set"):
        results.record("mnist_cnn", run.directory)
    assert not (tmp_path / "results.json").exists()


def test_record_replaces_the_run_of_its_preset_seed_and_device(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "file", lambda name: tmp_path / "results.json")
    now = configuration.to_dict(registry.load("mnist_cnn").PRESETS["best"])
    earlier = now | {"epochs": now["epochs"] + 1}
    for accuracy, seed, device, config in (
        (0.1, 2, [], earlier),
        (0.5, 0, [], now),
        (0.6, 1, [], now),
        (0.9, 1, ["GPU"], earlier),
        (0.8, 0, ["GPU"], now),
        (0.7, 0, [], now),
    ):
        directory = tmp_path / "run"
        test = {"accuracy": accuracy, "count": 9, "loss": 1.0, "ece": 0.1, "ece_calibrated": 0.1}
        data = {"source": "full", "label": "D", "name": "d", "version": "1", "note": ""}
        directory.mkdir(exist_ok=True)
        (directory / "history.csv").write_text(f"epoch,accuracy\n1,0.1\n2,{accuracy + 0.1}\n")
        write_json_atomic(
            directory / "metrics.json",
            {
                "preset": "best",
                "seed": seed,
                "data": {**data, "fingerprint": "f" * 64},
                "validation": {"accuracy": accuracy},
                "test": test,
                "baselines": [],
                "parameters": 5,
                "epochs": 2,
                "best_epoch": 1,
            },
        )
        environment = dict.fromkeys(
            ("backend", "cpu", "cpu_count", "platform", "python", "started"), "x"
        )
        environment["accelerators"] = device
        write_json_atomic(
            directory / "environment.json",
            {**environment, "versions": {"keras": "3"}, "commit": "abc"},
        )
        write_json_atomic(
            directory / "timing.json",
            {"train_wall_seconds": 60.0, "train_cpu_seconds": 99.0, "examples_per_second": 5.0},
        )
        write_json_atomic(directory / "config.json", {"config": config | {"seed": seed}})
        results.record("mnist_cnn", directory)
    runs = results.read("mnist_cnn")
    assert [(run["seed"], run["test_accuracy"]) for run in runs] == [(0, 0.7), (1, 0.6), (0, 0.8)]
    assert [run["train_accuracy"] for run in runs] == pytest.approx([0.8, 0.7, 0.9])
    rows = results.by_row("mnist_cnn")
    assert {key: len(row) for key, row in rows.items()} == {
        ("best", False, ""): 2,
        ("best", False, "GPU"): 1,
    }
    table = tables.recipe_table("mnist_cnn")
    assert "\n| `best` | 65.00 ± 7.07 |" in table
    assert "\n| `best`, GPU | 80.00 |" in table
    assert tables.summaries("mnist_cnn")["best"].startswith("65.00")


def test_a_run_of_a_preset_that_has_changed_since_is_told_apart(monkeypatch):
    runs = results.read("mnist_cnn")
    kept = [run for run in runs if run["preset"] == "best"][:2]
    kept[0] |= {"config": {**kept[0]["config"], "epochs": 1}}
    # As of before the hyperparameter existed.
    kept[1] |= {"config": {**kept[1]["config"], "seed": 77}}
    del kept[1]["config"]["rotation"]
    monkeypatch.setattr(results, "read", lambda name: kept)
    assert list(results.by_row("mnist_cnn").values()) == [[kept[1]], [kept[0]]]
    table = tables.recipe_table("mnist_cnn")
    assert table.index("\n| `best` |") < table.index("\n| `best` before it changed |")
    assert "before" not in tables.summaries("mnist_cnn")["best"]
    kept.pop()
    assert tables.summaries("mnist_cnn")["best"].endswith("before the preset changed")


def test_runs_with_different_baselines_share_a_preset():
    mirror = {"name": "mirror", "accuracy": 0.5, "mcnemar_p": 0.01}
    linear = {"name": "linear", "accuracy": 0.9}
    runs = [{"baselines": [linear]}, {"baselines": []}, {"baselines": [mirror, linear]}]
    assert tables._baseline_lines({("best", False, ""): runs}) == [
        "- beside `best`: linear 90.00 ± 0.00 % (n = 2)",
        "- beside `best`: mirror 50.00 % (n = 1) (against the network, McNemar p 0.0100)",
    ]


def test_the_range_of_p_values_is_readable_where_it_passes_the_smallest_shown():
    assert tables._p_range([0.02, 0.0004]) == "0.0004 to 0.0200"
    assert tables._p_range([1e-9, 0.0104, 1e-4]) == "at most 0.0104"
    assert tables._p_range([1e-9, 2e-5]) == "< 0.0001"


def test_markers_are_needed():
    with pytest.raises(RecipeError, match="lacks the lines"):
        tables.replace_section("no markers", "table")
    text = f"a\n{tables.BEGIN}\nold\n{tables.END}\nb"
    assert tables.replace_section(text, "new") == f"a\n{tables.BEGIN}\nnew\n{tables.END}\nb"


def test_run_that_was_killed_while_it_wrote_its_report_is_finished(tmp_path, monkeypatch):
    module, started = registry.load("mnist_cnn"), []
    monkeypatch.setattr(child, "run", lambda words: started.append(words) or 0)
    config = configuration.to_dict(module.PRESETS["best"])
    write_json_atomic(tmp_path / "config.json", {"config": config})
    write_json_atomic(tmp_path / "metrics.json", {})
    results_command._train("mnist_cnn", module, "best", 0, tmp_path, None)
    (words,) = started
    assert words[:4] == ["train", "mnist_cnn", "--preset", "best"]
    assert "--overwrite" not in words
    (tmp_path / "report.html").touch()
    results_command._train("mnist_cnn", module, "best", 0, tmp_path, None)
    assert len(started) == 1
