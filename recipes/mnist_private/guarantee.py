"""How much noise a training needs, and what it guarantees: numbers of the accountant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.basics.errors import UsageError
from common.training import accountant

if TYPE_CHECKING:
    from .train import Config


def sampling(config: Config, examples: int, epochs: int) -> dict[str, Any]:
    """Returns the probability of an image to be in a batch, and the number of steps of some epochs."""
    batch_size = min(config.batch_size, examples)
    return {"rate": batch_size / examples, "steps": epochs * -(-examples // batch_size)}


def noise_of(config: Config, examples: int) -> float:
    """Returns the noise multiplier of a training on so many images.

    Raises:
        UsageError: dp-accounting is needed and not installed, or delta is too large.
    """
    if config.delta * examples >= 1:
        raise UsageError(
            f"delta must be below 1 / examples, got {config.delta:g} with {examples:,} examples: that "
            "allows publishing one of them"
        )
    if config.noise_multiplier is not None:
        return config.noise_multiplier
    return accountant.noise_for(
        config.target_epsilon, delta=config.delta, **sampling(config, examples, config.epochs)
    )


def guarantee(config: Config, examples: int, epochs: int, noise: float) -> dict[str, Any]:
    """Returns the "privacy" of metrics.json: what the epochs that ran guarantee, plain numbers."""
    drawn = sampling(config, examples, epochs)
    known = accountant.installed() and noise > 0
    epsilon = accountant.epsilon_of(noise, delta=config.delta, **drawn) if known else None
    return {
        "epsilon": None if epsilon is None else round(epsilon, 6),
        "delta": config.delta,
        "noise_multiplier": round(noise, 6),
        "clip_norm": config.clip_norm,
        "sampling_rate": round(drawn["rate"], 6),
        "steps": drawn["steps"],
        "epochs": epochs,
        "examples": examples,
        "secret": config.secret,
        "chosen": config.monitor != "epoch",
        "accountant": f"dp-accounting {accountant.version()}, PLD" if known else None,
    }
