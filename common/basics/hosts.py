"""One training on several hosts with JAX: who takes part, who leads, what the leader decides for all.

A process on each host, each with all GPUs of its host, runs the same command. Process 0 leads: what looks
at files, or at a clock, is asked of it alone, and the others are told. Nothing here imports JAX until
`start`.
"""

from __future__ import annotations

import atexit
import collections
import contextlib
import os
import re
import signal
import sys
import threading
from collections.abc import Callable

from common.basics import lifeline, startup
from common.basics.errors import RecipeError, UsageError
from common.basics.places import ALONE, Place, found

HEARTBEAT_SECONDS = 30
"""After so long without a sign of life a process counts as dead: one that hangs, or its machine."""

MEETING_SECONDS = 300
"""So long each process waits for the others at the start."""

AGAIN = "Finished epochs are kept: the same command on all hosts goes on from there"
# A shorter message is filled up to a multiple of this, so that JAX compiles few sizes.
_FILLED = 4096

_asked = False
_place: Place | None = None
_over = False
_line: lifeline.Line | None = None
_at_end: list[Callable[[], object]] = []


# Who takes part


def refuse(what: str) -> None:
    """Refuses what cannot be shared by several processes, as searches.

    Args:
        what: Beginning of the message, e.g. "recipes tune".

    Raises:
        UsageError: The environment says that this process is one of several.
    """
    place = found()
    if place is not None:
        raise UsageError(
            f"{what} is not shared by the {place.count} processes that were started here: {ALONE}"
        )


def take_part(backend: str) -> bool:
    """Returns whether this process shares a training with others; then `start` will join them.

    Args:
        backend: Name of the Keras backend.

    Raises:
        UsageError: It does, and the backend is not JAX; or as `found`.
    """
    global _asked
    place = found()
    if place is None:
        return False
    if backend != "jax":
        raise UsageError(
            f"a training on several hosts ({place.count} processes) needs JAX, and the backend is "
            f"{backend}: put KERAS_BACKEND=jax before the command; or {ALONE}"
        )
    _asked = True
    return True


def asked() -> Place | None:
    """Returns the place of this process where `take_part` has found one."""
    return found() if _asked else None


# The processes together


def start() -> None:
    """Joins the other processes, where `take_part` has said so. Comes before anything else of JAX.

    Raises:
        RecipeError: They did not come, or process 0 cannot listen.
    """
    global _place, _line
    place = asked()
    if place is None or _place is not None:
        return
    import jax

    # JAX would catch SIGTERM, and a training that a scheduler ends would go on until it is killed.
    with contextlib.suppress(AttributeError):  # Older ones cannot be told not to.
        jax.config.update("jax_enable_preemption_service", False)
    # JAX would abort with a trace of C++.
    late = threading.Timer(MEETING_SECONDS, _end_late, [place])
    late.daemon = True
    late.start()
    try:
        jax.distributed.initialize(
            place.address,
            place.count,
            place.index,
            cluster_detection_method="deactivate",
            initialization_timeout=MEETING_SECONDS + 10,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        raise RecipeError(_not_met(place, _short(error))) from error
    finally:
        late.cancel()
    _place = place
    with startup.silent_stdout():
        send(b"")
    counts = collections.Counter(device.process_index for device in jax.devices())
    if len(set(counts.values())) > 1:
        raise UsageError(
            f"the hosts have {', '.join(map(str, counts.values()))} devices; each must bring as many "
            "as the others: CUDA_VISIBLE_DEVICES chooses"
        )
    _line = lifeline.meet(place, send, _lost)
    if not leads():
        # Ctrl-C in a terminal, and what a scheduler sends, reach all processes: the leader decides.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _not_met(place, why):
    return (
        f"process {place.index} of {place.count} did not meet the others at {place.address} ({why}): "
        "each host runs the same command, with a JAX_PROCESS_ID of its own, and reaches that address"
    )


def _end_late(place):
    why = f"not all came within {MEETING_SECONDS} s"
    os.write(2, f"error: {_not_met(place, why)}\n".encode())
    _leave(1, lifeline.FAILED)


def count() -> int:
    """Returns the number of processes that share this training; 1 on its own."""
    return _place.count if _place and not _over else 1


def leads() -> bool:
    """Returns whether this process writes the run folder and decides; so does one on its own.

    After `end` it is still the same one.
    """
    return _place is None or _place.index == 0


def send(data: bytes) -> bytes:
    """Returns the leader's bytes, in every process; what the others pass does not count."""
    if count() == 1:
        return data
    import numpy as np
    from jax.experimental import multihost_utils

    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(data) // _FILLED + 1)))
    # The first eight bytes are the length.
    whole = np.zeros(size * _FILLED + 8, "uint8")
    if leads():
        told = np.frombuffer(len(data).to_bytes(8, "little") + data, "uint8")
        whole[: len(told)] = told
    whole = np.asarray(multihost_utils.broadcast_one_to_all(whole))
    length = int.from_bytes(whole[:8].tobytes(), "little")
    return whole[8 : 8 + length].tobytes()


# The end


def explained(error: Exception) -> Exception:
    """Returns what to tell of an error that the end of another process has caused, else the error."""
    text = str(error)
    lost = re.search(r"gloo|nccl|closed by peer|reset by peer|coordination|heartbeat", text, re.I)
    if count() == 1 or isinstance(error, RecipeError) or not lost:
        return error
    if _line is not None:
        _line.hush()
    return RecipeError(
        f"another of the {count()} processes of this training has ended; its output says why, unless it "
        f"was killed or its machine is gone. {AGAIN} ({_short(error)})"
    )


def _lost(who: str, word: bytes) -> None:
    """Ends this process because another one did; called from the thread of the lifeline.

    Args:
        who: E.g. "process 1".
        word: What it said: INTERRUPTED, FAILED, or nothing where it was killed.
    """
    if _over and leads():
        return  # The others had nothing more to do than to wait.
    if word == lifeline.INTERRUPTED:
        _leave(130, word)
    with contextlib.suppress(OSError):
        how = (
            "ended with an error, which its output tells"
            if word == lifeline.FAILED
            else "was killed, or its machine is gone"
        )
        os.write(2, f"error: {who} {how}: the training on {count()} hosts ends. {AGAIN}\n".encode())
    _leave(1, lifeline.FAILED)


def at_end(function: Callable[[], object]) -> None:
    """Has a function called when this process ends, also where it must end at once."""
    _at_end.append(function)
    atexit.register(function)


def end() -> None:
    """Parts from the other processes, when all have come here: the leader goes on, on its own.

    The others wait until it says in `leave` that it has done its work. A scheduler that starts again what
    has failed then starts all of them.
    """
    global _over
    if count() == 1:
        return
    import jax

    jax.distributed.shutdown()
    _over = True
    if _line is not None and not leads():
        _line.wait()


def leave(code: int) -> None:
    """Tells the others that this process ends; while it shares a training, it ends here and at once.

    Python's own end would wait: JAX meets the other processes there.

    Args:
        code: The exit code.
    """
    if code == 0 and _over:
        word = lifeline.DONE
    else:
        word = lifeline.INTERRUPTED if code == 130 else lifeline.FAILED
    if count() > 1:
        _leave(code, word)
    if _line is not None:
        _line.say(word)


def _leave(code, word):
    if _line is not None:
        _line.say(word)
    for function in _at_end:
        with contextlib.suppress(Exception):
            function()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def _short(error):
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:200]} ..."
