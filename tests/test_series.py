"""`recipes train NAME --seeds N`: runs of their own, which are not trained twice."""

import json
import statistics

import pytest

from common.basics import child
from common.basics.errors import UsageError
from common.basics.files import read_json
from common.cli import main
from common.cli.train import preset_name
from common.runs import command_line, registry
from common.studies import series

NAME = registry.names()[0]


@pytest.fixture
def trained(monkeypatch):
    """Lets trainings write what a finished run holds; returns the commands that were run."""
    from common.runs.run import Run

    commands, module = [], registry.load(NAME)

    def run(words):
        from common.runs.options import Options

        commands.append(words)
        assert words[:2] == ["train", NAME]
        options, config = command_line.parse_recipe(
            module, words[2:], Options, prog="x", description="x"
        )
        if config.seed == 3 and len(commands) < 5:
            return 1
        run = Run(NAME, config, options, preset_name(module, config))
        assert not run.finished or options.overwrite
        run.directory.mkdir(parents=True, exist_ok=True)
        run.path("config.json").write_text(json.dumps(run._started()))
        scores = {"accuracy": 0.9 + config.seed / 100, "count": 50}
        metrics = {"data": {"label": "x"}, "validation": scores, "test": scores}
        run.path("metrics.json").write_text(json.dumps(metrics))
        return 0

    monkeypatch.setattr(child, "run", run)
    return commands


def test_seeds_are_runs_of_their_own_and_are_summed_up(trained, in_tmp, capsys):
    words = ["train", NAME, "--preset", "sample", "--data=sample", "--no-report"]
    assert main([*words, "--seeds", "3"]) == 0
    text = capsys.readouterr().out
    for seed, command in enumerate(trained):
        folder = f"runs/{NAME}/sample-sample-seed{seed}"
        own = ["--seed", str(seed), "--run-dir", folder]
        assert command == [*words, *own]
    accuracies = [90, 91, 92]
    assert statistics.stdev(accuracies) == 1
    assert "3 seeds: test accuracy 91.00 ± 1.00 % (90.00 to 92.00), validation accuracy" in text
    assert f"recipes compare runs/{NAME}/sample-sample-seed0 " in text
    # Nothing is trained twice, also where there are more of them.
    assert main([*words, "--seeds=3"]) == 0
    assert len(trained) == 3
    assert "finished before" in capsys.readouterr().out
    assert main([*words, "--seeds", "3", "--overwrite"]) == 0
    assert len(trained) == 6


def test_it_starts_at_its_seed_and_stays_in_its_folder(trained, in_tmp, capsys):
    words = ["train", NAME, "--preset", "sample", "--data", "sample", "--seed", "1"]
    words += ["--run_dir", "s", "--seeds", "2", "--epochs", "1"]
    assert main(words) == 0
    assert [command[-3:] for command in trained] == [
        [str(seed), "--run-dir", f"s/seed{seed}"] for seed in (1, 2)
    ]
    assert read_json(in_tmp / "s/seed2/config.json")["config"]["seed"] == 2
    # Another training is not taken for this one: it is tried, and refuses the folder itself.
    with pytest.raises(AssertionError):
        main([*words, "--epochs", "2", "--debug"])


def test_it_goes_on_where_it_stopped(trained, in_tmp, capsys):
    words = ["train", NAME, "--preset", "sample", "--data", "sample", "--seeds", "4"]
    assert main(words) == 1
    assert "the training of seed 3 failed" in capsys.readouterr().err
    assert main(words) == 0
    assert [command[-3] for command in trained] == ["0", "1", "2", "3", "3"]
    assert "4 seeds: test accuracy 91.50 ± 1.29 %" in capsys.readouterr().out


def test_an_interrupt_ends_it_and_keeps_what_is_trained(monkeypatch, in_tmp, capsys):
    def interrupted(words):
        raise KeyboardInterrupt

    monkeypatch.setattr(child, "run", interrupted)
    assert main(["train", NAME, "--data", "sample", "--seeds", "2"]) == 130
    assert "0 of 2 seeds are trained; the same command goes on" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--seeds", "0"], ["--seeds", "2", "--seed", str(2**32 - 1)]])
def test_seeds_that_there_are_not_are_refused_before_anything_is_trained(words, trained, in_tmp):
    assert main(["train", NAME, "--data", "sample", *words]) == 2
    assert not trained


def test_without_takes_a_flag_and_its_value():
    words = ["--filters", "4", "8", "--seed", "1", "--seeds=3", "--run_dir", "x", "--epochs", "2"]
    left = ["--filters", "4", "8", "--epochs", "2"]
    assert series.without(words, ("seed", "seeds", "run_dir")) == left


def test_one_seed_is_a_plain_training():
    with pytest.raises(UsageError, match="seeds must be at least 1"):
        series.TrainOptions(seeds=0)
    assert series.TrainOptions().seeds == 1


def test_seeds_of_another_task_are_summed_up_by_its_headline(tmp_path):
    shown = {"name": "mean squared error", "unit": "K²", "better": "lower", "validation": None}
    for seed, value in enumerate((0.02, 0.03)):
        held = {"data": {"label": "x"}, "validation": {"mse": 1}, "test": {"mse": value}}
        (tmp_path / str(seed)).mkdir()
        (tmp_path / str(seed) / "metrics.json").write_text(
            json.dumps(held | {"headline": shown | {"value": value}})
        )
    assert series.summary([tmp_path / "0", tmp_path / "1"]).startswith(
        "2 seeds: test mean squared error 0.025 ± 0.0071 K² (0.02 to 0.03) (mean ± sample"
    )
