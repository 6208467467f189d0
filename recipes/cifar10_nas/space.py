"""The space of architectures: five choices of four operations, 1,024 networks in order.

Nothing here imports Keras.
"""

from __future__ import annotations

from typing import Literal, get_args

from common.basics.errors import UsageError, near_match

Operation = Literal["conv3", "conv1", "pool", "skip"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
"""3 x 3 or 1 x 1 convolution, each normalised and with a ReLU; average over 3 x 3; nothing at all."""
STAGES = (2, 2, 1)
"""Choices at 16 x 16, 8 x 8 and 4 x 4 pixels."""
CHOICES = sum(STAGES)
NETWORKS = len(OPERATIONS) ** CHOICES


def check(operations: tuple[str, ...]) -> None:
    """Checks that these are the operations of a network.

    Raises:
        UsageError: There are not CHOICES of them, or one is unknown.
    """
    if len(operations) != CHOICES:
        raise UsageError(f"operations must be {CHOICES} words, got {len(operations)}")
    for word in operations:
        if word not in OPERATIONS:
            raise UsageError(
                f"operations: unknown '{word}'{near_match(word, OPERATIONS)} "
                f"(there are: {', '.join(OPERATIONS)})"
            )


def network(index: int) -> tuple[Operation, ...]:
    """Returns the operations of a network; the last choice changes the fastest.

    Args:
        index: 0 to NETWORKS - 1.

    Raises:
        IndexError: There is no such network.
    """
    if not 0 <= index < NETWORKS:
        raise IndexError(index)
    digits = []
    for _ in range(CHOICES):
        index, digit = divmod(index, len(OPERATIONS))
        digits.append(OPERATIONS[digit])
    return tuple(reversed(digits))


def index_of(operations: tuple[str, ...]) -> int:
    """Returns the index of a network, 0 to NETWORKS - 1.

    Raises:
        UsageError: As `check`.
    """
    check(operations)
    index = 0
    for word in operations:
        index = index * len(OPERATIONS) + OPERATIONS.index(word)
    return index


def plain_form(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
    """Returns the same network with the skips of each stage last.

    A skip does nothing, so where in its stage it stands makes no difference: the 1,024 networks are 676
    different ones. Two networks of one plain form, with one seed, train to the same weights.
    """
    form: list[Operation] = []
    for count in STAGES:
        form += sorted(operations[len(form) : len(form) + count], key=lambda word: word == "skip")
    return tuple(form)
