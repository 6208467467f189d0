"""What failed trials say, and when a search has no hope because of it."""

from collections.abc import Sequence

from common.basics.errors import RecipeError
from common.tuning.store import FAILED, Trial

# Where nothing has worked yet and all say the same, the mistake is in the recipe, not in the values;
# where they say different things, that takes more of them to believe.
HOPELESS_SAME = 5
HOPELESS = 20


def reason(trial: Trial) -> str:
    """Returns the last line of a failed trial's message."""
    lines = (trial.message or "").strip().splitlines()
    return lines[-1] if lines else "no reason is known"


def check_hope(trials: Sequence[Trial]) -> None:
    """Raises a RecipeError where the first trials all failed, so that the next ones would as well."""
    if len(trials) < HOPELESS_SAME or any(trial.status != FAILED for trial in trials):
        return
    reasons = {reason(trial) for trial in trials}
    if len(reasons) == 1 or len(trials) >= HOPELESS:
        same = "for the same reason" if len(reasons) == 1 else "the last one so"
        raise RecipeError(
            f"the first {len(trials)} trials all failed, {same}: {reason(trials[-1])}. "
            "Mend that, then --fresh"
        )
