"""`recipes study`: arms with the same seeds, an answer with its uncertainty, nothing trained twice."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from common.basics import child
from common.basics.errors import DIVERGED, RecipeError, UsageError
from common.basics.files import read_json
from common.cli import main
from common.runs import config as configuration
from common.runs import registry
from common.runs.options import Options
from common.runs.run import Run
from common.studies import (
    study,
    study_answer,
    study_picture,
    study_plan,
    study_record,
    study_runs,
    study_tuned,
)
from tests.conftest import NO_NETWORK, ROOT
from tests.helpers import wait_for

NAME = "mnist_cnn"
TOY = study.Study(
    question="Is it the rate?",
    base="sample",
    arms={"usual": {}, "small": {"learning_rate": 1e-4}, "large": {"learning_rate": 0.5}},
    settings={"epochs": 1},
    seeds=2,
)
VALUES = {"usual": (0.80, 0.82), "small": (0.70, 0.73), "large": (0.81, 0.85)}


@pytest.mark.parametrize("name", registry.names())
def test_every_arm_of_every_recipe_is_a_configuration(name):
    for title, each in study.of_recipe(name).items():
        planned = study_plan.plan(name, title, each, study_plan.StudyOptions())
        assert len(planned) == len(each.trained) * len(each.sizes or (1,)) * each.seeds
        assert len({one.run.directory for one in planned}) == len(planned)


def test_holm_by_hand():
    # 4 x 0.01; 3 x 0.02; 2 x 0.03 = 0.06 is not below it; 1 x 0.2.
    assert study_answer.holm([0.02, 0.2, 0.01, 0.03]) == pytest.approx([0.06, 0.2, 0.04, 0.06])
    # One that tells no p counts for the others.
    assert study_answer.holm([None, 0.4, 0.9]) == [None, 1.0, 1.0]
    assert study_answer.holm([]) == []


def content(runs, better="higher", unit="%", reference="a"):
    """Returns what study.json holds of (arm, size, seed, value)."""
    found = {
        "study": "toy",
        "reference": reference,
        "arms": dict.fromkeys(arm for arm, *_ in runs),
        "headline": {"name": "figure", "unit": unit, "better": better},
        "data": {"label": "Toy data"},
        "runs": [
            {"arm": arm, "size": size, "seed": seed, "value": value, "seconds": 60.0 * (seed + 1)}
            for arm, size, seed, value in runs
        ],
    }
    found["comparisons"] = study_answer.compare(found)
    return found


def test_differences_are_paired_by_seed_by_hand():
    # Gains of 1, 2 and 3 points: mean 2, deviation 1, t(2) = 4.3027; written in another order of seeds.
    first = [("a", None, seed, value) for seed, value in ((0, 0.5), (1, 0.6), (2, 0.9))]
    second = [("b", None, seed, value) for seed, value in ((2, 0.93), (0, 0.51), (1, 0.62))]
    row = content([*first, *second])["comparisons"][0]
    assert row["difference"] == pytest.approx(0.02)
    assert row["interval"] == pytest.approx([0.02 - 0.024841, 0.02 + 0.024841], abs=1e-6)
    assert row["p"] == row["p_corrected"] == pytest.approx(0.0742, abs=1e-4)
    assert row["verdict"] == "no difference shown"


def test_lower_is_better_where_the_headline_says_so_and_every_size_counts():
    runs = [
        (arm, size, seed, value + 0.001 * seed * (1 + (arm == "b")))
        for arm, value in (("a", 1.0), ("b", 0.5))
        for size in (10, 2000)
        for seed in range(3)
    ]
    found = content(runs, better="lower", unit="")
    assert [row["verdict"] for row in found["comparisons"]] == ["better", "better"]
    assert found["comparisons"][0]["p_corrected"] == pytest.approx(2 * found["comparisons"][0]["p"])
    text = study_answer.sentences(found)
    assert "10 examples: better than a: b -0.499 figure (95 % " in text
    assert " 2,000 examples: better than a: b" in text
    assert "(3 seeds, paired; verdicts corrected for 2 comparisons (Holm), intervals not.)" in text
    assert "| 2,000 | b | 0.502 ± 0.002 | 3 | -0.499 | " in study_record.table(found)
    assert study_picture.draw(found).startswith(b"\x89PNG")


def test_one_seed_shows_no_difference_and_can_be_drawn():
    found = content([("a", None, 0, 0.5), ("b", None, 0, 0.6)])
    assert study_answer.sentences(found) == (
        "No difference from a shown: b +10.00 points of figure. (one seed of each: no interval.)"
    )
    assert study_picture.draw(found).startswith(b"\x89PNG")


def test_a_study_with_many_sizes_is_a_curve_for_each_arm(monkeypatch):
    drawn = []
    monkeypatch.setattr(study_picture, "to_png", lambda figure: drawn.append(figure) or b"")
    counts = (10, 30, 100, 500)
    rows = [
        (arm, size, seed, start + 0.0001 * size + 0.001 * seed)
        for arm, start in (("a", 0.5), ("b", 0.6))
        for size in counts
        for seed in range(3)
    ]
    study_picture.draw(content(rows))
    (axes,) = drawn[0].axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["10", "30", "100", "500"]
    first, second = axes.get_lines()
    assert list(first.get_xdata()) == list(counts)
    assert list(first.get_ydata()) == pytest.approx([50.2, 50.4, 51.1, 55.1])
    assert second.get_label() == "b"
    # Student's t with two degrees of freedom: 4.303 standard errors of 0.1 / sqrt(3).
    band = axes.collections[0].get_paths()[0].vertices
    at_ten = band[band[:, 0] == 10, 1]
    assert (at_ten.min(), at_ten.max()) == pytest.approx((50.2 - 0.2484, 50.2 + 0.2484), abs=1e-3)


def test_each_size_has_a_panel_and_arms_with_the_same_verdicts_stand_together(monkeypatch):
    drawn = []
    monkeypatch.setattr(study_picture, "to_png", lambda figure: drawn.append(figure) or b"")
    rows = [("a", size, seed, 0.5 + 0.001 * seed) for size in (500, 1000) for seed in range(3)]
    gains = {("b", 500): 0.1, ("b", 1000): 0.1, ("c", 500): -0.1, ("c", 1000): 0.0, ("d", 500): 0.0}
    for arm in "bcd":
        for size in (500, 1000):
            noise = (0.0005, -0.0005, 0.0)
            more = gains.get((arm, size), 0.0)
            rows += [
                (arm, size, seed, 0.5 + 0.001 * seed + more + noise[seed]) for seed in range(3)
            ]
    study_picture.draw(content(rows))
    (figure,) = drawn
    first, second = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "500 examples",
        "1,000 examples",
    ]
    assert [label.get_text() for label in first.get_yticklabels()] == list("abcd")
    assert not any(label.get_text() for label in second.get_yticklabels())
    assert "better" in [text.get_text().split("\n")[-1] for text in second.texts]
    assert figure.get_suptitle().replace("\n", " ") == (
        "Better than a: b; worse than a with 500 examples: c; no difference from a shown: d."
    )
    drawn.clear()
    study_picture.draw(content([("a", 500, 0, 0.5), ("b", 500, 0, 0.6)]))
    assert len(drawn[0].axes) == 1


def test_the_interval_of_a_mean_by_hand():
    # 1, 2, 6: mean 3, deviation 2.6458, t(2) = 4.3027.
    mean, low, high = study_picture.mean_interval([1, 2, 6])
    assert (mean, high - mean) == (3, pytest.approx(4.3027 * 2.6458 / 3**0.5, abs=1e-3))
    assert mean - low == pytest.approx(high - mean)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": {"a": {}, "b": {"rate": 1}}}, "arm 'b' .*unknown key 'rate'"),
        ({"arms": {"a": {}, "b": {"epochs": 0}}, "settings": {}}, "epochs must be at least 1"),
        ({"base": "bset"}, "unknown preset 'bset'"),
    ],
)
def test_a_bad_arm_is_refused_before_anything_is_trained(changes, message):
    bad = dataclasses.replace(TOY, **changes)
    with pytest.raises(UsageError, match=message):
        study_plan.plan(NAME, "toy", bad, study_plan.StudyOptions())


@pytest.mark.parametrize(
    "changes",
    [{"arms": {"a": {}}}, {"reference": "x"}, {"arms": {"a/b": {}, "c": {}}}, {"seeds": 0}],
)
def test_a_study_that_cannot_be_is_refused(changes):
    with pytest.raises(UsageError):
        dataclasses.replace(TOY, **changes)


def test_seeds_are_outermost_and_other_data_has_another_folder():
    planned = study_plan.plan(NAME, "toy", TOY, study_plan.StudyOptions())
    assert [(one.arm, one.seed) for one in planned][:4] == [
        ("usual", 0),
        ("small", 0),
        ("large", 0),
        ("usual", 1),
    ]
    assert planned[3].run.directory == Path(f"runs/{NAME}/studies/toy/usual-seed1")
    options = study_plan.StudyOptions(data="sample", epochs=2, arms="large, usual", seeds=1)
    planned = study_plan.plan(NAME, "toy", TOY, options)
    assert [one.arm for one in planned] == ["usual", "large"]
    assert planned[0].run.directory.parent.name == "toy-sample-epochs2"
    assert planned[0].run.config.epochs == 2


def test_the_time_left_by_hand():
    planned = study_plan.plan(NAME, "toy", TOY, study_plan.StudyOptions())
    seconds = {("usual", None): [10.0, 20.0], ("small", None): [60.0]}
    # 15 + 60 + 30 for the one that is unknown, twice.
    assert study_runs.remaining(planned, seconds, 1) == pytest.approx(210)
    assert study_runs.remaining(planned, seconds, 2) == pytest.approx(105)
    assert study_runs.remaining(planned, {}, 1) is None


def test_the_time_left_of_trainings_on_more_examples_by_hand():
    study = dataclasses.replace(TOY, sizes=(60, 120), seeds=2)
    planned = study_plan.plan(NAME, "toy", study, study_plan.StudyOptions())
    arms = list(dict.fromkeys(one.arm for one in planned))
    seconds = {(arms[0], 60): [10.0], (arms[1], 60): [20.0, 40.0]}
    by_hand = 0.0
    for one in planned:
        # Of 60 as measured; of 120 twice as long as the mean of 60, which is 70 / 3.
        of_60 = {arms[0]: 10.0, arms[1]: 30.0}.get(one.arm, 70 / 3)
        by_hand += of_60 if one.size == 60 else 140 / 3
    assert study_runs.remaining(planned, seconds, 1) == pytest.approx(by_hand)


# By the folder of a training that tunes.
TUNING = {"usual-0.001": 0.8, "usual-0.1": 0.9, "small-0.001": 0.8, "small-0.1": 0.7}


class Trained:
    """A process that has ended."""

    def __init__(self, code):
        self.returncode = code

    def poll(self):
        return self.returncode


@pytest.fixture
def trained(monkeypatch, in_tmp):
    """Lets trainings write what a finished run holds; returns the commands, and the codes to end with."""
    commands, codes = [], {}
    monkeypatch.setattr(study, "of_recipe", lambda name: {"toy": TOY} if name == NAME else {})
    monkeypatch.setattr(study_record, "of_recipe", study.of_recipe)
    monkeypatch.setattr(study_record, "file", lambda name: in_tmp / "recipe/studies.json")

    def start(words, **how):
        commands.append(words)
        code = codes.get(len(commands), 0)
        if code:
            return Trained(code)
        options = dict(zip(words[2::2], words[3::2], strict=False))
        config = configuration.read_config_file(
            options["--config"], registry.load(NAME).Config, NAME
        )
        directory = Path(options["--run-dir"])
        run = Run(NAME, config, Options(data=options["--data"], run_dir=directory))
        directory.mkdir(parents=True, exist_ok=True)
        run.path("config.json").write_text(json.dumps(run._started()))
        if directory.parent.name == "tuning":
            value = TUNING.get(directory.name, 0.5)
        else:
            value = VALUES[directory.name.rpartition("-")[0]][config.seed]
        scores = {"accuracy": value, "count": 100}
        data = {"source": options["--data"], "label": "Toy", "fingerprint": "f" * 64}
        environment = {"accelerators": [], "cpu": "CPU", "cpu_count": 2, "python": "3"}
        environment |= {"versions": {"keras": "3"}, "backend": "x", "commit": "abc"}
        run.path("environment.json").write_text(json.dumps(environment))
        run.path("timing.json").write_text(json.dumps({"train_wall_seconds": 60.0}))
        metrics = {"data": data, "validation": scores, "test": scores}
        run.path("metrics.json").write_text(json.dumps(metrics))
        return Trained(0)

    monkeypatch.setattr(child, "start", start)
    monkeypatch.setattr(study_runs, "GLANCE", 0)
    return commands, codes


def test_a_study_trains_each_arm_once_and_answers(trained, in_tmp, capsys):
    commands, _ = trained
    words = ["study", NAME, "toy", "--data", "sample"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert len(commands) == 6
    assert "[1 of 6] usual, seed 0\n" in text
    assert "[4 of 6] usual, seed 1 · about 3 min left" in text
    assert "usual | 81.00 ± 1.41 | 2 |" in text
    found = read_json(in_tmp / f"runs/{NAME}/studies/toy-sample/study.json")
    assert found["comparisons"][0]["difference"] == pytest.approx(-0.095)
    assert found["command"] == f"recipes study {NAME} toy --data sample"
    assert (in_tmp / f"runs/{NAME}/studies/toy-sample/study.png").exists()
    assert main(words) == 0
    assert len(commands) == 6
    assert "finished before" in capsys.readouterr().out


def test_presets_are_fitted_to_own_data_as_a_training_does_and_what_the_study_sets_stays(
    trained, tiny_data, in_tmp
):
    commands, _ = trained
    assert main(["study", NAME, "toy", "--data", str(tiny_data["image"]), "--seeds", "1"]) == 0
    files = [command[command.index("--config") + 1] for command in commands]
    configs = [json.loads(Path(file).read_text())["config"] for file in files]
    usual = registry.load(NAME).PRESETS["sample"]
    assert {config["batch_size"] for config in configs} == {16}
    assert usual.batch_size != 16
    assert {config["epochs"] for config in configs} == {1}
    assert [config["learning_rate"] for config in configs] == [usual.learning_rate, 1e-4, 0.5]
    # What is fitted is what the folder is compared with: nothing is trained again.
    assert main(["study", NAME, "toy", "--data", str(tiny_data["image"]), "--seeds", "1"]) == 0
    assert len(commands) == 3


def test_an_arm_that_has_changed_is_trained_again(trained, monkeypatch, in_tmp):
    commands, _ = trained
    words = ["study", NAME, "toy", "--data", "sample", "--seeds", "1"]
    assert main(words) == 0
    arms = {**TOY.arms, "large": {"learning_rate": 0.25}}
    changed = dataclasses.replace(TOY, arms=arms)
    monkeypatch.setattr(study, "of_recipe", lambda name: {"toy": changed})
    assert main(words) == 0
    assert [command[-1] == "--overwrite" for command in commands] == [False] * 3 + [True]


def test_an_interrupt_and_a_failure_keep_what_is_trained(trained, capsys):
    commands, codes = trained
    words = ["study", NAME, "toy", "--data", "sample"]
    codes[5] = 130
    assert main(words) == 130
    text = capsys.readouterr().err
    assert "4 of 6 trainings are done; the same command continues. With --seeds 1" in text
    codes[6] = 1
    assert main(words) == 1
    assert "the training small, seed 1 failed with exit code 1" in capsys.readouterr().err
    assert main(words) == 0
    assert len(commands) == 8


def test_workers_share_the_cores_and_a_failure_names_its_log(trained, monkeypatch, capsys):
    ways, start = [], child.start
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(study_runs, "cpu_count", lambda: 8)

    def noted(words, **how):
        ways.append(how)
        how["stdout"].write("first\nerror: it diverged\n")
        return start(words, **how)

    monkeypatch.setattr(child, "start", noted)
    trained[1][6] = 1
    assert main(["study", NAME, "toy", "--data", "sample", "--workers", "3"]) == 1
    assert {how["env"]["OMP_NUM_THREADS"] for how in ways} == {"2"}
    assert "exit code 1: it diverged (log: runs/" in capsys.readouterr().err


def test_only_whole_studies_on_real_data_are_recorded(trained, in_tmp, capsys, monkeypatch):
    commands, _ = trained
    for more in (["--data", "sample"], ["--arms", "usual,small"], ["--epochs", "2"]):
        assert main(["study", NAME, "toy", "--record", *more]) == 2
    assert not commands
    assert main(["study", NAME, "toy", "--data", "sample"]) == 0
    found = read_json(in_tmp / f"runs/{NAME}/studies/toy-sample/study.json")
    with pytest.raises(RecipeError, match="not trained on a real data set"):
        study_record.record(found)
    assert f"Not run yet: `make study-{NAME} STUDY=toy" in study_record.section(NAME)
    real = {**found, "data": {**found["data"], "source": "full"}}
    (in_tmp / "recipe").mkdir()
    study_record.record({**real, "study": "another"})
    study_record.record(real)
    assert list(study_record.read(NAME)) == ["another", "toy"]
    text = study_record.section(NAME)
    assert found["answer"] in text
    assert "![Is it the rate?](studies/toy.png)" in text
    assert "has changed" not in text
    changed = dataclasses.replace(TOY, settings={"epochs": 2})
    monkeypatch.setattr(study_record, "of_recipe", lambda name: {"toy": changed})
    assert "The study has changed since it was run." in study_record.section(NAME)


def test_a_study_of_few_examples_has_not_changed_because_presets_are_fitted_to_them():
    toy = study.Study(
        question="Which?",
        base="plain",
        arms={"one": {}, "other": {"epochs": 7}},
        sizes=(1000, 10000),
        settings={"hidden": (8,)},
    )
    module = registry.load("mnist_mlp")
    arms = {}
    for arm in toy.arms:
        config = study.arm_config("mnist_mlp", toy, arm)
        config = module.fit_to(config, 1000, {"hidden", *toy.arms[arm]})
        assert config.batch_size < module.PRESETS["plain"].batch_size
        arms[arm] = {"config": configuration.to_dict(config), "sets": toy.arms[arm]}
    found = {"arms": arms, "sizes": [1000, 10000]}
    assert not study_record._has_changed("mnist_mlp", toy, found)
    other = dataclasses.replace(toy, settings={"hidden": (9,)})
    assert study_record._has_changed("mnist_mlp", other, found)


def test_studies_are_listed_and_a_wrong_name_is_answered(trained, capsys):
    assert main(["study", NAME]) == 0
    assert "toy  Is it the rate? (3 x 2 trainings)" in capsys.readouterr().out
    assert main(["study", NAME, "toi"]) == 2
    assert "unknown study 'toi'" in capsys.readouterr().err
    assert main(["study", NAME, "toy", "--arms", "usual,smal"]) == 2
    assert "unknown arm 'smal'" in capsys.readouterr().err


def start_killable(data, runs):
    command = [sys.executable, str(ROOT / "tests/kill_study.py"), str(data), str(runs)]
    environment = {**os.environ, "PYTHONPATH": f"{NO_NETWORK}{os.pathsep}{ROOT}"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_study_that_is_killed_twice_comes_to_the_same(tiny_data, tmp_path):
    data, found = tiny_data["image"], {}
    calm = start_killable(data, tmp_path / "calm")
    assert calm.wait(300) == 0
    for arm in ("usual", "small"):
        process = start_killable(data, tmp_path / "killed")

        def one_epoch_is_done(arm=arm):
            histories = (tmp_path / "killed").rglob(f"{arm}-seed0/history.csv")
            return any(len(path.read_text().splitlines()) > 1 for path in histories)

        wait_for(one_epoch_is_done)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert start_killable(data, tmp_path / "killed").wait(300) == 0
    for kind in ("calm", "killed"):
        (path,) = (tmp_path / kind).rglob("study.json")
        found[kind] = read_json(path)
        for run in found[kind]["runs"]:
            del run["seconds"]
    assert found["calm"] == found["killed"]


def tuned_toy(scores):
    values = [1e-4, 1e-3, 1e-2, 0.1]
    arms = {arm: {"value": v, "scores": found} for arm, (v, found) in scores.items()}
    return {"field": "learning_rate", "values": values, "seed": 1000, "arms": arms}


def test_good_values_are_those_next_to_the_best_without_a_gap():
    tuned = tuned_toy(
        {
            "wide": (1e-3, [0.976, 0.980, 0.975, 0.4]),
            # The first is near enough, but what lies between is not.
            "gap": (1e-2, [0.979, 0.9, 0.98, None]),
        }
    )
    assert study_tuned.good(tuned, "wide") == (1e-4, 1e-2)
    assert study_tuned.good(tuned, "gap") == (1e-2, 1e-2)
    # Whatever the order in which the study names them.
    tuned["values"].reverse()
    for found in tuned["arms"].values():
        found["scores"].reverse()
    assert study_tuned.good(tuned, "wide") == (1e-4, 1e-2)


def test_arms_with_equally_wide_ranges_are_named_together():
    wide, narrow = [0.9, 0.9, 0.9, 0.5], [0.5, 0.9, 0.5, 0.5]
    tuned = tuned_toy({"a": (1e-3, wide), "b": (1e-3, narrow), "c": (1e-3, wide)})
    found = {"tuned": tuned, "headline": {"unit": "%"}}
    assert study_picture._tuned_title(found) == (
        "Good values of the learning_rate span most for a, c (x 100), least for b (x 1)."
    )
    tuned["arms"]["b"]["scores"] = wide
    assert "the same range for all arms: x 100" in study_picture._tuned_title(found)


def test_a_best_value_at_the_end_of_what_was_tried_is_told():
    tuned = tuned_toy(
        {arm: (rate, [0.9] * 4) for arm, rate in zip("abc", (1e-4, 1e-3, 0.1), strict=True)}
    )
    assert tuned["values"] == [1e-4, 1e-3, 1e-2, 0.1]
    edges = [study_tuned.edge(tuned, arm) for arm in "abc"]
    assert edges == [" (the smallest tried)", "", " (the largest tried)"]


def test_a_rate_is_tuned_on_validation_with_a_seed_of_its_own(trained, in_tmp, monkeypatch, capsys):
    commands, codes = trained
    rates = (1e-3, 0.1, 9.0)
    toy = dataclasses.replace(
        TOY, arms={"usual": {}, "small": {"batch_size": 64}}, tuned={"learning_rate": rates}
    )
    monkeypatch.setattr(study, "of_recipe", lambda name: {"toy": toy})
    # The trainings go by value: the sixth is that of the second arm with the last rate.
    codes[6] = DIVERGED
    assert main(["study", NAME, "toy", "--data", "sample"]) == 0
    text = capsys.readouterr().out
    assert "[3 of 6] usual, learning_rate 0.1" in text
    assert "small, learning_rate 9: diverged, so it is not chosen" in text
    found = read_json(in_tmp / f"runs/{NAME}/studies/toy-sample/study.json")
    assert found["tuned"]["arms"]["usual"] == {"value": 0.1, "scores": [0.8, 0.9, 0.5]}
    assert found["tuned"]["arms"]["small"] == {"value": 1e-3, "scores": [0.8, 0.7, None]}
    assert found["arms"]["usual"]["config"]["learning_rate"] == 0.1
    assert found["arms"]["small"]["config"]["learning_rate"] == 1e-3
    assert [run["seed"] for run in found["runs"]] == [0, 0, 1, 1]
    assert len(commands) == 6 + 4
    assert "| usual | 81.00 ± 1.41 | 2 |  |  |  | reference | 0.1 | 0.1 |" in text
    assert (in_tmp / f"runs/{NAME}/studies/toy-sample/study-tuned.png").exists()
    # What is finished is not trained again; what diverged is tried once more.
    codes.clear()
    codes[len(commands) + 1] = DIVERGED
    assert main(["study", NAME, "toy", "--data", "sample"]) == 0
    assert len(commands) == 11


def test_an_arm_that_diverges_with_every_value_is_named(trained, in_tmp, monkeypatch, capsys):
    _, codes = trained
    toy = dataclasses.replace(TOY, tuned={"learning_rate": (1.0, 9.0)})
    monkeypatch.setattr(study, "of_recipe", lambda name: {"toy": toy})
    codes |= {2: DIVERGED, 5: DIVERGED}
    assert main(["study", NAME, "toy", "--data", "sample"]) == 1
    assert (
        "small diverged with every learning_rate (1.0, 9.0): add smaller" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"tuned": {"learning_rate": (1,), "batch_size": (2,)}},
        {"tuned": {"learning_rate": (1,)}, "sizes": (10, 20)},
        {"conditions": {"a": {}, "b": {}}},
        {"arms": {}},
        {"arms": {}, "conditions": {"a": {}}},
    ],
)
def test_fields_that_exclude_each_other_are_refused(changes):
    with pytest.raises(UsageError):
        dataclasses.replace(TOY, **changes)


def test_one_network_is_scored_under_conditions(in_tmp, monkeypatch, capsys):
    toy = study.Study(
        question="Does it stand on its head?",
        base="sample",
        conditions={"as-it-is": {}, "turned": {"turn": 180.0}},
        settings={"epochs": 2, "batch_size": 64},
        seeds=2,
    )
    monkeypatch.setattr(study, "of_recipe", lambda name: {"toy": toy})
    assert main(["study", NAME, "toy", "--data", "sample"]) == 0
    found = read_json(in_tmp / f"runs/{NAME}/studies/toy-sample/study.json")
    runs = {(run["arm"], run["seed"]): run["value"] for run in found["runs"]}
    assert len(runs) == 4
    for seed in range(2):
        folder = in_tmp / f"runs/{NAME}/studies/toy-sample/network-seed{seed}"
        accuracy = read_json(folder / "metrics.json")["test"]["accuracy"]
        assert runs["as-it-is", seed] == pytest.approx(accuracy, abs=1e-6)
        assert runs["turned", seed] < accuracy - 0.2
    assert found["arms"]["turned"]["sets"] == {"turn": 180.0}
    assert "[2 of 2] network, seed 1: scored under conditions" in capsys.readouterr().out
    assert main(["study", NAME, "toy", "--data", "sample", "--arms", "turned"]) == 2
    assert "this study has none" in capsys.readouterr().err
