"""What the processes of a training on several hosts must be at one about.

What looks at files or at a clock is asked of the leader, and told to all; what each has for itself, as
its data, is compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from common.basics import hosts
from common.basics.errors import RecipeError, UsageError
from common.basics.places import ALONE

T = TypeVar("T")


def agreed(decide: Callable[[], T]) -> T:
    """Returns what the leader's call of a function returns, in every process.

    Args:
        decide: Called in the leader only; returns what JSON can hold.

    Raises:
        RecipeError, UsageError: The leader's call raised it; in every process.
    """
    if hosts.count() == 1:
        return decide()
    answer: dict[str, Any] = {}
    if hosts.leads():
        try:
            answer["value"] = decide()
        except RecipeError as error:
            hosts.send(json.dumps({"error": str(error), "code": error.exit_code}).encode())
            raise
    answer = json.loads(hosts.send(json.dumps(answer).encode()))
    if "error" in answer:
        kind = UsageError if answer["code"] == UsageError.exit_code else RecipeError
        raise kind(answer["error"])
    value: T = answer["value"]
    return value


def same(what: str, value: str) -> None:
    """Checks that a text is the same in all processes.

    Args:
        what: What the message calls it, e.g. "the data".
        value: The text; it is shown.

    Raises:
        RecipeError: It differs from the leader's, in this process or another.
    """
    if hosts.count() == 1:
        return
    import numpy as np
    from jax.experimental import multihost_utils

    told = hosts.send(value.encode()).decode()
    differ = np.flatnonzero(multihost_utils.process_allgather(np.int32(told != value)))
    if len(differ):
        own = f"; here: {value}" if told != value else ""
        raise RecipeError(
            f"{what} of process {', '.join(map(str, differ))} differs from that of process 0: "
            f"{told}{own}. All hosts of one training need the same command and the same data; "
            f"{ALONE}"
        )
