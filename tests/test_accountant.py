"""Epsilon of a noise and the noise for an epsilon, against known figures. Needs the extra [privacy]."""

import math

import pytest

from common.training.accountant import epsilon_of, noise_for
from recipes.mnist_private.guarantee import guarantee, noise_of
from recipes.mnist_private.train import Config

pytest.importorskip("dp_accounting", reason="needs the extra [privacy]")


def test_the_two_figures_of_an_often_quoted_training():
    """60,000 images, batches of 256, noise 1.1, 60 epochs, delta 1e-5."""
    settings = {"delta": 1e-5, "rate": 256 / 60_000, "steps": 60 * 60_000 // 256}
    assert epsilon_of(1.1, by="rdp", **settings) == pytest.approx(2.597, abs=0.002)
    assert epsilon_of(1.1, **settings) == pytest.approx(2.382, abs=0.002)


def test_a_single_step_on_all_examples_is_the_gaussian_mechanism():
    """Its delta at an epsilon is known in closed form (Balle and Wang 2018)."""

    def phi(x):
        return 0.5 * math.erfc(-x / math.sqrt(2))

    noise, delta = 2.0, 1e-4
    found = epsilon_of(noise, delta=delta, rate=1.0, steps=1)
    a, b = 1 / (2 * noise) - found * noise, -1 / (2 * noise) - found * noise
    assert phi(a) - math.exp(found) * phi(b) == pytest.approx(delta, rel=0.01)


@pytest.mark.parametrize("epsilon", [3.0])
def test_the_noise_for_an_epsilon_suffices_and_hardly_less_would(epsilon):
    settings = {"delta": 1e-5, "rate": 0.05, "steps": 40}
    noise = noise_for(epsilon, **settings)
    assert epsilon_of(noise, **settings) <= epsilon
    assert epsilon_of(noise - 0.004, **settings) > epsilon


def test_no_noise_has_no_epsilon():
    assert epsilon_of(0.0, delta=1e-5, rate=0.1, steps=3) is None


def test_epsilon_counts_the_epochs_that_ran():
    config = Config()
    noise = noise_of(config, 5000)
    full, half = (guarantee(config, 5000, epochs, noise) for epochs in (40, 20))
    assert full["steps"] == 80  # batches of 4,096
    assert full["epsilon"] == pytest.approx(3, abs=0.01)
    assert full["epsilon"] <= 3
    assert half["epsilon"] < 2.5
    assert full["accountant"].startswith("dp-accounting")
