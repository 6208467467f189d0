"""TensorBoard logs in the run folder, written without TensorFlow: scalars and hyperparameters.

They are written again from the run's history where a run is resumed, so that no epoch is there twice.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.training.tracked import Subject


class TensorBoard:
    """The folders `train` and `validation` with scalars by epoch; above them the final figures."""

    title = "TensorBoard"

    def open(self, subject: Subject, held: dict[str, Any]) -> None:
        """As of Tracker."""
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        root = subject.folder / "tensorboard"
        self.folder = root / subject.branch
        # Beside the trials of a search lie the trainings with new seeds.
        self.shown = subject.folder if subject.kind == "sweep" else root
        for old in (*self.folder.glob("events.out.*"), *self.folder.glob("*/events.out.*")):
            if old.parent == self.folder or old.parent.name in ("train", "validation"):
                old.unlink()
        self._writers: dict[str, Any] = {}
        self._done = 0
        plain = (bool, int, float, str)
        parameters = {
            name: value if isinstance(value, plain) else str(value)
            for name, value in subject.parameters.items()
        }
        self._event("", 0, hparams_pb(parameters, trial_id=subject.key))

    def _event(self, place, step, summary):
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if place not in self._writers:
            self._writers[place] = EventFileWriter(str(self.folder / place))
        self._writers[place].add_event(Event(wall_time=time.time(), step=step, summary=summary))

    def _scalar(self, place, name, value, step):
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.scalar.metadata import create_summary_metadata

        # As Keras' own callback names them.
        metadata = create_summary_metadata(display_name=name, description="")
        entry = Summary.Value(tag=name, metadata=metadata, simple_value=value)
        self._event(place, step, Summary(value=[entry]))

    def log(self, rows: Sequence[Mapping[str, float]]) -> None:
        """As of Tracker."""
        for row in rows[self._done :]:
            for name, value in row.items():
                fold, slash, column = name.rpartition("/")
                place = "validation" if column.startswith("val_") else "train"
                tag = f"{fold}{slash}epoch_{column.removeprefix('val_')}"
                if name != "epoch":
                    self._scalar(place, tag, float(value), int(row["epoch"]))
        self._done = len(rows)
        for writer in self._writers.values():
            writer.flush()

    def close(self, figures: Mapping[str, float], files: Sequence[Path], status: str) -> None:
        """As of Tracker. Files are in the run folder already."""
        for name, value in figures.items():
            self._scalar("", name, float(value), self._done)
        for writer in self._writers.values():
            writer.close()

    def where(self) -> str:
        """As of Tracker."""
        return f"tensorboard --logdir {self.shown}"


def make() -> TensorBoard:
    """Returns a new one."""
    return TensorBoard()
