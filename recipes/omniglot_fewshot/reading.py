"""From the data to characters, and from characters to tasks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from common import data
from common.basics.errors import RecipeError, UsageError
from common.basics.flags import flag
from common.data.augment import random_affine

from .episodes import Characters, draw, labels_of, prepared, tasks_of, turned
from .form import SHOT, TEST_TASKS, VALIDATION_TASKS, WAY

if TYPE_CHECKING:
    from .train import Config

MOST_SHOT = 5
"""Most known drawings of a character in a test task."""
LEAST_CLASSES = 3 * WAY
"""Of the user's own data: five to test on, five to validate on, five to learn from."""


def read(
    data_set: data.ImageSet,
    source: data.Source,
    adaptation: dict[str, Any],
    validation: tuple[str, ...],
    test: tuple[str, ...],
) -> data.Splits:
    """Returns the Splits of `load_data`.

    Args:
        data_set: The real set.
        source: Where the data comes from.
        adaptation: `steps` and `rate` of Tasks.
        validation, test: How the names of the alphabets begin that are held out.
    """
    parts, about = {
        "full": lambda: _real(data_set, source, validation, test),
        "sample": _made_up,
    }.get(source.data, lambda: _own(data_set, source))()
    learnt, chosen, tested = parts
    val = _tasks(chosen(), VALIDATION_TASKS, 1, adaptation)
    train = learnt()
    # Other tasks on the same files are other data.
    fingerprint = hashlib.sha256(f"{about.pop('fingerprint')} {WAY} {SHOT} 1".encode()).hexdigest()
    info = data.DataInfo(
        fingerprint=fingerprint,
        kind="task",
        class_names=(),
        counts={"train": len(train.labels), "validation": len(val), "test": TEST_TASKS},
        **about,
    )
    return data.Splits(
        data.Split(train.images, train.labels),
        val,
        lambda: _tasks(tested(), TEST_TASKS, 2, adaptation),
        info,
    )


def _tasks(characters, count, seed, adaptation):
    tasks = tasks_of(characters, count, WAY, SHOT, seed, **adaptation)
    return data.Split(tasks, tasks.chosen)


def alphabet_of(name: str) -> str:
    """Returns the alphabet in the name of a character: "Greek" of "Greek/character01" or "Greek_1"."""
    return re.sub(r"[/_](character)?\d+$", "", name)


def characters_of(images: np.ndarray, labels: np.ndarray, names: list[str]) -> Characters:
    """Returns the characters that occur, numbered from 0.

    Args:
        images: uint8 `(n, 28, 28, 1)`.
        labels: Indices into `names`, `(n,)`.
        names: Alphabet of each character.
    """
    held, numbers = np.unique(labels, return_inverse=True)
    alphabets, places = np.unique([names[label] for label in held], return_inverse=True)
    return Characters(prepared(images), numbers.astype("int32"), places, tuple(map(str, alphabets)))


def _real(data_set, source, validation, test):
    from common.data import full
    from common.data.images import convert

    found = full.load(data_set, source.data_dir)
    alphabets = [alphabet_of(name) for name in found.class_names]

    def part(split, wanted):
        held = np.flatnonzero([wanted(alphabets[label]) for label in split.y])
        images = convert(np.asarray(split.x)[held], data_set.image_size, data_set.channels)
        return characters_of(images, split.y[held], alphabets)

    parts = (
        lambda: part(found.train, lambda name: not name.startswith(validation)),
        lambda: part(found.train, lambda name: name.startswith(validation)),
        lambda: part(found.load_test(), lambda name: name.startswith(test)),
    )
    about = {name: getattr(found, name) for name in ("name", "version", "source", "label", "note")}
    note = (
        "The small splits hold 136 and 106 characters to learn from and to test on; published figures "
        "rest on about 1,200 to learn from."
    )
    return parts, {**about, "note": note, "fingerprint": found.fingerprint}


def _made_up():
    from common.data.sample import NOTE

    from .glyphs import ALPHABETS, glyphs

    whole = glyphs()
    # Two alphabets of each kind of stroke to learn from.
    held = (ALPHABETS - 2, ALPHABETS - 1)
    parts = [
        lambda wanted=wanted: whole.keep(wanted)
        for wanted in (
            ~np.isin(whole.alphabets, (1, *held)),
            whole.alphabets == 1,
            np.isin(whole.alphabets, held),
        )
    ]
    return parts, {
        "name": "sample-glyphs",
        "version": "1",
        "source": "sample",
        "label": "SAMPLE DATA: made-up characters",
        "note": NOTE,
        "fingerprint": hashlib.sha256(whole.images.tobytes()).hexdigest(),
    }


def _own(data_set, source):
    from common.data import own

    for name in ("time_column", "test_fraction"):
        if name in source.reading.to_dict():
            raise UsageError(
                f"{flag(name)} decides which examples are tested on, and here whole classes are: leave "
                "it out"
            )
    found = own.load_images(source.data, data_set.image_size, data_set.channels, source.reading)
    splits = found.train, found.load_test()
    images, labels = (
        np.concatenate(part) for part in zip(*((s.x, s.y) for s in splits), strict=True)
    )
    # Each class is an alphabet of its own: the interval over alphabets is one over classes.
    whole = characters_of(images, labels, found.class_names)
    needed = f"{found.label}: few-shot learning needs"
    if len(whole) < LEAST_CLASSES:
        raise RecipeError(
            f"{needed} at least {LEAST_CLASSES} class folders, {WAY} to test on, {WAY} to validate on "
            f"and {WAY} to learn from, and better some dozens; found {len(whole)}"
        )
    if whole.fewest <= MOST_SHOT:
        raise RecipeError(
            f"{needed} at least {MOST_SHOT + 1} images of each class; one has {whole.fewest}. Add some "
            "or drop the class"
        )
    order = np.random.RandomState(0).permutation(len(whole))
    quarter = max(len(whole) // 4, WAY)
    held = np.zeros(len(whole), int)
    held[order[:quarter]], held[order[quarter : 2 * quarter]] = 2, 1
    parts = [lambda part=part: whole.keep(held == part) for part in range(3)]
    return parts, {
        "name": found.name,
        "version": "",
        "source": "own",
        "label": found.label,
        "note": "",
        "fingerprint": found.fingerprint,
        "reading": found.reading,
        "remarks": found.remarks,
    }


def task_maker(
    split: data.Split, config: Config
) -> Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray]]:
    """Returns the function that `GeneratedBatches` makes training tasks with.

    Args:
        split: Drawings and their characters.
        config: Its `way`, `shot`, `query` and the distortions say what a task is.

    Raises:
        RecipeError: A character has too few drawings.
    """
    count = int(split.y.max()) + 1
    characters = Characters(split.x, split.y, np.zeros(count, int), ("",))
    if config.rotations:
        characters = turned(characters)
    drawings = config.shot + config.query
    if characters.fewest < drawings:
        raise RecipeError(
            f"a training task takes {config.shot} + {config.query} drawings of a character, and one has "
            f"{characters.fewest}: lower --shot or --query"
        )
    rows = characters.rows
    way = min(config.way, len(rows)) if config.learner == "prototypes" else WAY

    def make(count, random):
        places = [draw(rows, way, drawings, random)[1] for _ in range(count)]
        images = characters.images[np.stack(places)]
        flat = images.reshape(-1, *images.shape[3:])
        flat = random_affine(flat, random, config.rotation, config.scale, config.shift)
        return flat.reshape(images.shape), labels_of(count, way, config.query)

    return make
