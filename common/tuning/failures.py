"""Why trials failed, and when a search stops because all of them do."""

from collections.abc import Sequence

from common.basics.errors import RecipeError
from common.tuning.trial import FAILED, Trial

# If so many trials all fail for the same reason, the mistake is in the recipe, not in the values.
HOPELESS_SAME = 5
# If so many trials all fail, for whatever reasons, the search stops as well.
HOPELESS = 20


def reason(trial: Trial) -> str:
    """Returns why a trial failed: the last line of its message."""
    lines = (trial.message or "").strip().splitlines()
    return lines[-1] if lines else "no reason is known"


def check_hope(trials: Sequence[Trial]) -> None:
    """Stops a search whose first trials all failed: the next ones would fail as well.

    Args:
        trials: All trials of the search.

    Raises:
        RecipeError: All failed, HOPELESS_SAME or more for one reason, or HOPELESS or more for any.
    """
    if len(trials) < HOPELESS_SAME or any(trial.status != FAILED for trial in trials):
        return
    reasons = {reason(trial) for trial in trials}
    if len(reasons) == 1 or len(trials) >= HOPELESS:
        same = "for the same reason" if len(reasons) == 1 else "the last one so"
        raise RecipeError(
            f"the first {len(trials)} trials all failed, {same}: {reason(trials[-1])}. "
            "Mend that, then --fresh"
        )
