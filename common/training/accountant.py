"""What DP-SGD guarantees: epsilon of a noise, and the noise for an epsilon, by dp-accounting.

The guarantee is (epsilon, delta)-differential privacy, where data sets are neighbours if one has an
example more than the other. It is found from the distribution of the privacy loss (PLD), which is tighter
than Rényi's divergences and rounds to the safe side.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from common.basics.errors import UsageError

PRECISION = 1e-3
"""How near the noise is to the least that suffices."""


def installed() -> bool:
    """Returns whether the library is there."""
    return importlib.util.find_spec("dp_accounting") is not None


def require() -> None:
    """Checks that the library is there.

    Raises:
        UsageError: It is not; the message says what installs it.
    """
    if not installed():
        raise UsageError(
            "finding the noise for target_epsilon needs dp-accounting, which is not installed: "
            "`pip install -e .[privacy]` in the clone, or `make setup EXTRAS=privacy`; or give "
            "--noise-multiplier, whose epsilon is then not known"
        )


def noise_for(epsilon: float, *, delta: float, rate: float, steps: int) -> float:
    """Returns the least noise multiplier with which a training has at most this epsilon.

    Args:
        epsilon: Above 0.
        delta: Probability with which the bound by epsilon may fail.
        rate: Probability of an example to be in a batch.
        steps: Steps of the whole training.

    Raises:
        UsageError: dp-accounting is not installed.
    """
    require()
    import dp_accounting
    from dp_accounting import pld

    found = dp_accounting.calibrate_dp_mechanism(
        pld.PLDAccountant, lambda noise: _event(noise, rate, steps), epsilon, delta, tol=PRECISION
    )
    return float(found)


def epsilon_of(
    noise: float, *, delta: float, rate: float, steps: int, by: str = "pld"
) -> float | None:
    """Returns the epsilon of a training; None where it has none because there is no noise.

    Args:
        noise: Standard deviation of the noise over the longest gradient of an example.
        delta: As of `noise_for`.
        rate: As of `noise_for`.
        steps: As of `noise_for`.
        by: "pld", or "rdp": Rényi's divergences, for comparison.

    Raises:
        UsageError: dp-accounting is not installed.
    """
    require()
    from dp_accounting import pld, rdp

    if not noise:
        return None
    accountant = pld.PLDAccountant() if by == "pld" else rdp.RdpAccountant()
    return float(accountant.compose(_event(noise, rate, steps)).get_epsilon(delta))


def version() -> str:
    """Returns the version of dp-accounting."""
    import importlib.metadata

    return importlib.metadata.version("dp-accounting")


def _event(noise: float, rate: float, steps: int) -> Any:
    import dp_accounting

    step = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
    return dp_accounting.SelfComposedDpEvent(step, steps)
