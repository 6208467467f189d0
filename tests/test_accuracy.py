"""Accuracy bands: the program learns what it should, on the sample and on the real data."""

import dataclasses

import pytest

from common.runs import registry
from common.runs.options import Options
from common.runs.run import Run


def train(name, preset, directory, data="full", **changes):
    module = registry.load(name)
    config = dataclasses.replace(module.PRESETS[preset], **changes)
    run = Run(name, config, Options(data=data, run_dir=directory, report=False)).open()
    return module.train(config, run)


def test_quickstart_reaches_97_per_cent_on_the_built_in_digits(tmp_path):
    metrics = train("mnist_cnn", "sample", tmp_path / "run", data="sample")
    assert metrics["data"]["source"] == "sample"
    assert metrics["test"]["count"] == 360
    assert metrics["test"]["accuracy"] >= 0.97


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("cifar10_cnn", 0.8),
        ("cifar10_resnet", 0.6),
        ("imdb_bilstm", 0.9),
        ("spoken_digit_rnn", 0.85),
    ],
)
def test_sample_presets_learn(name, least, tmp_path):
    assert train(name, "sample", tmp_path / "run", data="sample")["test"]["accuracy"] >= least


@pytest.mark.slow
@pytest.mark.real_data
def test_two_epochs_on_real_digits(tmp_path):
    metrics = train("mnist_cnn", "best", tmp_path / "run", epochs=2)
    assert metrics["test"]["count"] == 10_000
    assert metrics["test"]["accuracy"] >= 0.985
