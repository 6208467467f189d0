"""Which processes are one training on several hosts: what the environment says.

Several processes are one training where the environment says so, and only for `recipes train`:

1. JAX_NUM_PROCESSES above 1, with JAX_COORDINATOR_ADDRESS and JAX_PROCESS_ID. 1 says that each process is
   on its own, whatever else is set.
2. Else SLURM, for a step that `srun` started with several tasks, one on each host
   (SLURM_STEP_NUM_TASKS equals SLURM_STEP_NUM_NODES and is above 1). What an array of jobs sets is not
   looked at: its jobs are trainings or searches of their own. Nor is a script of `sbatch` outside `srun`,
   nor a step with several tasks on a host.

JAX's own detection of SLURM is not used: it gives each process one GPU, and goes by SLURM_NTASKS, which
is not the number of tasks of the step.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping

from common.basics.errors import UsageError

ALONE = "JAX_NUM_PROCESSES=1 before the command gives each process a training or search of its own"
_VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


@dataclasses.dataclass(frozen=True)
class Place:
    """The place of a process among those of a training.

    Args:
        count: How many processes there are.
        index: Which one this is, from 0 on.
        address: HOST:PORT at which process 0 listens.
    """

    count: int
    index: int
    address: str


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
        job, step = (int(environment.get(f"SLURM_{name}", "0")) for name in ("JOB_ID", "STEP_ID"))
        port = 61440 + (job * 8 + step) % 4096
    address = f"{name}{listed or ''}{rest or ''}:{port}"
    return Place(int(tasks), int(environment["SLURM_PROCID"]), address)
