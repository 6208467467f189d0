"""Learning-rate schedules, step by step."""

import keras
import pytest

from common.layers.schedules import drops, one_cycle


def value(schedule, step):
    return float(keras.ops.convert_to_numpy(schedule(step)))


def test_one_cycle_rises_to_the_peak_and_falls_to_zero():
    schedule = one_cycle(0.4, steps=100, warmup_fraction=0.2)
    assert value(schedule, 0) == pytest.approx(0.4 / 25)
    assert value(schedule, 20) == pytest.approx(0.4)
    assert value(schedule, 60) == pytest.approx(0.2)
    assert value(schedule, 100) == pytest.approx(0.0, abs=1e-7)
    assert value(schedule, 10) == pytest.approx((0.4 + 0.4 / 25) / 2)


def test_drops_by_ten_at_the_epochs_given():
    schedule = drops(0.1, [3, 5], steps_per_epoch=7)
    rates = [value(schedule, step) for step in range(42)]
    expected = [0.1] * 21 + [0.01] * 14 + [0.001] * 7
    assert rates == pytest.approx(expected)


def test_drops_with_warm_up():
    schedule = drops(0.1, [1], steps_per_epoch=10, warmup_steps=4)
    rates = [value(schedule, step) for step in range(12)]
    assert rates == pytest.approx([0.01] * 4 + [0.1] * 6 + [0.01] * 2)
