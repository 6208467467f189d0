"""What to search for the adding problem."""

from dataclasses import replace


def search_space(hp, base):
    """Returns the Config of a point of the space."""
    return replace(
        base,
        units=hp.Int("units", 4, 16, step=4),
        learning_rate=hp.Float("learning_rate", 1e-3, 0.1, step=10, sampling="log"),
    )
