"""trials.csv: a row for every trial of a sweep. It is written again after each trial."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from common.basics.files import write_text_atomic
from common.tuning.trial import Trial

COLUMNS = ("status", "score", "best_epoch", "epochs", "seconds", "failures")


def write_csv(path: Path, trials: Iterable[Trial], names: Sequence[str]) -> None:
    """Writes a row for each trial.

    Args:
        path: The file.
        trials: In the order of the rows.
        names: Names of all hyperparameters. The cell of one that is not active in a trial is empty.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", *COLUMNS, *names, "message"])
    for trial in trials:
        cells = [_rounded(getattr(trial, column)) for column in COLUMNS]
        message = (trial.message or "").splitlines()
        values = [trial.values.get(name, "") for name in names]
        writer.writerow([trial.number, *cells, *values, message[-1] if message else ""])
    write_text_atomic(path, text.getvalue())


def _rounded(value):
    return round(value, 6) if isinstance(value, float) else value
