"""Comparing runs: the table, what differs, paired tests, and warnings."""

import json

import numpy as np
import pytest

from common import metrics
from common.compare import compare
from common.errors import RecipeError, UsageError


def write_run(
    folder, *, right=80, count=100, recipe="mnist_cnn", source="full", name="mnist", config=None
):
    """Writes a finished run that gets the first `right` of `count` test examples right."""
    folder.mkdir(parents=True)
    labels = (np.arange(count) % 3).astype(np.int32)
    predicted = np.where(np.arange(count) < right, labels, (labels + 1) % 3)
    probabilities = np.full((count, 3), 0.1, np.float32)
    probabilities[np.arange(count), predicted] = 0.8
    arrays = (probabilities[:30], labels[:30], probabilities, labels)
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
        "seed": 0,
        "parameters": 1234567,
        "epochs": 9,
        "best_epoch": 7,
        **metrics.summarise(*arrays),
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
    low, high = (100 * end for end in metrics.wilson_interval(80, 100))
    assert table[2].split()[:3] == ["a", "mnist_cnn", "MNIST"]
    for part in ("80.00", f"{low:.2f}-{high:.2f}", "7 of 9", "1,234,567", "61", "119"):
        assert part in table[2]
    assert len({line.rindex(" ") for line in table[2:4]}) == 1, "columns are aligned"
    settings = [line.split() for line in text.split("\n\n")[1].splitlines()[3:]]
    assert settings == [["units", "64", "32"], ["extra", "-", "1,", "2"]], "equal ones left out"
    # 10 examples only the second gets right: 2 / 2**10.
    pair = next(line for line in text.splitlines() if line.startswith("a - b"))
    assert pair.split()[3:7] == ["-10.00", "0", "10", "0.002"]
    assert "exact binomial" in pair
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
