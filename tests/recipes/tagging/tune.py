"""What to search for rises and falls."""

from dataclasses import replace


def search_space(hp, base):
    """Returns the Config of a point of the space."""
    return replace(base, units=hp.Int("units", 4, 16, step=4))
