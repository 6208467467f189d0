"""The ladder of attacks on a finished run: from cheap to strong, and checks that nothing is masked.

A robust accuracy is only as good as the strongest attack that was tried. So several are, and the figure
to quote is the minimum per image: an image counts if no attack has turned it. Networks can hide their
gradients without being robust (Athalye et al. 2018); the checks find that.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from common.basics.statistics import wilson_interval
from common.basics.wording import percent
from common.data.progress import progress
from common.training.attacks import Target, unit

STEPS, MANY = 20, 100
MARGIN_SHARE = 4
"""The margin attack has a quarter of the restarts."""
BLACK_BOX_GAP = 0.05
"""By so much the attack without gradients may beat those with; more looks like hidden gradients."""
NOISE = 0.01
"""By so much one step may beat many, by chance of the start."""
TURNED = 0.05
"""At most this share may withstand an attack that may change every pixel at will."""


@dataclasses.dataclass(frozen=True)
class Effort:
    """How hard an attack tries."""

    epsilon: float
    """Most that an image changes, in the norm of the target; black is 0, white is 1."""
    restarts: int = 20
    """Random starts of PGD-100, 1 or more."""
    queries: int = 5000
    """Answers per image to the Square attack, 1 or more."""
    seed: int = 0
    """Seed of the starts and squares."""


def climb(target: Target, images: np.ndarray, labels: np.ndarray, effort: Effort) -> dict[str, Any]:
    """Attacks images by every rung of the ladder.

    Args:
        target: The classifier.
        images: uint8 `(n, h, w, c)`.
        labels: Integers `(n,)`.
        effort: How hard to try.

    Returns:
        What attack.json holds: `rungs`, a list of dicts with name, accuracy, interval and whether the
        attack stood alone; `minimum`, likewise; `checks`, a list of dicts with name, passed and text.
    """
    begun = time.perf_counter()
    x, y, epsilon = unit(images), np.asarray(labels), effort.epsilon
    rungs: list[dict[str, Any]] = []

    def rung(name, held, alone=True):
        rungs.append({"name": name, "alone": alone, **_share(held)})
        print(f"{name:<24} {percent(float(held.mean())):>8}", flush=True)
        return held

    def pgd(rows, name, steps, *keys, **more):
        """Returns which of the rows withstand an attack, as flags of all images."""
        held = np.zeros(len(x), bool)
        random = np.random.default_rng([effort.seed, *keys]) if keys else None
        settings = {"epsilon": epsilon, "steps": steps, "size": 2.5 * epsilon / steps, **more}
        held[rows] = target.pgd(
            x[rows],
            y[rows],
            random=random,
            progress=_shown(name) if steps > 1 else None,
            **settings,
        )
        return held

    clean = rung("no attack", target.right(x, y))
    first = "FGSM" if target.norm == "linf" else "one step"
    one = rung(first, pgd(clean, first, 1, size=epsilon))
    twenty = rung(f"PGD-{STEPS}", pgd(clean, f"PGD-{STEPS}", STEPS, 1))
    left = one & twenty
    for restart in range(effort.restarts):
        left = pgd(left, f"PGD-{MANY}, start {restart + 1} of {effort.restarts}", MANY, 2, restart)
    rung(f"PGD-{MANY} x {effort.restarts}", left, alone=False)
    restarts = -(-effort.restarts // MARGIN_SHARE)
    for restart in range(restarts):
        name = f"margin, start {restart + 1} of {restarts}"
        left = pgd(left, name, MANY, 3, restart, loss="margin")
    rung(f"margin loss x {restarts}", left, alone=False)
    black = np.zeros(len(x), bool)
    black[clean] = target.square(
        x[clean],
        y[clean],
        epsilon=epsilon,
        queries=effort.queries,
        random=np.random.default_rng([effort.seed, 4]),
        progress=_shown("Square"),
    )
    rung(f"Square, {effort.queries:,} queries", black)
    # No two images are further apart.
    whole = 1.0 if target.norm == "linf" else float(np.prod(x.shape[1:])) ** 0.5
    anything = pgd(clean, "unbounded", STEPS, 5, epsilon=whole, size=2.5 * whole / STEPS)
    checks = _checks(*(float(held.mean()) for held in (one, twenty, left, black, anything)))
    for check in checks:
        print(f"{'passed' if check['passed'] else 'FAILED':<8} {check['text']}", flush=True)
    return {
        "norm": target.norm,
        **dataclasses.asdict(effort),
        "examples": len(x),
        "rungs": rungs,
        "minimum": _share(left & black),
        "checks": checks,
        "seconds": round(time.perf_counter() - begun, 1),
    }


def _checks(one, twenty, white, black, anything):
    """Returns the checks of accuracies under one step, many, all gradients, none, and no bound."""
    return [
        {
            "name": "one step does not beat many",
            "passed": one >= twenty - NOISE,
            "text": f"One step leaves {percent(one)} right, {STEPS} steps {percent(twenty)}.",
        },
        {
            "name": "no gradients do not beat gradients",
            "passed": black >= white - BLACK_BOX_GAP,
            "text": f"Without gradients {percent(black)} are left, with them {percent(white)}; "
            f"more than {100 * BLACK_BOX_GAP:.0f} points less would speak of hidden gradients.",
        },
        {
            "name": "an attack without bound turns everything",
            "passed": anything <= TURNED,
            "text": f"Where every pixel may change at will, {percent(anything)} are left right.",
        },
    ]


def _share(held):
    low, high = wilson_interval(int(held.sum()), len(held))
    return {
        "accuracy": round(float(held.mean()), 6),
        "interval": [round(low, 6), round(high, 6)],
        "held": int(held.sum()),
    }


def _shown(what):
    return lambda numbers, unit: progress(numbers, len(numbers), f"{what}, {unit}")
