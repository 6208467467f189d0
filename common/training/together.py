"""The run of a training on several hosts: the leader's folder, and a temporary one in each other process.

All processes make the same calls, those of Keras above all: some of them wait for the others. What they
find in their folders must therefore be the same, and so the others begin with a copy of the leader's.
What they write is thrown away.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
import warnings
from pathlib import Path

from common.basics import agreement, hosts, streams
from common.basics.errors import RecipeError
from common.runs import config as configuration
from common.runs.run import Run
from common.training import private

# Written while a training goes on and never read by it, or written after it.
_NOT_READ = ("tensorboard", "wandb", "figures", "report.html", "tracking.json")


def begin(run: Run) -> Run | None:
    """Checks a run as `Run.check` does, for all processes together.

    Args:
        run: That of the command, not opened.

    Returns:
        In the leader the run itself. In another process one in a temporary folder that begins with what
        the leader's holds, has no tracker and no report, and is not seen: only errors are printed. Where
        only the report is missing, the processes part here: None in all but the leader.

    Raises:
        RecipeError: As `Run.check`, in every process; or the processes were given different commands.
    """
    agreement.same("the command", _asked(run))
    goes_on, trained = agreement.agreed(lambda: _state(run))
    if trained:
        hosts.end()
        return run if hosts.leads() else None
    held = hosts.send(_packed(run.directory) if goes_on and hosts.leads() else b"")
    if hosts.leads():
        return run
    _be_quiet()
    folder = Path(tempfile.mkdtemp(prefix="recipes-"))
    hosts.at_end(lambda: shutil.rmtree(folder, ignore_errors=True))
    if held:
        with tarfile.open(fileobj=io.BytesIO(held)) as archive:
            archive.extractall(folder, filter="data")
    options = dataclasses.replace(
        run.options,
        run_dir=folder,
        overwrite=False,
        tracker=None,
        tensorboard=False,
        report=False,
    )
    own = Run(run.recipe, run.asked, options, preset=run.preset)
    own.check()
    return own


def _state(run):
    """Returns whether the leader's folder holds a run to go on with, and if that only lacks a report."""
    held = run.check() is not None and not run.options.overwrite
    return [held, held and run.lacks_report]


def _asked(run):
    """Returns what must be the same in all commands."""
    callbacks = run.options.callbacks or ""
    fields = json.dumps(configuration.to_dict(run.asked), sort_keys=True)
    digest = hashlib.sha256(f"{fields} {callbacks}".encode()).hexdigest()[:8]
    return (
        f"{run.recipe}, preset {run.preset}, seed {run.asked.seed}, data {run.options.data}, "
        f"--devices {run.options.devices}, configuration {digest}"
    )


def _packed(directory):
    """Returns the files of a run folder that a training may read, as a tar archive."""
    packed = io.BytesIO()
    try:
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for path in sorted(directory.iterdir()):
                if path.name not in _NOT_READ and not path.name.startswith("."):
                    archive.add(path, path.name, filter=_open_to_all)
    except OSError as error:
        raise RecipeError(f"could not read {directory}: {error.strerror or error}") from error
    return packed.getvalue()


def _open_to_all(entry):
    # A process that is killed would leave it behind.
    return None if entry.name == private.SECRET else entry


def _be_quiet():
    streams.be_silent()
    warnings.simplefilter("ignore")
    # Native code writes there too.
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
