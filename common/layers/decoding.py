"""Greedy and beam search over any model that is asked for one token after the other.

The search knows a function `step` and no model. It is made of `keras.ops` alone, with the backend's own
loop, so that a whole search is one program (`common.basics.compiled`).
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

PADDING, START, END = 0, 2, 3
"""Ids that the search knows. The unknown token, 1, is to it one like any other."""
NEVER = -1e9
"""Log-probability of what must not be chosen; finite, because infinities can add up to NaN."""


def beam_search(
    step: Callable[[Any, Any, Any], tuple[Any, Any]],
    state: Any,
    context: Any,
    *,
    width: int,
    length: int,
    penalty: Any = 0.0,
) -> dict[str, Any]:
    """Looks for the most likely sequences; with a width of 1 greedily.

    An answer that has ended keeps its score and stays in the beam until better ones push it out. An
    answer that has not ended after `length` tokens counts as it is.

    Args:
        step: Function `(ids, state, context) -> (logits, state)`. It takes the last tokens, int32
            `(rows,)`, the state before them, and the context. It returns logits of the next tokens,
            `(rows, vocabulary)`, and the state after the last ones. A row is one answer of the beam.
        state: The state before the first token: nested tensors `(n, ...)` of n examples.
        context: What does not change, e.g. the encoded source: nested tensors `(n, ...)`.
        width: Answers kept for each example, from 1.
        length: Most tokens of an answer, END included.
        penalty: alpha of Wu et al. 2016, a number or a tensor. Answers are compared by
            log p / ((5 + tokens) / 6) ** alpha, where END counts as a token. With 0 they are compared
            by log p, which favours short ones.

    Returns:
        Tensors: "ids", int32 `(n, width, length)`, with 0 after END; "scores", by which the answers are
        compared, float32 `(n, width)`, best first; and "log_p", float32 `(n, width)`.
    """
    count = ops.shape(keras.tree.flatten(context)[0])[0]

    def widened(part):
        return ops.repeat(part, width, axis=0)

    state, context = keras.tree.map_structure(widened, (state, context))
    # A beam begins with one answer. Without this, the others would be its copies.
    only_first = ops.where(ops.arange(width) == 0, 0.0, NEVER)
    log_p = ops.zeros((count, 1)) + only_first[None]
    # The tokens come after START, which is cut off in the end.
    place = ops.arange(length + 1)
    ids = ops.zeros((count, width, 1), "int32") + ops.where(place == 0, START, 0)
    ended = ops.zeros((count, width), "bool")
    tokens = ops.zeros((count, width))

    def body(time, ids, log_p, ended, tokens, state):
        last = ops.sum(ops.where(place == time, ids, 0), axis=-1)
        logits, state = step(ops.reshape(last, (-1,)), state, context)
        size = logits.shape[-1]
        next_log_p = ops.reshape(ops.log_softmax(logits, axis=-1), (-1, width, size))
        # After END only padding follows, at no cost; before END there is none.
        padding = ops.arange(size) == PADDING
        free = ops.where(padding, 0.0, NEVER)
        next_log_p = ops.where(ended[..., None], free, ops.where(padding, NEVER, next_log_p))
        total = ops.reshape(log_p[..., None] + next_log_p, (-1, width * size))
        tokens = ops.where(ended, tokens, tokens + 1)
        divisor = ops.repeat(normaliser(tokens, penalty), size, axis=1)
        _, best = ops.top_k(total / divisor, width)
        best = ops.cast(best, "int32")
        beam, token = best // size, best % size

        def chosen(part):
            index = ops.reshape(beam, (-1, width) + (1,) * (len(part.shape) - 2))
            return ops.take_along_axis(part, index, axis=1)

        def chosen_state(part):
            parts = ops.reshape(part, (-1, width, *part.shape[1:]))
            return ops.reshape(chosen(parts), (-1, *part.shape[1:]))

        return (
            time + 1,
            ops.where(place == time + 1, token[..., None], chosen(ids)),
            ops.take_along_axis(total, best, axis=1),
            ops.logical_or(chosen(ended), token == END),
            chosen(tokens),
            keras.tree.map_structure(chosen_state, state),
        )

    def goes_on(time, ids, log_p, ended, tokens, state):
        return ops.logical_not(ops.all(ended))

    begin = (ops.convert_to_tensor(0, "int32"), ids, log_p, ended, tokens, state)
    _, ids, log_p, _, tokens, _ = ops.while_loop(goes_on, body, begin, maximum_iterations=length)
    return {"ids": ids[..., 1:], "scores": log_p / normaliser(tokens, penalty), "log_p": log_p}


def normaliser(tokens: Any, penalty: Any) -> Any:
    """Returns the divisor of an answer's log-probability, as of `beam_search`: a tensor like `tokens`.

    Args:
        tokens: Number of tokens of each answer, a float tensor of any shape.
        penalty: alpha, a number or a scalar tensor.
    """
    return ((5.0 + tokens) / 6.0) ** penalty
