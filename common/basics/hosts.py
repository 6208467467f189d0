"""One training on several hosts with JAX: who takes part, who leads, what the leader decides for all.

A process on each host, each with all GPUs of its host, runs the same command. Process 0 leads: what looks
at files, or at a clock, is asked of it alone, and the others are told. Nothing here imports JAX until
`start`.

Several processes are one training where the environment says so, and only for `recipes train`:

1. JAX_NUM_PROCESSES above 1, with JAX_COORDINATOR_ADDRESS and JAX_PROCESS_ID. 1 says that each process is
   on its own, whatever else is set.
2. Else SLURM, for a step that `srun` started with several tasks, one on each host
   (SLURM_STEP_NUM_TASKS equals SLURM_STEP_NUM_NODES and is above 1). What an array of jobs sets is not
   looked at: its jobs are trainings or searches of their own. Nor is a script of `sbatch` outside `srun`,
   nor a step with several tasks on a host.

JAX's own detection of SLURM is not used: it gives each process one GPU, and starts with any SLURM_NTASKS.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from common.basics import lifeline, startup
from common.basics.errors import RecipeError, UsageError

T = TypeVar("T")

HEARTBEAT_SECONDS = 30
"""After so long without a sign of life a process counts as dead: one that hangs, or whose machine does."""

ALONE = "JAX_NUM_PROCESSES=1 before the command gives each process a training or search of its own"
AGAIN = "Finished epochs are kept: the same command on all hosts goes on from there"
_VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
# A shorter message is filled up to a multiple of this, so that JAX compiles few sizes.
_FILLED = 4096


class Place(NamedTuple):
    """The place of a process among those of a training: how many, which one, where the first one is."""

    count: int
    index: int
    address: str
    """HOST:PORT at which process 0 listens."""


_asked = False
_place: Place | None = None
_over = False
_line: lifeline.Line | None = None
_at_end: list[Callable[[], object]] = []


# What the environment says


def found(environment: Mapping[str, str] = os.environ) -> Place | None:
    """Returns the place of this process by the environment; None where it is on its own.

    Args:
        environment: Its variables.

    Raises:
        UsageError: The variables of JAX are incomplete or no numbers.
    """
    if any(environment.get(name) for name in _VARIABLES):
        return _by_jax(environment)
    return _by_slurm(environment)


def _by_jax(environment):
    address, count, index = (environment.get(name, "") for name in _VARIABLES)
    if count == "1":
        return None
    if not (count.isdecimal() and index.isdecimal() and int(index) < int(count)):
        raise UsageError(
            "one training on several hosts needs JAX_NUM_PROCESSES and, on each, another "
            f"JAX_PROCESS_ID from 0 on; they are '{count}' and '{index}' ({ALONE})"
        )
    if not re.fullmatch(r".+:\d+", address):
        raise UsageError(
            "JAX_COORDINATOR_ADDRESS must be HOST:PORT of the machine of process 0, "
            f"got '{address}'"
        )
    return Place(int(count), int(index), address)


def _by_slurm(environment):
    tasks = environment.get("SLURM_STEP_NUM_TASKS", "1")
    nodes = environment.get("SLURM_STEP_NODELIST")
    if tasks == "1" or tasks != environment.get("SLURM_STEP_NUM_NODES") or not nodes:
        return None
    # node7,node9 or node[07-09,12] or node[07-09]-ib
    name, listed, rest = re.fullmatch(r"([^,\[]+)(?:\[(\w+)[^\]]*\]([^,]*))?.*", nodes).groups()
    port = environment.get("JAX_COORDINATOR_PORT")
    if not port:
        # The same on all hosts, and another one for each step: of those that few programs choose.
        job, step = (
            int(environment.get(f"SLURM_{name}", "0")) for name in ("JOB_ID", "STEP_ID")
        )
        port = 61440 + (job * 8 + step) % 4096
    address = f"{name}{listed or ''}{rest or ''}:{port}"
    return Place(int(tasks), int(environment["SLURM_PROCID"]), address)


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
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            place.address,
            place.count,
            place.index,
            cluster_detection_method="deactivate",
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        raise RecipeError(
            f"process {place.index} of {place.count} did not meet the others at {place.address} "
            f"({_short(error)}); start the same command on every host within five minutes, each "
            "with its own JAX_PROCESS_ID"
        ) from error
    _place = place
    with startup.silent_stdout():
        send(b"")
    counts = {device.process_index: 0 for device in jax.devices()}
    for device in jax.devices():
        counts[device.process_index] += 1
    if len(set(counts.values())) > 1:
        raise UsageError(
            f"the hosts have {', '.join(map(str, counts.values()))} devices; each must bring as many "
            "as the others: CUDA_VISIBLE_DEVICES chooses"
        )
    _line = lifeline.meet(place, send, _lost)
    if not leads():
        # Ctrl-C in a terminal, and what a scheduler sends, reach all processes: the leader decides.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def count() -> int:
    """Returns the number of processes that share this training; 1 on its own."""
    return _place.count if _place and not _over else 1


def leads() -> bool:
    """Returns whether this process writes the run folder and decides; so does one on its own.

    After `end` it is still the same one.
    """
    return _place is None or _place.index == 0


def agreed(decide: Callable[[], T]) -> T:
    """Returns what the leader's call of a function returns, in every process.

    Args:
        decide: Called in the leader only; returns what JSON can hold.

    Raises:
        RecipeError, UsageError: The leader's call raised it; in every process.
    """
    if count() == 1:
        return decide()
    answer: dict[str, Any] = {}
    if leads():
        try:
            answer["value"] = decide()
        except RecipeError as error:
            send(json.dumps({"error": str(error), "code": error.exit_code}).encode())
            raise
    answer = json.loads(send(json.dumps(answer).encode()))
    if "error" in answer:
        kind = UsageError if answer["code"] == UsageError.exit_code else RecipeError
        raise kind(answer["error"])
    value: T = answer["value"]
    return value


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


def same(what: str, value: str) -> None:
    """Checks that a text is the same in all processes.

    Args:
        what: What the message calls it, e.g. "the data".
        value: The text; it is shown.

    Raises:
        RecipeError: It differs from the leader's, in this process or another.
    """
    if count() == 1:
        return
    import numpy as np
    from jax.experimental import multihost_utils

    told = send(value.encode()).decode()
    differ = np.flatnonzero(multihost_utils.process_allgather(np.int32(told != value)))
    if len(differ):
        own = f"; here: {value}" if told != value else ""
        raise RecipeError(
            f"{what} of process {', '.join(map(str, differ))} differs from that of process 0: "
            f"{told}{own}. All hosts of one training need the same command and the same data; "
            f"{ALONE}"
        )


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
    """Parts from the other processes, when all have come here. What follows, each does on its own."""
    global _over
    if count() == 1:
        return
    import jax

    jax.distributed.shutdown()
    _over = True
    if _line is not None:
        _line.say(lifeline.DONE)


def leave(code: int) -> None:
    """Ends this process at once, if it still shares a training: the others must not wait for it.

    Python's own end would: JAX meets the other processes there.

    Args:
        code: The exit code.
    """
    if count() > 1:
        _leave(code, lifeline.INTERRUPTED if code == 130 else lifeline.FAILED)


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
