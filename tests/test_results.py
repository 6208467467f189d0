"""results.json and the tables: written by the program, equal to each other."""

import dataclasses
import types

import pytest

from common.basics import child
from common.basics.errors import DIVERGED, RecipeError
from common.basics.files import write_json_atomic
from common.basics.wording import DASH, mean_and_deviation
from common.cli import main
from common.cli import results as results_command
from common.runs import config as configuration
from common.runs import registry
from common.studies import attack_table, results, tables
from tests.helpers import train_tiny


def regression_row(seed, value, config, **more):
    """Returns a row of results.json that is judged by a mean squared error."""
    old = results.read("mnist_cnn")[0]
    kept = {key: each for key, each in old.items() if not key.startswith(("test_", "train_acc"))}
    del kept["validation_accuracy"]
    shown = {"name": "mean squared error", "unit": "", "better": "lower", "value": value}
    shown |= {"interval": None, "count": 1234, "validation": value / 2}
    row = {"preset": "best", "seed": seed, "headline": shown, "training": None, "baselines": []}
    return kept | row | {"config": config | {"seed": seed}, **more}


@pytest.mark.parametrize(
    ("path", "section", "begin", "end"), list(results_command.readmes()), ids=lambda value: ""
)
def test_tables_are_what_the_json_files_say(path, section, begin, end):
    text = path.read_text(encoding="utf-8")
    assert tables.replace_section(text, section, begin, end) == text, (
        f"{path} is stale: run `make tables`"
    )


def test_a_section_is_written_between_its_markers_and_only_if_it_changes(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<b>\nold\n<e>\nafter\n")
    tables.write_section(readme, "new", "<b>", "<e>")
    assert readme.read_text() == "before\n<b>\nnew\n<e>\nafter\n"
    written = readme.stat().st_ino
    tables.write_section(readme, "new", "<b>", "<e>")
    assert readme.stat().st_ino == written
    with pytest.raises(RecipeError, match="lacks the lines <b> and <x>"):
        tables.write_section(readme, "new", "<b>", "<x>")


def test_every_recorded_run_is_complete():
    recorded = {name: results.read(name) for name in registry.names()}
    assert any(recorded.values()), "no recipe has a measured result"
    for name, runs in recorded.items():
        for run in runs:
            assert run["data"]["source"] == "full"
            assert len(run["data"]["fingerprint"]) == 64
            assert run["commit"]
            found = results.figures(run)
            assert found.headline.count > 100
            if found.headline.unit == "%":
                # Generated dates are all right; a linear model may fit all of a small training split.
                assert 0 < found.headline.value <= 1
                assert 0 < found.headline.validation <= 1
                assert found.training is None or 0 < found.training <= 1
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
    values = [(run["seed"], run["headline"]["value"]) for run in runs]
    assert values == [(0, 0.7), (1, 0.6), (0, 0.8)]
    assert [run["training"] for run in runs] == pytest.approx([0.8, 0.7, 0.9])
    rows = results.by_row("mnist_cnn")
    assert {key: len(row) for key, row in rows.items()} == {
        ("best", False, ""): 2,
        ("best", False, "GPU"): 1,
    }
    table = tables.recipe_table("mnist_cnn")
    assert "\n| `best` | 65.00 ± 7.07 |" in table
    assert "\n| `best`, GPU | 80.00 |" in table
    assert tables.summaries("mnist_cnn")["best"].startswith("65.00")


def test_what_attacks_leave_stands_in_the_results_and_in_a_table(tmp_path, monkeypatch):
    preset = configuration.to_dict(registry.load("mnist_adversarial").PRESETS["best"])

    def run(seed, *shares, restarts=2):
        names = ("no attack", f"PGD-100 x {restarts}")
        rungs = [
            {"name": name, "alone": True, "accuracy": share, "held": 9, "interval": [0, 1]}
            for name, share in zip(names, shares[:2], strict=True)
        ]
        found = {"norm": "linf", "epsilon": 0.3, "examples": 300, "of": 10000, "rungs": rungs}
        found["minimum"] = {"accuracy": shares[2]}
        found["checks"] = [{"name": "a", "passed": True}, {"name": "b", "passed": seed == 0}]
        write_json_atomic(tmp_path / "attack.json", found)
        kept = results._attack(tmp_path / "attack.json")
        assert kept["attack"]["rungs"][1] == {"name": names[1], "accuracy": shares[1]}
        return {"preset": "best", "accelerators": [], "config": preset | {"seed": seed}, **kept}

    runs = [run(0, 0.98, 0.9, 0.88), run(1, 0.96, 0.94, 0.9), run(2, 0.9, 0.8, 0.7, restarts=5)]
    monkeypatch.setattr(results, "read", lambda name: runs)
    table = attack_table.section("mnist_adversarial")
    assert "| preset | epsilon | n | no attack | PGD-100 x 2 | minimum per image |" in table
    assert "\n| `best` | 0.3 | 2 | 97.00 ± 1.41 | 92.00 ± 2.83 | 89.00 ± 1.41 | 3 of 4 |" in table
    # Attacked otherwise: under a head of its own.
    assert "| PGD-100 x 5 | minimum per image |" in table
    assert "\n| `best` | 0.3 | 1 | 90.00 | 80.00 | 70.00 | 1 of 2 |" in table
    assert "(300 of 10,000)" in table
    # In a row of few words only where all runs were attacked in one way.
    assert tables._attacked(runs) == tables._attacked([runs[0], {}]) == ""
    assert tables._attacked(runs[:2]) == ", 89.00 ± 1.41 % under all attacks"
    for each in runs:
        del each["attack"]
    assert attack_table.section("mnist_adversarial").startswith("Not attacked yet")
    assert results._attack(tmp_path / "none.json") == {}


def test_only_recipes_that_train_against_attacks_are_attacked_for_a_table(capsys):
    assert main(["results", "mnist_cnn", "--attack"]) == 2
    assert "--attack is for recipes that train against attacks" in capsys.readouterr().err


def test_a_run_of_a_preset_that_has_changed_since_is_told_apart(monkeypatch):
    runs = results.read("mnist_cnn")
    kept = [run for run in runs if run["preset"] == "best"][:2]
    kept[0] |= {"config": {**kept[0]["config"], "epochs": 1}}
    # As of before a hyperparameter existed whose default the preset has.
    module = registry.load("mnist_cnn")
    preset, default = map(configuration.to_dict, (module.PRESETS["best"], module.Config()))
    stored = kept[1]["config"]
    field = next(key for key in stored if key != "seed" and preset[key] == default[key])
    kept[1] |= {"config": {**kept[1]["config"], "seed": 77}}
    del kept[1]["config"][field]
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
    shown = {"headline": {"name": "accuracy", "unit": "%", "value": 0.9}, "training": None}
    runs = [shown | {"baselines": rows} for rows in ([linear], [], [mirror, linear])]
    shared = results.figures(runs[0]).headline
    assert tables._baseline_lines({("best", False, ""): runs}, shared) == [
        "- beside `best`: linear 90.00 ± 0.00 % (n = 2)",
        "- beside `best`: mirror 50.00 % (n = 1) (against the network, McNemar p 0.0100)",
    ]


def test_the_range_of_p_values_is_readable_where_it_passes_the_smallest_shown():
    assert tables._p_range([0.02, 0.0004]) == "0.0004 to 0.0200"
    assert tables._p_range([1e-9, 0.0104, 1e-4]) == "at most 0.0104"
    assert tables._p_range([1e-9, 2e-5]) == "< 0.0001"


def test_rows_of_any_age_tell_the_same():
    old = results.read("mnist_cnn")[0]
    found = results.figures(old)
    assert found.headline.column == "accuracy, %"
    assert found.headline.value == old["test_accuracy"]
    assert found.headline.validation == old["validation_accuracy"]
    assert (found.headline.count, found.training) == (old["test_count"], old["train_accuracy"])
    assert found.ece == (old["test_ece"], old["test_ece_calibrated"])
    new = {
        key: value for key, value in old.items() if "accuracy" not in key and key != "test_count"
    }
    new |= {"headline": found.headline.to_dict(), "training": found.training}
    assert results.figures(new) == found
    row = regression_row(0, 0.02, {})
    assert results.figures(row).ece is results.figures(row).training is None
    assert not results.figures(row).headline.higher


def test_baselines_of_any_age_tell_the_same():
    from common.runs.headline import Baseline, baseline

    old = baseline({"name": "linear", "accuracy": 0.9, "count": 58, "mcnemar_p": 0.01})
    assert old == Baseline("linear", 0.9, 58, 0.01)
    assert baseline({"name": "linear", "value": 0.9, "count": 58, "p": 0.01}) == old
    zero = baseline({"name": "zero", "value": 0.0, "count": 3, "p": None})
    assert zero == Baseline("zero", 0.0, 3, None)
    assert baseline({"name": "linear", "accuracy": 0.9}) == Baseline("linear", 0.9, None, None)


def test_tables_of_a_recipe_that_is_judged_by_another_figure(monkeypatch):
    now = configuration.to_dict(registry.load("mnist_cnn").PRESETS["best"])
    mean = {"name": "always the mean", "value": 0.5, "count": 1234, "p": 0.002}
    rows = [
        regression_row(0, 0.02, now, baselines=[mean]),
        regression_row(1, 0.025, now, baselines=[{**mean, "value": 0.25}]),
        regression_row(2, 0.03, now),
    ]
    every = {name: results.read(name) for name in registry.names()}
    monkeypatch.setattr(results, "read", lambda name: rows)
    lines = tables.recipe_table("mnist_cnn").splitlines()
    assert lines[0] == (
        "| preset | test mean squared error | n | validation | parameters | epochs | training, wall | "
        "CPU |"
    )
    assert lines[1].count("|") == lines[0].count("|")
    assert lines[2].startswith("| `best` | 0.025 ± 0.005 | 3 | 0.0125 ± 0.0025 | ")
    assert (
        "- beside `best`: always the mean 0.375 ± 0.18 (n = 2) (against the network, paired p "
        in ("\n".join(lines))
    )
    assert "; 1,234 test examples)." in lines[-2]
    assert "tested once. Machine" in lines[-1]
    assert tables.summaries("mnist_cnn")["best"].startswith(
        "0.025 ± 0.005 mean squared error on test (n = 3"
    )
    # All of them alike: the head says it; with classifiers beside it, each cell.
    assert "| test mean squared error (n) |" in tables.overview_table()
    monkeypatch.setattr(results, "read", lambda name: rows if name == "mnist_cnn" else every[name])
    text = tables.overview_table()
    assert "| test (n) |" in text
    assert "| 0.025 ± 0.005 mean squared error (3) |" in text
    assert " % accuracy (3) |" in text


def test_one_recipe_whose_rows_are_judged_by_two_figures(monkeypatch):
    mean = {"name": "always the mean", "value": 0.5, "count": 1234, "p": None}
    other = regression_row(0, 0.02, {"gone": 1}, baselines=[mean])
    other["data"] = {**other["data"], "label": "Another", "fingerprint": "a" * 64, "note": ""}
    rows = [*results.read("mnist_cnn"), other]
    monkeypatch.setattr(results, "read", lambda name: rows)
    lines = tables.recipe_table("mnist_cnn").splitlines()
    assert lines[0].startswith("| preset | test | n | validation | training | ECE")
    row = next(line for line in lines if "mean squared error |" in line)
    assert row.startswith(
        f"| `best` before it changed | 0.02 mean squared error | 1 | 0.01 | {DASH} | {DASH} |"
    )
    assert any(line.startswith("| `best` |") and " % accuracy | " in line for line in lines)
    assert "- beside `best` before it changed: always the mean 0.5 mean squared error" in lines
    # Each data set is named with the rows that are on it.
    first, second = (line for line in lines if line.startswith("Data"))
    assert first.startswith(
        "Data of `best`, `article`: MNIST (`mnist` 3.0.1, fingerprint `74589322c1e4`"
    )
    assert second == (
        "Data of `best` before it changed: Another (`mnist` 3.0.1, fingerprint `aaaaaaaaaaaa`; 1,234 "
        "test examples)."
    )


def test_a_run_of_another_task_is_recorded_beside_rows_of_before(tmp_path, monkeypatch):
    old = results.read("mnist_cnn")
    monkeypatch.setattr(results, "file", lambda name: tmp_path / "results.json")
    write_json_atomic(tmp_path / "results.json", {"recipe": "mnist_cnn", "runs": old})
    module = registry.load("mnist_cnn")
    preset = next(name for name in module.PRESETS if name not in {run["preset"] for run in old})
    row = regression_row(7, 0.02, configuration.to_dict(module.PRESETS[preset]))
    row |= {"preset": preset, "data": {**row["data"], "source": "full"}}
    directory = tmp_path / "run"
    directory.mkdir()
    metrics = {key: row[key] for key in ("preset", "seed", "headline", "baselines", "data")}
    metrics |= {key: row[key] for key in ("parameters", "epochs", "best_epoch")}
    metrics |= {"validation": {"mse": 0.01}, "test": {"mse": 0.02}}
    write_json_atomic(directory / "metrics.json", metrics)
    for file in ("environment", "timing"):
        write_json_atomic(directory / f"{file}.json", row)
    write_json_atomic(directory / "config.json", {"config": row["config"]})
    history = directory / "history.csv"
    history.write_text("epoch,loss,mean_squared_error\n1,9,0.9\n2,8,0.04\n")
    results.record("mnist_cnn", directory)
    runs = results.read("mnist_cnn")
    (new,) = [run for run in runs if run["preset"] == preset]
    assert [run for run in runs if run is not new] == sorted(
        old, key=lambda run: (run["preset"], run["accelerators"], run["seed"])
    )
    assert new["headline"] == row["headline"]
    assert new["training"] == 0.04
    assert not [key for key in new if key.startswith(("test_", "validation", "train_acc"))]
    # A history that has no such column, and the same preset judged by another figure.
    history.write_text("epoch,loss\n1,9\n")
    metrics |= {"seed": 8, "headline": {**row["headline"], "name": "mean absolute error"}}
    write_json_atomic(directory / "metrics.json", metrics)
    results.record("mnist_cnn", directory)
    (new,) = [run for run in results.read("mnist_cnn") if run["preset"] == preset]
    assert (new["seed"], new["training"]) == (8, None)


def test_a_field_with_a_default_that_came_later_changes_no_preset(monkeypatch):
    module = registry.load("mnist_cnn")

    @dataclasses.dataclass(frozen=True)
    class Config(module.Config):
        later: float = 0.5

    def presets(**changes):
        return {
            name: Config(**dataclasses.asdict(config), **changes)
            for name, config in module.PRESETS.items()
        }

    loaded = types.SimpleNamespace(Config=Config, PRESETS=presets())
    before = results.by_row("mnist_cnn")
    monkeypatch.setattr(registry, "load", lambda name: loaded)
    assert results.by_row("mnist_cnn") == before
    for run in results.read("mnist_cnn"):
        config = dataclasses.replace(loaded.PRESETS[run["preset"]], seed=run["seed"])
        assert not configuration.changes(config, run["config"])
    # With another value than the default the preset is no longer what was measured.
    loaded.PRESETS = presets(later=1.0)
    assert all(earlier for _, earlier, _ in results.by_row("mnist_cnn"))


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


def test_runs_that_diverge_are_counted_beside_the_others(tmp_path, monkeypatch):
    """Without them, a preset that fails half of the time would look as good as its better half."""
    old = [run for run in results.read("mnist_cnn") if run["preset"] == "best"]
    monkeypatch.setattr(results, "file", lambda name: tmp_path / "results.json")
    write_json_atomic(tmp_path / "results.json", {"recipe": "mnist_cnn", "runs": old})
    presets = registry.load("mnist_cnn").PRESETS

    def diverge(preset, seed, **changes):
        config = configuration.to_dict(dataclasses.replace(presets[preset], seed=seed, **changes))
        write_json_atomic(tmp_path / "config.json", {"preset": preset, "config": config})
        write_json_atomic(tmp_path / "environment.json", {"accelerators": []})
        results.record_diverged("mnist_cnn", tmp_path)

    assert "diverged" not in tables.recipe_table("mnist_cnn")
    seeds = len(old)
    for seed in (seeds, seeds + 1, seeds):
        diverge("best", seed)
    assert [run["seed"] for run in results.diverged("mnist_cnn")] == [seeds, seeds + 1]
    assert f"| {seeds}, 2 diverged |" in tables.recipe_table("mnist_cnn")
    assert f"(n = {seeds}, 2 diverged, " in tables.summaries("mnist_cnn")["best"]
    # A seed that had a score before has none now.
    diverge("best", 0)
    assert f"| {seeds - 1}, 3 diverged |" in tables.recipe_table("mnist_cnn")
    # One of before the preset changed goes when a newer one comes.
    diverge("article", 3, epochs=1)
    assert "`article` before it changed: all runs diverged (1)." in tables.recipe_table("mnist_cnn")
    diverge("article", 0)
    assert "before it changed: all" not in tables.recipe_table("mnist_cnn")
    assert "`article`: all runs diverged (1)." in tables.recipe_table("mnist_cnn")


def test_a_series_goes_on_after_a_run_that_diverges(tmp_path, monkeypatch, capsys):
    codes, done = iter([0, DIVERGED, 0]), []
    monkeypatch.setattr("common.basics.child.run", lambda words: next(codes))
    monkeypatch.setattr("common.cli.results.write_tables", lambda: None)
    for name in ("record", "record_diverged"):
        monkeypatch.setattr(
            results, name, lambda recipe, run, name=name: done.append((name, run.name))
        )
    words = ["--presets", "article", "--seeds", "3", "--runs-dir", str(tmp_path)]
    assert main(["results", "mnist_cnn", *words]) == 0
    assert done == [
        ("record", "article-seed0"),
        ("record_diverged", "article-seed1"),
        ("record", "article-seed2"),
    ]
    assert "diverged, and recorded as that" in capsys.readouterr().out
