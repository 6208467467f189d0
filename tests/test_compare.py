"""Comparing runs: the table, what differs, paired tests, and warnings."""

import json

import numpy as np
import pytest

from common.basics.errors import RecipeError, UsageError
from common.basics.statistics import wilson_interval
from common.studies.compare import compare
from common.tasks.summary import summarise


def write_run(
    folder,
    *,
    right=80,
    count=100,
    recipe="mnist_cnn",
    source="full",
    name="mnist",
    config=None,
    seed=0,
    validated=30,
):
    """Writes a finished run that gets the first `right` of `count` test examples right."""
    folder.mkdir(parents=True)
    labels = (np.arange(count) % 3).astype(np.int32)
    predicted = np.where(np.arange(count) < right, labels, (labels + 1) % 3)
    probabilities = np.full((count, 3), 0.1, np.float32)
    probabilities[np.arange(count), predicted] = 0.8
    arrays = (probabilities[:validated], labels[:validated], probabilities, labels)
    data = {
        "source": source,
        "label": f"SAMPLE DATA: {name}" if source == "sample" else name.upper(),
        "name": name,
        "version": "1",
        "fingerprint": f"{name}-{source}",
        "note": "",
    }
    summary = {
        "recipe": recipe,
        "preset": "best",
        "data": data,
        "seed": seed,
        "parameters": 1234567,
        "epochs": 9,
        "best_epoch": 7,
        **summarise(*arrays),
        "baselines": [],
    }
    (folder / "metrics.json").write_text(json.dumps(summary))
    (folder / "config.json").write_text(
        json.dumps({"recipe": recipe, "preset": "best", "config": config or {"epochs": 9}})
    )
    (folder / "timing.json").write_text(
        json.dumps({"train_wall_seconds": 61.2, "train_cpu_seconds": 118.7})
    )
    names = ("val_probabilities", "val_labels", "test_probabilities", "test_labels")
    np.savez(folder / "predictions.npz", **dict(zip(names, arrays, strict=True)))
    return folder


def test_table_differences_and_paired_test(tmp_path):
    first = write_run(tmp_path / "mnist_cnn" / "a", config={"epochs": 9, "units": 64})
    second = write_run(
        tmp_path / "mnist_cnn" / "b", right=90, config={"epochs": 9, "units": 32, "extra": [1, 2]}
    )
    text = compare([first, second])
    table = text.split("\n\n")[0].splitlines()
    low, high = (100 * end for end in wilson_interval(80, 100))
    assert table[2].split()[:3] == ["a", "mnist_cnn", "MNIST"]
    for part in ("80.00", f"{low:.2f}-{high:.2f}", "7 of 9", "1,234,567", "61", "119"):
        assert part in table[2]
    assert len({line.rindex(" ") for line in table[2:4]}) == 1, "columns are aligned"
    settings = [line.split() for line in text.split("\n\n")[1].splitlines()[3:]]
    assert settings == [["units", "64", "32"], ["extra", "-", "1,", "2"]], "equal ones left out"
    # 10 examples only the second gets right: 2 / 2**10.
    pair = next(line for line in text.splitlines() if line.startswith("a - b"))
    assert pair.split()[3:7] == ["-10.00", "0", "10", "0.002"]
    assert "exact McNemar" in pair
    assert "WARNING" not in text


def test_runs_on_different_data_are_not_paired(tmp_path):
    runs = [
        write_run(tmp_path / "mnist_cnn" / "x"),
        write_run(tmp_path / "cifar10_cnn" / "x", name="cifar10", recipe="cifar10_cnn"),
        write_run(tmp_path / "mnist_cnn" / "small", source="sample", count=40, right=30),
    ]
    text = compare(runs)
    assert "sample data (mnist_cnn/small): says nothing" in text
    assert "different data" in text
    assert "McNemar" not in text
    # The same last name twice: the names grow until they tell the runs apart.
    assert "mnist_cnn/x" in text
    assert "cifar10_cnn/x" in text


def test_several_pairs_ask_for_a_stricter_threshold(tmp_path):
    runs = [write_run(tmp_path / f"seed{seed}", right=80 + seed) for seed in range(3)]
    text = compare(runs)
    assert "With 3 pairs, ask for p < 0.017" in text


def test_one_run_and_missing_predictions(tmp_path):
    first, second = write_run(tmp_path / "a"), write_run(tmp_path / "b")
    assert "80.00" in compare([first])
    assert "McNemar" not in compare([first])
    (second / "predictions.npz").unlink()
    (second / "timing.json").unlink()
    text = compare([first, second])
    assert "b: The run folder has no predictions.npz" in text
    assert "same configuration" in text


def test_what_is_not_a_finished_run_is_refused(tmp_path):
    finished = write_run(tmp_path / "a")
    with pytest.raises(RecipeError, match="no run folder at"):
        compare([finished, tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match="not a finished run"):
        compare([finished, tmp_path / "empty"])
    (finished / "metrics.json").write_text('{"recipe": "mnist_cnn"}')
    with pytest.raises(RecipeError, match="not the metrics of a run"):
        compare([finished])
    with pytest.raises(UsageError):
        compare([])


def write_series(folder, rights, *, seeds=None, **options):
    """Writes runs of one configuration over seeds; returns their folders."""
    seeds = range(len(rights)) if seeds is None else seeds
    options.setdefault("config", {"epochs": 9, "units": 64})
    return [
        write_run(
            folder / f"best-full-seed{seed}",
            right=right,
            seed=seed,
            **{**options, "config": options["config"] | {"seed": seed}},
        )
        for seed, right in zip(seeds, rights, strict=True)
    ]


def verdict_of(text):
    return next(line for line in text.splitlines() if "points of test accuracy" in line)


def test_runs_that_differ_in_the_seed_are_one_and_are_paired_by_it(tmp_path):
    first = write_series(tmp_path / "wide", [90, 92, 94])
    second = write_series(tmp_path / "narrow", [92, 88, 88], seeds=[2, 0, 1], config={"epochs": 7})
    text = compare([*first, *second])
    rows = [line.split() for line in text.splitlines() if " ± " in line]
    assert rows[0][:6] == ["wide/best-full", "3", "0", "to", "2", "92.00"]
    assert rows[0][6:8] == ["±", "2.00"]
    assert rows[1][:6] == ["narrow/best-full", "3", "0", "to", "2", "89.33"]
    # By hand in test_differences: seed by seed 2, 4 and 2 points.
    assert verdict_of(text) == (
        "wide/best-full - narrow/best-full: +2.67 points of test accuracy (95 % interval -0.20 to "
        "+5.54, p = 0.057, n = 3 seeds, paired): no difference shown"
    )
    assert "McNemar" not in text
    assert "WARNING" not in text
    # What differs stands once for each group, and the seed is no difference.
    settings = [line.split() for line in text.splitlines() if line.startswith(("epochs", "seed"))]
    assert settings == [["epochs", "9", "7"]]


def test_groups_of_other_seeds_and_sizes_are_compared_by_their_means(tmp_path):
    first = write_series(tmp_path / "a", [90, 91, 92, 91])
    second = write_series(tmp_path / "b", [70, 72], seeds=[5, 6], config={"epochs": 7})
    line = verdict_of(compare([*first, *second]))
    # By hand: means 91 and 71, variances 2/3 and 2: error sqrt(1/6 + 1) = 1.0801, Welch's degrees of
    # freedom (7/6)^2 / ((1/6)^2 / 3 + 1) = 1.348.
    assert line.startswith(
        "a/best-full - b/best-full: +20.00 points of test accuracy (95 % interval +"
    )
    assert "n = 4 and 2 seeds, Welch" in line
    from scipy import stats

    freedom = (7 / 6) ** 2 / ((1 / 6) ** 2 / 3 + 1)
    low = 20 - stats.t.ppf(0.975, freedom) * (7 / 6) ** 0.5
    assert f"interval {low:+.2f} to" in line
    assert line.endswith("Welch): a/best-full is better")
    assert verdict_of(compare([*second, *first])).endswith("b/best-full is worse")


def test_single_runs_beside_groups_keep_their_paired_test(tmp_path):
    series = write_series(tmp_path / "a", [90, 91])
    single = write_run(tmp_path / "x", right=70, config={"epochs": 1})
    other = write_run(tmp_path / "y", right=80, config={"epochs": 2})
    text = compare([*series, single, other])
    assert "x - y" in text
    assert text.count("exact McNemar") == 1
    assert "best-full - x: no test, x has one seed" in text


def test_many_groups_ask_for_more(tmp_path):
    runs = [
        run
        for index in range(3)
        for run in write_series(
            tmp_path / f"g{index}", [80 + index, 82 + index, 81], config={"epochs": index + 1}
        )
    ]
    text = compare(runs)
    assert "With 3 pairs, one is called better at p < 0.017" in text
    assert len([line for line in text.splitlines() if "points of test accuracy" in line]) == 3


def test_other_data_other_splits_and_repeated_seeds_warn(tmp_path):
    first = write_series(tmp_path / "a", [90, 91])
    other = write_series(tmp_path / "b", [90, 91], name="cifar10", recipe="cifar10_cnn")
    text = compare([*first, *other])
    assert "different data" in text
    assert "points of test accuracy" not in text
    split = write_series(tmp_path / "c", [50, 51], count=60, validated=20)
    text = compare([*first, *split])
    assert "tested on different examples" in text
    assert "validated on different examples" in text
    again = write_run(tmp_path / "again", right=91, seed=1, config={"epochs": 9, "units": 64})
    assert "holds seed 1 more than once" in compare([*first, again])


def test_a_repeated_run_is_no_group(tmp_path):
    runs = [write_run(tmp_path / name, right=80) for name in ("a", "b")]
    assert "over seeds" not in compare(runs)


def test_another_backend_is_another_group(tmp_path):
    series = write_series(tmp_path / "a", [90, 91, 93, 92])
    for run, backend in zip(series, ("jax", "jax", "torch", "torch"), strict=True):
        (run / "environment.json").write_text(json.dumps({"backend": backend}))
    text = compare(series)
    assert "n = 2 and 2 seeds, Welch" in verdict_of(text)
    assert "backend" in text


def test_groups_that_their_folders_do_not_tell_apart_have_other_names(tmp_path):
    runs = [
        write_run(
            tmp_path / f"custom-full-seed{seed}-{epochs}abcdef0",
            seed=seed,
            config={"epochs": epochs},
        )
        for epochs in (1, 2)
        for seed in (0, 1)
    ]
    text = compare(runs)
    assert "custom-full-seed0-1abcdef0 and 1 more" in text
    assert "custom-full-seed0-2abcdef0 and 1 more" in text


def write_regression(folder, errors, *, seed=0, validation=0.5, unit="", truth=None, **options):
    """Writes a finished run that is judged by the mean of its squared errors."""
    write_run(folder, seed=seed, **options)
    errors = np.asarray(errors, "float64")
    file = folder / "metrics.json"
    summary = json.loads(file.read_text())
    summary["headline"] = {
        "name": "mean squared error",
        "unit": unit,
        "better": "lower",
        "value": float(errors.mean()),
        "interval": None,
        "count": len(errors),
        "validation": validation,
    }
    summary |= {"validation": {"mse": validation}, "test": {"mse": float(errors.mean())}}
    file.write_text(json.dumps(summary))
    truth = np.linspace(0, 1, len(errors)) if truth is None else truth
    np.savez(folder / "predictions.npz", test_scores=errors, test_truth=truth)
    return folder


def test_a_figure_of_another_task_has_its_name_its_direction_and_its_test(tmp_path):
    # Differences 3, 1, -1, 0, 2, of which 3 in 16 signs reach the mean: by hand in test_statistics.
    first = write_regression(tmp_path / "a", [3.0, 2.5, 1.0, 4.0, 2.0], config={"epochs": 1})
    second = write_regression(tmp_path / "b", [0.0, 1.5, 2.0, 4.0, 0.0], config={"epochs": 2})
    text = compare([first, second])
    head, _, row, _ = text.split("\n\n")[0].splitlines()
    assert "test mean squared error" in head
    assert "%" not in head.replace("95 %", "")
    assert row.split()[3:7] == ["2.5", "-", "5", "0.5"]
    heads, _, pair = text.split("\n\n")[2].splitlines()[1:4]
    assert heads.split("  ")[0] == "pair"
    for part in ("difference", "first better", "second better"):
        assert part in heads
    # The lower error is the better one.
    assert pair.split()[3:7] == ["+1", "1", "3", "0.38"]
    assert pair.endswith("permutation of signs")
    assert "WARNING" not in text
    other = write_regression(tmp_path / "c", [1.0] * 5, truth=np.zeros(5), config={"epochs": 3})
    assert "a and c: different test examples, no paired test." in compare([first, other])


def test_runs_judged_by_different_figures_warn_and_are_not_paired(tmp_path):
    first = write_run(tmp_path / "a")
    second = write_regression(tmp_path / "b", np.ones(100), unit="K")
    text = compare([first, second])
    assert "judged by different figures (accuracy, mean squared error)" in text
    assert "Paired test" not in text
    # Each cell says what it is.
    rows = text.splitlines()[2:4]
    assert "  80.00 % accuracy  " in rows[0]
    assert "  1 K mean squared error  " in rows[1]


def test_the_lower_error_is_better_over_seeds(tmp_path):
    def series(name, values, epochs):
        return [
            write_regression(
                tmp_path / name / f"seed{seed}",
                [value, value],
                seed=seed,
                config={"epochs": epochs, "seed": seed},
            )
            for seed, value in enumerate(values)
        ]

    # Errors far below what tells accuracies apart.
    first, second = series("a", [2e-6, 4e-6, 3e-6, 3e-6], 1), series("b", [8e-6, 9e-6, 1e-5], 2)
    text = compare([*first, *second])
    rows = [line.split() for line in text.splitlines() if " ± " in line]
    assert rows[0][5:8] == ["3e-06", "±", "8.2e-07"]
    line = next(line for line in text.splitlines() if "Welch" in line)
    assert line.startswith("a - b: -6e-06 of test mean squared error (95 % interval -")
    assert line.endswith("n = 4 and 3 seeds, Welch): a is better")


def test_a_headline_without_a_value_is_refused(tmp_path):
    run = write_regression(tmp_path / "a", [1.0, 2.0])
    summary = json.loads((run / "metrics.json").read_text())
    summary["headline"]["value"] = None
    (run / "metrics.json").write_text(json.dumps(summary))
    with pytest.raises(RecipeError, match="its headline has no value"):
        compare([run])


def test_what_was_validated_is_read_from_files_of_any_age(tmp_path):
    from common.runs import scores

    run = write_run(tmp_path / "a", validated=7)
    np.testing.assert_array_equal(scores.validated(run), np.arange(7) % 3)
    np.savez(run / "predictions.npz", val_truth=np.array([[0.5, 1.0], [2.0, 3.0]]))
    np.testing.assert_array_equal(scores.validated(run), [[0.5, 1.0], [2.0, 3.0]])
    np.savez(run / "predictions.npz", test_scores=np.ones(3))
    assert scores.validated(run) is None
    (run / "predictions.npz").write_bytes(b"cut")
    assert scores.validated(run) is None
    (run / "predictions.npz").unlink()
    assert scores.validated(run) is None
