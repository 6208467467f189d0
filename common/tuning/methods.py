"""Grid, random and evolutionary search."""

import math
from collections.abc import Sequence

from common.tuning import space as spaces
from common.tuning.oracle import SweepOracle
from common.tuning.space import Point
from common.tuning.store import Trial


class GridOracle(SweepOracle):
    """Every point of a finite space, once.

    The order is spread over the space (steps of the golden ratio), so that a grid cut short is an
    even sample of the whole one rather than its first corner. The seed says where it starts: how good a
    cut grid is depends on that, and searches with other seeds tell by how much.
    """

    def propose(self, number: int, trials: Sequence[Trial]) -> Point | None:
        self.space.require_finite()
        size = int(self.space.size)
        if number >= size:
            return None
        return self.space.point((start(size, self.seed) + number * stride(size)) % size)


def start(size: int, seed: int) -> int:
    """Returns where a seed starts, steps of another irrational number apart; seed 0 at 0."""
    return int(seed * 0.7548776662 % 1 * size)


def stride(size: int) -> int:
    """Returns a step near size / golden ratio that shares no factor with size: it meets each once."""
    step = max(round(size * 0.6180339887), 1)
    while math.gcd(step, size) != 1:
        step += 1
    return step


class RandomOracle(SweepOracle):
    """Independent random points, none twice; a small space is exhausted exactly."""

    def propose(self, number: int, trials: Sequence[Trial]) -> Point | None:
        return self.draw(number, trials)


class EvolutionOracle(SweepOracle):
    """Regularized evolution (Real et al. 2019): mutate the best of a few of the youngest.

    The first `population` trials are random. Each later one takes the best of `tournament` random
    members of the last `population` finished trials and changes one of its hyperparameters. Age, not
    merit, removes a member: a score that was luck does not stay for ever.

    Half of the population competes, not the paper's quarter: a search of a hundred trials has few
    generations. In tests/benchmarks/search_replay.py more selection ended nearer to the best, but for the
    tables where the luck of single trainings hides any difference.

    Args:
        population: Members.
        tournament: Members that compete to be the parent.
    """

    def __init__(self, *args, population=20, tournament=10, **kwargs):
        super().__init__(*args, **kwargs)
        self.population = population
        self.tournament = tournament

    @property
    def first_random(self) -> int:
        return self.population

    def propose(self, number: int, trials: Sequence[Trial]) -> Point | None:
        members = [trial for trial in trials if trial.finished][-self.population :]
        if number < self.first_random or not members:
            return self.draw(number, trials)
        random, taken = self.random(number), self.taken(trials)
        for attempt in range(spaces.ATTEMPTS):
            size = min(self.tournament, len(members))
            chosen = [members[i] for i in random.choice(len(members), size, replace=False)]
            parent = min(chosen, key=self.loss)
            # Where all neighbours have been tried, go further.
            child = self.space.mutate(parent.values, random, changes=1 + attempt // 20)
            if spaces.key(child) not in taken:
                return child
        return self.draw(number, trials)
