"""Bayesian search: a Gaussian process and the expected improvement, over points not tried yet.

KerasTuner has a Bayesian search, too, with several faults. It takes an infinite score for a perfect one,
repeats points, and gives categories an order. Its first 3 x dimensions trials are random, and each
suggestion takes 2 seconds.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from common.basics.processor import one_thread
from common.tuning import space as spaces
from common.tuning.oracle import SweepOracle
from common.tuning.ranges import Point
from common.tuning.trial import Trial

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor

CANDIDATES = 1000
NEIGHBOURS = 40


class BayesianOracle(SweepOracle):
    """Expected improvement of a Gaussian process (Matern 5/2, a length scale per hyperparameter).

    Args:
        initial_trials: Number of random trials at the start (default: two for each hyperparameter, at
            most 10). It does not depend on the length of the search, so that a search can be extended.
    """

    def __init__(self, *args, initial_trials=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.initial_trials = initial_trials

    @property
    def first_random(self) -> int:
        if self.initial_trials is None:
            return min(10, 2 * len(self.space.names))
        return self.initial_trials

    def propose(self, number: int, trials: Sequence[Trial]) -> Point | None:
        finished = [trial for trial in trials if trial.finished]
        known = [trial for trial in finished if self.loss(trial) < math.inf]
        if number < self.first_random or len(known) < 2:
            return self.draw(number, trials)
        worst = max(map(self.loss, known))
        points = [trial.values for trial in finished]
        losses = np.array([min(self.loss(trial), worst) for trial in finished])
        model = gaussian_process(np.array([self.space.vector(point) for point in points]), losses)
        # The model's prediction stands in for the score of a trial that still runs, so that parallel
        # workers try different points.
        running = [trial.values for trial in trials if not trial.finished]
        if running:
            vectors = np.array([self.space.vector(point) for point in running])
            losses = np.concatenate([losses, model.predict(vectors)])
            points = points + running
            model = gaussian_process(
                np.array([self.space.vector(point) for point in points]), losses
            )
        candidates = self._candidates(number, trials, [points[i] for i in np.argsort(losses)[:5]])
        if not candidates:
            return self.draw(number, trials)
        vectors = np.array([self.space.vector(point) for point in candidates])
        mean, deviation = model.predict(vectors, return_std=True)
        return candidates[int(np.argmax(expected_improvement(mean, deviation, losses.min())))]

    def _candidates(self, number, trials, best):
        random, taken = self.random(number), self.taken(trials)
        points = [self.space.complete({}, random) for _ in range(CANDIDATES)]
        for point in best:
            points += [
                self.space.mutate(point, random, changes=1 + attempt % 2)
                for attempt in range(NEIGHBOURS)
            ]
        different = {spaces.key(point): point for point in points}
        return [point for key, point in different.items() if key not in taken]


def gaussian_process(vectors: np.ndarray, losses: np.ndarray) -> GaussianProcessRegressor:
    """Fits a Gaussian process to finished trials; its kernel is fitted too, by maximum likelihood.

    Args:
        vectors: A point for each trial, float `(n, dimensions)` in [0, 1].
        losses: Their losses, lower is better, float `(n,)`.

    Returns:
        Its `predict(vectors, return_std=True)` gives mean and deviation of the loss of further trials,
        noise included.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kernel = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(
        np.ones(vectors.shape[1]), (5e-2, 2e1), nu=2.5
    ) + WhiteKernel(1e-2, (1e-6, 1.0))
    model = GaussianProcessRegressor(kernel, normalize_y=True)
    with one_thread(), warnings.catch_warnings():
        # A length scale reaches its bound where a hyperparameter does not matter. That is normal.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(vectors, losses)


def expected_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """Returns by how much trials are expected to be below the best loss; above it they count as 0.

    Args:
        mean: Predicted loss of each point, float `(n,)`.
        deviation: Its standard deviation, float `(n,)`.
        best: The lowest loss so far.

    Returns:
        float64 `(n,)`, 0 or more.
    """
    from scipy.stats import norm

    deviation = np.maximum(deviation, 1e-9)
    z = (best - mean) / deviation
    return deviation * (z * norm.cdf(z) + norm.pdf(z))
