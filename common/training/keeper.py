"""`RunKeeper` stores and restores the state of a training that must survive a kill."""

import csv
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from common.basics import arrays
from common.basics.errors import RecipeError
from common.basics.files import (
    atomic_path,
    could_not_write,
    parse_json,
    put_in_place,
    write_text_atomic,
)
from common.runs.headline import higher_is_better
from common.runs.run import Run
from common.training.averaging import averaged_weights


class RunKeeper(keras.callbacks.Callback):
    """Best checkpoint, backup, CSV log and early stopping, as one transaction per epoch.

    These four are one callback, so that they agree after a kill at any moment. (BackupAndRestore of
    Keras forgets the best score and then overwrites a better model: keras issue 17012.) All state is
    restored from `backup/state.npz`. At the end of an epoch, in this order:

    1. if the epoch is the best so far, its model is written to `best.pending-<epoch>.keras`;
    2. the backup is replaced: all weights, random states, optimizer state, and the history;
    3. the pending model becomes `best.keras`, and `history.csv` is written from the history.

    After a kill before 2 the epoch is repeated; after a kill later, resuming does step 3. The best epoch
    and the state of early stopping are computed from the history and not stored. The backup holds the
    checksum of the best model, so that the file of another epoch, e.g. from a copy, is not taken for it.

    Args:
        run: The files are written into its folder.
        monitor: History column that chooses the best epoch: the highest or the lowest, as
            `common.runs.headline.higher_is_better` says (an accuracy, a loss).
        patience: Epochs without improvement before training stops; None trains to the end.
    """

    def __init__(self, run: Run, monitor: str = "val_loss", patience: int | None = None) -> None:
        super().__init__()
        self.run = run
        self.monitor = monitor
        self.sign = -1.0 if higher_is_better(monitor) else 1.0
        self.patience = patience
        self.history: list[dict[str, float]] = []
        self.best_checksum: str | None = None
        self.backup_file: Path = run.path("backup/state.npz")
        self.best_file: Path = run.path("best.keras")

    @property
    def epochs_done(self) -> int:
        """Epochs completed, over all sessions."""
        return len(self.history)

    @property
    def best_epoch(self) -> int | None:
        """The best epoch so far, 1-based; the earliest of equal ones; None before the first epoch."""
        if not self.history:
            return None
        scores = [self.sign * float(row[self.monitor]) for row in self.history]
        return 1 + min(range(len(scores)), key=scores.__getitem__)

    @property
    def exhausted(self) -> bool:
        """Whether early stopping, or the run itself, ends the training here."""
        if self.patience is not None and self.epochs_done - (self.best_epoch or 0) >= self.patience:
            return True
        return self.run.stops(self.history)

    def _variables(self):
        # Random states (dropout) are among the model's variables.
        return [*self.model.variables, *self.model.optimizer.variables]

    def restore(self, model: keras.Model) -> None:
        """Continues from the backup, if there is one: weights, optimizer, random states, history.

        Raises:
            RecipeError: The backup cannot be read or belongs to another model.
        """
        self.set_model(model)
        model.optimizer.build(model.trainable_variables)
        if not self.backup_file.exists():
            self._remove(*self._pending_files(), self.best_file)
            return
        variables = self._variables()
        state, held = self._read_backup()
        if [list(array.shape) for array in held] != [list(v.shape) for v in variables]:
            raise RecipeError(
                f"the backup {self.backup_file} was made by another version of this model; "
                "--overwrite starts again"
            )
        for variable, array in zip(variables, held, strict=True):
            variable.assign(array)
        self.history = state["history"]
        self.best_checksum = state.get("best")
        if self._is_best(self._pending_file()):
            self._promote()
        self._remove(*self._pending_files())  # They belong to an epoch that is not in the backup.
        if not self.run.is_trial:  # The model of a trial is not used again.
            self._require_best()
        self._write_history()

    def _read_backup(self):
        """Returns what the backup holds: its state, a dict, and the arrays of all variables."""
        try:
            state = parse_json(str(arrays.read(self.backup_file, ["state"])["state"]))
            for row in state["history"]:
                float(row[self.monitor])
            names = [name for name in arrays.names(self.backup_file) if name != "state"]
            if not state["history"] or len(names) != state["count"]:
                raise ValueError("its parts are not of one epoch")
            names = [f"v{index}" for index in range(len(names))]
            return state, list(arrays.read(self.backup_file, names).values())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RecipeError(
                f"the backup {self.backup_file} is damaged ({error}); --overwrite starts again"
            ) from error

    def _is_best(self, file):
        """Returns whether a file is the model of the best epoch, as far as the backup tells."""
        if not file.is_file():
            return False
        if self.best_checksum is None:  # Older backups hold no checksum.
            return zipfile.is_zipfile(file)
        return checksum(file) == self.best_checksum

    def _require_best(self):
        """Checks best.keras, and writes it again where the backup has its weights.

        Raises:
            RecipeError: It is of another epoch, damaged or gone, and its epoch is over.
        """
        if self._is_best(self.best_file):
            self.best_checksum = checksum(self.best_file)
            return
        # The backup does not hold the statistics of an average of weights.
        if self.best_epoch == self.epochs_done and not self.model.optimizer.use_ema:
            print(f"{self.best_file} is not whole: written again from the backup.", flush=True)
            self._store(improved=True)
            return
        what = "is absent"
        if self.best_file.exists():
            what = f"is damaged, or not of epoch {self.best_epoch}, the best one by the backup"
        raise RecipeError(
            f"{self.best_file} {what}; put it back from a copy, or delete {self.backup_file} and "
            "repeat the command, which trains again from the first epoch"
        )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        row = {"epoch": epoch + 1} | {name: float(value) for name, value in (logs or {}).items()}
        self.history.append(row)
        self._store(improved=self.best_epoch == self.epochs_done)
        self._write_history()
        if self.exhausted:
            self.model.stop_training = True

    def _store(self, improved):
        if improved:
            with averaged_weights(self.model), atomic_path(self._pending_file()) as temporary:
                self.model.save(temporary)
                self.best_checksum = checksum(temporary)
        self._write_backup()
        if improved:
            self._promote()

    def _pending_file(self):
        # The name holds the epoch: after a kill, the model of an epoch that was never backed up must not
        # be taken for the best.
        return self.run.path(f"best.pending-{self.epochs_done}.keras")

    def _pending_files(self):
        return list(self.best_file.parent.glob("best.pending-*.keras"))

    def _remove(self, *files):
        for file in files:
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                raise could_not_write(file, error) from error

    def _promote(self):
        try:
            put_in_place(self._pending_file(), self.best_file)
        except OSError as error:
            raise could_not_write(self.best_file, error) from error

    def _write_backup(self):
        values = [keras.ops.convert_to_numpy(variable.value) for variable in self._variables()]
        state = {"count": len(values), "history": self.history, "best": self.best_checksum}
        named = {f"v{index}": value for index, value in enumerate(values)}
        with atomic_path(self.backup_file) as temporary:
            np.savez(temporary, state=json.dumps(state), **named)

    def _write_history(self):
        names = list(dict.fromkeys(name for row in self.history for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.history)
        write_text_atomic(self.run.path("history.csv"), text.getvalue())


def checksum(file: Path) -> str:
    """Returns the SHA-256 of a file, hexadecimal."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
