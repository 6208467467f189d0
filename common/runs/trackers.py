"""The names of the trackers that a run can be logged to, and whether they are installed.

Nothing of them is imported here: `--help` and wrong flags answer without them.
"""

import importlib.util
from collections.abc import Iterable

from common.basics.errors import UsageError, near_match

TRACKERS = {
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "wandb": ("wandb",),
}
"""What each imports, by name."""


def names_in(text: str | None) -> tuple[str, ...]:
    """Returns the names of the trackers in the value of `--tracker`, e.g. "mlflow,tensorboard".

    Args:
        text: Names, separated by commas; None: no tracker.

    Raises:
        UsageError: A name is unknown.
    """
    found = [name.strip().lower() for name in (text or "").split(",") if name.strip()]
    for name in found:
        if name not in TRACKERS:
            raise UsageError(
                f"unknown tracker '{name}'{near_match(name, TRACKERS)} (there are: "
                f"{', '.join(TRACKERS)})"
            )
    return tuple(dict.fromkeys(found))


def check_installed(names: Iterable[str]) -> None:
    """Checks that trackers can be imported, before anything is read or trained.

    Args:
        names: As `names_in` returned them.

    Raises:
        UsageError: One is not installed.
    """
    for name in names:
        missing = [each for each in TRACKERS[name] if importlib.util.find_spec(each) is None]
        if missing:
            how = "`make setup`" if name == "tensorboard" else f"`make setup EXTRAS={name}`"
            raise UsageError(
                f"the tracker {name} needs {', '.join(missing)}, not installed: {how} installs it, or "
                "leave it out"
            )
