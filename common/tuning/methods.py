"""Grid, random and evolutionary search."""

import math
from collections.abc import Sequence

from common.tuning import space as spaces
from common.tuning.oracle import SweepOracle
from common.tuning.ranges import Point
from common.tuning.trial import Trial


class GridOracle(SweepOracle):
    """Every point of a finite space, once.

    The points come in steps of the golden ratio, so that a grid that is cut short is an even sample of
    the space, not a corner of it. The seed chooses the first point. How good a cut grid is depends on
    that, and searches with other seeds show how much.
    """

    def propose(self, number: int, trials: Sequence[Trial]) -> Point | None:
        self.space.require_finite()
        size = int(self.space.size)
        if number >= size:
            return None
        return self.space.point((start(size, self.seed) + number * stride(size)) % size)


def start(size: int, seed: int) -> int:
    """Returns the index of a grid's first point: 0 for seed 0, and spread out for other seeds."""
    return int(seed * 0.7548776662 % 1 * size)


def stride(size: int) -> int:
    """Returns a step near size / golden ratio that has no factor in common with size.

    Such a step, modulo size, visits each index once.
    """
    step = max(round(size * 0.6180339887), 1)
    while math.gcd(step, size) != 1:
        step += 1
    return step


class RandomOracle(SweepOracle):
    """Independent random points, none of them twice; all points of a small space are drawn in the end."""

    def propose(self, number: int, trials: Sequence[Trial]) -> Point | None:
        return self.draw(number, trials)


class EvolutionOracle(SweepOracle):
    """Regularized evolution (Real et al. 2019): mutates the best of a few recent trials.

    The first `population` trials are random. After them, the population is the last `population`
    finished trials. A new trial takes the best of `tournament` random members and changes one of its
    hyperparameters. Members leave by age, so that a lucky score does not stay for ever.

    Half of the population competes; in the paper it is a quarter. A search of a hundred trials has few
    generations, and in tests/benchmarks/search_replay.py stronger selection came nearer to the best,
    except on tables with much noise.

    Args:
        population: Number of members.
        tournament: Number of members that compete to be the parent.
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
            # After many attempts, change more values: all neighbours may have been tried.
            child = self.space.mutate(parent.values, random, changes=1 + attempt // 20)
            if spaces.key(child) not in taken:
                return child
        return self.draw(number, trials)
