"""Who is heard in the test split: one person whom training never hears, or other takes of all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from common.basics.errors import RecipeError

if TYPE_CHECKING:
    from .train import Config

TEST_TAKES = 5
"""With `split` take, takes 0 to 4 of every word are the test split, as the set's authors propose."""


def hold_out(config: Config, names: list[str]) -> tuple[np.ndarray, np.ndarray | None]:
    """Chooses the test split, and the groups of the validation cut.

    Args:
        config: Hyperparameters.
        names: Names of the files, `WORD_PERSON_TAKE.wav`.

    Returns:
        Which clips are tested on, bool `(n,)`; and each clip's person as a number, `(n,)`, if validation
        takes whole people, else None.

    Raises:
        RecipeError: A name has another form, or no person has the number `held_out`.
    """
    speakers, takes = [], []
    for name in names:
        found = re.fullmatch(r"\d+_(.+)_(\d+)\.wav", name)
        if found is None:
            raise RecipeError(
                "expected names of files such as 3_george_7.wav (word, person, take), got " + name
            )
        speakers.append(found[1])
        takes.append(int(found[2]))
    people, person = np.unique(speakers, return_inverse=True)
    if config.held_out is not None and config.held_out >= len(people):
        raise RecipeError(
            f"held_out must be 0 to {len(people) - 1} ({', '.join(people)}), got {config.held_out}"
        )
    if config.split == "take":
        held = np.array(takes) < TEST_TAKES
    else:
        chosen = config.seed if config.held_out is None else config.held_out
        held = person == chosen % len(people)
    return held, person if config.validate_on == "speaker" else None
